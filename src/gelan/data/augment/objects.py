"""The objects of an image, moved with it: boxes and outlines, cut where the image is cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from gelan.data.augment.config import AugmentConfig
from gelan.data.augment.geometric import Matrix, is_upright, moved_boxes, moved_points
from gelan.geometry.boxes import area
from gelan.geometry.polygons import polygon_area
from gelan.structures.samples import Annotations, Polygons

_TINY = 1e-9


class Moves(NamedTuple):
    """Where each of some objects goes."""

    matrices: Float64[np.ndarray, "n 3 3"]
    """From its image to the output."""
    windows: Float64[np.ndarray, "n 4"]
    """The part of its image that is on the canvas, x1, y1, x2, y2 in pixels of the image."""
    seen: Float64[np.ndarray, "n 4"]
    """The part of its image that is in the output."""


def moved_annotations(
    annotations: Annotations, moves: Moves, *, config: AugmentConfig, size: int
) -> tuple[Annotations, Int64[np.ndarray, " kept"]]:
    """The objects that are worth learning in a square output, and their numbers before.

    A box is moved by its corners. Where its object is cut or turned and the outline is known, the
    box fits what is seen of the outline instead. Crowds are kept, as crowds. The share of an
    object that is left is counted from what the canvas shows of it (published recipe).
    """
    in_window = cut_boxes(annotations.boxes, moves.windows)
    frame = np.array([0.0, 0.0, size, size])
    boxes = cut_boxes(moved_boxes(cut_boxes(in_window, moves.seen), moves.matrices), frame)
    whole = moved_boxes(annotations.boxes, moves.matrices)
    gains = area_gains(moves)
    left = area(boxes) / np.maximum(area(whole), _TINY)
    is_changed = (boxes != whole).any(axis=1) | (not is_upright(moves.matrices))
    outlines = {
        number: cut_outline(outline, moves.matrices[number], moves.seen[number], frame=frame)
        for number in np.flatnonzero(is_changed & is_large_enough(boxes, config)).tolist()
        if (outline := annotations.polygons[number])
    }
    for number, outline in outlines.items():
        boxes[number] = hull(outline)
        whole_area = outlined_area(annotations.polygons[number]) * gains[number]
        left[number] = outlined_area(outline) / max(whole_area, _TINY)
    has_outline = np.array([len(polygons) > 0 for polygons in annotations.polygons], bool)
    least = np.where(has_outline, config.min_seen_outline, config.min_seen_box)
    enough = area(boxes) > least * gains * area(in_window)
    kept = np.flatnonzero(enough & is_large_enough(boxes, config))
    moved = Annotations(
        boxes=boxes[kept].astype(np.float32),
        classes=annotations.classes[kept],
        crowd=annotations.crowd[kept],
        areas=(annotations.areas * gains * left)[kept].astype(np.float32),
        polygons=tuple(
            outlines.get(number)
            or moved_outline(annotations.polygons[number], moves.matrices[number])
            for number in kept.tolist()
        ),
    )
    return moved, kept


def area_gains(moves: Moves) -> Float64[np.ndarray, " n"]:
    """Square pixels of the output per square pixel, in the middle of what may be seen."""
    middles = (moves.windows[:, :2] + moves.windows[:, 2:]) / 2
    bottom = moves.matrices[:, 2]
    depths = (bottom[:, :2] * middles).sum(axis=1) + bottom[:, 2]
    return np.asarray(np.abs(np.linalg.det(moves.matrices) / depths**3))


def is_large_enough(
    boxes: Float[np.ndarray, "n 4"], config: AugmentConfig
) -> Bool[np.ndarray, " n"]:
    """Which boxes are neither too small nor too slender to learn from."""
    sides = boxes[:, 2:] - boxes[:, :2]
    shorter, longer = sides.min(axis=1), sides.max(axis=1)
    return np.asarray((shorter > config.min_side) & (longer < config.max_aspect * shorter))


def moved_outline(polygons: Polygons, matrix: Matrix) -> Polygons:
    """The outlines in the output of an object that is seen whole."""
    return tuple(moved_points(polygon, matrix).astype(np.float32) for polygon in polygons)


def cut_outline(
    polygons: Polygons,
    matrix: Matrix,
    seen: Float64[np.ndarray, " 4"],
    *,
    frame: Float64[np.ndarray, " 4"],
) -> Polygons:
    """The outlines in the output of what is seen of one object."""
    moved: list[Float32[np.ndarray, "_ 2"]] = []
    for polygon in polygons:
        points = cut_polygon(moved_points(cut_polygon(polygon, seen), matrix), frame)
        if len(points) > 2:
            moved.append(points.astype(np.float32))
    return tuple(moved)


def joined(parts: Sequence[Annotations]) -> Annotations:
    """The objects of several annotations, all in pixels of one image."""
    none = Annotations.of_boxes(np.zeros((0, 4), np.float32), [])
    parts = [none, *parts]
    return Annotations(
        boxes=np.concatenate([part.boxes for part in parts]),
        classes=np.concatenate([part.classes for part in parts]),
        crowd=np.concatenate([part.crowd for part in parts]),
        areas=np.concatenate([part.areas for part in parts]),
        polygons=tuple(polygons for part in parts for polygons in part.polygons),
    )


def outlined_area(polygons: Polygons) -> float:
    """Square pixels inside outlines that do not overlap."""
    return sum((polygon_area(polygon) for polygon in polygons), start=0.0)


def cut_boxes(
    boxes: Float[np.ndarray, "n 4"], rectangles: Float64[np.ndarray, "*n 4"]
) -> Float64[np.ndarray, "n 4"]:
    """The part of each box in a rectangle; without width or height where there is none."""
    low, high = rectangles[..., [0, 1, 0, 1]], rectangles[..., [2, 3, 2, 3]]
    return np.asarray(np.minimum(np.maximum(boxes, low), high), np.float64)


def cut_polygon(
    points: Float[np.ndarray, "n 2"], rectangle: Float64[np.ndarray, " 4"]
) -> Float[np.ndarray, "m 2"]:
    """The part of a polygon in a rectangle, side after side (Sutherland and Hodgman 1974).

    Parts that the rectangle separates stay joined by lines on its sides, which have no area.

    >>> diamond = np.array([[2.0, 0.0], [4.0, 2.0], [2.0, 4.0], [0.0, 2.0]])
    >>> cut_polygon(diamond, np.array([0.0, 0.0, 4.0, 2.0])).tolist()
    [[2.0, 0.0], [4.0, 2.0], [0.0, 2.0]]
    """
    for axis, limit, sign in ((0, 0, 1.0), (1, 1, 1.0), (0, 2, -1.0), (1, 3, -1.0)):
        depth = (points[:, axis] - rectangle[limit]) * sign
        inside = depth >= 0
        if inside.all():
            continue
        if not inside.any():
            return points[:0]
        following = np.concatenate([points[1:], points[:1]])
        next_depth = np.concatenate([depth[1:], depth[:1]])
        crosses = (depth * next_depth) < 0
        share = depth / np.where(crosses, depth - next_depth, 1)
        crossing = points + share[:, None] * (following - points)
        crossing[:, axis] = rectangle[limit]
        both = np.stack([points, crossing], axis=1).reshape(-1, 2)
        points = both[np.stack([inside, crosses], axis=1).reshape(-1)]
    return points


def hull(polygons: Polygons) -> Float32[np.ndarray, " 4"]:
    """The box around outlines; nought where nothing is left of them."""
    points = np.concatenate([*polygons, np.zeros((0, 2), np.float32)])
    if not len(points):
        return np.zeros(4, np.float32)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
