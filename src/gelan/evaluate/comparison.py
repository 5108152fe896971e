"""Whether one network is better than another, or the test set too small to tell.

Both are evaluated on the same images. How hard the images are hits both alike, so the difference
says more than the two figures. Whether it is more than chance is told by exchanging the results of
the two on some of the images (`swaps`). `benchmarks/evaluation.py --simulate` measures how often
equally good networks are told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from gelan.errors import ConfigError
from gelan.evaluate.average_precision import Ranking, rankings
from gelan.evaluate.coco import class_precision, coco_arrays, headline
from gelan.evaluate.intervals import Interval
from gelan.evaluate.matching import IOU_THRESHOLDS, match, overlaps
from gelan.evaluate.pairing import paired
from gelan.evaluate.results import ImageResult, Pool, pool
from gelan.evaluate.settings import COMPARISON, EvaluationSettings
from gelan.evaluate.swaps import (
    chance,
    exchanged_gains,
    exchanges,
    fewest_exchanges,
    fewest_images,
    surprise,
)
from gelan.structures.classes import ClassTable


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
    """Of the gain; it holds 0 exactly if `p` says that the two may be equally good."""
    p: float | None
    """Chance of so large a gain, either way, if the two were equally good; None without objects."""
    why_none: str = ""
    """Why there is no interval."""

    def verdict(self, names: tuple[str, str] = ("A", "B")) -> str:
        """One sentence; figures in points of 100.

        >>> Difference(
        ...     figure="AP", a=0.45, b=0.438, gain=0.012, p=0.003,
        ...     interval=Interval(low=0.004, high=0.02, level=0.95),
        ... ).verdict()
        'A is better by 1.2 AP (95 % interval 0.4 to 2.0)'
        """
        if self.gain is None or self.interval is None:
            return f"no difference in {self.figure} can be told: {self.why_none}"
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
    num_exchanges: int
    """Choices of images whose results were exchanged."""
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

    Images are paired by their paths below the folder that all have in common; their order may
    differ.

    Raises:
        ConfigError: the images or the objects in them are not the same, classes do not fit, or
            the settings ask for too few exchanges (20 at a level of 95 %).
        MissingDependencyError: hotcoco is not installed.
    """
    fewest = fewest_exchanges(settings.level)
    if settings.replicas < fewest:
        raise ConfigError(f"replicas is {settings.replicas}; comparing takes at least {fewest}")
    first = list(results_a)
    pools = pool(first, classes), pool(paired(first, list(results_b)), classes)
    a, b = (_evaluated(pooled, settings) for pooled in pools)
    exchanged = exchanges(len(first), replicas=settings.replicas, seed=settings.seed)
    gains = exchanged_gains(a.ranked, b.ranked, exchanged)
    counts = pools[0].num_objects().tolist()
    return Comparison(
        num_images=len(first),
        num_exchanges=exchanged.shape[1],
        ap=_difference("AP", (a.ap, b.ap), gains[0], settings, num_images=len(first)),
        ap50=_difference("AP50", (a.ap50, b.ap50), gains[1], settings, num_images=len(first)),
        classes=tuple(
            ClassDifference(name=name, num_objects=count, a=ap_a, b=ap_b)
            for name, count, ap_a, ap_b in zip(
                classes.names, counts, a.classes, b.classes, strict=True
            )
        ),
        settings=settings,
    )


class _Evaluated(NamedTuple):
    ap: float | None
    ap50: float | None
    classes: list[float | None]
    ranked: Sequence[Ranking]


def _evaluated(pooled: Pool, settings: EvaluationSettings) -> _Evaluated:
    limit = settings.max_detections
    arrays = coco_arrays(pooled, max_detections=limit)
    figures = headline(arrays, pooled, max_detections=limit)
    pairs = overlaps(pooled, at_least=float(IOU_THRESHOLDS[0]))
    matches = match(pooled, pairs, thresholds=IOU_THRESHOLDS, max_detections=limit)
    return _Evaluated(
        ap=figures.ap,
        ap50=figures.ap50,
        classes=class_precision(arrays, max_detections=limit),
        ranked=rankings(pooled, matches),
    )


def _difference(
    name: str,
    figures: tuple[float | None, float | None],
    gains: Float64[np.ndarray, " exchanges"],
    settings: EvaluationSettings,
    *,
    num_images: int,
) -> Difference:
    a, b = figures
    if a is None or b is None:
        why = "there are no objects to be found"
        return Difference(
            figure=name, a=None, b=None, gain=None, interval=None, p=None, why_none=why
        )
    gain, p = a - b, chance(gains)
    reach = surprise(gains, level=settings.level)
    why = _why_no_interval(gains, num_images, settings.level)
    # The border is met exactly where a gain is repeated: 0 must not slip past it by rounding.
    holds_zero = p > 1 - settings.level
    low, high = max(-1.0, gain - reach), min(1.0, gain + reach)
    ends = (min(low, 0.0), max(high, 0.0)) if holds_zero else (low, high)
    return Difference(
        figure=name,
        a=a,
        b=b,
        gain=gain,
        interval=None if why else Interval(low=ends[0], high=ends[1], level=settings.level),
        p=p,
        why_none=why,
    )


def _why_no_interval(
    gains: Float64[np.ndarray, " exchanges"], num_images: int, level: float
) -> str:
    """Nothing if there is reason for one."""
    fewest = fewest_images(level)
    if num_images < fewest:
        images = "one image is" if num_images == 1 else f"{num_images} images are"
        return f"{images} too few, it takes at least {fewest}"
    if not gains.any():
        return "both do equally well on every image"
    return ""
