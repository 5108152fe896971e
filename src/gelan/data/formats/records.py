"""What a data set says: images, the numbers that stand in its label files, and classes.

Coordinates are kept as they are written, in one of four layouts; `ImageRecord.annotations` gives
boxes in pixels of the image once its size is known. Nothing is decoded here.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, Integer

from gelan.data.formats.collector import count
from gelan.errors import SourceError, nearest
from gelan.geometry.boxes import area, clip, cxcywh_to_xyxy, xywh_to_xyxy
from gelan.structures.classes import ClassTable
from gelan.structures.findings import Finding
from gelan.structures.samples import Annotations

logger = logging.getLogger(__name__)

Kind = Literal["yolo", "coco", "voc"]
Layout = Literal["centre-fractions", "corner-size", "corners-from-1", "corners"]
"""How the four numbers of a box are written:

* centre-fractions (YOLO): centre x, centre y, width, height in parts of the image's size;
* corner-size (COCO): left, top, width, height in pixels, where a pixel covers [i, i + 1];
* corners-from-1 (Pascal VOC): first and last column and row of pixels that belong to the box, where
  the first of the image is 1: the box reaches from x1 - 1 to x2;
* corners: left, top, right, bottom in pixels, where a pixel covers [i, i + 1].
"""
ROUNDING_PIXELS = 1.0
"""Pixels by which a box may reach out of its image without a word."""
Outlines = tuple[Float64[np.ndarray, "_ 2"], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """The objects of one image as its label file has them; those that cannot be used are not here.

    Outlines are in parts of the image's size where boxes are, else in pixels.
    """

    layout: Layout
    values: Float64[np.ndarray, "n 4"]
    """The four numbers of each box, as written."""
    classes: Int64[np.ndarray, " n"]
    """Model indices: 0 .. number of classes - 1."""
    crowd: Bool[np.ndarray, " n"]
    areas: Float64[np.ndarray, " n"]
    """Of the object itself, in units of the layout; NaN where only its box is known."""
    polygons: tuple[Outlines, ...]
    lines: Int64[np.ndarray, " n"]
    """Where each object stands in the label file, counted from 1; 0 where lines tell nothing."""
    ids: Int64[np.ndarray, " n"]
    """Of each annotation in a COCO file; -1 where there is none."""
    places: Int64[np.ndarray, " n"]
    """Which line, annotation or <object> of the label file each is, counted from 0; -1: of none."""

    def __len__(self) -> int:
        return len(self.classes)

    def chosen(self, numbers: Integer[np.ndarray, " m"]) -> Labels:
        """The objects of these numbers, in their order."""
        return Labels(
            layout=self.layout,
            values=self.values[numbers],
            classes=self.classes[numbers],
            crowd=self.crowd[numbers],
            areas=self.areas[numbers],
            polygons=tuple([self.polygons[number] for number in numbers]),
            lines=self.lines[numbers],
            ids=self.ids[numbers],
            places=self.places[numbers],
        )

    @property
    def in_fractions(self) -> bool:
        """Whether coordinates are parts of the image's size."""
        return self.layout == "centre-fractions"

    def corners(self) -> Float64[np.ndarray, "n 4"]:
        """Left, top, right, bottom in the unit of the layout; may reach out of the image."""
        if self.layout == "centre-fractions":
            return np.asarray(cxcywh_to_xyxy(self.values), np.float64)
        if self.layout == "corner-size":
            return np.asarray(xywh_to_xyxy(self.values), np.float64)
        shift = 1.0 if self.layout == "corners-from-1" else 0.0
        return np.asarray(self.values - np.array([shift, shift, 0.0, 0.0]))


@dataclass(frozen=True, slots=True)
class Row:
    """One object on its way into `Labels`."""

    values: tuple[float, float, float, float]
    index: int
    crowd: bool = False
    area: float = float("nan")
    polygons: Outlines = ()
    line: int = 0
    id: int = -1
    place: int = -1


