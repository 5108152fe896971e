"""Pascal VOC data sets: one XML file per image.

Corners count columns and rows of pixels from 1, first and last included: the box of `xmin` 1 and
`xmax` 640 covers an image of that width. Where boxes begin at 0, and no more of them at 1, they
cannot, and are taken as positions between pixels for the whole data set. Objects marked `difficult`
are kept as crowds: not learnt, and evaluation ignores what is found there, as VOC's own does.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gelan.data.formats.class_checks import tell_classes
from gelan.data.formats.collector import Collector, count
from gelan.data.formats.outlines import tell_fractions
from gelan.data.formats.places import Listings, usable_splits
from gelan.data.formats.plain_xml import Element, read_xml
from gelan.data.formats.records import (
    ROUNDING_PIXELS,
    DatasetDescription,
    ImageRecord,
    Layout,
    Row,
    labels_of,
)
from gelan.data.formats.voc_places import Named, image_named, images_of_list, named_images
from gelan.errors import ConfigError, SourceError
from gelan.structures.classes import ClassTable

_EDGES = ("xmin", "ymin", "xmax", "ymax")
_FIRST = re.compile(rb"<[xy]min>\s*([01])(?:\.0*)?\s*</")


def read_voc_folder(folder: Path, *, names: Sequence[str] | None = None) -> DatasetDescription:
    """The data set in a folder; see `voc_places.named_images`.

    Classes are `names`, or else all names that occur, sorted.

    Raises:
        SourceError: there are no annotations, or no image that has some.
    """
    collector = Collector()
    splits = named_images(folder, collector)
    if not splits:
        raise SourceError(f"{folder}: no VOC annotations found; name a folder with 'Annotations'")
    return _read(folder, splits, names=names, collector=collector)


def read_voc_list(path: Path, *, names: Sequence[str] | None = None) -> DatasetDescription:
    """The images that a list in `ImageSets/Main` names.

    Raises:
        SourceError: the list does not lie in a VOC folder, or none of its images is there.
    """
    collector = Collector()
    return _read(path, images_of_list(path, collector), names=names, collector=collector)


@dataclass(frozen=True, slots=True)
class _Object:
    """One object as written."""

    name: str
    corners: tuple[float, float, float, float]
    is_difficult: bool
    line: int
    place: int
    """Among all objects of its file, counted from 0."""


@dataclass(frozen=True, slots=True)
class _File:
    """An image with its annotation file."""

    image: Path
    path: Path
    size: tuple[int, int] | None
    objects: list[_Object]
    is_spoilt: bool
    """Whether there are objects that cannot be used."""


def _read(
    place: Path,
    splits: Mapping[str, list[Named]],
    *,
    names: Sequence[str] | None,
    collector: Collector,
) -> DatasetDescription:
    reader = _Reader(collector, Listings(), None if names is None else frozenset(names))
    files = {
        split: [file for one in images if (file := reader.read(one)) is not None]
        for split, images in splits.items()
    }
    objects = [(f, o) for part in files.values() for f in part for o in f.objects]
    classes = ClassTable(tuple(names or sorted({found.name for _, found in objects})))
    folders = [named.annotation.parent for images in splits.values() for named in images]
    layout = _layout(objects, folders, collector)
    builder = _Builder(classes, layout, collector)
    records = {split: builder.records(split, part) for split, part in files.items()}
    usable = usable_splits(records, place=place, collector=collector)
    tell_classes(classes, usable, place=place, collector=collector)
    return DatasetDescription(
        place=place,
        kind="voc",
        classes=classes,
        splits=usable,
        findings=tuple(collector.findings),
    )


def _layout(
    objects: Sequence[tuple[_File, _Object]], folders: Iterable[Path], collector: Collector
) -> Layout:
    """How all coordinates of the data set are counted.

    Boxes at the left and upper border tell: they begin at 0 or at 1. All annotation files of the
    folders are asked, so that a list is read as its folder is.
    """
    place = objects[0][0].path.parent if objects else Path()
    if objects and max(max(found.corners) for _, found in objects) <= 1:
        tell_fractions(len(objects), place=place, collector=collector)
    zeros, ones = _first_coordinates(folders)
    if not zeros:
        return "corners-from-1"
    counts = f"{count(zeros, 'left or upper edge')} of the data set at 0 and {ones} at 1"
    if zeros > 1 and zeros >= ones:
        cause = f"{counts}, so all boxes are read as counted from 0, not from 1"
        remedy = "check that none is a pixel too far left; a corner of 0 in a set from 1 is wrong"
        collector.note("values-origin", place, cause=cause, remedy=remedy)
        return "corners"
    cause = f"{counts}, so all boxes are read as counted from 1, and 0 as a mistake"
    collector.warning("values-origin", place, cause=cause, remedy="write 1 in place of 0")
    return "corners-from-1"


def _first_coordinates(folders: Iterable[Path]) -> tuple[int, int]:
    """How many left and upper edges are 0, and how many 1, in all annotation files of folders."""
    found: Counter[bytes] = Counter()
    for folder in dict.fromkeys(folders):
        for path in filter(Path.is_file, folder.glob("*.xml")):
            found.update(_FIRST.findall(path.read_bytes()))
    return found[b"0"], found[b"1"]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads annotation files as they are written."""

    collector: Collector
    listings: Listings
    names: frozenset[str] | None
    """Of the classes, where they are given."""

    def read(self, named: Named) -> _File | None:
        """An image and its objects; None, and a finding, where one of the files cannot be used."""
        if named.line is not None and not self.listings.has(named.annotation):
            cause = (
                f"there is no {named.annotation}; the image is left out, for it may show objects"
            )
            self.collector.error(
                "image-unlabelled",
                named.listed_in,
                line=named.line,
                cause=cause,
                remedy="bring the file back, or take the line out",
            )
            return None
        try:
            root = _root(named.annotation)
        except ConfigError as error:
            remedy = "save or download it again; until then its image is left out"
            self.collector.error(
                "label-unreadable", named.annotation, cause=str(error), remedy=remedy
            )
            return None
        image, same = image_named(named, root.text_of("filename"), self.listings)
        if image is None:
            cause = f"there is no image {named.stem} in {named.images}"
            remedy = "bring it back, or take the annotation out"
            self.collector.error("image-missing", named.annotation, cause=cause, remedy=remedy)
            return None
        if len(same) > 1:
            cause = f"belongs to {' and '.join(same)}; {image.name} is used"
            remedy = "rename one of the images and give each its own annotation file"
            self.collector.warning("label-shared", named.annotation, cause=cause, remedy=remedy)
        elements = [child for child in root.children if child.tag == "object"]
        found = [
            self._object(element, place, named.annotation) for place, element in enumerate(elements)
        ]
        objects = [one for one in found if one is not None]
        is_spoilt = len(objects) < len(found)
        return _File(image, named.annotation, _size(root), objects, is_spoilt)

    def _object(self, element: Element, place: int, path: Path) -> _Object | None:
        name = element.text_of("name")
        box = element.find("bndbox")
        wrong = None
        corners = tuple(_number(box.text_of(edge)) for edge in _EDGES) if box else ()
        if not name:
            wrong = ("row-fields", "an object has no name", "add <name>")
        elif self.names is not None and name not in self.names:
            known = ", ".join(sorted(self.names))
            wrong = (
                "class-unknown",
                f"{name!r} is none of the classes {known}",
                "correct the name",
            )
        elif box is None:
            wrong = ("row-fields", f"{name} has no <bndbox>", "add it, or take the object out")
        elif not all(map(math.isfinite, corners)):
            texts = " ".join(f"{edge} {box.text_of(edge) or 'absent'}" for edge in _EDGES)
            wrong = ("row-number", f"the box of {name} is {texts}", "write four numbers")
        else:
            wrong = _no_box(name, corners)
        if wrong:
            kind, cause, remedy = wrong
            line = (box or element).line
            self.collector.error(kind, path, line=line, cause=cause, remedy=remedy)
            return None
        left, top, right, bottom = corners
        is_difficult = element.text_of("difficult") == "1"
        return _Object(name, (left, top, right, bottom), is_difficult, element.line, place)


