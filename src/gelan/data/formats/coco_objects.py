"""Annotations of a COCO file: what one says about one object, and what all look like together."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeGuard

import numpy as np
from jaxtyping import Float64

from gelan.data.formats.collector import Collector, count
from gelan.data.formats.outlines import encloses_nothing, tell_fractions
from gelan.data.formats.plain_json import Entries
from gelan.data.formats.records import ROUNDING_PIXELS, Outlines, Row

ImageId = int | str
SizeHW = tuple[int, int]
_LARGEST_SIDE = 2**31


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """What an entry of `images` says of which image it is."""

    id: ImageId
    name: str


def image_entry(value: object) -> ImageEntry | None:
    """None for an entry without a usable `id` or `file_name`."""
    fields = value if isinstance(value, dict) else {}
    number, name = fields.get("id"), fields.get("file_name")
    if not is_id(number) or not isinstance(name, str) or not name:
        return None
    return ImageEntry(number, name)


def is_id(value: object) -> TypeGuard[ImageId]:
    """Whether a value is a whole number or text; `true` is none, though Python counts it as 1."""
    return isinstance(value, int | str) and not isinstance(value, bool)


def image_side(value: object) -> int | None:
    """A stated width or height in pixels, also where it is written as 640.0 or "640".

    >>> image_side(640), image_side(640.0), image_side("640"), image_side(0), image_side("wide")
    (640, 640, 640, None, None)
    """
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else None
    if not _is_number(value) or not 0 < value < _LARGEST_SIDE or value != int(value):
        return None
    return int(value)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why an annotation cannot be used."""

    kind: str
    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Object:
    """What is needed of an annotation, of the right types."""

    image: ImageId
    category: int
    box: tuple[float, float, float, float]
    is_crowd: bool