def labels_of(rows: list[Row], *, layout: Layout) -> Labels:
    """The objects in columns."""
    return Labels(
        layout=layout,
        values=np.array([row.values for row in rows], np.float64).reshape(-1, 4),
        classes=np.array([row.index for row in rows], np.int64),
        crowd=np.array([row.crowd for row in rows], bool),
        areas=np.array([row.area for row in rows], np.float64),
        polygons=tuple([row.polygons for row in rows]),
        lines=np.array([row.line for row in rows], np.int64),
        ids=np.array([row.id for row in rows], np.int64),
        places=np.array([row.place for row in rows], np.int64),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRecord:
    """An image of a data set and where its labels are."""

    path: Path
    labels: Labels
    label_file: Path | None
    """None where the image has no label file of its own: then it shows none of the objects."""
    stated_hw: tuple[int, int] | None = None
    """Height and width that the label file gives; the image itself may differ."""
    image_id: int | str | None = None
    """Of the image in a COCO file."""

    def annotations(self, size_hw: tuple[int, int]) -> Annotations:
        """The objects in pixels of the image, whose height and width are given.

        Boxes and outlines are cut at the border of the image. An object of which nothing is left is
        left out, with a warning in the log: its box lies outside, where the label file states no
        size or another, or is too small for a difference in float32.
        """
        labels = self.labels
        height, width = size_hw
        scale = np.array([width, height]) if labels.in_fractions else np.ones(2)
        corners = clip(self.corners(size_hw), size_hw)
        own_areas = labels.areas * scale.prod()
        found = Annotations(
            boxes=corners.astype(np.float32),
            classes=labels.classes.copy(),
            crowd=labels.crowd.copy(),
            areas=np.where(np.isnan(own_areas), area(corners), own_areas).astype(np.float32),
            polygons=tuple(
                [
                    tuple([_inside(part * scale, size_hw) for part in parts])
                    for parts in labels.polygons
                ]
            ),
        )
        outside = self.outside(size_hw)
        if not outside.any():
            return found
        where = f"{self.path} ({width} x {height})"
        logger.warning("%s: %s outside the image", where, count(int(outside.sum()), "box"))
        return found[~outside]

    def outside(self, size_hw: tuple[int, int]) -> Bool[np.ndarray, " n"]:
        """Which boxes have no area inside an image of the given height and width."""
        kept = clip(self.corners(size_hw), size_hw).astype(np.float32)
        return np.asarray((kept[:, 2] <= kept[:, 0]) | (kept[:, 3] <= kept[:, 1]))

    def corners(self, size_hw: tuple[int, int]) -> Float64[np.ndarray, "n 4"]:
        """Left, top, right, bottom in pixels of an image of that height and width, not cut."""
        corners = self.labels.corners()
        if self.labels.in_fractions:
            corners = corners * np.tile(np.array(size_hw[::-1]), 2)
        return corners

    def reach(self, size_hw: tuple[int, int]) -> Float64[np.ndarray, " n"]:
        """Pixels by which each box reaches out of an image of that size; 0 or less: it does not."""
        corners = self.corners(size_hw)
        beyond = corners[:, 2:] - np.array(size_hw[::-1])
        return np.asarray(np.concatenate([-corners[:, :2], beyond], axis=1).max(axis=1, initial=-1))

    def line(self, index: int) -> int | None:
        """The line of `label_file` where an object stands, counted from 1."""
        return int(self.labels.lines[index]) or None

    def object_name(self, index: int) -> str:
        """What to call an object: by its image and, in a COCO file, the id of its annotation."""
        number = int(self.labels.ids[index])
        if number >= 0:
            return f"annotation {number} of {self.path.name}"
        known = self.image_id is None and self.line(index) is not None
        return self.path.name if known else f"{self.path.name}, object {index + 1}"


def _inside(
    outline: Float64[np.ndarray, "n 2"], size_hw: tuple[int, int]
) -> Float32[np.ndarray, "n 2"]:
    return np.asarray(np.clip(outline, 0.0, np.array(size_hw[::-1])), np.float32)


@dataclass(frozen=True, slots=True)
class MappingRow:
    """What became of one class of the source."""

    source_id: int
    index: int
    """In the model."""
    name: str
    boxes: int
    """Objects in all splits, crowds included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetDescription:
    """A data set as it was found: nothing has been decoded, nothing changed."""

    place: Path
    """The file or folder that was read."""
    kind: Kind
    classes: ClassTable
    splits: Mapping[str, tuple[ImageRecord, ...]]
    """`train`, `val`, `test`; `all` where nothing says which."""
    findings: tuple[Finding, ...]
    """What was left out, is suspicious or worth knowing, in the order of reading."""

    def split(self, name: str) -> tuple[ImageRecord, ...]:
        """The images of a split.

        Raises:
            SourceError: there is none of that name, and why.
        """
        if name in self.splits:
            return self.splits[name]
        about = [f for f in self.findings if f.kind.startswith("split-") and repr(name) in f.cause]
        why = f" ({about[0]})" if about else nearest(name, self.splits)
        there = ", ".join(self.splits)
        raise SourceError(f"{self.place}: has no split {name!r}, only {there}{why}")

    def mapping(self) -> tuple[MappingRow, ...]:
        """Source id -> model index -> name of every class, and how often it occurs."""
        counts: Counter[int] = Counter()
        for records in self.splits.values():
            for record in records:
                counts.update(record.labels.classes.tolist())
        return tuple(
            MappingRow(self.classes.category_id(index), index, name, counts[index])
            for index, name in enumerate(self.classes.names)
        )

    @property
    def headline(self) -> str:
        """Kind, classes, images and boxes in one line."""
        words = {"yolo": "YOLO", "coco": "COCO", "voc": "Pascal VOC"}
        parts = [
            f"{split} {count(len(records), 'image')} with "
            f"{count(sum(len(record.labels) for record in records), 'box')}"
            for split, records in self.splits.items()
        ]
        classes = count(len(self.classes), "class")
        return f"{self.place}: {words[self.kind]}, {classes}; {'; '.join(parts)}"
