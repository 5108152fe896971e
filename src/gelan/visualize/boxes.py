"""Pictures of detections: boxes and labels drawn into a copy of an image.

Coordinates are those of `Detections`: pixels of the image, x to the right and y down, where pixel
`i` covers `i` to `i + 1`. Line width and text height follow from the image size. All boxes are
drawn first and all labels over them, each time from the lowest score to the highest, so that the
best lie on top and no line crosses a text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from gelan.structures.detections import Detections
from gelan.visualize.colors import Color, class_color, ink_color, outline_color
from gelan.visualize.lettering import drawable_name, has_glyph, text_width, write_text

Layer = tuple[Color, int, int]
"""A colour between two depths under the edge of a shape, in pixels."""


def draw_detections(
    image: UInt8[np.ndarray, "height width 3"], detections: Detections
) -> UInt8[np.ndarray, "height width 3"]:
    """A copy of an RGB image with every detection drawn in the colour of its class.

    A box is cut at the border of the image; one that lies wholly outside is not drawn. A box
    without area becomes a line or a dot. A label that better ones would hide is left out.

    Raises:
        ValueError: the image is not uint8 RGB, its size is not `detections.size_hw`, or a box or
            score is not finite.
    """
    _check(image, detections)
    picture = np.array(image, order="C")
    height, width = picture.shape[:2]
    low, high = detections.boxes[:, :2], detections.boxes[:, 2:]
    low, high = np.minimum(low, high), np.maximum(low, high)
    visible = detections[np.all((high >= 0) & (low <= (width, height)), axis=1)]
    ranked = visible[np.argsort(-visible.scores, kind="stable")]
    pen = Pen.for_size(width=width, height=height)
    colors = [class_color(int(index)) for index in ranked.classes]
    for box, color in zip(ranked.boxes[::-1], colors[::-1], strict=True):
        _draw_box(picture, pen.frame(box, width=width, height=height), color=color, pen=pen)
    for plate in reversed(place_labels(ranked, pen=pen)):
        _draw_plate(picture, plate, color=colors[plate.number], pen=pen)
    return picture


def _check(image: NDArray[np.uint8], detections: Detections) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"expected a uint8 RGB image of shape (height, width, 3), "
            f"got {image.dtype} of shape {image.shape}"
        )
    if len(detections) > 0 and image.shape[:2] != detections.size_hw:
        raise ValueError(
            f"the detections of {detections.source!r} were made in an image of (height, width) "
            f"{detections.size_hw}, this one has {image.shape[:2]}; pass the original image"
        )
    if not (np.isfinite(detections.boxes).all() and np.isfinite(detections.scores).all()):
        raise ValueError(f"a box or score of {detections.source!r} is not finite")


# --- shapes ------------------------------------------------------------------------------------


class Rectangle(NamedTuple):
    """Whole pixels from `left` and `top` up to, without, `right` and `bottom`."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Pen:
    """Sizes in pixels, chosen for one image size."""

    line: int
    """Width of the coloured line of a box."""
    outline: int
    """Width of the dark lines on both sides of it, and around a label."""
    text: int
    """Font size; capital letters are 3/4 of it high."""

    @classmethod
    def for_size(cls, *, width: int, height: int) -> Pen:
        """Sizes that look alike in images of all sizes: they grow with the root of the area.

        >>> Pen.for_size(width=640, height=480), Pen.for_size(width=4000, height=3000)
        (Pen(line=2, outline=1, text=13), Pen(line=12, outline=3, text=66))
        """
        side = math.sqrt(width * height)
        line = max(1, round(0.0035 * side))
        return cls(line=line, outline=max(1, round(line / 4)), text=max(11, round(3 + side / 55)))

    @property
    def radius(self) -> int:
        """Of the rounded corners."""
        return self.line + self.outline

    @property
    def margin(self) -> int:
        """Width of a label on both sides of its text."""
        return max(3, round(0.35 * self.text)) + self.outline

    @property
    def plate_height(self) -> int:
        """Height of a label."""
        return round(1.3 * self.text) + 2 * self.outline

    def frame(self, box: Float[np.ndarray, " 4"], *, width: int, height: int) -> Rectangle:
        """The outer edge of the lines of a box, moved inside the picture."""
        low = np.minimum(box[:2], box[2:]).clip(0, (width, height)) - self.line / 2
        high = np.maximum(box[:2], box[2:]).clip(0, (width, height)) + self.line / 2
        left, top = (max(0, math.floor(edge + 0.5) - self.outline) for edge in low)
        right, bottom = (math.floor(edge + 0.5) + self.outline for edge in high)
        return Rectangle(left, top, min(width, right), min(height, bottom))


def _draw_box(picture: NDArray[np.uint8], frame: Rectangle, *, color: Color, pen: Pen) -> None:
    inner = pen.outline + pen.line
    layers = ((outline_color(color), 0, inner + pen.outline), (color, pen.outline, inner))
    for strip in _strips(frame, depth=inner + pen.outline + pen.radius):
        _paint(picture, strip, shape=frame, radius=pen.radius, layers=layers)


def _strips(frame: Rectangle, *, depth: int) -> Iterator[Rectangle]:
    """The parts of a frame within `depth` of its edge: no time is spent on what lies inside."""
    left, top, right, bottom = frame
    if min(right - left, bottom - top) <= 2 * depth:
        yield frame
        return
    yield Rectangle(left, top, right, top + depth)
    yield Rectangle(left, bottom - depth, right, bottom)
    yield Rectangle(left, top + depth, left + depth, bottom - depth)
    yield Rectangle(right - depth, top + depth, right, bottom - depth)


