"""Figures made of outlines become lit, anti-aliased patches, and patches are put into a picture.

A figure is drawn in units of its own: it fills the circle of radius 1 around the origin, y points
down. Colours are RGB, 0 to 255, as floats until the picture is done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

Color = Float32[np.ndarray, " 3"]
Picture = Float32[np.ndarray, "height width 3"]
Points = Float64[np.ndarray, "_ 2"]
Alpha = Float32[np.ndarray, "height width"]
"""Share of each pixel that something covers, 0 to 1."""

_FINE = 3  # figures are drawn that many times as large, then shrunk
_FRACTION_BITS = 4  # of corners given to OpenCV
_ROUNDING = 0.22  # radius of the rounded edge, in parts of the root of the figure's area
_AMBIENT = 0.55
_SHINE = 60.0
_DEPTH = 0.07  # of a figure, for its shadow; same unit as the rounding


class Tone(IntEnum):
    """Which colour of a palette a layer has."""

    BODY = 0
    ACCENT = 1
    DARK = 2
    LIGHT = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One filled outline or one stroke of a figure."""

    points: Points
    tone: Tone
    stroke: float = 0.0
    """Width of the line through the points; 0 fills the outline."""
    is_marking: bool = False
    """Seen only where earlier or later layers that are no markings make up the figure."""


Figure = tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Patch:
    """A figure as it will be seen; its first pixel may lie anywhere in a picture, or outside."""

    colors: Picture
    alpha: Alpha


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """Where light comes from, the same for all figures of a picture."""

    direction: Color
    """Unit vector to the light: right, down, towards the eye."""
    shadow: float
    """Share of the light that a shadow takes away, 0 to 1."""


def pose(*, radius: float, turn: float, stretch: float = 1.0) -> Float64[np.ndarray, "2 2"]:
    """The matrix that makes a figure `radius` pixels large and turns it by an angle in radians.

    The figure's own x is stretched, and its y shrunk by as much; a negative stretch mirrors it.

    >>> pose(radius=10.0, turn=math.pi / 2, stretch=4.0).round(6).tolist()
    [[0.0, -5.0], [20.0, 0.0]]
    """
    cosine, sine = math.cos(turn), math.sin(turn)
    root = math.sqrt(abs(stretch))
    stretched = np.diag([math.copysign(root, stretch), 1 / root])
    return radius * np.array([[cosine, -sine], [sine, cosine]]) @ stretched


def painted(
    figure: Figure,
    *,
    palette: Float32[np.ndarray, "4 3"],
    matrix: Float64[np.ndarray, "2 2"],
    light: Light,
) -> Patch:
    """The figure moved by a matrix and lit, on the smallest patch that holds it.

    `palette` are the colours of the tones.
    """
    unit = math.sqrt(abs(float(np.linalg.det(matrix))))
    places = [layer.points @ matrix.T for layer in figure]
    margin = max(layer.stroke for layer in figure) * unit / 2 + 1
    low = np.floor(np.concatenate(places).min(axis=0) - margin)
    size_wh = np.ceil(np.concatenate(places).max(axis=0) + margin) - low
    width, height = size_wh.astype(int).tolist()
    colors = np.full((height * _FINE, width * _FINE, 3), palette[Tone.BODY].tolist(), np.uint8)
    alpha = np.zeros(colors.shape[:2], np.uint8)
    for layer, place in zip(figure, places, strict=True):
        corners = (place - low) * _FINE - 0.5  # OpenCV counts from the middle of a pixel
        stroke = layer.stroke * unit * _FINE
        _draw(colors, corners, color=palette[layer.tone].tolist(), stroke=stroke)
        if not layer.is_marking:
            _draw(alpha, corners, color=[255.0], stroke=stroke)
    small = cv2.resize(colors, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    covered = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA) / np.float32(255)
    return Patch(_lit(small, covered, light), covered)


def _draw(
    canvas: UInt8[np.ndarray, "height width *channels"],
    points: Points,
    *,
    color: list[float],
    stroke: float,
) -> None:
    """The filled outline, or the line through the points where `stroke`, its width, is not 0."""
    corners = np.rint(points * 2**_FRACTION_BITS).astype(np.int32)
    if stroke:
        thickness = max(1, round(stroke))
        cv2.polylines(canvas, [corners], False, color, thickness, shift=_FRACTION_BITS)
    else:
        cv2.fillPoly(canvas, [corners], color, shift=_FRACTION_BITS)


def _lit(colors: Picture, alpha: Alpha, light: Light) -> Picture:
    """Colours of a figure whose edge is rounded, with a wet shine."""
    radius = max(1.5, _ROUNDING * math.sqrt(float(alpha.sum())))
    inside = cv2.distanceTransform((alpha >= 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    rise = np.minimum(inside / radius, 1.0)
    relief = cv2.GaussianBlur(radius * np.sqrt(rise * (2 - rise)), (0, 0), max(0.7, radius / 6))
    slopes = [cv2.Sobel(relief, cv2.CV_32F, dx, dy, scale=-0.125) for dx, dy in ((1, 0), (0, 1))]
    normals = np.dstack([*slopes, np.ones_like(relief)])
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    towards = light.direction / light.direction[2]
    diffuse = np.maximum(normals @ towards, 0.0)[..., None]
    halfway = light.direction + np.array([0.0, 0.0, 1.0], np.float32)
    shine = np.maximum(normals @ (halfway / np.linalg.norm(halfway)), 0.0)[..., None] ** 40
    lit = colors * (_AMBIENT + (1 - _AMBIENT) * diffuse) + _SHINE * shine * (rise[..., None] < 1)
    return np.asarray(lit, np.float32)


def on_canvas(patch: Patch, *, left: int, top: int, size_hw: tuple[int, int]) -> Alpha:
    """The share of each pixel of a picture that a patch covers."""
    cover = np.zeros(size_hw, np.float32)
    here, part = _overlap(patch.alpha, left=left, top=top, size_hw=size_hw)
    cover[here] = patch.alpha[part]
    return cover


def put(picture: Picture, patch: Patch, *, left: int, top: int, light: Light) -> None:
    """The patch drawn on the picture, and its shadow beside it."""
    height, width = picture.shape[:2]
    depth = max(1.0, _DEPTH * math.sqrt(float(patch.alpha.sum())))
    margin = math.ceil(3 * depth)
    soft = cv2.GaussianBlur(np.pad(patch.alpha, margin), (0, 0), 0.8 * depth)
    right, down = (round(-2 * depth * step) for step in light.direction[:2].tolist())
    corner = left - margin + right, top - margin + down
    here, part = _overlap(soft, left=corner[0], top=corner[1], size_hw=(height, width))
    picture[here] *= 1 - light.shadow * soft[part][..., None]
    here, part = _overlap(patch.alpha, left=left, top=top, size_hw=(height, width))
    picture[here] += patch.alpha[part][..., None] * (patch.colors[part] - picture[here])


def _overlap(
    alpha: Alpha, *, left: int, top: int, size_hw: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The rows and columns of a picture that a patch meets, and the same in the patch."""
    spans = []
    for start, length, end in zip((top, left), alpha.shape, size_hw, strict=True):
        first = min(max(start, 0), end)
        spans.append((first, max(first, min(start + length, end)), start))
    rows, columns = [slice(first, last) for first, last, _ in spans]
    of_rows, of_columns = [slice(first - start, last - start) for first, last, start in spans]
    return (rows, columns), (of_rows, of_columns)
