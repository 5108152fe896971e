"""The two charts of a report: precision over recall, and what each confidence gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gelan.evaluate.report import Curves, Report
from gelan.visualize.charts import Line, Mark, line_chart

_FIRST, _SECOND, _THIRD = "var(--series-1)", "var(--series-2)", "var(--series-3)"
_MANY = "var(--many)"
Legend = tuple[tuple[str, str], ...]
"""Names and colours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePictures:
    """Both charts as SVG, and what belongs to them."""

    precision_recall: str
    precision_recall_legend: Legend
    by_confidence: str
    by_confidence_legend: Legend
    classes: tuple[tuple[int, str], ...]
    """Those that have curves: number and name, in the order of names."""


def curve_pictures(report: Report) -> CurvePictures | None:
    """The charts; None where there are no objects."""
    curves = report.curves
    if curves.precision_recall is None or curves.by_confidence is None:
        return None
    names = [figures.name for figures in report.classes]
    present = [(number, names[number]) for number, of in enumerate(curves.classes) if of]
    recall, recall_legend = _precision_recall(curves, names)
    confidence, confidence_legend = _by_confidence(report, names)
    return CurvePictures(
        precision_recall=recall,
        precision_recall_legend=recall_legend,
        by_confidence=confidence,
        by_confidence_legend=confidence_legend,
        classes=tuple(sorted(present, key=lambda pair: pair[1].lower())),
    )


def _precision_recall(curves: Curves, names: Sequence[str]) -> tuple[str, Legend]:
    means = (
        ("overlap 0.50", curves.precision_recall_50, _FIRST),
        ("overlap 0.75", curves.precision_recall_75, _SECOND),
        ("mean of 0.50 to 0.95", curves.precision_recall, _THIRD),
    )
    lines = [
        Line(
            name=names[number],
            points=_zip(curves.recalls, of.precision_recall),
            color=_MANY,
            faint=True,
            key=number,
        )
        for number, of in enumerate(curves.classes)
        if of is not None
    ]
    lines += [
        Line(name=name, points=_zip(curves.recalls, values), color=color)
        for name, values, color in means
        if values is not None
    ]
    title = "Precision over recall: the mean over the classes, and each class at an overlap of 0.50"
    legend = tuple((name, color) for name, _, color in means)
    return (
        line_chart(lines, title=title, axes=("recall", "precision")),
        (*legend, ("each class at 0.50", _MANY)),
    )


def _by_confidence(report: Report, names: Sequence[str]) -> tuple[str, Legend]:
    curves = report.curves
    together = curves.by_confidence
    assert together is not None
    lines = [
        Line(
            name=f"F1 of {names[number]}",
            points=_zip(curves.confidences, of.by_confidence.f1),
            color=_MANY,
            faint=True,
            key=number,
        )
        for number, of in enumerate(curves.classes)
        if of is not None
    ]
    kinds = (
        ("precision", together.precision, _FIRST),
        ("recall", together.recall, _SECOND),
        ("F1", together.f1, _THIRD),
    )
    lines += [
        Line(name=name, points=_zip(curves.confidences, values), color=color)
        for name, values, color in kinds
    ]
    best = report.best
    marks = []
    if best is not None:
        text = f"F1 {best.f1:.2f} at {best.confidence:.2g}"
        marks = [Mark(point=(best.confidence, best.f1), text=text, color=_THIRD)]
    title = "Precision, recall and F1 of all classes together over confidence"
    legend = tuple((name, color) for name, _, color in kinds)
    return (
        line_chart(lines, title=title, axes=("confidence", "share"), marks=marks),
        (*legend, ("F1 of each class", _MANY)),
    )


def _zip(
    places: Sequence[float], values: Sequence[float | None]
) -> list[tuple[float, float | None]]:
    return list(zip(places, values, strict=True))
