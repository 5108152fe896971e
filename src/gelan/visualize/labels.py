"""What the labels of a data set look like together: how many of what, how large, and where.

Boxes are cx, cy, width, height relative to their image, 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from gelan.visualize.axes import Axis, log_axis, tick_label
from gelan.visualize.charts import shortened
from gelan.visualize.frame import FONT, LETTER, Field, axes_drawn, svg_picture, svg_text

BINS = 32
"""Squares in a row of the two maps."""
SMALLEST = 1e-3
"""Sides below a thousandth of the image are counted as such."""
MOST_BARS = 24
MAP_SIZE = (360.0, 352.0)
"""Width and height of the two maps; their fields are nearly square."""
_ROW = 20.0
"""Height of a bar with its gap."""
_BARS_WIDTH = 460.0


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelOverview:
    """The objects of a data set, counted."""

    names: tuple[str, ...]
    counts: tuple[int, ...]
    """Objects of each class."""
    centers: Int64[np.ndarray, "rows columns"]
    """Objects by the place of their centre, the top of the image first."""
    sizes: Int64[np.ndarray, "heights widths"]
    """Objects by height and width, the smallest first, in equal ratios from `smallest` to 1."""
    smallest: float
    """Where the sizes begin, in parts of the image's side."""
    median_side: float | None
    """Of the root of width times height; None without objects."""

    @property
    def num_objects(self) -> int:
        """Of all classes."""
        return sum(self.counts)


def label_overview(
    classes: Int[np.ndarray, " n"], boxes: Float[np.ndarray, "n 4"], *, names: Sequence[str]
) -> LabelOverview:
    """The objects of `classes` (indices into `names`) counted.

    A centre outside the image counts in the square at its edge, a side above 1 in the last.

    Raises:
        ValueError: a class is none of `names`, or a box is not finite.

    >>> found = label_overview(np.array([1]), np.array([[0.9, 0.1, 0.5, 0.5]]), names=("a", "b"))
    >>> found.counts, found.median_side, found.centers[3, 28]
    ((0, 1), 0.5, np.int64(1))
    """
    outside = classes[(classes < 0) | (classes >= len(names))]
    if len(outside):
        raise ValueError(f"class {outside[0]} is outside 0..{len(names) - 1}")
    if not np.isfinite(boxes).all():
        raise ValueError("a box is not finite")
    counts = np.bincount(classes.astype(np.int64), minlength=len(names))
    sides = boxes[:, 2:].astype(np.float64).clip(SMALLEST, 1.0)
    smallest = log_axis([*sides.min(axis=1, initial=1.0).tolist(), 1.0], title="").low
    shares = np.log(sides / smallest) / -math.log(smallest)
    areas = boxes[:, 2].astype(np.float64) * boxes[:, 3]
    return LabelOverview(
        names=tuple(names),
        counts=tuple(counts.tolist()),
        centers=_counted(boxes[:, 1].astype(np.float64), boxes[:, 0].astype(np.float64)),
        sizes=_counted(shares[:, 1], shares[:, 0]),
        smallest=smallest,
        median_side=float(np.median(np.sqrt(areas.clip(0)))) if len(boxes) else None,
    )


def _counted(
    rows: Float64[np.ndarray, " n"], columns: Float64[np.ndarray, " n"]
) -> Int64[np.ndarray, "_ _"]:
    """How many points of 0 to 1 lie in each square."""
    table = np.zeros((BINS, BINS), np.int64)
    places = [np.floor(values * BINS).clip(0, BINS - 1).astype(int) for values in (rows, columns)]
    np.add.at(table, (places[0], places[1]), 1)
    return table


def centers_map(overview: LabelOverview) -> str:
    """Where in the image objects have their centres, as SVG: the darker the more."""
    x = Axis(title="from left to right")
    y = Axis(title="from top to bottom", low=1.0, high=0.0)
    return _map(overview.centers[::-1], axes=(x, y), title="Where the centres of objects are")


