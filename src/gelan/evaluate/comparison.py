"""Whether one network is better than another, or the test set too small to tell.

Both are evaluated on the same images. How hard the drawn images are hits both alike, so the
difference of the two in each drawing varies much less than either does (a paired bootstrap).
Equally good networks were told apart in 6 % (128 images) and 7 % (1000) of the cases where 5 % are
meant (`benchmarks/evaluation.py --simulate`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int32

from gelan.errors import ConfigError
from gelan.evaluate.average_precision import rankings
from gelan.evaluate.coco import class_precision, coco_arrays, headline
from gelan.evaluate.intervals import (
    Interval,
    drawings,
    headline_replicas,
    interval,
    spread,
)
from gelan.evaluate.matching import IOU_THRESHOLDS, match, overlaps
from gelan.evaluate.results import ImageResult, Pool, pool
from gelan.evaluate.settings import EvaluationSettings
from gelan.structures.classes import ClassTable
from gelan.structures.samples import Annotations

COMPARISON = EvaluationSettings(replicas=500)
"""More drawings than for one report, since here they are what is asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One figure of two networks, A and B, on the same images."""

    figure: str
    """Its name: "AP"."""
    a: float | None
    b: float | None
    gain: float | None
    """A minus B."""
    interval: Interval | None
    """Of the gain; None of one image, or without objects."""
    p: float | None
    """Chance of so large a gain, either way, if the two were equally good."""

    def verdict(self, names: tuple[str, str] = ("A", "B")) -> str:
        """One sentence; figures in points of 100.

        >>> Difference(
        ...     figure="AP", a=0.45, b=0.438, gain=0.012, p=0.003,
        ...     interval=Interval(low=0.004, high=0.02, level=0.95),
        ... ).verdict()
        'A is better by 1.2 AP (95 % interval 0.4 to 2.0)'
        """
        if self.gain is None or self.interval is None:
            return f"no difference in {self.figure} can be told: the images say too little"
        low, high = self.interval.low, self.interval.high
        if low <= 0 <= high:
            said = _ends(low, high, self.interval.level)
            gain = f"{names[0]} minus {names[1]} is {_points(self.gain)} ({said})"
            return f"no difference in {self.figure} can be told: {gain}"
        better, ends = (names[0], (low, high)) if low > 0 else (names[1], (-high, -low))
        said = _ends(*ends, self.interval.level)
        return f"{better} is better by {_points(abs(self.gain))} {self.figure} ({said})"


def _ends(low: float, high: float, level: float) -> str:
    return f"{100 * level:g} % interval {_points(low)} to {_points(high)}"


def _points(share: float) -> str:
    """Of 100, to one decimal; never "-0.0"."""
    return f"{round(100 * share, 1) + 0.0:.1f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassDifference:
    """AP of one class for both; None where it has no objects."""

    name: str
    num_objects: int
    a: float | None
    b: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two networks on the same images."""

    num_images: int
    ap: Difference
    ap50: Difference
    classes: tuple[ClassDifference, ...]
    settings: EvaluationSettings


def compare(
    results_a: Iterable[ImageResult],
    results_b: Iterable[ImageResult],
    *,
    classes: ClassTable,
    settings: EvaluationSettings = COMPARISON,
) -> Comparison:
    """AP and AP50 of two networks on the same images, and whether their difference is real.

    Images are paired by `source`, so their order may differ.

    Raises:
        ConfigError: the images or the objects in them are not the same, classes do not fit, or
            the settings ask for fewer than 2 drawings.
        MissingDependencyError: hotcoco is not installed.
    """
    if settings.replicas < 2:
        raise ConfigError(f"replicas is {settings.replicas}; comparing takes at least 2 drawings")
    first = list(results_a)
    pools = pool(first, classes), pool(_paired(first, list(results_b)), classes)
    replicas = settings.replicas if len(first) > 1 else 1  # drawings of one image are all alike
    weights = drawings(len(first), replicas=replicas, seed=settings.seed)
    a, b = (_evaluated(pooled, weights, settings) for pooled in pools)
    counts = pools[0].num_objects().tolist()
    return Comparison(
        num_images=len(first),
        ap=_difference("AP", a.ap, b.ap, level=settings.level),
        ap50=_difference("AP50", a.ap50, b.ap50, level=settings.level),
        classes=tuple(
            ClassDifference(name=name, num_objects=count, a=ap_a, b=ap_b)
            for name, count, ap_a, ap_b in zip(
                classes.names, counts, a.classes, b.classes, strict=True
            )
        ),
        settings=settings,
    )


