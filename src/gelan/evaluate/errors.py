"""What kinds of errors there are, what each costs, and which images have most of them.

The kinds, thresholds and the way of costing are those of TIDE (Bolya, Foley, Hays and Hoffman, "A
General Toolbox for Identifying Object Detection Errors", ECCV 2020). A detection that is not right
(at an overlap of 0.5, in COCO's matching) is of the first of these kinds that fits; the paper
leaves open which comes first.

* duplicate: it overlaps an object of its class by 0.5 or more, which a better one has found;
* classification: it overlaps an object of another class by 0.5 or more;
* localisation: it overlaps an object of its class by 0.1 to 0.5;
* both: it overlaps an object of another class by 0.1 to 0.5;
* background: it overlaps nothing by 0.1.

An object is missed if nothing found it, and no classification or localisation error points at it.
Crowds are no objects, and what COCO ignores inside them is no error.

The cost of a kind is how much AP50 would gain if its errors alone were put right: a classification
error gets the right class and a localisation error the right box, where of several on one object
only the best stays; both, duplicates and background vanish; objects that were missed are asked for
no more. Costs do not add up, since one error hides another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Float64, Int64

from gelan.evaluate.average_precision import interpolated, mean_over_classes
from gelan.evaluate.matching import NONE, Matches, Overlaps
from gelan.evaluate.results import Pool

FOREGROUND_IOU = 0.5
"""Overlap from which a box is in the right place (t_f of the paper)."""
BACKGROUND_IOU = 0.1
"""Overlap below which a box has nothing to do with an object (t_b of the paper)."""

ErrorKind = Literal["classification", "localisation", "both", "duplicate", "background", "missed"]
KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)
"""In the order of the paper."""
_CLASSIFICATION, _LOCALISATION, _BOTH, _DUPLICATE, _BACKGROUND, _ = range(len(KINDS))
RIGHT, IGNORED = -1, -2
"""Stand for "no error" where positions in `KINDS` are listed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorCost:
    """How frequent and how expensive one kind of error is."""

    kind: ErrorKind
    count: int
    """Among all detections, most of which have very low scores."""
    confident: int
    """If only detections above the confidence are kept: what a user sees."""
    ap50_cost: float | None
    """AP50 that is gained if these errors alone are put right; None without objects."""


class Verdicts(NamedTuple):
    """What is to be said of every detection."""

    kinds: Int64[np.ndarray, " detections"]
    """Position in `KINDS` of what is wrong; `RIGHT`; or `IGNORED`."""
    objects: Int64[np.ndarray, " detections"]
    """The object that it found, or that its error has to do with; `NONE` for the background."""
    ious: Float64[np.ndarray, " detections"]
    """Overlap of an error with that object."""

    @property
    def right(self) -> Bool[np.ndarray, " detections"]:
        """Which stand for an object."""
        return np.asarray(self.kinds == RIGHT)

    @property
    def wrong(self) -> Bool[np.ndarray, " detections"]:
        """Which are errors."""
        return np.asarray(self.kinds >= 0)


def verdicts(pool: Pool, pairs: Overlaps, matches: Matches) -> Verdicts:
    """What is right and what is wrong, by the first threshold of `matches`, which must be 0.5.

    `pairs` must hold all that overlap by `BACKGROUND_IOU` or more.
    """
    pairs = pairs.where(~pool.objects.crowd[pairs.objects] & (pairs.ious >= BACKGROUND_IOU))
    own = pool.detections.classes[pairs.detections] == pool.objects.classes[pairs.objects]
    near = pairs.ious >= FOREGROUND_IOU
    matched, counted = matches.objects[0], matches.counted[0]
    kinds = np.full(len(matched), _BACKGROUND)
    objects, ious = np.full(len(matched), NONE), np.zeros(len(matched))
    # The kind that comes first is written last.
    for kind, fits in (
        (_BOTH, ~own & ~near),
        (_LOCALISATION, own & ~near),
        (_CLASSIFICATION, ~own & near),
        (_DUPLICATE, own & near),
    ):
        best = _greatest_last(pairs.where(fits))
        kinds[best.detections] = kind
        objects[best.detections], ious[best.detections] = best.objects, best.ious
    right = matched != NONE
    kinds[right], objects[right] = RIGHT, matched[right]
    kinds[~counted] = IGNORED
    return Verdicts(kinds, objects, ious)


def _greatest_last(pairs: Overlaps) -> Overlaps:
    """In rising overlap, so that of several written to one place the greatest stays."""
    order = np.argsort(pairs.ious, kind="stable")
    return Overlaps(*(column[order] for column in pairs))


def missed_objects(
    pool: Pool, judged: Verdicts, *, kept: Bool[np.ndarray, " detections"]
) -> Bool[np.ndarray, " objects"]:
    """Which objects nobody saw, if only some of the detections are kept, the best.

    A detection with a lower score has no part in their matches, so these need not be made anew.
    """
    seen = judged.right | (judged.kinds == _CLASSIFICATION) | (judged.kinds == _LOCALISATION)
    missed = ~pool.objects.crowd
    missed[judged.objects[kept & seen]] = False
    return missed


