"""What was found beside what is there: for one image, and for all images in flat arrays.

All figures are computed from the flat arrays. Boxes there are xyxy in float64, because overlaps
are to be those of the COCO tools to the last bit, and those compute in double precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from gelan.errors import ConfigError
from gelan.structures.classes import ClassTable
from gelan.structures.detections import Detections
from gelan.structures.samples import Annotations


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One image: what was found, and what is there. Boxes of both are in its own pixels."""

    detections: Detections
    annotations: Annotations

    @property
    def source(self) -> str:
        """Path or name of the image."""
        return self.detections.source


@dataclass(frozen=True, kw_only=True, slots=True)
class PooledDetections:
    """The detections of all images, image after image, best first in each (equals as given)."""

    images: Int64[np.ndarray, " n"]
    """Which image each is in."""
    boxes: Float64[np.ndarray, "n 4"]
    scores: Float64[np.ndarray, " n"]
    classes: Int64[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PooledObjects:
    """The true objects of all images, image after image, in the order given."""

    images: Int64[np.ndarray, " n"]
    """Which image each is in."""
    boxes: Float64[np.ndarray, "n 4"]
    classes: Int64[np.ndarray, " n"]
    crowd: Bool[np.ndarray, " n"]
    areas: Float64[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """All images of an evaluation."""

    sources: tuple[str, ...]
    num_classes: int
    detections: PooledDetections
    objects: PooledObjects

    def num_objects(self) -> Int64[np.ndarray, " classes"]:
        """How many objects each class has, crowds left out."""
        single = self.objects.classes[~self.objects.crowd]
        return np.bincount(single, minlength=self.num_classes).astype(np.int64)

    def above(self, confidence: float) -> Bool[np.ndarray, " detections"]:
        """Which detections have a score strictly greater, compared in float32 as in prediction."""
        return self.detections.scores.astype(np.float32) > np.float32(confidence)


def pool(results: Sequence[ImageResult], classes: ClassTable) -> Pool:
    """Flat arrays of all images, checked.

    Raises:
        ConfigError: there is no image, the network's classes are not `classes`, or an object is of
            a class that does not exist.
        ValueError: a box or a score is not a finite number.
    """
    if not results:
        raise ConfigError("there are no images to evaluate; check the data set and its split")
    for result in results:
        _check(result, classes)
    return Pool(
        sources=tuple(result.source for result in results),
        num_classes=len(classes),
        detections=_pooled_detections([result.detections for result in results]),
        objects=_pooled_objects([result.annotations for result in results]),
    )


def _check(result: ImageResult, classes: ClassTable) -> None:
    found, truth = result.detections, result.annotations
    if len(found) and found.names != classes.names:
        raise ConfigError(f"{result.source}: {_first_difference(found.names, classes.names)}")
    for what, indices in (("a detection", found.classes), ("an object", truth.classes)):
        outside = indices[(indices < 0) | (indices >= len(classes))]
        if len(outside):
            raise ConfigError(
                f"{result.source}: {what} has class {outside[0]}, which is outside "
                f"0..{len(classes) - 1}; check the class names of the data set"
            )
    numbers = (found.boxes, found.scores, truth.boxes, truth.areas)
    if not all(np.isfinite(part).all() for part in numbers):
        raise ValueError(f"{result.source}: boxes, scores and areas must be finite numbers")


def _first_difference(found: Sequence[str], wanted: Sequence[str]) -> str:
    remedy = "evaluate with the class names, in the order, that the network was trained with"
    if len(found) != len(wanted):
        return f"the network has {len(found)} classes, the data set {len(wanted)}; {remedy}"
    index = next(i for i, pair in enumerate(zip(found, wanted, strict=True)) if pair[0] != pair[1])
    return (
        f"class {index} is {found[index]!r} for the network and {wanted[index]!r} in the data "
        f"set; {remedy}"
    )


def _pooled_detections(found: Sequence[Detections]) -> PooledDetections:
    images = _image_numbers([len(detections) for detections in found])
    scores = np.concatenate([detections.scores for detections in found]).astype(np.float64)
    order = np.lexsort((-scores, images))  # stable: equal scores stay as given
    boxes = np.concatenate([detections.boxes for detections in found]).astype(np.float64)
    classes = np.concatenate([detections.classes for detections in found]).astype(np.int64)
    return PooledDetections(
        images=images, boxes=boxes[order], scores=scores[order], classes=classes[order]
    )


def _pooled_objects(truths: Sequence[Annotations]) -> PooledObjects:
    return PooledObjects(
        images=_image_numbers([len(truth) for truth in truths]),
        boxes=np.concatenate([truth.boxes for truth in truths]).astype(np.float64),
        classes=np.concatenate([truth.classes for truth in truths]),
        crowd=np.concatenate([truth.crowd for truth in truths]),
        areas=np.concatenate([truth.areas for truth in truths]).astype(np.float64),
    )


def _image_numbers(counts: Sequence[int]) -> Int64[np.ndarray, " n"]:
    return np.repeat(np.arange(len(counts), dtype=np.int64), counts)
