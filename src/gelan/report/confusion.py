"""The confusion matrix of a report: as a heat map, and in words what is confused most often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from gelan.evaluate.report import Report
from gelan.visualize.charts import heat_map

MOST_CONFUSED = 8
"""Pairs of classes in the list."""
MOST_ROWS = 120
BACKGROUND = "(background)"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfusedRow:
    """Two classes, and how often one was taken for the other."""

    truth: str
    found: str
    count: int
    total: int
    """Objects of the true class."""


def confused_rows(report: Report) -> tuple[ConfusedRow, ...]:
    """The most frequent confusions of two classes."""
    names = [figures.name for figures in report.classes]
    totals = [sum(row) for row in report.confusion.counts]
    return tuple(
        ConfusedRow(truth=names[truth], found=names[found], count=count, total=totals[truth])
        for truth, found, count in report.confusion.confused()[:MOST_CONFUSED]
    )


def drawn_matrix(report: Report) -> tuple[str, int]:
    """The heat map, and how many classes have no row: they are neither there nor found.

    There is no map (no text) if that is so of all. Of very many classes, those that are confused
    most keep their rows; the others share one.
    """
    counts = np.array(report.confusion.counts)
    background = len(counts) - 1
    shown = [
        number for number in range(background) if counts[number].any() or counts[:, number].any()
    ]
    if not shown:
        return "", background
    names = [report.classes[number].name for number in shown]
    matrix = counts[np.ix_([*shown, background], [*shown, background])]
    if len(shown) > MOST_ROWS:
        matrix, names = _merged(matrix, names)
    drawn = heat_map(
        matrix.tolist(),
        names=([*names, BACKGROUND], [*names, BACKGROUND]),
        axes=("what is there", "what was found"),
        title="Confusion matrix: rows are what is there, columns what was found",
    )
    return drawn, background - len(shown)


def _merged(
    matrix: Int64[np.ndarray, "rows columns"], names: Sequence[str]
) -> tuple[Int64[np.ndarray, "_ _"], list[str]]:
    """The matrix with the least confused classes in one row and column before the background."""
    background = len(names)
    confused = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * np.diag(matrix)
    kept = np.sort(np.argsort(-confused[:background], kind="stable")[:MOST_ROWS])
    group = np.full(background + 1, MOST_ROWS)
    group[kept], group[background] = np.arange(MOST_ROWS), MOST_ROWS + 1
    merged = np.zeros((MOST_ROWS + 2, MOST_ROWS + 2), np.int64)
    np.add.at(merged, (group[:, None], group[None, :]), matrix)
    rest = background - MOST_ROWS
    return merged, [*(names[number] for number in kept), f"({rest} other classes)"]
