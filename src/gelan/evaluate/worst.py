"""The images with the worst errors, and each error in them, ready to be drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from gelan.evaluate.errors import KINDS, ErrorKind, Verdicts, missed_objects
from gelan.evaluate.matching import NONE
from gelan.evaluate.results import Pool

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the original image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorCase:
    """One error. Classes are indices into the class table."""

    kind: ErrorKind
    box: Box | None
    """What was found; None for a missed object."""
    found_class: int | None
    score: float | None
    truth_box: Box | None
    """The object that it has to do with; None for the background."""
    truth_class: int | None
    iou: float
    """Overlap of the two; 0 where there is only one."""

    @property
    def weight(self) -> float:
        """How bad it is: the score of what is wrong, 1 for an object that was missed."""
        return 1.0 if self.score is None else self.score


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageErrors:
    """The errors in one image, heaviest first."""

    source: str
    weight: float
    """Sum over the errors."""
    num_objects: int
    """Without crowds."""
    errors: tuple[ErrorCase, ...]


def worst_images(
    pool: Pool, judged: Verdicts, *, confidence: float, limit: int
) -> tuple[ImageErrors, ...]:
    """At most `limit` images, heaviest first, with what is wrong above the confidence.

    An image without errors is never among them.
    """
    kept = pool.above(confidence)
    wrong, missed = kept & judged.wrong, missed_objects(pool, judged, kept=kept)
    counts = np.bincount(pool.objects.images[missed], minlength=len(pool.sources))
    weights = counts + np.bincount(
        pool.detections.images[wrong],
        weights=pool.detections.scores[wrong],
        minlength=len(pool.sources),
    )
    single = pool.objects.images[~pool.objects.crowd]
    return tuple(
        ImageErrors(
            source=pool.sources[image],
            weight=float(weights[image]),
            num_objects=int(np.count_nonzero(single == image)),
            errors=_cases(pool, judged, wrong=wrong, missed=missed, image=image),
        )
        for image in np.argsort(-weights, kind="stable")[:limit].tolist()
        if weights[image] > 0
    )


def _cases(
    pool: Pool,
    judged: Verdicts,
    *,
    wrong: Bool[np.ndarray, " detections"],
    missed: Bool[np.ndarray, " objects"],
    image: int,
) -> tuple[ErrorCase, ...]:
    found = np.flatnonzero(wrong & (pool.detections.images == image)).tolist()
    unseen = np.flatnonzero(missed & (pool.objects.images == image)).tolist()
    cases = [_wrong(pool, judged, position) for position in found]
    cases += [_missed(pool, position) for position in unseen]
    return tuple(sorted(cases, key=lambda case: -case.weight))


def _wrong(pool: Pool, judged: Verdicts, position: int) -> ErrorCase:
    target = int(judged.objects[position])
    known = target != NONE
    return ErrorCase(
        kind=KINDS[judged.kinds[position]],
        box=_box(pool.detections.boxes[position]),
        found_class=int(pool.detections.classes[position]),
        score=float(pool.detections.scores[position]),
        truth_box=_box(pool.objects.boxes[target]) if known else None,
        truth_class=int(pool.objects.classes[target]) if known else None,
        iou=float(judged.ious[position]),
    )


def _missed(pool: Pool, position: int) -> ErrorCase:
    return ErrorCase(
        kind="missed",
        box=None,
        found_class=None,
        score=None,
        truth_box=_box(pool.objects.boxes[position]),
        truth_class=int(pool.objects.classes[position]),
        iou=0.0,
    )


def _box(corners: Float64[np.ndarray, " 4"]) -> Box:
    left, top, right, bottom = corners.tolist()
    return left, top, right, bottom
