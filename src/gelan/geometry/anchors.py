"""Anchor points: where a network looks from.

It looks at an image through grids of cells, 8, 16 and 32 pixels wide (its strides). Each cell has
one anchor point, its centre, and tells how far the four sides of an object lie from there. Anchors
come finest stride first, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from gelan.errors import ConfigError


def anchor_points(
    size_hw: tuple[int, int], strides: Sequence[int] = (8, 16, 32)
) -> tuple[Float[np.ndarray, "anchors 2"], Float[np.ndarray, " anchors"]]:
    """Centre (x, y) of every cell in pixels of the network's image, and the stride of each.

    640 x 640 pixels make 6400 + 1600 + 400 = 8400 anchors.

    Raises:
        ConfigError: the height or width is not a positive multiple of every stride.

    >>> points, strides = anchor_points((16, 32), strides=(8, 16))
    >>> points[:5].tolist()
    [[4.0, 4.0], [12.0, 4.0], [20.0, 4.0], [28.0, 4.0], [4.0, 12.0]]
    >>> points[8:].tolist(), strides[7:].tolist()
    ([[8.0, 8.0], [24.0, 8.0]], [8.0, 16.0, 16.0])
    """
    height, width = size_hw
    for stride in strides:
        if height < 1 or width < 1 or height % stride or width % stride:
            raise ConfigError(
                f"image size {height} x {width} (height x width) does not divide into cells of "
                f"{stride} pixels; use positive multiples of {max(strides)}"
            )
    points = [_cell_centres(size_hw, stride) for stride in strides]
    counts = [len(level) for level in points]
    return np.concatenate(points), np.repeat(np.asarray(strides, np.float32), counts)


def _cell_centres(size_hw: tuple[int, int], stride: int) -> Float[np.ndarray, "cells 2"]:
    rows, columns = size_hw[0] // stride, size_hw[1] // stride
    x = (np.arange(columns, dtype=np.float32) + np.float32(0.5)) * np.float32(stride)
    y = (np.arange(rows, dtype=np.float32) + np.float32(0.5)) * np.float32(stride)
    return np.stack([np.tile(x, rows), np.repeat(y, columns)], axis=-1)
