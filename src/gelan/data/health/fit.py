"""Boxes judged by the true size of their image, where the label file could not judge them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gelan.data.formats.records import ROUNDING_PIXELS, ImageRecord
from gelan.structures.findings import Finding


def misfits(record: ImageRecord, size_hw: tuple[int, int]) -> Iterator[Finding]:
    """An error for every box that shows nothing of its image, a warning for those that are cut.

    The latter only where labels in pixels state no size: elsewhere, reading them told it. Where
    they state another size, boxes are not judged at all.
    """
    if record.stated_hw not in (None, size_hw):
        return
    outside = record.outside(size_hw)
    is_new = record.stated_hw is None and not record.labels.in_fractions
    reach = record.reach(size_hw)
    for index in range(len(record.labels)):
        if outside[index]:
            yield _nothing(record, index, size_hw)
        elif is_new and reach[index] > ROUNDING_PIXELS:
            cause = (
                f"{record.object_name(index)}: the box reaches {reach[index]:.4g} pixels out of "
                f"the image of {_in_words(size_hw)}; it is cut there"
            )
            remedy = "check the box, and write the size of the image beside it"
            yield _finding(record, index, "box-outside", cause=cause, remedy=remedy, cut=True)


def _nothing(record: ImageRecord, index: int, size_hw: tuple[int, int]) -> Finding:
    left, top, right, bottom = record.corners(size_hw)[index].tolist()
    remedy = "correct the box, or take it out"
    if left >= size_hw[1] or top >= size_hw[0] or right <= 0 or bottom <= 0:
        where = f"outside the image of {_in_words(size_hw)}"
        cause = f"{record.object_name(index)}: the box lies {where}"
        return _finding(record, index, "box-outside", cause=cause, remedy=remedy)
    width, height = right - left, bottom - top
    if record.labels.in_fractions:  # as written: differences of corners have rounding errors
        width, height = record.labels.values[index, 2:] * np.array(size_hw[::-1])
    cause = (
        f"a box of {width:.4g} x {height:.4g} pixels in {record.path.name} of "
        f"{_in_words(size_hw)} shows nothing"
    )
    return _finding(record, index, "box-empty", cause=cause, remedy=remedy)


def _finding(
    record: ImageRecord, index: int, kind: str, *, cause: str, remedy: str, cut: bool = False
) -> Finding:
    return Finding(
        kind=kind,
        severity="warning" if cut else "error",
        file=str(record.label_file or record.path),
        line=record.line(index),
        cause=cause,
        remedy=remedy,
    )


def _in_words(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[1]} x {size_hw[0]}"
