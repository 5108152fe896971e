"""Where the images of a YOLO data set are and how its classes are called; no label is read yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gelan.data.formats.collector import Collector
from gelan.data.formats.places import (
    Listings,
    folders_in,
    images_below,
    images_in,
    images_in_list,
    read_text,
    split_of,
)
from gelan.data.formats.plain_yaml import Value
from gelan.data.formats.yolo_entries import read_entries, tell_entries
from gelan.data.formats.yolo_rows import MOST_CLASSES
from gelan.errors import ConfigError, SourceError
from gelan.structures.classes import ClassTable

NAME_FILES = ("classes.txt", "obj.names")
"""What a list of class names may be called."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Images by split, and classes."""

    place: Path
    splits: dict[str, list[Path]]
    classes: ClassTable | None
    """None where nothing says how they are called."""
    is_whole: bool
    """Whether folders were taken as they are: then every label file should have its image."""


def yaml_source(path: Path, *, names: Sequence[str] | None, collector: Collector) -> Source:
    """What a `data.yaml` says.

    Where its places are looked for: see `yolo_entries.read_entries`.
    """
    entries = read_entries(path)
    tell_entries(entries, collector)
    splits, is_whole = dict[str, list[Path]](), True
    for key, places in entries.splits.items():
        images = splits.setdefault(split_of(key) or key, [])
        for found in [place.found for place in places if place.found is not None]:
            if found.is_dir():
                images += images_below(found)
            else:
                is_whole = False
                images += images_in_list(found, roots=entries.bases, collector=collector)
    root = entries.root
    classes = ClassTable(tuple(names)) if names else _classes(root, path=path, collector=collector)
    return Source(place=path, splits=splits, classes=classes, is_whole=is_whole)


def folder_source(folder: Path, *, names: Sequence[str] | None) -> Source:
    """The images of `folder_splits`; classes from `classes.txt` or `obj.names`, if there is one."""
    splits = folder_splits(folder)
    if not splits:
        remedy = "put images in 'images' and labels in 'labels', or write a data.yaml"
        raise SourceError(f"{folder}: no images with YOLO label files found; {remedy}")
    classes = ClassTable(tuple(names)) if names else _classes_beside([folder, folder / "labels"])
    return Source(place=folder, splits=splits, classes=classes, is_whole=True)


def list_source(path: Path, *, names: Sequence[str] | None, collector: Collector) -> Source:
    """The images of one list, as the split that its name says."""
    images = images_in_list(path, roots=[], collector=collector)
    classes = ClassTable(tuple(names)) if names else _classes_beside([path.parent])
    splits = {split_of(path.stem) or "all": images}
    return Source(place=path, splits=splits, classes=classes, is_whole=False)


def folder_splits(folder: Path) -> dict[str, list[Path]]:
    """Images by split in a folder that holds YOLO labels; nothing if it does not.

    Known are `images/train` with `labels/train`, `train/images` with `train/labels`, and images
    with a label file of the same name beside them, in the folder itself, in `images` or in folders
    called train, val, test. Other folders in `images` are splits of their own name if some are
    called so; else all images are the split `all`.
    """
    if (folder / "images").is_dir() and (folder / "labels").is_dir():
        return _by_split(images_below(folder / "images"), folder / "images")
    parts = {split: part for part in folders_in(folder) if (split := split_of(part.name))}
    pairs = {split: part / "images" for split, part in parts.items() if (part / "labels").is_dir()}
    found = {split: images_below(images) for split, images in pairs.items() if images.is_dir()}
    if found:
        return found
    mixed = {"all": images_in(folder), **{split: images_in(part) for split, part in parts.items()}}
    if (folder / "images").is_dir():
        mixed = _by_split(images_below(folder / "images"), folder / "images")
    listings = Listings()
    labelled = [
        listings.has(image.with_suffix(".txt")) for part in mixed.values() for image in part
    ]
    return {split: part for split, part in mixed.items() if part} if any(labelled) else {}


def label_candidates(image: Path) -> list[Path]:
    """Where the labels of an image may be, best first.

    >>> [path.as_posix() for path in label_candidates(Path("images/images/train/a.b.jpg"))]
    ['images/labels/train/a.b.txt', 'images/images/train/a.b.txt']
    """
    beside = image.with_suffix(".txt")
    folders = list(beside.parts[:-1])
    if "images" not in folders:
        return [beside]
    last = len(folders) - 1 - folders[::-1].index("images")
    folders[last] = "labels"
    return [Path(*folders, beside.name), beside]


