"""Images made up for tests of evaluation: what is there, and what was found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gelan.evaluate.results import ImageResult
from gelan.structures.classes import ClassTable
from gelan.structures.detections import Detections
from gelan.structures.samples import Annotations

NAMES = ("cat", "dog", "car")
CLASSES = ClassTable(NAMES)
Box = tuple[float, float, float, float]
Found = tuple[Box, int, float]
"""Box, class, score."""
Object = tuple[Box, int]
"""Box, class."""


def image(
    objects: Sequence[Object],
    found: Sequence[Found],
    *,
    crowds: Sequence[Object] = (),
    source: str = "a.jpg",
    names: tuple[str, ...] = NAMES,
) -> ImageResult:
    """One image; crowds come after the objects."""
    there = [*objects, *crowds]
    annotations = Annotations.of_boxes([box for box, _ in there], [kind for _, kind in there])
    crowd = np.arange(len(there)) >= len(objects)
    return ImageResult(
        Detections(
            boxes=np.array([box for box, _, _ in found], np.float32).reshape(-1, 4),
            scores=np.array([score for _, _, score in found], np.float32),
            classes=np.array([kind for _, kind, _ in found], np.int64),
            names=names,
            size_hw=(100, 100),
            source=source,
        ),
        Annotations(
            boxes=annotations.boxes,
            classes=annotations.classes,
            crowd=crowd,
            areas=annotations.areas,
            polygons=annotations.polygons,
        ),
    )


def random_images(
    seed: int,
    count: int,
    *,
    num_classes: int = 5,
    objects: float = 6,
    found: int = 30,
    coarse: bool = False,
) -> tuple[list[ImageResult], ClassTable]:
    """Objects of all sizes, crowds, empty images, and detections good and bad.

    `coarse` puts boxes and scores on a grid, which makes ties of overlap and of score. Some
    classes may have no objects, or no detections.
    """
    random = np.random.default_rng(seed)
    classes = ClassTable(tuple(f"kind {number}" for number in range(num_classes)))
    likely = random.dirichlet(np.full(num_classes, 0.7))
    results = [
        _random_image(random, likely, names=classes.names, means=(objects, found), coarse=coarse)
        for _ in range(count)
    ]
    return [
        ImageResult(_named(result.detections, f"{number}.jpg"), result.annotations)
        for number, result in enumerate(results)
    ], classes


def _named(found: Detections, source: str) -> Detections:
    return Detections(
        boxes=found.boxes,
        scores=found.scores,
        classes=found.classes,
        names=found.names,
        size_hw=found.size_hw,
        source=source,
    )


def _random_image(
    random: np.random.Generator,
    likely: NDArray[np.float64],
    *,
    names: tuple[str, ...],
    means: tuple[float, int],
    coarse: bool,
) -> ImageResult:
    there = int(random.poisson(means[0])) if random.random() > 0.1 else 0
    top_left = random.uniform(0, 400, (there, 2))
    sizes = np.exp(random.uniform(2, 5.5, (there, 2)))
    boxes = np.concatenate([top_left, top_left + sizes], axis=1)
    kinds = random.choice(len(names), there, p=likely)
    found = means[1] if there and random.random() > 0.1 else 0
    which = random.integers(0, max(there, 1), found)
    noise = random.normal(0, random.choice([0.05, 0.2, 0.8], (found, 1)), (found, 4))
    moved = boxes[which] + noise * np.tile(sizes[which], 2) if found else np.zeros((0, 4))
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    guesses = np.where(
        random.random(found) < 0.8,
        kinds[which] if found else 0,
        random.choice(len(names), found, p=likely),
    )
    scores = random.uniform(0.001, 1, found)
    if coarse:
        boxes, moved, scores = (
            np.round(boxes / 16) * 16,
            np.round(moved / 16) * 16,
            scores.round(1),
        )
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return ImageResult(
        Detections(
            boxes=moved.astype(np.float32),
            scores=scores.astype(np.float32),
            classes=guesses.astype(np.int64),
            names=names,
            size_hw=(640, 640),
        ),
        Annotations(
            boxes=boxes.astype(np.float32),
            classes=kinds.astype(np.int64),
            crowd=random.random(there) < 0.1,
            areas=(areas * random.uniform(0.4, 1, there)).astype(np.float32),
            polygons=((),) * there,
        ),
    )
