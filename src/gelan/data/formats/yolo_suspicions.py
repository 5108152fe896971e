"""What rows of a YOLO data set look like together: evidence that no single row can give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gelan.data.formats.collector import Collector
from gelan.data.formats.yolo_rows import ROUNDING, BadRow, LabelFile

_PIXELS_FROM = 2.0
"""A coordinate of at least this is no fraction that went wrong a little."""
_LAST_COCO_ID = 90
"""COCO counts its 80 classes 1..90, with gaps."""
_FAR_OUTSIDE = 0.02
"""Parts of the image's size; annotators do not draw boxes that far out of it."""
_FEWEST = 5
"""Boxes below which likeness may be chance."""


def explain(
    files: Sequence[LabelFile],
    split: str,
    *,
    place: Path,
    num_classes: int | None,
    collector: Collector,
) -> None:
    """A finding for every bad row, with the likely cause, and others for what good rows suggest.

    `files` are those of the split that is named; `num_classes` is None where no names are given.
    """
    pixels = _pixel_layout(files)
    shift = _class_shift(files, num_classes)
    for file in files:
        for row in file.bad:
            cause, remedy = row.cause, row.remedy
            if row.kind == "value-range" and _in_pixels(row):
                cause, remedy = f"{cause}: {pixels[0]}", pixels[1]
            elif row.kind == "class-unknown" and row.number is not None and shift:
                cause = f"{cause}: {shift}"
            collector.error(row.kind, file.path, line=row.line, cause=cause, remedy=remedy)
    if shift:
        remedy = "correct 'names' or renumber: the rows that were read may mean other classes, too"
        collector.warning("class-shift", place, cause=f"in {split}, {shift}", remedy=remedy)
    boxes = _boxes(files)
    if len(boxes) >= _FEWEST:
        _tell_layout(boxes, split, place=place, collector=collector)


def _in_pixels(row: BadRow) -> bool:
    return min(row.values) >= 0 and max(row.values) >= _PIXELS_FROM


def _pixel_layout(files: Sequence[LabelFile]) -> tuple[str, str]:
    """What rows in pixels seem to be, and what to do about them."""
    divide = "divide x and width by the image's width, y and height by its height"
    rows = [row for file in files for row in file.bad if row.kind == "value-range"]
    boxes = [row.values for row in rows if len(row.values) == 4 and _in_pixels(row)]
    if len(boxes) >= _FEWEST and all(x1 < x2 and y1 < y2 for x1, y1, x2, y2 in boxes):
        remedy = "write (x1+x2)/2, (y1+y2)/2, x2-x1, y2-y1, divided by the image's width and height"
        return "looks like pixels, as x1 y1 x2 y2", remedy
    return "looks like pixels", divide


def _class_shift(files: Sequence[LabelFile], num_classes: int | None) -> str | None:
    """Why class numbers are too large, where the numbers that occur say so."""
    if num_classes is None:
        return None
    known = {int(index) for file in files for index in np.unique(file.labels.classes)}
    unknown = {
        row.number
        for file in files
        for row in file.bad
        if row.kind == "class-unknown" and row.number is not None
    }
    if not unknown or 0 in known:
        return None
    if num_classes == 80 and 80 < max(unknown) <= _LAST_COCO_ID:
        return "class 0 never occurs: COCO's ids 1..90 instead of 0..79?"
    if unknown == {num_classes}:
        return "class 0 never occurs: are the classes counted from 1?"
    return None


def _boxes(files: Sequence[LabelFile]) -> Float64[np.ndarray, "n 4"]:
    """The numbers of all rows that are boxes."""
    values = [
        file.labels.values[[not parts for parts in file.labels.polygons]]
        for file in files
        if len(file.labels)
    ]
    return np.concatenate([np.zeros((0, 4)), *values])


def _tell_layout(
    boxes: Float64[np.ndarray, "n 4"], split: str, *, place: Path, collector: Collector
) -> None:
    """Warn where boxes look like two corners, or like a corner and a size.

    Read as centre and size, some of either reach far out of the image. Of two corners, the second
    is always the larger one; a corner and a size never add up to more than the image.
    """
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    reach = np.maximum(half - centre, centre + half - 1).max(axis=1)
    outside = int((reach > _FAR_OUTSIDE).sum())
    if outside * 10 < len(boxes):
        return
    shown = f"and {outside} would reach out of the image"
    if (boxes[:, 2:] > boxes[:, :2]).all():
        numbers = f"in all {len(boxes)} boxes of {split} the last two numbers exceed the first two"
        cause, remedy = "looks like x1 y1 x2 y2", "write (x1+x2)/2, (y1+y2)/2, x2-x1, y2-y1"
        kind = "values-corners"
    elif (boxes[:, :2] + boxes[:, 2:] <= 1 + ROUNDING).all():
        numbers = f"in all {len(boxes)} boxes of {split}, x + width and y + height are at most 1"
        cause = "looks like left top width height"
        remedy = "write left + width/2, top + height/2, width, height"
        kind = "values-left-top"
    else:
        return
    collector.warning(kind, place, cause=f"{numbers}, {shown}: {cause}", remedy=remedy)
