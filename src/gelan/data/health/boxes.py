"""What is suspicious about boxes that could be read: alike, thin, too small, too many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from gelan.data.formats.records import ImageRecord
from gelan.data.health.kinds import finding
from gelan.geometry.boxes import clip, pairwise_iou
from gelan.structures.findings import Finding

FINEST_STRIDE = 8
"""Pixels of the network's input that a cell of its finest map covers."""

_ALIKE = 0.95
_THIN = 30.0
"""Longer side by shorter side; the recipe's augmentation drops boxes from 100 on."""
_SEEN = 2.0
"""Pixels at the input size; the recipe's augmentation drops boxes whose shorter side is less."""
_MOST_OBJECTS = 300
"""Detections that are kept of an image when figures are made."""


@dataclass(frozen=True, slots=True)
class ImageBoxes:
    """The boxes of one image in pixels, and where they stand.

    Crowds, and boxes of which nothing lies in the image, are left out.
    """

    record: ImageRecord
    size_hw: tuple[int, int] | None
    """None where the image has not been read and labels do not tell: boxes are then fractions."""
    boxes: Float32[np.ndarray, "n 4"]
    places: Int64[np.ndarray, " n"]
    """In the record's labels."""

    @property
    def shorter_sides(self) -> Float32[np.ndarray, " n"]:
        """In pixels of the image."""
        return np.asarray((self.boxes[:, 2:] - self.boxes[:, :2]).min(axis=1, initial=np.inf))

    def sides_at(self, size: int) -> Float32[np.ndarray, " n"]:
        """Shorter sides in pixels of a network's input, whose longer side is `size`."""
        assert self.size_hw is not None
        return np.asarray(self.shorter_sides * np.float32(size / max(self.size_hw)))

    def line(self, index: int) -> int | None:
        """Where a box stands in the label file."""
        return self.record.line(int(self.places[index]))


def boxes_of(record: ImageRecord, size_hw: tuple[int, int] | None) -> ImageBoxes:
    """The boxes of an image, cut at its border; `size_hw` may be unknown."""
    labels, known = record.labels, size_hw or record.stated_hw
    if known is None:
        single = np.flatnonzero(~labels.crowd)
        boxes = clip(labels.corners()[single], (1, 1))
    else:
        single = np.flatnonzero(~labels.crowd & ~record.outside(known))
        boxes = clip(record.corners(known)[single], known)
    return ImageBoxes(record, known, np.asarray(boxes, np.float32), single)


def box_findings(image: ImageBoxes, *, names: Sequence[str], size: int) -> Iterator[Finding]:
    """All that is suspicious about the boxes of one image at the network's input size.

    `names` are those of the classes.
    """
    yield from _alike_boxes(image, names)
    if len(image.boxes) > _MOST_OBJECTS:
        cause = f"{len(image.boxes)} objects; at most {_MOST_OBJECTS} are detected by default"
        remedy = "cut the image into tiles, or raise --max-detections"
        yield finding("objects-many", image.record.path, cause=cause, remedy=remedy)
    if image.size_hw is not None:
        yield from _thin_boxes(image)
        yield from _tiny_boxes(image, size)


def _alike_boxes(image: ImageBoxes, names: Sequence[str]) -> Iterator[Finding]:
    overlaps = np.triu(pairwise_iou(image.boxes, image.boxes), k=1)
    classes = image.record.labels.classes[image.places]
    told = set[int]()
    for first, second in np.argwhere(overlaps >= _ALIKE).tolist():
        if second in told:
            continue
        told.add(second)
        overlap = f"overlap {overlaps[first, second]:.2f}"
        where = _other_place(image, first)
        if classes[first] == classes[second]:
            cause = f"nearly the same box as {where} ({overlap})"
            kind, remedy = "box-repeated", "keep one of them"
        else:
            cause = (
                f"{names[classes[second]]}, and nearly the same box as {where}, "
                f"which is {names[classes[first]]} ({overlap})"
            )
            kind, remedy = "box-two-classes", "keep the class that is right"
        yield _at(image, second, kind, cause=cause, remedy=remedy)


def _thin_boxes(image: ImageBoxes) -> Iterator[Finding]:
    sizes = image.boxes[:, 2:] - image.boxes[:, :2]
    ratios = sizes.max(axis=1, initial=0) / np.maximum(image.shorter_sides, np.float32(1e-6))
    for index in np.flatnonzero(ratios >= _THIN).tolist():
        width, height = sizes[index].tolist()
        cause = f"a box of {width:.1f} x {height:.1f} pixels"
        remedy = "check that the object is really that thin"
        yield _at(image, index, "box-thin", cause=cause, remedy=remedy)


def _tiny_boxes(image: ImageBoxes, size: int) -> Iterator[Finding]:
    sides = image.sides_at(size)
    for index in np.flatnonzero(sides < _SEEN).tolist():
        cause = f"a box that is {sides[index]:.1f} pixels narrow in an input of {size}"
        remedy = "train on a larger input or on tiles, or take it out"
        yield _at(image, index, "box-tiny", cause=cause, remedy=remedy)


def _at(image: ImageBoxes, index: int, kind: str, *, cause: str, remedy: str) -> Finding:
    """A finding about one box, at its line; its image is named where that does not tell it."""
    record, number = image.record, int(image.places[index])
    place, line = record.label_file or record.path, image.line(index)
    if line is None or record.image_id is not None:
        cause = f"{record.object_name(number)}: {cause}"
    return finding(kind, place, cause=cause, remedy=remedy, line=line)


def _other_place(image: ImageBoxes, index: int) -> str:
    line = image.line(index)
    return f"object {int(image.places[index]) + 1}" if line is None else f"line {line}"