def _by_split(images: Iterable[Path], root: Path) -> dict[str, list[Path]]:
    by_folder: dict[str, list[Path]] = {}
    for image in images:
        parts = image.relative_to(root).parts
        by_folder.setdefault(parts[0] if len(parts) > 1 else "all", []).append(image)
    if not any(map(split_of, by_folder)):
        return {"all": sorted(image for part in by_folder.values() for image in part)}
    splits: dict[str, list[Path]] = {}
    for name, part in by_folder.items():
        splits.setdefault(split_of(name) or name, []).extend(part)
    return splits


def _classes(root: dict[str, Value], *, path: Path, collector: Collector) -> ClassTable | None:
    """The classes that `names` lists, or as many without a name as `nc` says."""
    number = _class_count(root.get("nc"), path=path)
    names = root.get("names")
    if names is None or names.content is None:
        if number is None:
            return None
        cause, remedy = "there are no names for the classes", "add 'names:'"
        collector.warning("names-missing", path, line=root["nc"].line, cause=cause, remedy=remedy)
        return ClassTable.unnamed(number)
    if isinstance(names.content, list):
        table = ClassTable(tuple(_name(item, path=path) for item in names.content))
    elif isinstance(names.content, dict):
        table = _numbered(names.content, path=path, line=names.line, collector=collector)
    else:
        raise ConfigError(f"{path}:{names.line}: 'names' must be a list, or number: name")
    if not len(table):
        raise ConfigError(f"{path}:{names.line}: 'names' is empty; name the classes")
    if number is not None and number != len(table):
        cause = f"nc is {number}, and the length of 'names', which counts, is {len(table)}"
        remedy = "correct nc, or take it out"
        line = root["nc"].line
        collector.warning("class-count", path, line=line, cause=cause, remedy=remedy)
    return table


def _class_count(value: Value | None, *, path: Path) -> int | None:
    if value is None or value.content is None:
        return None
    number = _whole(value.content) if isinstance(value.content, str) else None
    if not number:
        raise ConfigError(f"{path}:{value.line}: nc must be a whole number, 1 to {MOST_CLASSES}")
    return number


def _whole(text: str) -> int | None:
    """A number of at most `MOST_CLASSES`; None for anything else."""
    is_number = text.isascii() and text.isdecimal() and len(text.lstrip("0")) <= 6
    return int(text) if is_number and int(text) <= MOST_CLASSES else None


def _name(item: Value, *, path: Path) -> str:
    if not isinstance(item.content, str) or not item.content:
        raise ConfigError(f"{path}:{item.line}: a class name must be text; put it in quotes")
    return item.content


def _numbered(
    names: dict[str, Value], *, path: Path, line: int, collector: Collector
) -> ClassTable:
    """Classes by number; numbers with gaps are kept as the source's ids."""
    by_number: dict[int, str] = {}
    for key, item in names.items():
        number = _whole(key)
        if number is None:
            cause = f"{key!r:.200} is no class number"
            raise ConfigError(f"{path}:{item.line}: {cause}; count 0, 1, 2, ...")
        if number in by_number:
            raise ConfigError(f"{path}:{item.line}: class {number} is named twice")
        by_number[number] = _name(item, path=path)
    numbers = tuple(sorted(by_number))
    table = ClassTable(tuple(by_number[number] for number in numbers), category_ids=numbers)
    if numbers == tuple(range(len(numbers))):
        return ClassTable(table.names)
    cause = (
        f"class numbers are {', '.join(map(str, numbers))}; the model counts 0..{len(numbers) - 1}"
    )
    remedy = "nothing, if the rows of the label files use these numbers"
    collector.warning("class-numbers", path, line=line, cause=cause, remedy=remedy)
    return table


def _classes_beside(folders: Sequence[Path]) -> ClassTable | None:
    """The names, one a line, in the first file of names that there is."""
    for folder in folders:
        for file in (folder / name for name in NAME_FILES):
            if file.is_file():
                names = [line.strip() for line in read_text(file).rstrip().splitlines()]
                if not names or "" in names:
                    raise ConfigError(f"{file}: a line is empty; write one class name a line")
                return ClassTable(tuple(names))
    return None