def error_costs(pool: Pool, judged: Verdicts, *, confidence: float) -> tuple[ErrorCost, ...]:
    """Count and AP50 cost of each kind, in the order of `KINDS`."""
    everything = np.ones(len(judged.kinds), np.bool_)
    missed = missed_objects(pool, judged, kept=everything)
    confident = pool.above(confidence)
    counts = _counts(judged.kinds, missed)
    counts_then = _counts(judged.kinds[confident], missed_objects(pool, judged, kept=confident))
    costs = _costs(pool, judged, missed)
    return tuple(
        ErrorCost(kind=kind, count=count, confident=count_then, ap50_cost=cost)
        for kind, count, count_then, cost in zip(KINDS, counts, counts_then, costs, strict=True)
    )


def _counts(kinds: Int64[np.ndarray, " n"], missed: Bool[np.ndarray, " objects"]) -> list[int]:
    of_detections = [int(np.count_nonzero(kinds == kind)) for kind in range(len(KINDS) - 1)]
    return [*of_detections, int(np.count_nonzero(missed))]


class _Claims(NamedTuple):
    """What the detections say, best score first, as it is or as it would be."""

    order: Int64[np.ndarray, " n"]
    """Positions of the detections."""
    classes: Int64[np.ndarray, " n"]
    objects: Int64[np.ndarray, " n"]
    """The object that each stands for, or `NONE`."""
    kept: Bool[np.ndarray, " n"]

    @classmethod
    def of(cls, pool: Pool, judged: Verdicts) -> _Claims:
        order = np.argsort(-pool.detections.scores, kind="stable")
        objects = np.where(judged.right, judged.objects, NONE)
        kept = judged.kinds != IGNORED
        return cls(order, pool.detections.classes[order], objects[order], kept[order])

    def without(self, errors: Bool[np.ndarray, " detections"]) -> _Claims:
        return self._replace(kept=self.kept & ~errors[self.order])

    def corrected(
        self, errors: Bool[np.ndarray, " detections"], judged: Verdicts, pool: Pool
    ) -> _Claims:
        """With these on the objects that they have to do with, each of which keeps its best."""
        mended = errors[self.order]
        objects = np.where(mended, judged.objects[self.order], self.objects)
        claimants = np.flatnonzero(self.kept & (objects != NONE))
        _, first = np.unique(objects[claimants], return_index=True)
        kept = self.kept.copy()
        kept[np.delete(claimants, first)] = False
        classes = self.classes.copy()
        classes[mended] = pool.objects.classes[objects[mended]]
        return _Claims(self.order, classes, objects, kept)

    def ap(self, num_objects: Int64[np.ndarray, " classes"]) -> Float64[np.ndarray, " classes"]:
        """AP50 of each class; NaN of one without objects."""
        classes, hits = self.classes[self.kept], self.objects[self.kept] != NONE
        order = np.argsort(classes, kind="stable")
        starts = np.searchsorted(classes[order], np.arange(1, len(num_objects)))
        result = np.empty(len(num_objects))
        for index, of_class in enumerate(np.split(hits[order], starts)):
            seen = np.flatnonzero(of_class)[:, None] + 1
            found = np.arange(1, len(seen) + 1)[:, None]
            result[index] = interpolated(found, seen, num_objects[index : index + 1])[0]
        return result


def _costs(
    pool: Pool, judged: Verdicts, missed: Bool[np.ndarray, " objects"]
) -> list[float | None]:
    num_objects = pool.num_objects()
    claims = _Claims.of(pool, judged)
    base = float(mean_over_classes(claims.ap(num_objects)))
    if np.isnan(base):
        return [None] * len(KINDS)
    of_kind = [judged.kinds == kind for kind in range(len(KINDS) - 1)]
    mended = [
        claims.corrected(of_kind[_CLASSIFICATION], judged, pool),
        claims.corrected(of_kind[_LOCALISATION], judged, pool),
        claims.without(of_kind[_BOTH]),
        claims.without(of_kind[_DUPLICATE]),
        claims.without(of_kind[_BACKGROUND]),
    ]
    ap = [claim.ap(num_objects) for claim in mended]
    ap.append(_ap_without_missed(claims, pool, missed))
    return [float(mean_over_classes(values)) - base for values in ap]


def _ap_without_missed(
    claims: _Claims, pool: Pool, missed: Bool[np.ndarray, " objects"]
) -> Float64[np.ndarray, " classes"]:
    """AP50 if missed objects did not exist; 1 for a class of which then nothing is left to find."""
    asked = pool.num_objects()
    left = asked - np.bincount(pool.objects.classes[missed], minlength=pool.num_classes)
    return np.where((asked > 0) & (left == 0), 1.0, claims.ap(left))