@dataclass(slots=True)
class ObjectReader:
    """Reads the annotations of one file."""

    path: Path
    sizes: Mapping[ImageId, SizeHW | None]
    """Stated height and width of each image that is listed."""
    names: Mapping[ImageId, str]
    """Their file names."""
    index_of: Mapping[int, int]
    """Model index of each category id."""
    collector: Collector
    rows: dict[ImageId, list[Row]] = field(default_factory=dict)
    """Objects that can be used, by image."""
    spoilt: set[ImageId] = field(default_factory=set)
    """Images with objects that cannot be used."""
    _seen: set[object] = field(default_factory=set)
    """Ids, and objects, that stand in the file before."""

    def read(self, annotations: Entries) -> None:
        """Fill `rows` and `spoilt`."""
        for number, value in enumerate(annotations.values):
            line = annotations.line(number)
            fields = value if isinstance(value, dict) else {}
            name = self._name(fields, number)
            found = self._checked(fields)
            if isinstance(found, _Object):
                self._tell_odd(fields, found, name, line=line)
                row = self._row(fields, found, name, line=line)
                self.rows.setdefault(found.image, []).append(replace(row, place=number))
            else:
                self._leave_out(found, fields, name, line=line)

    def _name(self, fields: Mapping[str, object], number: int) -> str:
        """What to call an annotation: by its id and its image, as far as they are known."""
        image = fields.get("image_id")
        name = (
            f"annotation {_short(fields['id'])}"
            if "id" in fields
            else (f"annotation no. {number + 1}")
        )
        return f"{name} of {self.names[image]}" if is_id(image) and image in self.names else name

    def _checked(self, fields: Mapping[str, object]) -> _Object | _Problem:
        image, category = fields.get("image_id"), fields.get("category_id")
        if not is_id(image) or image not in self.sizes:
            cause = f"it is of image {_short(image)}, which 'images' does not list"
            remedy = _alike(image, self.sizes) or "add the image, or take the annotation out"
            return _Problem("id-unknown", cause, remedy)
        if not is_id(category) or category not in self.index_of:
            cause = f"it is of category {_short(category)}, which 'categories' does not list"
            remedy = _alike(category, self.index_of) or "add the category, or correct the number"
            return _Problem("class-unknown", cause, remedy)
        crowd = fields.get("iscrowd") or 0
        if crowd not in (0, 1):
            return _Problem("row-number", f"iscrowd is {_short(crowd)}", "write 0 or 1")
        box = _box(self._stated_box(fields), self.sizes[image])
        if isinstance(box, _Problem):
            return box
        return _Object(image, int(category), box, is_crowd=bool(crowd))

    @staticmethod
    def _stated_box(fields: Mapping[str, object]) -> object:
        """`bbox`, or where there is none, the box of the outline."""
        values, segmentation = fields.get("bbox"), fields.get("segmentation")
        if values not in (None, []) or not isinstance(segmentation, list) or not segmentation:
            return values
        if not all(map(_is_outline, segmentation)):
            return values
        points = np.concatenate(
            [np.array(part, np.float64).reshape(-1, 2) for part in segmentation]
        )
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return [left, top, right - left, bottom - top]

    def _leave_out(
        self, problem: _Problem, fields: Mapping[str, object], name: str, *, line: int | None
    ) -> None:
        image = fields.get("image_id")
        if is_id(image):
            self.spoilt.add(image)
        cause = f"{name}: {problem.cause}"
        self.collector.error(problem.kind, self.path, line=line, cause=cause, remedy=problem.remedy)

    def _row(
        self, fields: Mapping[str, object], found: _Object, name: str, *, line: int | None
    ) -> Row:
        return Row(
            found.box,
            self.index_of[found.category],
            crowd=found.is_crowd,
            area=self._area(fields, name, line=line),
            polygons=self._outlines(fields.get("segmentation"), name, line=line),
            line=line or 0,
            id=_whole(fields.get("id")),
        )

    def _tell_odd(
        self, fields: Mapping[str, object], found: _Object, name: str, *, line: int | None
    ) -> None:
        """Warn of an id or object that was there before, and of a box cut by the border."""
        warn = self.collector.warning
        number = ("id", repr(fields.get("id")))
        if "id" in fields and number in self._seen:
            cause, remedy = f"{name}: another has this id; both are used", "number them anew"
            warn("id-repeated", self.path, line=line, cause=cause, remedy=remedy)
        if found in self._seen:
            cause = f"{name}: the same image, category and box stand there before; both are used"
            warn("row-repeated", self.path, line=line, cause=cause, remedy="take one of them out")
        self._seen |= {number, found}
        if fields.get("bbox") in (None, []):
            cause, remedy = f"{name}: there is no bbox; that of the outline counts", "write it"
            warn("row-fields", self.path, line=line, cause=cause, remedy=remedy)
        size = self.sizes[found.image]
        if size is not None and (reach := _reach(found.box, size)) > ROUNDING_PIXELS:
            cause = f"{name}: the box reaches {reach:.4g} pixels out of the image; it is cut there"
            remedy = "check that bbox is left, top, width, height"
            warn("box-outside", self.path, line=line, cause=cause, remedy=remedy)

    def _area(self, fields: Mapping[str, object], name: str, *, line: int | None) -> float:
        """What the file says; NaN where it says nothing, or nothing that can be."""
        area = fields.get("area")
        if area is None:
            return math.nan
        if _is_number(area) and 0 < _as_float(area) < math.inf:
            return float(area)
        cause = f"{name}: area is {_short(area)}; that of the box counts"
        remedy = "write the number of pixels that the object covers"
        self.collector.warning("row-number", self.path, line=line, cause=cause, remedy=remedy)
        return math.nan

    def _outlines(self, segmentation: object, name: str, *, line: int | None) -> Outlines:
        """Polygons; none for run lengths (RLE), whose area stands in the file."""
        if not segmentation or isinstance(segmentation, dict):
            return ()
        parts = segmentation if isinstance(segmentation, list) else [segmentation]
        warn = self.collector.warning
        if not all(_is_outline(part) for part in parts):
            cause = f"{name}: the segmentation is no list of polygons; the box alone is used"
            remedy = "write each part as [x1, y1, x2, y2, x3, y3, ...]"
            warn("outline-broken", self.path, line=line, cause=cause, remedy=remedy)
            return ()
        outlines = [np.array(part, np.float64).reshape(-1, 2) for part in parts]
        if any(map(encloses_nothing, outlines)):
            cause = f"{name}: a part of the outline encloses nothing; it is not used"
            warn("outline-broken", self.path, line=line, cause=cause, remedy="draw it again")
        return tuple([outline for outline in outlines if not encloses_nothing(outline)])