def _paint(
    picture: NDArray[np.uint8],
    area: Rectangle,
    *,
    shape: Rectangle,
    radius: int,
    layers: tuple[Layer, ...],
) -> None:
    """Paint the layers of a rounded rectangle into one area of a picture, anti-aliased."""
    region = picture[area.top : area.bottom, area.left : area.right]
    depth = _depth_inside(shape, radius=radius, area=area)[..., None]
    blended = region.astype(np.float32)
    for color, start, end in layers:
        cover = (depth - start + 0.5).clip(0, 1) * (end - depth + 0.5).clip(0, 1)
        blended += cover * (np.array(color, np.float32) - blended)
    region[:] = (blended + 0.5).astype(np.uint8)


def _depth_inside(
    shape: Rectangle, *, radius: int, area: Rectangle
) -> Float[np.ndarray, "height width"]:
    """How deep the centre of each pixel of an area lies under the edge of a rounded rectangle."""
    radius = min(radius, (shape.right - shape.left) // 2, (shape.bottom - shape.top) // 2)
    columns = np.arange(area.left, area.right, dtype=np.float32) + 0.5
    rows = np.arange(area.top, area.bottom, dtype=np.float32)[:, None] + 0.5
    beside = radius - np.minimum(columns - shape.left, shape.right - columns)
    above = radius - np.minimum(rows - shape.top, shape.bottom - rows)
    outside = np.hypot(beside.clip(0), above.clip(0)) + np.maximum(beside, above).clip(None, 0)
    depth: NDArray[np.float32] = radius - outside
    return depth


# --- labels ------------------------------------------------------------------------------------


class Plate(NamedTuple):
    """The label of detection `number`: its text and the place that it covers."""

    number: int
    text: str
    place: Rectangle


def place_labels(detections: Detections, *, pen: Pen) -> list[Plate]:
    """The labels of detections (best first) and their places in the picture.

    A label stands on its box if there is room, else inside its top. Where it would cover an
    earlier label, other corners of the box are tried, and the least covered place wins; a label
    is left out if even there others would hide more than half of it.
    """
    height, width = detections.size_hw
    plates: list[Plate] = []
    for index, box in enumerate(detections.boxes):
        text = _label(detections, index, size=pen.text, room=width - 2 * pen.margin)
        size_wh = (text_width(text, size=pen.text) + 2 * pen.margin, pen.plate_height)
        frame = pen.frame(box, width=width, height=height)
        places = _places(frame, outline=pen.outline, plate_wh=size_wh, picture_wh=(width, height))
        covered = _covered(places, [plate.place for plate in plates])
        best = int(np.argmin(covered))
        if 2 * covered[best] <= size_wh[0] * size_wh[1]:
            plates.append(Plate(index, text, places[best]))
    return plates


def _covered(places: list[Rectangle], taken: list[Rectangle]) -> NDArray[np.int64]:
    """Number of pixels of each place that are taken."""
    new, old = np.array(places)[:, None], np.array(taken, np.int64).reshape(-1, 4)
    size_wh = np.minimum(new[..., 2:], old[:, 2:]) - np.maximum(new[..., :2], old[:, :2])
    overlap: NDArray[np.int64] = size_wh.clip(0).prod(axis=-1).sum(axis=-1)
    return overlap


def _places(
    frame: Rectangle, *, outline: int, plate_wh: tuple[int, int], picture_wh: tuple[int, int]
) -> list[Rectangle]:
    """Where the label of a box may stand in the picture, the best place first."""
    (plate_width, plate_height), (width, height) = plate_wh, picture_wh
    lowest = max(0, height - plate_height)
    left, right = frame.left, frame.right - plate_width
    above, below = frame.top + outline - plate_height, frame.bottom - outline
    inside, inside_bottom = min(frame.top, lowest), max(0, frame.bottom - plate_height)
    corners = [(left, above), (left, inside), (right, above), (left, below), (right, inside)]
    corners += [(right, below), (left, inside_bottom), (right, inside_bottom)]
    return [
        Rectangle(x, y, min(width, x + plate_width), min(height, y + plate_height))
        for x, y in ((max(0, min(x, width - plate_width)), y) for x, y in corners)
        if 0 <= y <= lowest
    ]


def _label(detections: Detections, index: int, *, size: int, room: int) -> str:
    """`#12 person 0.87`; the name is shortened where the label would be wider than the picture."""
    number = int(detections.classes[index])
    name = drawable_name(detections.names[number], index=number, can_draw=has_glyph)
    track = "" if detections.track_ids is None else f"#{detections.track_ids[index]} "
    score = f"{detections.scores[index]:.2f}"
    text = f"{track}{name} {score}"
    while len(name) > 0 and text_width(text, size=size) > room:
        name = name.removesuffix("..")[:-1]
        text = f"{track}{name}.. {score}" if name else f"{track}{score}"
    return text


def _draw_plate(picture: NDArray[np.uint8], plate: Plate, *, color: Color, pen: Pen) -> None:
    place = plate.place
    layers = ((outline_color(color), 0, pen.plate_height), (color, pen.outline, pen.plate_height))
    _paint(picture, place, shape=place, radius=pen.radius, layers=layers)
    mask = np.zeros((place.bottom - place.top, place.right - place.left), np.uint8)
    origin = (pen.margin, pen.outline + round(1.02 * pen.text))  # capitals in the middle
    write_text(mask, plate.text, origin=origin, size=pen.text)
    region = picture[place.top : place.bottom, place.left : place.right]
    cover = mask[..., None].astype(np.float32) / 255
    ink = np.array(ink_color(color), np.float32)
    region[:] = (region + cover * (ink - region) + 0.5).astype(np.uint8)
