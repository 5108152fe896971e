"""Where files of a data set lie: images below a folder, names of splits, folders that are tried."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gelan.data.formats.collector import Collector, count
from gelan.data.formats.records import ImageRecord
from gelan.data.images import IMAGE_SUFFIX
from gelan.errors import ConfigError, SourceError

_SPLIT = re.compile(r"(?<![a-z])(train(?:ing)?|valid(?:ation)?|val|test(?:ing)?)(?![a-z])", re.I)
_IMAGE_NAME = re.compile(r".*" + IMAGE_SUFFIX.pattern.removeprefix("(?i)"), re.I | re.S)


def split_of(name: str) -> str | None:
    """`train`, `val` or `test` where a name says so.

    >>> [split_of(name) for name in ("train2017", "instances_val2017", "valid", "Test", "trainval")]
    ['train', 'val', 'val', 'test', None]
    """
    found = {match[:3].lower() for match in _SPLIT.findall(name)}
    words = {"tra": "train", "val": "val", "tes": "test"}
    return words[found.pop()] if len(found) == 1 else None


def is_image_name(name: str) -> bool:
    """Whether a file name has the suffix of an image; hidden files do not count.

    >>> is_image_name("a.JPG"), is_image_name("._a.jpg"), is_image_name("a.txt")
    (True, False, False)
    """
    return not name.startswith(".") and _IMAGE_NAME.fullmatch(name) is not None


def images_below(folder: Path) -> list[Path]:
    """Images in a folder and the folders in it, told by suffix, sorted; hidden ones are skipped."""
    return sorted(_walk(folder, seen=set()))


def images_in(folder: Path) -> list[Path]:
    """Images directly in a folder, told by suffix, sorted."""
    return sorted(entry for entry in folder.iterdir() if is_image_name(entry.name))


def _walk(folder: Path, *, seen: set[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in seen:  # a link that leads back up
        return
    seen.add(real)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(Path(entry.path), seen=seen)
            elif is_image_name(entry.name):
                yield Path(entry.path)


def folders_in(folder: Path) -> list[Path]:
    """The folders directly in a folder, sorted; hidden ones are skipped."""
    inside = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    return sorted(entry for entry in inside if entry.is_dir())


def folder_called(folder: Path, *names: str) -> Path | None:
    """The first folder in `folder` with one of the names, whatever their capitals."""
    by_name = {entry.name.lower(): entry for entry in reversed(folders_in(folder))}
    return next((by_name[name] for name in names if name in by_name), None)


class Listings:
    """Which files there are, asked of each folder once: many names are then told without a look."""

    def __init__(self) -> None:
        self.names = cache(self._names)
        self._stems = cache(self._images_by_stem)

    def has(self, path: Path) -> bool:
        """Whether there is something of that name."""
        return path.name in self.names(path.parent)

    def images_called(self, stem: str, folder: Path) -> list[str]:
        """Names of the images in a folder that are `stem` and a suffix, sorted."""
        return self._stems(folder).get(stem, [])

    def _images_by_stem(self, folder: Path) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in sorted(filter(is_image_name, self.names(folder))):
            found.setdefault(name.rpartition(".")[0], []).append(name)
        return found

    @staticmethod
    def _names(folder: Path) -> frozenset[str]:
        try:
            return frozenset(os.listdir(folder))  # noqa: PTH208 - names are all that is needed
        except (OSError, ValueError):  # no such folder, or no folder can be called so
            return frozenset()


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        ConfigError: it cannot be opened, or is no such text.
    """
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path}: is no ordinary file")
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be opened: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text in UTF-8; save it as UTF-8") from error


@dataclass(frozen=True, slots=True)
class ListedImage:
    """A line of a list of images."""

    line: int
    name: str
    tried: tuple[Path, ...]
    """Where the image was looked for."""
    path: Path | None
    """None where it is in none of these places."""


def listed_images(path: Path, *, roots: Iterable[Path]) -> list[ListedImage]:
    """The images that a text file names, one a line, in its order.

    A name is looked for from the list's folder, the roots and the working directory.

    Raises:
        ConfigError: the list cannot be read.
    """
    bases = list(dict.fromkeys([path.parent, *roots, Path()]))
    listings, found = Listings(), list[ListedImage]()
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        name = line.strip()
        if name:
            tried = tuple([base / spelled for base in bases for spelled in spellings(name)])
            image = next((choice for choice in tried if listings.has(choice)), None)
            found.append(ListedImage(number, name, tried, image))
    return found


def images_in_list(path: Path, *, roots: Iterable[Path], collector: Collector) -> list[Path]:
    """The images of `listed_images`; one that is not there, or stands twice, is a finding."""
    found = dict[Path, int]()
    for one in listed_images(path, roots=roots):
        if one.path is None:
            cause = f"there is no image {one.name}; tried {in_words(one.tried)}"
            remedy = "correct the path, or take the line out"
            collector.error("image-missing", path, line=one.line, cause=cause, remedy=remedy)
        elif one.path in found:
            cause = f"{one.name} stands in line {found[one.path]} already"
            collector.warning(
                "image-repeated", path, line=one.line, cause=cause, remedy="take the line out"
            )
        else:
            found[one.path] = one.line
    return list(found)


def spellings(name: str) -> list[str]:
    """A path as written and, where it has backslashes, as other systems than Windows write it."""
    return list(dict.fromkeys([name, name.replace("\\", "/")]))


def in_words(paths: Iterable[Path]) -> str:
    """Paths that were tried, each once.

    >>> in_words([Path("a"), Path("b/c"), Path("a")])
    'a, b/c'
    """
    return ", ".join(dict.fromkeys(map(str, paths)))


def usable_splits(
    splits: dict[str, list[ImageRecord]], *, place: Path, collector: Collector
) -> dict[str, tuple[ImageRecord, ...]]:
    """Splits that have images, in the order train, val, test, others; says which share an image.

    Raises:
        SourceError: none has.
    """
    order = [name for name in ("train", "val", "test") if name in splits]
    names = [*order, *(name for name in splits if name not in order)]
    usable = {name: tuple(splits[name]) for name in names if splits[name]}
    for name in names:
        if name not in usable:
            cause, remedy = (
                f"split {name!r} has no image that can be used",
                "see the other findings",
            )
            collector.error("split-empty", place, cause=cause, remedy=remedy)
    if not usable:
        found = [f for f in collector.findings if f.kind != "split-empty"]
        more = f" (and {len(found) - 3} more like these)" if len(found) > 3 else ""
        first = "; ".join(map(str, found[:3]))
        raise SourceError(f"{place}: no image that can be used. {first or 'It is empty'}{more}")
    _tell_shared(usable, place=place, collector=collector)
    return usable


def _tell_shared(
    splits: dict[str, tuple[ImageRecord, ...]], *, place: Path, collector: Collector
) -> None:
    owner: dict[Path, str] = {}
    shared: dict[tuple[str, str], list[Path]] = {}
    for name, records in splits.items():
        for record in records:
            first = owner.setdefault(record.path, name)
            if first != name:
                shared.setdefault((first, name), []).append(record.path)
    for (first, second), paths in shared.items():
        cause = f"{count(len(paths), 'image')} both in {first} and in {second}, first {paths[0]}"
        remedy = "keep each image in one split: figures on images that were learnt from mislead"
        collector.warning("split-overlap", place, cause=cause, remedy=remedy)
