"""New files and folders for what was found, in UTF-8: under its name a file is whole, or not there.

A file is written under a passing name and gets its own when it is complete, so that neither a full
disk nor an interrupt leaves half of one. A `LineFile` grows while it is written, line by line, and
ends with a whole line at any moment.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TextIO

import cv2

from gelan.data.images import Image
from gelan.errors import ConfigError, ImageError

logger = logging.getLogger(__name__)

JPEG_OPTIONS = [cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_SAMPLING_FACTOR]
JPEG_OPTIONS += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]  # thin coloured lines stay coloured
JPEG_LONGEST = 65500
"""Pixels of the longer side; the format's own limit is libjpeg's."""
_NO_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of surrogate pairs that stand for no byte of a file name, and have no UTF-8."""


def require_unused(path: Path) -> Path:
    """The path itself, if nothing is there.

    Raises:
        ConfigError: something is.
    """
    if path.exists():
        raise ConfigError(f"{path} is there already and stays as it is; choose another folder")
    return path


def new_folder(path: Path) -> Path:
    """The path, now a folder; its parent must be there.

    Raises:
        ConfigError: something is there already.
    """
    require_unused(path).mkdir()
    return path


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """An empty file under a passing name; what is written to it is named `path` at the end.

    The passing name is new each time, so that nobody else's file can have it. After an error
    nothing is left, and what was there before is there still. An `OSError` names the file.
    """
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.unfinished")
    with _naming(path):
        unfinished.touch(exist_ok=False)
        try:
            yield unfinished
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """An error of an open file names it: the system does not."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def new_file(path: Path, *, newline: str | None = None) -> AbstractContextManager[TextIO]:
    """A file to write text to in a `with` block, at whose end it appears.

    Names of files that are not UTF-8 become their bytes again.

    Raises:
        ConfigError: something is there already; at once, not when the block begins.
    """
    return _text_file(require_unused(path), newline)


@contextmanager
def _text_file(path: Path, newline: str | None) -> Iterator[TextIO]:
    with (
        appearing(path) as unfinished,
        unfinished.open("w", encoding="utf-8", errors="surrogateescape", newline=newline) as file,
    ):
        yield file


class LineFile:
    """A new file of lines, each to be read by others as soon as it is written.

    Raises:
        ConfigError: something is there already.
    """

    def __init__(self, path: Path) -> None:
        self._path = require_unused(path)
        self._file = path.open("xb", buffering=0)

    def write(self, lines: str) -> None:
        """Add whole lines, or none of them where the disk is full."""
        data = encodable(lines).encode("utf-8", errors="surrogateescape")
        end = self._file.tell()
        try:
            with _naming(self._path):
                while data:
                    data = data[self._file.write(data) :]
        except BaseException:
            self._file.truncate(end)
            raise

    def flush(self) -> None:
        """Nothing: lines are not held back."""

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def encodable(text: str) -> str:
    r"""The text, with backslashes for what neither UTF-8 nor a file name can hold.

    >>> encodable("caf\u00e9 \udce9 \ud800") == "caf\u00e9 \udce9 \\ud800"
    True
    """
    return _NO_BYTES.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def write_json_list(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """A JSON list with one object per line, which appears complete and in place of what was there.

    Raises:
        ValueError: a number is not finite.
    """
    with appearing(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        file.write("[")
        for number, row in enumerate(rows):
            file.write((",\n" if number > 0 else "\n") + json.dumps(row, allow_nan=False))
        file.write("\n]\n")


def write_image(path: Path, image: Image) -> Path:
    """The image in the format that the suffix names; the path of the file.

    `.jpg` has quality 92 and full colour. An image too long for JPEG becomes a PNG, and the log
    says so.

    Raises:
        ImageError: its sides are longer than PNG allows, too.
        FileExistsError: something is there already.
    """
    height, width = image.shape[:2]
    if path.suffix == ".jpg" and max(height, width) > JPEG_LONGEST:
        logger.warning("%s: %d x %d is too long for JPEG; written as PNG", path, width, height)
        path = path.with_suffix(".png")
    if path.exists():
        raise FileExistsError(f"{path} is there already")
    data = _encoded(image, path)
    with appearing(path) as unfinished:
        unfinished.write_bytes(data)
    return path


def _encoded(image: Image, path: Path) -> bytes:
    height, width = image.shape[:2]
    options = JPEG_OPTIONS if path.suffix == ".jpg" else []
    try:
        done, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    except cv2.error as error:
        raise ImageError(f"{path}: OpenCV cannot write this picture ({error.err})") from None
    if not done:
        raise ImageError(f"{path}: {width} x {height} pixels are too many for this format")
    return bytes(data.tobytes())