def _paired(first: Sequence[ImageResult], second: Sequence[ImageResult]) -> list[ImageResult]:
    """The second results in the order of the first."""
    by_source = {result.source: result for result in second}
    sources = [result.source for result in first]
    for name, listed in (("first", sources), ("second", [result.source for result in second])):
        twice = [source for source, count in Counter(listed).items() if count > 1]
        if twice:
            raise ConfigError(f"{twice[0]}: stands twice in the {name} results; name each once")
    for name, missing in (
        ("second", [source for source in sources if source not in by_source]),
        ("first", list(by_source.keys() - set(sources))),
    ):
        if missing:
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise ConfigError(
                f"{min(missing)}: absent from the {name} results{more}; evaluate both networks on "
                "the same images"
            )
    for result in first:
        if not _same_objects(result.annotations, by_source[result.source].annotations):
            raise ConfigError(
                f"{result.source}: the objects in it differ between the two results; evaluate "
                "both networks with the same labels"
            )
    return [by_source[source] for source in sources]


def _same_objects(one: Annotations, other: Annotations) -> bool:
    return all(
        np.array_equal(part, other_part)
        for part, other_part in (
            (one.boxes, other.boxes),
            (one.classes, other.classes),
            (one.crowd, other.crowd),
        )
    )


class _Drawn(NamedTuple):
    """A figure, and its value in each drawing (none of a single image)."""

    figure: float | None
    replicas: Float64[np.ndarray, " replicas"]


class _Evaluated(NamedTuple):
    ap: _Drawn
    ap50: _Drawn
    classes: list[float | None]


def _evaluated(
    pooled: Pool, weights: Int32[np.ndarray, "images replicas"], settings: EvaluationSettings
) -> _Evaluated:
    limit = settings.max_detections
    arrays = coco_arrays(pooled, max_detections=limit)
    figures = headline(arrays, pooled, max_detections=limit)
    pairs = overlaps(pooled, at_least=float(IOU_THRESHOLDS[0]))
    matches = match(pooled, pairs, thresholds=IOU_THRESHOLDS, max_detections=limit)
    ap, ap50 = headline_replicas(rankings(pooled, matches), weights)
    return _Evaluated(
        ap=_Drawn(figures.ap, ap),
        ap50=_Drawn(figures.ap50, ap50),
        classes=class_precision(arrays, max_detections=limit),
    )


def _difference(name: str, a: _Drawn, b: _Drawn, *, level: float) -> Difference:
    if a.figure is None or b.figure is None:
        return Difference(figure=name, a=None, b=None, gain=None, interval=None, p=None)
    gain = a.figure - b.figure
    deviation = spread(a.replicas - b.replicas)
    return Difference(
        figure=name,
        a=a.figure,
        b=b.figure,
        gain=gain,
        interval=interval(gain, deviation, level=level, limits=(-1.0, 1.0)),
        p=None if deviation is None else _chance(gain, deviation),
    )


def _chance(gain: float, deviation: float) -> float:
    """Of a gain at least so large, up or down, from a normal spread around zero.

    >>> round(_chance(1.96, 1.0), 3), _chance(0.0, 0.0)
    (0.05, 1.0)
    """
    if gain == 0:
        return 1.0
    return 2 * NormalDist().cdf(-abs(gain) / deviation) if deviation else 0.0
