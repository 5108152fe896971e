"""What kind of file something is, judged by its first bytes and never by its name."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path

from gelan.errors import CheckpointError, nearest

_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The pickled magic number with which torch.save began its files before version 1.6."""


class Container(Enum):
    """What a file is, judged by its first bytes; the value is a phrase for messages."""

    SAFETENSORS = "a safetensors file"
    ZIP = "a zip archive, as torch.save writes them"
    LEGACY_TORCH = "a torch.save file of torch before 1.6"
    PICKLE = "a bare pickle, not a torch.save file"
    EMPTY = "an empty file"
    WEB_PAGE = "a web page, not the file behind it"
    LFS_POINTER = "a Git LFS pointer, not the file that it stands for"
    TEXT = "a text file"
    OTHER = "of no kind that is known here"


def container_of(path: Path) -> Container:
    """What the file is, judged by its first bytes and never by its name.

    Raises:
        CheckpointError: there is no such file, or it is a folder, or cannot be opened.
    """
    try:
        if not path.is_file():
            raise CheckpointError(_absent(path))
        with path.open("rb") as stream:
            start = stream.read(512)
        return _container(start, path.stat().st_size)
    except OSError as failure:  # a name that is too long, a folder that may not be entered, ...
        raise CheckpointError(f"{path}: cannot be read: {failure.strerror}") from failure


def _absent(path: Path) -> str:
    if path.is_dir():
        return f"{path}: is a folder; name the weights file in it"
    if path.exists():
        return f"{path}: is no regular file"
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"{path}: no such file{nearest(path.name, siblings)}"


def _container(start: bytes, size: int) -> Container:
    if not start:
        return Container.EMPTY
    if 2 <= int.from_bytes(start[:8], "little") <= size - 8 and start[8:9] == b"{":
        return Container.SAFETENSORS
    signatures = {
        b"PK\x03\x04": Container.ZIP,
        _LEGACY_TORCH: Container.LEGACY_TORCH,
        b"version https://git-lfs": Container.LFS_POINTER,
    }
    for signature, kind in signatures.items():
        if start.startswith(signature):
            return kind
    if re.match(rb"\x80[\x02-\x05]", start):
        return Container.PICKLE
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype|html)", start, re.IGNORECASE):
        return Container.WEB_PAGE
    is_text = re.fullmatch(rb"[\t\n\r\x20-\x7e\x80-\xff]+", start) is not None
    return Container.TEXT if is_text else Container.OTHER