def _root(path: Path) -> Element:
    """The outermost element of an annotation file.

    Raises:
        ConfigError: the file is none; the message does not name it.
    """
    root = read_xml(path)
    if root.tag != "annotation":
        raise ConfigError(f"begins with <{root.tag}>, not <annotation>")
    return root


def _no_box(name: str, corners: tuple[float, ...]) -> tuple[str, str, str] | None:
    left, top, right, bottom = corners
    shown = f"xmin {left:g}, ymin {top:g}, xmax {right:g}, ymax {bottom:g}"
    if right < left or bottom < top:
        return "box-swapped", f"the corners of {name} are swapped: {shown}", "exchange them"
    if right == left or bottom == top:
        return "box-empty", f"the box of {name} is empty: {shown}", "delete it, or label it again"
    return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _size(root: Element) -> tuple[int, int] | None:
    size = root.find("size")
    texts = ("", "") if size is None else (size.text_of("height"), size.text_of("width"))
    height, width = map(_side, texts)
    return None if height is None or width is None else (height, width)


def _side(text: str) -> int | None:
    """A whole number above 0; None for anything else."""
    is_number = text.isascii() and text.isdecimal() and len(text) < 10
    return int(text) or None if is_number else None


@dataclass(frozen=True, slots=True)
class _Builder:
    """Turns files into records, once it is known how the data set counts."""

    classes: ClassTable
    layout: Layout
    collector: Collector

    def records(self, split: str, files: Sequence[_File]) -> list[ImageRecord]:
        found = [record for file in files if (record := self._record(file)) is not None]
        difficult = sum(int(record.labels.crowd.sum()) for record in found)
        place = files[0].path.parent if files else Path()
        if difficult:
            objects = sum(len(record.labels) for record in found)
            cause = f"{difficult} of {count(objects, 'object')} in {split} are difficult"
            remedy = "nothing: they are not learnt, and evaluation ignores what is found there"
            self.collector.note("crowd", place, cause=cause, remedy=remedy)
        unknown = sum(file.size is None for file in files)
        if unknown:
            cause = f"{count(unknown, 'image')} of {len(files)} in {split} without a usable <size>"
            remedy = "nothing: boxes are judged when the images are opened, not with --quick"
            self.collector.note("size-unknown", place, cause=cause, remedy=remedy)
        empty = sum(not len(record.labels) for record in found)
        if empty:
            cause = f"{empty} of {count(len(found), 'image')} in {split} have no object"
            remedy = "nothing, if these images really show none of the classes"
            self.collector.note("background", place, cause=cause, remedy=remedy)
        return found

    def _record(self, file: _File) -> ImageRecord | None:
        rows: dict[tuple[object, ...], Row] = {}
        left_out = 0
        for found in file.objects:
            index = self.classes.names.index(found.name)
            row = Row(
                found.corners,
                index,
                crowd=found.is_difficult,
                line=found.line,
                place=found.place,
            )
            if rows.setdefault((index, *found.corners), row) is not row:
                cause, remedy = (
                    f"the same {found.name} stands there before; one is used",
                    "delete it",
                )
                self.collector.warning(
                    "row-repeated", file.path, line=found.line, cause=cause, remedy=remedy
                )
            elif self._is_outside(file, found):
                del rows[(index, *found.corners)]
                left_out += 1
        if not rows and (left_out or file.is_spoilt):
            cause = f"no object of {file.image.name} can be used, so it is left out"
            remedy = "correct the objects, or delete them if the image shows nothing"
            self.collector.error("image-left-out", file.path, cause=cause, remedy=remedy)
            return None
        labels = labels_of(list(rows.values()), layout=self.layout)
        return ImageRecord(
            path=file.image, labels=labels, label_file=file.path, stated_hw=file.size
        )

    def _is_outside(self, file: _File, found: _Object) -> bool:
        """Whether a box shows nothing of its image; says so, and if it is cut by the border."""
        if file.size is None:
            return False
        height, width = file.size
        left, top, right, bottom = found.corners
        shown = f"the box of {found.name}, {left:g} {top:g} {right:g} {bottom:g},"
        remedy = "correct the box, or <size>"
        if left > width or top > height or right <= 0 or bottom <= 0:
            cause = f"{shown} lies outside the image of {width} x {height}"
            self.collector.error(
                "box-outside", file.path, line=found.line, cause=cause, remedy=remedy
            )
            return True
        if max(-left, -top, right - width, bottom - height) > ROUNDING_PIXELS:
            cause = f"{shown} reaches out of the image of {width} x {height}; it is cut there"
            self.collector.warning(
                "box-outside", file.path, line=found.line, cause=cause, remedy=remedy
            )
        return False
