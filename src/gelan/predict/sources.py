"""Where images come from: what a user writes after `--source`, as a list of images to read.

Nothing is decoded here. An image that turns out to be unreadable is the affair of whoever reads it,
and so is one of several that is not there (a line of a list, a link that leads nowhere). A place
that does not exist, or holds no images, is a `SourceError` at once.
"""

from __future__ import annotations

import logging
import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO

from gelan.data.images import IMAGE_SUFFIX, Image, decode_image, looks_like_image, read_image
from gelan.errors import ImageError, SourceError, nearest

logger = logging.getLogger(__name__)

_VIDEO_SUFFIX = re.compile(r"(?i)\.(mp4|m4v|mov|avi|mkv|webm|mpe?g|wmv|flv|mts)")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MAGIC = re.compile(r"[*?\[]")
_SHOWN = 200  # characters of what may be junk


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image that has not been read yet."""

    name: str
    """Its path as the user would write it, for messages and outputs."""
    path: Path | None = None
    data: bytes | None = None
    """The whole file, where it came through a pipe."""
    missing: str | None = None
    """Why there is nothing to read, where that is known already."""

    def read(self) -> Image:
        """The decoded image.

        Raises:
            ImageError: it cannot be read; the message begins with `name`.
        """
        if self.missing is not None:
            raise ImageError(f"{self.name}: {self.missing}")
        if self.data is not None:
            return decode_image(self.data, name=self.name)
        return read_image(self.path or Path(self.name))


def find_images(source: str, *, stdin: BufferedIOBase | None = None) -> list[ImageFile]:
    """The images that `source` names, in natural order (`a2` before `a10`), at least one.

    * a file: that image, whatever its suffix;
    * a folder: the images directly in it, told by suffix; hidden files are skipped;
    * a pattern such as `photos/*.jpg`, where `**` looks into folders: images told by suffix;
    * `list.txt`: one path a line, from the list's folder or the working directory; blank lines and
      lines that begin with `#` are skipped; the order is the list's; a line that names no file
      becomes an `ImageFile` that says so when it is read;
    * `-`: an image, or a list of paths, from `stdin` (by default the process's own).

    A pipe or a device is none of these, whatever may come out of it.

    Raises:
        SourceError: there is no such place, it holds no image, no line of a list names a file, or
            it is a video or a URL, which are not read yet.
    """
    try:
        if source == "-":
            return _from_stdin((stdin or _standard_input()).read())
        return _from_place(source)
    except OSError as error:
        reason = error.strerror or error
        raise SourceError(f"{_cut(source)}: cannot be opened: {reason}") from error


def _standard_input() -> BinaryIO:
    if sys.stdin is None:  # as in `gelan ... <&-`
        raise SourceError(
            "standard input is closed; send an image or a list of paths, or name a file "
            "instead of -"
        )
    return sys.stdin.buffer


def _from_place(source: str) -> list[ImageFile]:
    if not source:
        raise SourceError("the source is empty; name an image, a folder, a pattern or a list")
    if _URL.match(source):
        raise SourceError(f"{source}: URLs are not read yet; download it and name the file")
    path = Path(source)
    if path.is_dir():
        return _from_folder(path)
    if path.is_file():
        return _from_file(path)
    if _MAGIC.search(source):
        return _from_pattern(path)
    raise SourceError(f"{source}: {_why_missing(path)}")


def _from_file(path: Path) -> list[ImageFile]:
    if path.suffix.lower() == ".txt":
        return _from_list(path.read_bytes(), name=str(path), folder=path.parent)
    if _VIDEO_SUFFIX.fullmatch(path.suffix):
        raise SourceError(
            f"{path}: videos are not read yet; cut it into pictures first, "
            f"for example: ffmpeg -i {path.name} frames/%06d.jpg"
        )
    return [ImageFile(str(path), path)]


def _from_folder(folder: Path) -> list[ImageFile]:
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    files = [entry for entry in entries if entry.is_file() or _leads_nowhere(entry)]
    has_folders = any(entry.is_dir() for entry in entries)
    deeper = f"; to look into its folders: '{folder}/**'" if has_folders else ""
    return _images_among(files, where=str(folder), hint=deeper)


def _from_pattern(pattern: Path) -> list[ImageFile]:
    for part in pattern.parts:
        if "**" in part and part != "**":
            stands_alone = part.replace("**", "**/*", 1)
            raise SourceError(
                f"{pattern}: '**' must stand between slashes; did you mean {stands_alone!r}?"
            )
    root, rest = _fixed_part(pattern)
    if not root.is_dir():
        raise SourceError(f"{pattern}: {_why_missing(root)}")
    if rest[-1] == "**":  # means folders alone before Python 3.13
        rest = (*rest, "*")
    wants_hidden = any(part.startswith(".") for part in rest)
    found = []
    for path in root.glob("/".join(rest)):
        is_hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        is_there = path.is_file() or _leads_nowhere(path)
        if is_there and (wants_hidden or not is_hidden):
            found.append(path)
    return _images_among(found, where=str(pattern), hint="")


def _fixed_part(pattern: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder in front of the first part with a magic character; the parts from there on.

    A folder that has such a character in its name, as in `photos [2024]/*.jpg`, is a folder.
    """
    parts = pattern.parts
    start = next(
        index
        for index, part in enumerate(parts)
        if _MAGIC.search(part) and not Path(*parts[: index + 1]).is_dir()
    )
    return Path(*parts[:start]), parts[start:]


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _images_among(files: Iterable[Path], *, where: str, hint: str) -> list[ImageFile]:
    """Those with the suffix of an image, sorted; the others are counted in the log."""
    images: list[Path] = []
    others: Counter[str] = Counter()
    for path in files:
        if IMAGE_SUFFIX.fullmatch(path.suffix):
            images.append(path)
        else:
            others[path.suffix.lower() or "no suffix"] += 1
    kinds = ", ".join(f"{suffix} {count}" for suffix, count in others.most_common(5))
    if not images and not others:
        raise SourceError(f"{where}: no files found{hint}")
    if not images:
        number = "1 file" if others.total() == 1 else f"{others.total()} files"
        found = f"{number}, none with a known image suffix ({kinds})"
        raise SourceError(f"{where}: {found}{hint}")
    if others:
        logger.info(
            "%s: passed over %d files that are no images (%s)", where, others.total(), kinds
        )
    return [_image_file(path) for path in sorted(images, key=_natural)]


def _image_file(path: Path) -> ImageFile:
    missing = _why_missing(path) if _leads_nowhere(path) else None
    return ImageFile(str(path), path, missing=missing)


def _natural(path: Path) -> tuple[list[tuple[bool, int, str]], str]:
    """A sort key in which numbers count as numbers, before letters, and capitals do not matter.

    >>> names = ["a10.png", "B1.png", "a9.png", "7.png"]
    >>> sorted(names, key=lambda name: _natural(Path(name)))
    ['7.png', 'a9.png', 'a10.png', 'B1.png']
    """
    pieces = re.findall(r"([0-9]+)|([^0-9]+)", path.as_posix().lower())
    return [(number == "", int(number or 0), text) for number, text in pieces], str(path)


def _from_stdin(data: bytes) -> list[ImageFile]:
    if looks_like_image(data):
        return [ImageFile("standard input", data=data)]
    return _from_list(data, name="standard input", folder=Path())


def _from_list(data: bytes, *, name: str, folder: Path) -> list[ImageFile]:
    if b"\0" in data:
        raise SourceError(
            f"{name}: neither an image nor a list of paths: it holds bytes of value 0 "
            f"(begins with {data[:12]!r}); pass an image of a known kind, or one path a line"
        )
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: neither an image nor a list of paths in UTF-8") from error
    images = [
        _listed(line, where=f"{name}:{number}", folder=folder)
        for number, line in enumerate(map(str.strip, lines), start=1)
        if line and not line.startswith("#")
    ]
    if not images:
        raise SourceError(f"{name}: lists no images; write one path a line")
    if all(image.missing is not None for image in images):
        first = f"{images[0].name}: {images[0].missing}"
        raise SourceError(first if len(images) == 1 else f"{first} (nor is any other line a file)")
    return images


def _listed(line: str, *, where: str, folder: Path) -> ImageFile:
    """The file that a line of a list names, from the list's folder or the working directory."""
    choices = [base / line for base in dict.fromkeys((folder, Path()))]
    try:
        path = next((choice for choice in choices if choice.is_file()), None)
        if path is not None:
            return ImageFile(str(path), path)
        missing = _why_missing(choices[0])
    except OSError as error:  # longer than a name may be
        missing = f"cannot be opened: {error.strerror or error}"
    return ImageFile(f"{where}: {_cut(line)}", missing=missing)


def _cut(text: str) -> str:
    """At most `_SHOWN` characters of a text, with an ellipsis for the others."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _why_missing(path: Path) -> str:
    """What keeps a path from being there, with the nearest name that is."""
    if path.is_dir():
        return "is a folder, not a file"
    if path.exists():
        kind = "pipe" if path.is_fifo() else "socket" if path.is_socket() else "device"
        return (
            f"is a {kind}, not a regular file; to read what comes through it, send it to "
            "standard input (-)"
        )
    missing = path
    while not missing.parent.is_dir() and missing != missing.parent:
        missing = missing.parent
    if _leads_nowhere(missing):
        link = "is" if missing == path else f"{missing} is"
        return f"{link} a link to {missing.readlink()}, which is not there"
    siblings = (sibling.name for sibling in missing.parent.iterdir() if sibling.exists())
    what = "no such file or folder" if missing == path else f"there is no {_cut(str(missing))}"
    return f"{what}{nearest(missing.name, siblings)}"
