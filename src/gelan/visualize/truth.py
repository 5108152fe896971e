"""What was found and what is there, in one picture: solid boxes with labels over dashed ones."""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import UInt8

from gelan.structures.detections import Detections
from gelan.structures.samples import Annotations
from gelan.visualize.boxes import Pen, draw_detections, place_labels

_DASH = (6.0, 8.0)
"""Length and gap of a dash, in widths of the line of a box."""
_LIGHT, _DARK = (255, 255, 255), (20, 20, 20)


def draw_with_truth(
    image: UInt8[np.ndarray, "height width 3"], detections: Detections, truth: Annotations
) -> UInt8[np.ndarray, "height width 3"]:
    """A copy of an RGB image with the detections, and every true box in dashed white over them.

    A true box lies dashed on the box that found it, and alone where nothing did; labels stay
    readable over both. Boxes of both are in pixels of the image.

    Raises:
        ValueError: as `draw_detections` does.
    """
    found = draw_detections(image, detections)
    picture = found.copy()
    height, width = picture.shape[:2]
    pen = Pen.for_size(width=width, height=height)
    for box in truth.boxes:
        left, top, right, bottom = np.rint(box).astype(int).tolist()
        corners = [(left, top), (right - 1, top), (right - 1, bottom - 1), (left, bottom - 1)]
        for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
            _dashed(
                picture, start, end, dash=(_DASH[0] * pen.line, _DASH[1] * pen.line), width=pen.line
            )
    ranked = detections[np.argsort(-detections.scores, kind="stable")]
    for plate in place_labels(ranked, pen=pen):
        left, top, right, bottom = plate.place
        picture[top:bottom, left:right] = found[top:bottom, left:right]
    return picture


def _dashed(
    picture: UInt8[np.ndarray, "height width 3"],
    start: tuple[int, int],
    end: tuple[int, int],
    *,
    dash: tuple[float, float],
    width: int,
) -> None:
    """White dashes with dark edges, from corner to corner."""
    length = math.dist(start, end)
    count = max(1, round(length / sum(dash)))
    unit = length / count
    along = (np.array(end) - start) / max(length, 1.0)
    for number in range(count):
        first = start + along * (unit * (number + 0.5) - dash[0] / sum(dash) * unit / 2)
        last = start + along * (unit * (number + 0.5) + dash[0] / sum(dash) * unit / 2)
        ends = [tuple(np.rint(point).astype(int).tolist()) for point in (first, last)]
        cv2.line(picture, ends[0], ends[1], _DARK, width + 2)
        cv2.line(picture, ends[0], ends[1], _LIGHT, width)
