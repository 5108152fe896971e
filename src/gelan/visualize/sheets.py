"""Labelled images on one sheet: to see at a glance whether labels and images belong together."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Int, UInt8

from gelan.structures.samples import Annotations, Sample
from gelan.visualize.colors import Color, class_color, ink_color, outline_color
from gelan.visualize.lettering import drawable_name, has_glyph, text_width, write_text

Image = UInt8[np.ndarray, "_ _ 3"]

_TEXT = 13
_PAPER = 255
_GAP = 6


def draw_annotations(sample: Sample, names: Sequence[str]) -> Image:
    """A copy of the image with the box, the outline and the class name of each object.

    Crowds are drawn in grey. Large objects are drawn first, so that small ones lie on top.
    """
    picture = np.array(sample.image, order="C")
    found = sample.annotations
    order = np.argsort(-found.areas, kind="stable")
    for number in order.tolist():
        color = (150, 150, 150) if found.crowd[number] else class_color(int(found.classes[number]))
        _outline(picture, found, number, color=color)
        left, top, right, bottom = np.rint(found.boxes[number]).astype(int).tolist()
        for shade, width in ((outline_color(color), 4), (color, 2)):
            cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), shade, width)
    for number in order.tolist():
        index = int(found.classes[number])
        color = (150, 150, 150) if found.crowd[number] else class_color(index)
        name = drawable_name(names[index], index=index, can_draw=has_glyph)
        corner = np.rint(found.boxes[number, :2]).astype(int)
        _label(picture, name, corner=corner, color=color)
    return picture


def _outline(picture: Image, found: Annotations, number: int, *, color: Color) -> None:
    """The inside of an object tinted, where its outline is known."""
    parts = [np.rint(part).astype(np.int32) for part in found.polygons[number] if len(part) > 2]
    if parts:
        tinted = picture.copy()
        cv2.fillPoly(tinted, parts, color)
        cv2.addWeighted(tinted, 0.35, picture, 0.65, 0.0, dst=picture)


def _label(picture: Image, text: str, *, corner: Int[np.ndarray, " 2"], color: Color) -> None:
    """A plate with the name, above the corner where there is room and always in the picture."""
    height, width = picture.shape[:2]
    plate_width, plate_height = min(width, text_width(text, size=_TEXT) + 6), _TEXT + 4
    left = int(np.clip(corner[0], 0, width - plate_width))
    above = corner[1] - plate_height
    top = int(np.clip(above if above >= 0 else corner[1], 0, max(0, height - plate_height)))
    region = picture[top : top + plate_height, left : left + plate_width]
    region[:] = color
    mask = np.zeros(region.shape[:2], np.uint8)
    write_text(mask, text, origin=(3, _TEXT), size=_TEXT)
    region[mask > 127] = ink_color(color)


def sheet(pictures: Sequence[Image], *, columns: int, cell: int) -> Image:
    """Pictures in rows, each fitted into a square of `cell` pixels; white between them.

    A row is as high as its highest picture.

    >>> sheet([np.zeros((10, 20, 3), np.uint8)] * 3, columns=2, cell=50).shape
    (68, 118, 3)
    """
    columns = max(1, min(columns, len(pictures)))
    fitted = [_fitted(picture, cell) for picture in pictures]
    rows = [fitted[start : start + columns] for start in range(0, len(fitted), columns)]
    heights = [max(len(picture) for picture in row) for row in rows]
    height, width = sum(heights) + _GAP * (len(rows) + 1), columns * (cell + _GAP) + _GAP
    page = np.full((height, width, 3), _PAPER, np.uint8)
    top = _GAP
    for row, row_height in zip(rows, heights, strict=True):
        for number, picture in enumerate(row):
            left = _GAP + number * (cell + _GAP) + (cell - picture.shape[1]) // 2
            first = top + (row_height - len(picture)) // 2
            page[first : first + len(picture), left : left + picture.shape[1]] = picture
        top += row_height + _GAP
    return page


def _fitted(picture: Image, cell: int) -> Image:
    scale = cell / max(picture.shape[:2])
    size_wh = [max(1, round(length * scale)) for length in picture.shape[1::-1]]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size_wh, interpolation=method), np.uint8)
