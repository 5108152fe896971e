"""Outlines as numbers: corners in their order, x and y of each, without the first one repeated."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def polygon_area(corners: Float[np.ndarray, "n 2"]) -> float:
    """The area inside a polygon, in squares of its unit, whichever way round it goes.

    Summed in double precision about the first corner, so that a small polygon far from the origin
    keeps its area. None or one or two corners enclose nothing; where sides cross, parts that go
    round the other way count against the rest.

    >>> polygon_area(np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]]))
    6.0
    """
    x, y = (corners.astype(np.float64) - corners[:1]).T
    next_x, next_y = np.concatenate([x[1:], x[:1]]), np.concatenate([y[1:], y[:1]])
    return abs(float(x @ next_y - y @ next_x)) / 2
