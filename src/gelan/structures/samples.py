"""Ground truth in numpy: what is in an image, and the image with it.

Boxes are x1, y1, x2, y2 in pixels of the image that their structure names; a pixel covers
[i, i + 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, Integer, UInt8

Polygons = tuple[Float32[np.ndarray, "_ 2"], ...]
"""The outlines of one object, x and y of their corners; several where it is cut in parts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotations:
    """The objects in one image.

    >>> found = Annotations.of_boxes([[0, 0, 4, 2]], [1])
    >>> len(found), found.areas.tolist(), found.crowd.tolist(), found.polygons
    (1, [8.0], [False], ((),))
    """

    boxes: Float32[np.ndarray, "n 4"]
    classes: Int64[np.ndarray, " n"]
    """0 .. number of classes - 1."""
    crowd: Bool[np.ndarray, " n"]
    """Regions of many objects: not learnt from, special to COCO evaluation."""
    areas: Float32[np.ndarray, " n"]
    """Square pixels of the object itself, where its outline is known; else of its box."""
    polygons: tuple[Polygons, ...]
    """Outlines of each object; empty where unknown."""

    def __post_init__(self) -> None:
        counts = (self.boxes, self.classes, self.crowd, self.areas, self.polygons)
        lengths = {len(part) for part in counts}
        if len(lengths) > 1:
            raise ValueError(
                f"the parts of annotations must be equally long, got {sorted(lengths)}"
            )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(
        self, index: slice | Bool[np.ndarray, " n"] | Integer[np.ndarray, " m"]
    ) -> Annotations:
        """The objects chosen by a slice, a mask or an array of positions."""
        chosen = np.arange(len(self))[index]
        return Annotations(
            boxes=self.boxes[chosen],
            classes=self.classes[chosen],
            crowd=self.crowd[chosen],
            areas=self.areas[chosen],
            polygons=tuple(self.polygons[number] for number in chosen),
        )

    @classmethod
    def of_boxes(
        cls,
        boxes: Sequence[Sequence[float | int]] | Float32[np.ndarray, "n 4"],
        classes: Sequence[int] | Integer[np.ndarray, " n"],
    ) -> Annotations:
        """Objects of which only boxes and classes are known; none is a crowd."""
        array = np.asarray(boxes, np.float32).reshape(-1, 4)
        return cls(
            boxes=array,
            classes=np.asarray(classes, np.int64).reshape(-1),
            crowd=np.zeros(len(array), bool),
            areas=(array[:, 2] - array[:, 0]) * (array[:, 3] - array[:, 1]),
            polygons=((),) * len(array),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """An image with what is in it."""

    image: UInt8[np.ndarray, "height width 3"]
    """RGB, 0 to 255."""
    annotations: Annotations
    """In pixels of `image`."""
    source: str
    """Path or name, for messages and outputs."""
