"""Which classes are taken for which.

Detections above a confidence and objects are matched one to one: the greatest overlap of all
chooses first, whatever the classes (of equal overlaps the better score). So an object has one
answer: that of the box which fits it best. What stays alone is counted against the background.
Crowds are left out, and so is a detection that no object takes and that lies in a crowd of its own
class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from gelan.evaluate.matching import Overlaps, one_to_one
from gelan.evaluate.results import Pool


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfusionMatrix:
    """`counts[truth][found]`; the last row and the last column are the background.

    A last row holds what was found where nothing is; a last column what was not found.
    """

    counts: tuple[tuple[int, ...], ...]
    confidence: float
    """Only detections with a score above it count."""
    iou: float
    """The least overlap of a detection and the object that it stands for."""

    def confused(self) -> tuple[tuple[int, int, int], ...]:
        """Truth, what it was taken for, and how often: two different classes, most frequent first.

        >>> matrix = ConfusionMatrix(
        ...     counts=((5, 1, 2), (3, 4, 0), (1, 1, 0)), confidence=0.25, iou=0.5
        ... )
        >>> matrix.confused()
        ((1, 0, 3), (0, 1, 1))
        """
        counts = np.array(self.counts)[:-1, :-1]
        np.fill_diagonal(counts, 0)
        truth, found = np.nonzero(counts)
        cells = zip(truth.tolist(), found.tolist(), counts[truth, found].tolist(), strict=True)
        return tuple(sorted(cells, key=lambda cell: (-cell[2], cell[:2])))


def confusion_matrix(
    pool: Pool, pairs: Overlaps, *, confidence: float, iou: float
) -> ConfusionMatrix:
    """The matrix of all images. `pairs` must hold all that overlap by `iou` or more."""
    confident = pool.above(confidence)
    fitting = pairs.where((pairs.ious >= iou) & confident[pairs.detections])
    crowd = pool.objects.crowd[fitting.objects]
    chosen = one_to_one(fitting.where(~crowd))  # in an image, the best score stands first
    alone = confident & ~_in_crowd(pool, fitting.where(crowd))
    alone[chosen.detections] = False
    missed = ~pool.objects.crowd
    missed[chosen.objects] = False

    background = pool.num_classes
    counts = np.zeros((background + 1, background + 1), np.int64)
    found, truth = pool.detections.classes, pool.objects.classes
    np.add.at(counts, (truth[chosen.objects], found[chosen.detections]), 1)
    counts[background, :-1] = _count(found[alone], background)
    counts[:-1, background] = _count(truth[missed], background)
    return ConfusionMatrix(
        counts=tuple(tuple(row) for row in counts.tolist()), confidence=confidence, iou=iou
    )


def _in_crowd(pool: Pool, pairs: Overlaps) -> Bool[np.ndarray, " detections"]:
    """Which detections lie in a crowd of their own class."""
    own = pool.detections.classes[pairs.detections] == pool.objects.classes[pairs.objects]
    lies = np.zeros(len(pool.detections.images), np.bool_)
    lies[pairs.detections[own]] = True
    return lies


def _count(classes: Int64[np.ndarray, " n"], num_classes: int) -> Int64[np.ndarray, " classes"]:
    return np.bincount(classes, minlength=num_classes)
