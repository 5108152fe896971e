"""Annotations of a COCO file: what one says about one object, and what all look like together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

import numpy as np
from jaxtyping import Float64

from gelan.data.formats.collector import Collector, count
from gelan.data.formats.plain_json import Entries
from gelan.data.formats.records import Outlines, Row

ImageId = int | str
SizeHW = tuple[int, int]
_ROUNDING = 1.0
"""Pixels by which a box may reach out of its image without a word."""


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
            name = (
                f"annotation {fields['id']}" if "id" in fields else f"annotation no. {number + 1}"
            )
            found = self._checked(fields)
            if isinstance(found, _Object):
                self._tell_odd(fields, found, name, line=line)
                row = self._row(fields, found, name, line=line)
                self.rows.setdefault(found.image, []).append(row)
            else:
                self._leave_out(found, fields, name, line=line)

    def _checked(self, fields: Mapping[str, object]) -> _Object | _Problem:
        image, category = fields.get("image_id"), fields.get("category_id")
        if not isinstance(image, int | str) or image not in self.sizes:
            cause = f"it is of image {image!r}, which 'images' does not list"
            return _Problem("id-unknown", cause, "add the image, or take the annotation out")
        if not isinstance(category, int) or category not in self.index_of:
            cause = f"it is of category {category!r}, which 'categories' does not list"
            return _Problem("class-unknown", cause, "add the category, or correct the number")
        crowd = fields.get("iscrowd", 0)
        if crowd not in (0, 1):
            return _Problem("row-number", f"iscrowd is {_short(crowd)}", "write 0 or 1")
        box = _box(fields.get("bbox"), self.sizes[image])
        if isinstance(box, _Problem):
            return box
        return _Object(image, category, box, is_crowd=bool(crowd))

    def _leave_out(
        self, problem: _Problem, fields: Mapping[str, object], name: str, *, line: int | None
    ) -> None:
        image = fields.get("image_id")
        if isinstance(image, int | str):
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
        size = self.sizes[found.image]
        if size is not None and (reach := _reach(found.box, size)) > _ROUNDING:
            cause = f"{name}: the box reaches {reach:.4g} pixels out of the image; it is cut there"
            remedy = "check that bbox is left, top, width, height"
            warn("box-outside", self.path, line=line, cause=cause, remedy=remedy)

    def _area(self, fields: Mapping[str, object], name: str, *, line: int | None) -> float:
        """What the file says; NaN where it says nothing, or nothing that can be."""
        area = fields.get("area")
        if area is None:
            return math.nan
        if _is_number(area) and 0 < area < math.inf:
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
        if all(_is_outline(part) for part in parts):
            return tuple([np.array(part, np.float64).reshape(-1, 2) for part in parts])
        cause = f"{name}: the segmentation is no list of polygons; the box alone is used"
        remedy = "write each part as [x1, y1, x2, y2, x3, y3, ...]"
        self.collector.warning("outline-broken", self.path, line=line, cause=cause, remedy=remedy)
        return ()


def tell_layout(
    rows: Sequence[Row], sizes: Sequence[SizeHW | None], *, path: Path, collector: Collector
) -> None:
    """Warn where all boxes look like two corners, or like parts of the image's size."""
    boxes: Float64[np.ndarray, "n 4"] = np.array([row.values for row in rows]).reshape(-1, 4)
    if len(boxes) < 5:
        return
    if boxes.max() <= 1:
        cause = f"all {len(boxes)} boxes lie within one pixel: looks like parts of the image's size"
        remedy = "multiply by the width and height of the image"
        collector.warning("value-range", path, cause=cause, remedy=remedy)
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
    left, top, width, height = map(float, values)
    if not all(map(math.isfinite, values)):
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


def _is_outline(part: object) -> bool:
    if not isinstance(part, list) or len(part) < 6 or len(part) % 2:
        return False
    return all(_is_number(value) and math.isfinite(value) for value in part)


def _whole(value: object) -> int:
    """An id, or -1 for what is none."""
    return value if isinstance(value, int) and abs(value) < 2**63 else -1