def tell_layout(
    rows: Sequence[Row], sizes: Sequence[SizeHW | None], *, path: Path, collector: Collector
) -> None:
    """Warn where all boxes look like two corners, or like parts of the image's size."""
    boxes: Float64[np.ndarray, "n 4"] = np.array([row.values for row in rows]).reshape(-1, 4)
    if len(boxes) < 5:
        return
    if boxes.max() <= 1:
        tell_fractions(len(boxes), place=path, collector=collector)
        return
    pairs = [(row.values, size) for row, size in zip(rows, sizes, strict=True) if size is not None]
    reach = [_reach(values, size) / max(size) for values, size in pairs]
    outside = sum(part > 0.02 for part in reach)  # annotators do not draw that far outside
    if (boxes[:, 2:] > boxes[:, :2]).all() and outside * 10 >= len(boxes):
        cause = (
            f"in all {len(boxes)} boxes the last two numbers exceed the first two, and "
            f"{count(outside, 'box')} would reach out of the image: looks like x1 y1 x2 y2"
        )
        remedy = "write left, top, width, height"
        collector.warning("values-corners", path, cause=cause, remedy=remedy)


def _box(values: object, size: SizeHW | None) -> tuple[float, float, float, float] | _Problem:
    """Left, top, width and height of a box that shows something of an image."""
    remedy = "write bbox as [left, top, width, height] in pixels, or take the annotation out"
    shown = f"bbox {_short(values)}"
    if not isinstance(values, list) or len(values) != 4 or not all(map(_is_number, values)):
        return _Problem("row-fields", f"{shown} is no box", remedy)
    left, top, width, height = map(_as_float, values)
    if not all(map(math.isfinite, (left, top, width, height, left + width, top + height))):
        return _Problem("row-number", f"{shown} is not finite", remedy)
    if width < 0 or height < 0:
        return _Problem("box-swapped", f"{shown} has a negative size", remedy)
    if width == 0 or height == 0:
        return _Problem("box-empty", f"{shown} is empty", remedy)
    if size is not None and max(left - size[1], top - size[0], -left - width, -top - height) >= 0:
        cause = f"{shown} lies outside its image of {size[1]} x {size[0]}"
        return _Problem("box-outside", cause, remedy)
    return left, top, width, height


def _reach(box: Sequence[float], size: SizeHW) -> float:
    """Pixels by which a box reaches out of an image of a height and width; negative if not."""
    left, top, width, height = box
    return max(-left, -top, left + width - size[1], top + height - size[0])


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_float(value: int | float) -> float:
    """A number of a JSON file; infinite where it is an integer of more than 308 digits."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _alike(value: object, known: Collection[object]) -> str | None:
    """What to do where an id differs from a known one only in its type."""
    near = [other for other in known if str(other) == str(value)]
    near += [other for other in known if isinstance(value, float) and other == value]
    if not near or isinstance(value, bool):
        return None
    kinds = {str: "text", int: "a whole number", float: "a number with a point"}
    wrong, right = kinds.get(type(value), "of another type"), kinds[type(near[0])]
    return f"write {near[0]!r}: it is {wrong} here and {right} there"


def _is_outline(part: object) -> bool:
    if not isinstance(part, list) or len(part) < 6 or len(part) % 2:
        return False
    return all(_is_number(value) and math.isfinite(_as_float(value)) for value in part)


def _whole(value: object) -> int:
    """An id, or -1 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return -1
    return value if 0 <= value < 2**63 else -1
