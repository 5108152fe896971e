"""Where images go: random matrices, and the tiles of the output that images fill.

A matrix maps homogeneous points (x, y, 1) of continuous coordinates: a pixel covers [i, i + 1].
Images and the objects in them are moved by the same matrix: a tile that is not turned is fitted to
whole pixels first, and its matrix says what came of that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from gelan.data.augment.config import AugmentConfig

Matrix = Float64[np.ndarray, "3 3"]
_PUBLISHED_SIZE = 640


class Rectangle(NamedTuple):
    """Left, top, right, bottom."""

    x1: float
    y1: float
    x2: float
    y2: float


class Pixels(NamedTuple):
    """Columns and rows from the first up to, not with, the last."""

    x1: int
    y1: int
    x2: int
    y2: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """What is seen of one image in the output."""

    index: int
    """Of the image in its source."""
    matrix: Matrix
    """From the image to the output."""
    seen: Rectangle
    """The part of the image that may be seen, in its pixels."""
    span: Pixels
    """The pixels of the output that it covers; its hull where the image is turned."""

    @property
    def is_upright(self) -> bool:
        """Whether `seen` are whole pixels that exactly fill `span`, perhaps mirrored."""
        return is_upright(self.matrix)


def scaling(x: float, y: float, *, left: float = 0.0, top: float = 0.0) -> Matrix:
    """The matrix that multiplies x and y, and then adds."""
    return np.array([[x, 0.0, left], [0.0, y, top], [0.0, 0.0, 1.0]])


def is_upright(matrix: Float64[np.ndarray, "*n 3 3"]) -> bool:
    """Whether horizontal lines stay horizontal, and vertical ones vertical, by all matrices."""
    return not matrix[..., [0, 1, 2, 2], [1, 0, 0, 1]].any()


def random_matrix(
    config: AugmentConfig, random: np.random.Generator, *, canvas: int, size: int
) -> Matrix:
    """A random move of a square canvas, in pixels, to an output of `size`; without flips.

    Published recipe: the middle of the canvas goes to the origin; perspective, turn and scale,
    shear; then to a random place around the middle of the output.
    """
    perspective_x, perspective_y, turn, gain, shear_x, shear_y, right, down = random.uniform(
        -1, 1, 8
    ).tolist()
    centred = scaling(1.0, 1.0, left=-canvas / 2, top=-canvas / 2)
    scale = 1 + gain * config.scale
    placed = scaling(
        scale,
        scale,
        left=(0.5 + right * config.translate) * size,
        top=(0.5 + down * config.translate) * size,
    )
    shape = np.eye(3)
    if config.perspective:
        strength = config.perspective * _PUBLISHED_SIZE / size
        shape[2, :2] = perspective_x * strength, perspective_y * strength
    if config.degrees:
        angle = math.radians(turn * config.degrees)
        cosine, sine = math.cos(angle), math.sin(angle)
        shape = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]]) @ shape
    if config.shear:
        along_x, along_y = (math.tan(math.radians(s * config.shear)) for s in (shear_x, shear_y))
        shape = np.array([[1, along_x, 0], [along_y, 1, 0], [0, 0, 1]]) @ shape
    return np.asarray(placed @ shape @ centred)


def random_flips(config: AugmentConfig, random: np.random.Generator, *, size: int) -> Matrix:
    """Mirrors the output left to right, top to bottom, both or neither."""
    sideways, upside = (random.random(2) < (config.flip_left_right, config.flip_up_down)).tolist()
    return scaling(
        -1.0 if sideways else 1.0,
        -1.0 if upside else 1.0,
        left=float(size * sideways),
        top=float(size * upside),
    )


def tile_of(
    index: int, size_hw: tuple[int, int], *, matrix: Matrix, window: Rectangle, size: int
) -> Tile | None:
    """What a square output of `size` shows of an image through a window in it, if anything.

    Unless it is turned, the matrix is changed by at most a pixel of the image and half a pixel of
    the output, so that whole pixels of the one fill whole pixels of the other. The annotations must
    be moved by the tile's own matrix.
    """
    if not is_upright(matrix):
        span = pixels_around(moved_boxes(np.array([window]), matrix)[0], size=size)
        if span is None:
            return None
        return Tile(index=index, matrix=matrix, seen=window, span=span)
    height, width = size_hw
    across = _fitted(matrix[0, 0], matrix[0, 2], (window.x1, window.x2), pixels=width, size=size)
    down = _fitted(matrix[1, 1], matrix[1, 2], (window.y1, window.y2), pixels=height, size=size)
    if across is None or down is None:
        return None
    return Tile(
        index=index,
        matrix=scaling(across.scale, down.scale, left=across.offset, top=down.offset),
        seen=Rectangle(across.seen[0], down.seen[0], across.seen[1], down.seen[1]),
        span=Pixels(across.span[0], down.span[0], across.span[1], down.span[1]),
    )


class _Axis(NamedTuple):
    seen: tuple[float, float]
    span: tuple[int, int]
    scale: float
    offset: float


def _fitted(
    scale: float, offset: float, window: tuple[float, float], *, pixels: int, size: int
) -> _Axis | None:
    """One axis of an upright tile: pixels of the output whose middles the window covers."""
    start, end = sorted((scale * window[0] + offset, scale * window[1] + offset))
    first, last = max(0, math.ceil(start - 0.5)), min(size, math.ceil(end - 0.5))
    if last <= first:
        return None
    edges = [min(max((to - offset) / scale, 0), pixels) for to in (first, last)]
    begin, stop = round(edges[0]), round(edges[1])
    if begin == stop:  # about a pixel of the image is seen, or less: one is stretched
        low = min(int(sum(edges) / 2), pixels - 1)
        begin, stop = (low, low + 1) if scale > 0 else (low + 1, low)
    fitted = (last - first) / (stop - begin)
    seen = float(min(begin, stop)), float(max(begin, stop))
    return _Axis(seen, (first, last), fitted, first - fitted * begin)


def moved_points(
    points: Float[np.ndarray, "*n k 2"], matrix: Float64[np.ndarray, "*m 3 3"]
) -> Float64[np.ndarray, "*n k 2"]:
    """Points mapped by a matrix, or each row of points by a matrix of its own.

    >>> moved_points(np.array([[1.0, 2.0]]), scaling(2.0, 3.0, left=10.0)).tolist()
    [[12.0, 6.0]]
    """
    moved = points @ matrix[..., :2, :2].swapaxes(-1, -2) + matrix[..., None, :2, 2]
    if matrix[..., 2, :2].any():
        moved /= points @ matrix[..., 2:, :2].swapaxes(-1, -2) + matrix[..., 2:, 2:]
    return np.asarray(moved, np.float64)


def moved_boxes(
    boxes: Float[np.ndarray, "n 4"], matrix: Float64[np.ndarray, "*m 3 3"]
) -> Float64[np.ndarray, "n 4"]:
    """The hulls of boxes whose corners are mapped by a matrix, or each by its own.

    >>> moved_boxes(np.array([[0.0, 0.0, 4.0, 2.0]]), scaling(-1.0, 1.0, left=10.0)).tolist()
    [[6.0, 0.0, 10.0, 2.0]]
    """
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(len(boxes), 4, 2)
    moved = moved_points(corners, matrix)
    return np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)


def pixels_around(box: Float[np.ndarray, " 4"], *, size: int) -> Pixels | None:
    """The pixels of a square output that a box touches, if any.

    >>> pixels_around(np.array([-3.5, 0.5, 2.5, 2.0]), size=9)
    Pixels(x1=0, y1=0, x2=3, y2=2)
    """
    x1, y1 = (min(max(math.floor(low), 0), size) for low in box[:2].tolist())
    x2, y2 = (min(max(math.ceil(high), 0), size) for high in box[2:].tolist())
    return Pixels(x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None
