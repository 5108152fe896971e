"""COCO data sets: one JSON file, or a folder with one for each split.

Boxes are left, top, width, height in pixels. Category ids may have gaps; model indices count
categories in the order of their ids. Crowds are kept and marked; masks as run lengths (RLE) give
their area and no outline. A category without a box is kept if it could have one: not where other
categories name it as their `supercategory`, or where it is called background.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gelan.data.formats.class_checks import BACKGROUND, tell_classes
from gelan.data.formats.coco_objects import (
    ImageId,
    ObjectReader,
    SizeHW,
    image_entry,
    image_side,
    tell_layout,
)
from gelan.data.formats.coco_places import annotation_files, file_split, image_folders, locate
from gelan.data.formats.collector import Collector, count
from gelan.data.formats.places import Listings, in_words, usable_splits
from gelan.data.formats.plain_json import Entries, read_lists
from gelan.data.formats.records import DatasetDescription, ImageRecord, Row, labels_of
from gelan.errors import ConfigError, SourceError
from gelan.structures.classes import ClassTable

_NONE = Entries([], labels_of([], layout="corner-size").lines)


def read_coco_file(path: Path) -> DatasetDescription:
    """The data set that one annotation file describes: one split, named by the file or its folder.

    Raises:
        ConfigError: the file is no such JSON, or its categories contradict each other.
        SourceError: none of its images is found; all places that were tried are listed.
    """
    return _read(path, {file_split(path): path})


def read_coco_folder(folder: Path) -> DatasetDescription:
    """The data set in a folder; see `coco_places.annotation_files`.

    Raises:
        ConfigError: a file is no such JSON, or categories contradict each other.
        SourceError: there are no such files, or no image of theirs.
    """
    files = annotation_files(folder)
    if not files:
        raise SourceError(f"{folder}: no COCO annotation files; name the JSON file itself")
    return _read(folder, files)


@dataclass(frozen=True, slots=True)
class _File:
    """The lists of one annotation file."""

    path: Path
    images: Entries
    annotations: Entries
    categories: Entries


def _read(place: Path, paths: Mapping[str, Path]) -> DatasetDescription:
    collector = Collector()
    files = {split: _open(path) for split, path in paths.items()}
    classes = _classes(list(files.values()), place=place, collector=collector)
    records = {split: _read_split(split, file, classes, collector) for split, file in files.items()}
    splits = usable_splits(records, place=place, collector=collector)
    tell_classes(classes, splits, place=place, collector=collector)
    return DatasetDescription(
        place=place,
        kind="coco",
        classes=classes,
        splits=splits,
        findings=tuple(collector.findings),
    )


def _open(path: Path) -> _File:
    lists = read_lists(path)
    for key in ("images", "annotations"):
        if key not in lists:
            raise ConfigError(f"{path}: has no list {key!r}; is it a COCO annotation file?")
    return _File(path, lists["images"], lists["annotations"], lists.get("categories", _NONE))


@dataclass(frozen=True, slots=True)
class _Category:
    name: str
    above: object
    """Its supercategory."""
    path: Path


def _classes(files: Sequence[_File], *, place: Path, collector: Collector) -> ClassTable:
    """All categories of all files but placeholders, by id."""
    categories: dict[int, _Category] = {}
    for file in files:
        _add_categories(file, categories)
    used = Counter(_category_ids(files))
    if not categories:
        cause = "there are no categories; their ids stand for their names"
        collector.warning("names-missing", place, cause=cause, remedy="add 'categories'")
        categories = {i: _Category(f"category {i}", None, place) for i in sorted(used)}
    above = {c.above for c in categories.values() if c.above != c.name}
    for number, category in list(categories.items()):
        is_placeholder = category.name in above or category.name.lower() in BACKGROUND
        if is_placeholder and not used[number]:
            del categories[number]
            why = "others name it as theirs" if category.name in above else "it means nothing"
            cause = f"category {number} {category.name!r} has no box and {why}: it is left out"
            remedy = "nothing, if it is no class of its own"
            collector.note("class-placeholder", category.path, cause=cause, remedy=remedy)
    numbers = tuple(sorted(categories))
    if not numbers:
        raise ConfigError(f"{place}: there are no categories and no annotations")
    _tell_numbers(numbers, place=place, collector=collector)
    return ClassTable(tuple(categories[number].name for number in numbers), numbers)


def _add_categories(file: _File, categories: dict[int, _Category]) -> None:
    own: set[int] = set()
    for position, value in enumerate(file.categories.values):
        line = file.categories.line(position)
        where = file.path if line is None else f"{file.path}:{line}"
        fields = value if isinstance(value, dict) else {}
        number, name = fields.get("id"), fields.get("name")
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(name, str):
            shown = f"id {number!r:.40}, name {name!r:.80}"
            why = f"category {position + 1} needs a whole 'id' and a 'name'"
            raise ConfigError(f"{where}: {why}; it has {shown}")
        known = categories.get(number)
        if number in own or (known is not None and known.name != name):
            other = "before" if number in own or known is None else f"in {known.path}"
            raise ConfigError(
                f"{where}: category {number} is {name!r}, and {other} {categories[number].name!r}; "
                "give each class an id of its own, the same in all files"
            )
        own.add(number)
        categories.setdefault(number, _Category(name, fields.get("supercategory"), file.path))


def _category_ids(files: Sequence[_File]) -> list[int]:
    """The category of every annotation that has one."""
    return [
        number
        for file in files
        for value in file.annotations.values
        if isinstance(value, dict) and isinstance(number := value.get("category_id"), int)
    ]


def _tell_numbers(numbers: Sequence[int], *, place: Path, collector: Collector) -> None:
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    if numbers[0] or missing:
        gaps = f" with {count(missing, 'gap')}" if missing else ""
        cause = (
            f"category ids are {numbers[0]}..{numbers[-1]}{gaps}; the model counts "
            f"0..{len(numbers) - 1} in their order"
        )
        remedy = "nothing; COCO output is written with the ids of the file"
        collector.note("class-numbers", place, cause=cause, remedy=remedy)


@dataclass(frozen=True, slots=True)
class _Image:
    id: ImageId
    name: str
    size: SizeHW | None
    line: int | None


def _read_split(
    split: str, file: _File, classes: ClassTable, collector: Collector
) -> list[ImageRecord]:
    images = _images(file, collector)
    paths = _paths(split, file, images, collector)
    if not paths:
        return []
    index_of = {classes.category_id(index): index for index in range(len(classes))}
    sizes = {image.id: image.size for image in images}
    names = {image.id: image.name for image in images}
    reader = ObjectReader(file.path, sizes, names, index_of, collector)
    reader.read(file.annotations)
    _tell_all(reader, file.path, split, sizes, collector)
    records: list[ImageRecord] = []
    for image in images:
        rows = reader.rows.get(image.id, [])
        if image.id in reader.spoilt and not rows:
            _tell_left_out(image, file.path, collector)
        elif image.id in paths:
            records.append(_record(image, paths[image.id], rows, file.path))
    return records


def _record(image: _Image, path: Path, rows: list[Row], file: Path) -> ImageRecord:
    return ImageRecord(
        path=path,
        labels=labels_of(rows, layout="corner-size"),
        label_file=file,
        stated_hw=image.size,
        image_id=image.id,
    )


def _tell_left_out(image: _Image, path: Path, collector: Collector) -> None:
    cause = f"no annotation of {image.name} can be used, so it is left out: it would pass for empty"
    remedy = "correct its annotations, or take them out if the image shows nothing"
    collector.error("image-left-out", path, line=image.line, cause=cause, remedy=remedy)


def _images(file: _File, collector: Collector) -> list[_Image]:
    """The entries of `images` that say which image they mean."""
    found: dict[ImageId, _Image] = {}
    names: set[str] = set()
    for position, value in enumerate(file.images.values):
        line = file.images.line(position)
        entry = image_entry(value)
        if entry is None:
            cause = f"entry {position + 1} of images needs a file_name, and a number or text as id"
            collector.error("row-fields", file.path, line=line, cause=cause, remedy="add them")
            continue
        number, name = entry.id, entry.name
        if number in found:
            cause = (
                f"image id {number!r} is {found[number].name} and {name}; the second is left out"
            )
            remedy = "number the images anew, and their annotations with them"
            collector.error("id-repeated", file.path, line=line, cause=cause, remedy=remedy)
        else:
            if name in names:
                cause, remedy = f"{name} is listed twice, with two ids", "join the two entries"
                collector.warning(
                    "image-repeated", file.path, line=line, cause=cause, remedy=remedy
                )
            names.add(name)
            size = _size(value, name, file.path, line=line, collector=collector)
            found[number] = _Image(number, name, size, line)
    unknown = sum(image.size is None for image in found.values())
    if unknown:
        cause = f"{count(unknown, 'image')} of {len(found)} without a usable width and height"
        remedy = "nothing: boxes are judged when the images are opened, not with --quick"
        collector.note("size-unknown", file.path, cause=cause, remedy=remedy)
    return list(found.values())


def _size(
    value: object, name: str, path: Path, *, line: int | None, collector: Collector
) -> SizeHW | None:
    """The stated height and width; says where they are no numbers, or none above 0."""
    fields = value if isinstance(value, dict) else {}
    stated = {key: fields[key] for key in ("width", "height") if fields.get(key) is not None}
    for key, side in stated.items():
        if image_side(side) is None or isinstance(side, str):
            used = "is not used" if image_side(side) is None else "is text"
            cause = f"{name}: {key} {side!r:.40} {used}"
            remedy = "write a whole number above 0, without quotes"
            collector.warning("row-number", path, line=line, cause=cause, remedy=remedy)
    height, width = image_side(stated.get("height")), image_side(stated.get("width"))
    return None if height is None or width is None else (height, width)


def _paths(
    split: str, file: _File, images: Sequence[_Image], collector: Collector
) -> dict[ImageId, Path]:
    """Where each image is that is there."""
    folders = image_folders(file.path, split)
    found = locate([image.name for image in images], folders, Listings())
    if images and not any(found):
        cause = (
            f"split {split!r}: none of its {count(len(images), 'image')} is there; looked for "
            f"{images[0].name} in {in_words(folders)}"
        )
        remedy = "put the images into one of these folders"
        collector.error("split-missing", file.path, cause=cause, remedy=remedy)
        return {}
    for image, path in zip(images, found, strict=True):
        if path is None:
            cause, remedy = f"there is no image {image.name}", "bring it back, or take it out"
            collector.error("image-missing", file.path, line=image.line, cause=cause, remedy=remedy)
    return {image.id: path for image, path in zip(images, found, strict=True) if path is not None}


def _tell_all(
    reader: ObjectReader,
    path: Path,
    split: str,
    sizes: Mapping[ImageId, SizeHW | None],
    collector: Collector,
) -> None:
    """What the annotations of one file look like together."""
    pairs = [(row, sizes[image]) for image, rows in reader.rows.items() for row in rows]
    rows = [row for row, _ in pairs]
    tell_layout(rows, [size for _, size in pairs], path=path, collector=collector)
    crowds = sum(row.crowd for row in rows)
    if crowds:
        cause = f"{crowds} of {count(len(rows), 'object')} in {split} are crowds"
        remedy = "nothing: they are not learnt, and evaluation ignores what is found in them"
        collector.note("crowd", path, cause=cause, remedy=remedy)
    empty = len(sizes.keys() - reader.rows.keys() - reader.spoilt)
    if empty:
        cause = f"{empty} of {count(len(sizes), 'image')} in {split} have no annotation"
        remedy = "nothing, if these images really show none of the classes"
        collector.note("background", path, cause=cause, remedy=remedy)
