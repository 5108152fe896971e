"""Images in memory whose objects are painted in colours of their own, so that a test can find them.

Every image has one object; image i paints it in colour i % 6 and calls that its class. All else is
black. Colours differ in which channels are bright, so a pixel tells its object at half coverage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from gelan.structures.samples import Annotations, Sample

COLOURS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1))


@dataclass
class Painted:
    """A source of `count` images of different sizes."""

    count: int
    kind: Literal["boxes", "outlines", "crowds"] = "boxes"
    largest: int = 120
    loads: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        return self.load(index, at_most=self.largest)

    def load(self, index: int, *, at_most: int) -> Sample:
        """The image, shrunk if it must be."""
        self.loads.append(index)
        random = np.random.default_rng(index)
        width, height = random.integers(self.largest // 2, self.largest + 1, 2).tolist()
        scale = min(1.0, at_most / max(width, height))
        width, height = int(width * scale), int(height * scale)
        image = np.zeros((height, width, 3), np.uint8)
        x1, y1 = random.integers(0, (width // 3, height // 3)).tolist()
        x2, y2 = random.integers((width * 2 // 3, height * 2 // 3), (width, height)).tolist()
        colour = tuple(255 * bright for bright in COLOURS[index % 6])
        if self.kind == "outlines":
            tips = np.array([[x1, y1], [x2, (y1 + y2) / 2], [(x1 + x2) / 2, y2]], np.float32)
            notch = tips.mean(axis=0) + random.uniform(-1, 1, 2) * (tips[2] - tips[0]) / 8
            outline = np.concatenate([tips, [notch]]).astype(np.float32)
            image = (coverage((outline,), (height, width))[..., None] * colour).astype(np.uint8)
            box = [*outline.min(axis=0).tolist(), *outline.max(axis=0).tolist()]
            polygons: tuple[tuple[NDArray[np.float32], ...], ...] = ((outline,),)
        else:
            image[y1:y2, x1:x2] = colour
            box, polygons = [float(x1), float(y1), float(x2), float(y2)], ((),)
        found = Annotations.of_boxes([box], [index % 6])
        annotations = Annotations(
            boxes=found.boxes,
            classes=found.classes,
            crowd=np.array([self.kind == "crowds"]),
            areas=found.areas,
            polygons=polygons,
        )
        return Sample(image=image, annotations=annotations, source=f"{index}.png")


def coverage(
    outline: tuple[NDArray[np.float32], ...], size_hw: tuple[int, int]
) -> NDArray[np.float64]:
    """The share of each pixel inside an outline, from a mask of eight times the size."""
    fine = np.zeros((size_hw[0] * 8, size_hw[1] * 8), np.uint8)
    for polygon in outline:
        cv2.fillPoly(fine, [np.rint(polygon * 8 - 0.5).astype(np.int32)], 255)
    return np.asarray(fine.reshape(size_hw[0], 8, size_hw[1], 8).mean(axis=(1, 3)) / 255)


def painted_in(image: NDArray[np.uint8], number: int) -> NDArray[np.bool_]:
    """Which pixels have the colour of a class, mostly."""
    return np.asarray(((image >= 128) == np.array(COLOURS[number], bool)).all(axis=-1))


def bounds(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The box around the pixels of a mask that holds some."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float64)