def sizes_map(overview: LabelOverview) -> str:
    """How wide and high objects are in parts of the image, as SVG, on logarithmic axes."""
    axes = tuple(
        log_axis([overview.smallest, 1.0], title=f"{side} in parts of the image's")
        for side in ("width", "height")
    )
    return _map(overview.sizes, axes=(axes[0], axes[1]), title="How wide and high objects are")


def _map(counts: Int64[np.ndarray, "rows columns"], *, axes: tuple[Axis, Axis], title: str) -> str:
    """Squares between two axes, the lowest row first."""
    field = Field.within(MAP_SIZE, axes=axes)
    width = (field.right - field.left) / BINS
    height = (field.bottom - field.top) / BINS
    most = max(1, int(counts.max()))
    squares = []
    for row, column in np.argwhere(counts).tolist():
        count = int(counts[row, column])
        x, y = field.left + column * width, field.bottom - (row + 1) * height
        squares.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'style="fill:var(--heat, #2459c7)" fill-opacity="{_darkness(count / most):.2f}">'
            f"<title>{count}</title></rect>"
        )
    body = [*squares, *axes_drawn(field, MAP_SIZE)]
    return svg_picture(body, width=MAP_SIZE[0], height=MAP_SIZE[1], title=title, kind="map")


def _darkness(share: float) -> float:
    """Few objects stay visible beside many."""
    return 0.1 + 0.9 * math.sqrt(share)


def counts_chart(overview: LabelOverview) -> str:
    """How many objects each class has, as SVG: the most frequent first.

    Of more than 24 classes, the rarest share the last bar.
    """
    rows = ranked_counts(overview)
    room = LETTER * FONT * max((len(shortened(name)) for name, _ in rows), default=0)
    left = 14 + room
    numbers = max((LETTER * FONT * len(f"{count:,}") for _, count in rows), default=0.0)
    full = _BARS_WIDTH - left - numbers - 14
    size = (_BARS_WIDTH, 8 + _ROW * len(rows))
    body = list(_bars(rows, left=left, full=full))
    return svg_picture(
        body, width=size[0], height=size[1], title="Objects of each class", kind="bars"
    )


def ranked_counts(overview: LabelOverview) -> list[tuple[str, int]]:
    """Names and counts, the most frequent first; the rarest together where there are too many."""
    ranked = sorted(
        zip(overview.names, overview.counts, strict=True), key=lambda pair: pair[1], reverse=True
    )
    if len(ranked) <= MOST_BARS:
        return ranked
    rest = ranked[MOST_BARS - 1 :]
    together = (f"({len(rest)} other classes)", sum(count for _, count in rest))
    return [*ranked[: MOST_BARS - 1], together]


def _bars(rows: Sequence[tuple[str, int]], *, left: float, full: float) -> Iterator[str]:
    most = max([count for _, count in rows], default=0) or 1
    for number, (name, count) in enumerate(rows):
        y = 4 + _ROW * number
        length = full * count / most
        yield f"<g><title>{escape(name)}: {count}</title>"
        yield svg_text(shortened(name), left - 7, y + 13.5, anchor="end")
        yield f'<rect x="{left:g}" y="{y + 3:g}" width="{max(length, 1):.1f}" '
        yield f'height="{_ROW - 6:g}" rx="2" style="fill:var(--heat, #2459c7)"/>'
        yield svg_text(f"{count:,}", left + length + 6, y + 13.5, opacity=0.75) + "</g>"


def overview_words(overview: LabelOverview) -> str:
    """The overview in a sentence.

    >>> overview_words(label_overview(np.zeros(0, int), np.zeros((0, 4)), names=("a",)))
    'Nothing is marked.'
    """
    if overview.median_side is None:
        return "Nothing is marked."
    most, least = max(overview.counts), min(overview.counts)
    text = f"Half of the objects are smaller than {100 * overview.median_side:.3g} % of the image"
    text += " (root of width times height)"
    if len(overview.counts) > 1 and least:
        text += f"; the most frequent class has {tick_label(round(most / least, 1))} times as many "
        text += "objects as the rarest"
    elif len(overview.counts) > 1:
        text += f"; {overview.counts.count(0)} of {len(overview.counts)} classes have no object"
    return f"{text}."
