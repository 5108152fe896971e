"""Precision and recall as the confidence varies, and the confidence that serves a class best.

Here a detection is right if it stands for an object at an overlap of 0.5 in COCO's matching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from gelan.evaluate.average_precision import Ranking

CONFIDENCES = tuple(number / 100 for number in range(101))
"""Where the curves over confidence are given."""
_DIGITS = 4
"""Of the values of curves: enough for any drawing, and reports stay small."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatingPoint:
    """What a class gets if detections with scores above `confidence` are kept.

    As everywhere in the package, scores strictly greater are kept, compared in float32.
    """

    confidence: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfidenceCurve:
    """Figures at each of `CONFIDENCES`, to 4 decimals."""

    precision: tuple[float | None, ...]
    """None where nothing is kept."""
    recall: tuple[float, ...]
    f1: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassCurves:
    """The curves of one class, at an overlap of 0.5."""

    precision_recall: tuple[float, ...]
    """Precision at recalls of 0.00, 0.01 ... 1.00, to 4 decimals."""
    by_confidence: ConfidenceCurve


@dataclass(frozen=True, slots=True)
class Scored:
    """Detections that count, best first, and which of them are right."""

    scores: Float64[np.ndarray, " n"]
    hits: Bool[np.ndarray, " n"]
    num_objects: int
    """How many objects should be found; at least one."""

    @classmethod
    def of(cls, ranked: Sequence[Ranking]) -> Scored:
        """Those of some classes together, at the first overlap of the rankings."""
        counted = [~ranking.ignored[0] for ranking in ranked]
        pairs = list(zip(ranked, counted, strict=True))
        scores = np.concatenate([ranking.scores[mask] for ranking, mask in pairs])
        hits = np.concatenate([ranking.hits[0, mask] for ranking, mask in pairs])
        order = np.argsort(-scores, kind="stable")
        num_objects = sum(len(ranking.object_images) for ranking in ranked)
        return cls(scores[order], hits[order], num_objects)

    def at(self, kept: Int64[np.ndarray, " m"]) -> tuple[Float64[np.ndarray, " m"], ...]:
        """Precision (NaN of nothing), recall and F1 of the first `kept` detections."""
        found = np.concatenate([[0], np.cumsum(self.hits)])[kept]
        with np.errstate(invalid="ignore"):
            precision = found / kept
        return precision, found / self.num_objects, 2 * found / (kept + self.num_objects)


def best_point(scored: Scored, *, precision_floor: float | None = None) -> OperatingPoint | None:
    """The confidence of the greatest F1; with a floor, of the greatest recall that keeps to it.

    Of equals the highest confidence. The number lies between two scores and is as short as they
    allow. None if nothing right is found (above the floor).

    >>> scored = Scored(np.array([0.9, 0.8, 0.3, 0.2]), np.array([True, True, False, True]), 4)
    >>> best_point(scored)
    OperatingPoint(confidence=0.1, precision=0.75, recall=0.75, f1=0.75)
    >>> best_point(scored, precision_floor=0.9)
    OperatingPoint(confidence=0.6, precision=1.0, recall=0.5, f1=0.6666666666666666)
    """
    if not scored.hits.any():
        return None
    following = np.append(scored.scores[1:], 0.0)
    kept = np.flatnonzero(scored.scores > following) + 1  # cuts between different scores only
    precision, recall, f1 = scored.at(kept)
    goal = f1 if precision_floor is None else np.where(precision >= precision_floor, recall, 0)
    best = int(np.argmax(goal))
    if goal[best] == 0:
        return None
    last = kept[best] - 1
    return OperatingPoint(
        confidence=_between(float(following[last]), float(scored.scores[last])),
        precision=float(precision[best]),
        recall=float(recall[best]),
        f1=float(f1[best]),
    )


def _between(low: float, high: float) -> float:
    """A short number near the middle that keeps `high` and drops `low`, in float32.

    >>> _between(0.2137, 0.2284), _between(0.0, 0.0005)
    (0.22, 0.0)
    """
    middle = (low + high) / 2
    for digits in range(1, 10):
        rounded = round(middle, digits)
        if np.float32(low) <= np.float32(rounded) < np.float32(high):
            return rounded
    return low


def confidence_curve(scored: Scored) -> ConfidenceCurve:
    """Precision, recall and F1 if detections above each of `CONFIDENCES` are kept."""
    kept = _number_above(scored.scores, np.array(CONFIDENCES, np.float32))
    precision, recall, f1 = scored.at(kept)
    return ConfidenceCurve(
        precision=tuple(None if np.isnan(value) else rounded(value) for value in precision),
        recall=tuple(map(rounded, recall)),
        f1=tuple(map(rounded, f1)),
    )


def _number_above(
    falling: Float64[np.ndarray, " n"], limits: Float32[np.ndarray, " m"]
) -> Int64[np.ndarray, " m"]:
    return len(falling) - np.searchsorted(falling[::-1].astype(np.float32), limits, side="right")


def rounded(value: float) -> float:
    """A value of a curve, to 4 decimals."""
    return round(float(value), _DIGITS)
