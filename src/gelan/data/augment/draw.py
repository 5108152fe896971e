"""Plans become images, with OpenCV; every pixel of the output is sampled once."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

from gelan.data.augment.compose import Cutout, Plan, Read, Scene
from gelan.data.augment.geometric import (
    Matrix,
    Pixels,
    Tile,
    moved_points,
    pixels_around,
    scaling,
)
from gelan.data.augment.objects import hull
from gelan.data.augment.photometric import recoloured
from gelan.structures.samples import Polygons

Canvas = UInt8[np.ndarray, "size size 3"]
Image = UInt8[np.ndarray, "height width 3"]
_FRACTION_BITS = 4  # of corners given to OpenCV's polygon filling


def drawn(plan: Plan, read: Read) -> Canvas:
    """The image of a plan; `read` gives the images that it was made from."""
    images = [_drawn_scene(scene, plan, read) for scene in plan.scenes]
    image = images[0]
    if len(images) > 1:
        cv2.addWeighted(image, plan.blend, images[1], 1 - plan.blend, 0, dst=image)
    return recoloured(image, plan.gains)


def _drawn_scene(scene: Scene, plan: Plan, read: Read) -> Canvas:
    canvas = np.full((plan.size, plan.size, 3), plan.pad_value, np.uint8)
    for tile in scene.tiles:
        image = read(tile.index).image
        if tile.is_upright:
            _draw_upright(canvas, tile, image)
        else:
            _draw_turned(canvas, tile, image)
    for cutout in scene.cutouts:
        _paste(canvas, cutout, read(cutout.index).image)
    return canvas


def _draw_upright(canvas: Canvas, tile: Tile, image: Image) -> None:
    """Whole pixels of an image onto whole pixels of the canvas; a third of the time of a warp."""
    x1, y1, x2, y2 = (int(edge) for edge in tile.seen)
    part = image[y1:y2, x1:x2]
    mirrored_x, mirrored_y = tile.matrix[0, 0] < 0, tile.matrix[1, 1] < 0
    if mirrored_x or mirrored_y:
        part = cv2.flip(part, -1 if mirrored_x and mirrored_y else int(mirrored_x))
    place = _part(canvas, tile.span)
    cv2.resize(part, place.shape[1::-1], dst=place, interpolation=cv2.INTER_LINEAR)


def _draw_turned(canvas: Canvas, tile: Tile, image: Image) -> None:
    x1, y1, x2, y2 = tile.seen
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)
    outline = (moved_points(corners, tile.matrix).astype(np.float32),)
    _draw_inside(canvas, tile.span, outline, matrix=tile.matrix, image=image)


def _paste(canvas: Canvas, cutout: Cutout, image: Image) -> None:
    span = pixels_around(hull(cutout.outline), size=len(canvas))
    if span is not None:
        _draw_inside(canvas, span, cutout.outline, matrix=cutout.matrix, image=image)


def _draw_inside(
    canvas: Canvas, span: Pixels, outline: Polygons, *, matrix: Matrix, image: Image
) -> None:
    """The pixels of a span inside an outline, from an image that a matrix moves there."""
    width, height = span.x2 - span.x1, span.y2 - span.y1
    # OpenCV counts from the middle of the first pixel, the matrix from its corner.
    of_middles = scaling(1.0, 1.0, left=-0.5 - span.x1, top=-0.5 - span.y1) @ matrix
    of_middles = of_middles @ scaling(1.0, 1.0, left=0.5, top=0.5)
    if matrix[2, 0] or matrix[2, 1]:
        moved = cv2.warpPerspective(
            image, of_middles, (width, height), borderMode=cv2.BORDER_REPLICATE
        )
    else:
        moved = cv2.warpAffine(
            image, of_middles[:2], (width, height), borderMode=cv2.BORDER_REPLICATE
        )
    cv2.copyTo(moved, filled(outline, span), dst=_part(canvas, span))


def filled(outline: Polygons, span: Pixels) -> UInt8[np.ndarray, "height width"]:
    """1 where the pixels of a span lie inside an outline, 0 elsewhere."""
    mask = np.zeros((span.y2 - span.y1, span.x2 - span.x1), np.uint8)
    first = np.array([span.x1 + 0.5, span.y1 + 0.5])
    for polygon in outline:  # one after the other: together, overlapping parts cancel out
        corners = np.rint((polygon - first) * 2**_FRACTION_BITS).astype(np.int32)
        cv2.fillPoly(mask, [corners], 1, shift=_FRACTION_BITS)
    return mask


def _part(canvas: Canvas, span: Pixels) -> UInt8[np.ndarray, "_ _ 3"]:
    return canvas[span.y1 : span.y2, span.x1 : span.x2]
