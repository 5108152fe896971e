"""Everything an evaluation found out, as plain data; and that as JSON, or as a table to read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gelan.config import to_mapping
from gelan.evaluate.coco import Headline
from gelan.evaluate.confusion import ConfusionMatrix
from gelan.evaluate.curves import ClassCurves, ConfidenceCurve, OperatingPoint
from gelan.evaluate.errors import ErrorCost
from gelan.evaluate.intervals import Interval
from gelan.evaluate.settings import EvaluationSettings
from gelan.evaluate.worst import ImageErrors

_MOST_CONFUSED = 5
"""Pairs of classes named in a table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassFigures:
    """One class; figures are None where it has no objects."""

    name: str
    category_id: int
    """The id that the data set has for it; its index where it has none."""
    num_images: int
    """Images with at least one object of the class, crowds left out."""
    num_objects: int
    """Crowds left out."""
    ap: float | None
    ap50: float | None
    best: OperatingPoint | None
    """At the confidence of the greatest F1; None if nothing right was found."""
    at_floor: OperatingPoint | None
    """At the confidence of the greatest recall with at least the precision asked for; None if
    there is none, or none was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """To be drawn; values to 4 decimals. Curves are None where there are no objects."""

    recalls: tuple[float, ...]
    """Of every curve of precision over recall."""
    confidences: tuple[float, ...]
    """Of every curve over confidence."""
    precision_recall: tuple[float, ...] | None
    """Mean over the classes and the overlaps from 0.50 to 0.95; the mean of it is AP."""
    precision_recall_50: tuple[float, ...] | None
    """Mean over the classes at an overlap of 0.50."""
    precision_recall_75: tuple[float, ...] | None
    """Mean over the classes at an overlap of 0.75."""
    by_confidence: ConfidenceCurve | None
    """Of all objects and detections together, whatever their class."""
    classes: tuple[ClassCurves | None, ...]
    """In the order of the classes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """How the figures came about: they mean nothing without it."""

    settings: EvaluationSettings
    deviations: tuple[str, ...]
    """What keeps AP from being compared with published figures; empty if it can be."""
    notes: tuple[str, ...]
    """What else a reader should know."""
    facts: dict[str, str]
    """What the caller said: weights, data set, input size, device ..."""
    versions: dict[str, str]
    """Of the programs that computed the figures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The evaluation of one network on one data set."""

    num_images: int
    num_objects: int
    """Crowds left out."""
    num_detections: int
    headline: Headline
    ap_interval: Interval | None
    """Where the mean of very many such sets lies; None if fewer than two drawings were asked for,
    or fewer than five images have objects."""
    ap50_interval: Interval | None
    best: OperatingPoint | None
    """Of all classes together: the one confidence of the greatest F1."""
    at_floor: OperatingPoint | None
    classes: tuple[ClassFigures, ...]
    """In model order."""
    curves: Curves
    confusion: ConfusionMatrix
    errors: tuple[ErrorCost, ...]
    worst: tuple[ImageErrors, ...]
    conditions: Conditions


def as_json(report: Report) -> str:
    """The whole report as one line of JSON; what is None there is null."""
    return json.dumps(to_mapping(report), ensure_ascii=False, allow_nan=False)


def as_table(report: Report) -> str:
    """The report for a terminal: figures, classes, errors and conditions, without curves."""
    parts = (_summary(report), _sizes(report), _classes(report), _errors(report), _said(report))
    return "\n\n".join("\n".join(part) for part in parts if part)


def _summary(report: Report) -> list[str]:
    head = report.headline
    counts = (
        f"{report.num_images:,} images, {report.num_objects:,} objects, "
        f"{report.num_detections:,} detections"
    )
    rows = [
        ("AP", _figure(head.ap), _interval(report.ap_interval)),
        ("AP50", _figure(head.ap50), _interval(report.ap50_interval)),
        ("AP75", _figure(head.ap75), ""),
    ]
    return [counts, "", *_aligned(rows, "<><")]


def _sizes(report: Report) -> list[str]:
    head = report.headline
    rows = [("size", "objects", "AP", "AR")]
    rows += [
        (size.size, f"{size.num_objects:,}", _figure(size.ap), _figure(size.ar))
        for size in head.sizes
    ]
    limits = ((1, head.ar_1), (10, head.ar_10), (100, head.ar_100), (300, head.ar_300))
    recalls = ", ".join(f"{_figure(value)} of {limit}" for limit, value in limits)
    return [*_aligned(rows, "<>>>"), f"AR by detections of a class in an image: {recalls}"]


def _classes(report: Report) -> list[str]:
    title = ("class", "images", "objects", "AP", "AP50", "confidence", "precision", "recall", "F1")
    head = report.headline
    everything = (f"{report.num_images:,}", f"{report.num_objects:,}")
    rows = [
        title,
        ("all", *everything, _figure(head.ap), _figure(head.ap50), *_point(report.best)),
    ]
    rows += [
        (
            figures.name,
            f"{figures.num_images:,}",
            f"{figures.num_objects:,}",
            _figure(figures.ap),
            _figure(figures.ap50),
            *_point(figures.best),
        )
        for figures in report.classes
        if figures.num_objects
    ]
    absent = [figures.name for figures in report.classes if not figures.num_objects]
    lines = [*_aligned(rows, "<" + ">" * 8), "(confidence: that of the greatest F1)"]
    return [*lines, *([f"without objects: {', '.join(absent)}"] if absent else [])]


def _errors(report: Report) -> list[str]:
    confidence = report.conditions.settings.confidence
    rows = [("error", "at any score", f"above {confidence:g}", "AP50 cost")]
    rows += [
        (cost.kind, f"{cost.count:,}", f"{cost.confident:,}", _figure(cost.ap50_cost))
        for cost in report.errors
    ]
    pairs = ", ".join(
        f"{report.classes[truth].name} as {report.classes[found].name} ({count})"
        for truth, found, count in report.confusion.confused()[:_MOST_CONFUSED]
    )
    return [*_aligned(rows, "<>>>"), *([f"most often confused: {pairs}"] if pairs else [])]


def _said(report: Report) -> list[str]:
    conditions = report.conditions
    lines = [f"{name}: {value}" for name, value in conditions.facts.items()]
    lines += [f"not comparable with published AP: {text}" for text in conditions.deviations]
    lines += [f"note: {text}" for text in conditions.notes]
    return lines


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"({100 * interval.level:g} % interval {interval.low:.3f} to {interval.high:.3f})"


def _point(point: OperatingPoint | None) -> tuple[str, ...]:
    if point is None:
        return ("-",) * 4
    return tuple(map(_figure, (point.confidence, point.precision, point.recall, point.f1)))


def _aligned(rows: Sequence[Sequence[str]], sides: str) -> Iterator[str]:
    """Rows with columns of equal width, two spaces apart; a side is `<` or `>`.

    >>> list(_aligned([("class", "AP"), ("cat", "0.5")], "<>"))
    ['class   AP', 'cat    0.5']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, sides, widths, strict=True)
        yield "  ".join(f"{text:{side}{width}}" for text, side, width in cells).rstrip()
