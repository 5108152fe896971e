"""Shapes and numbers of several formats: what outlines enclose, and pixels that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gelan.data.formats.collector import Collector
from gelan.geometry.polygons import polygon_area

_NOTHING = 1e-9
"""Part of its box that an outline may enclose and still count as a line: rounding errors."""


def encloses_nothing(outline: Float64[np.ndarray, "n 2"]) -> bool:
    """Whether all points of an outline lie on a line.

    >>> encloses_nothing(np.array([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]]))
    True
    """
    box = np.ptp(outline, axis=0).prod()
    return polygon_area(outline) <= _NOTHING * float(box)


def tell_fractions(number: int, *, place: Path, collector: Collector) -> None:
    """Warn that all of so many boxes in pixels look like parts of the image's size."""
    cause = f"all {number} boxes lie within one pixel: looks like parts of the image's size"
    remedy = "multiply by the width and height of the image"
    collector.warning("value-range", place, cause=cause, remedy=remedy)
