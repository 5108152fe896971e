"""Charts as SVG text: small, sharp at any size, and in the colours of the page around them.

They are written here rather than by a plotting library because a report has to follow the light or
dark theme of its reader: lines and letters take the page's text colour (`currentColor`), and
colours are CSS variables with a value of their own where no page sets them. All text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]

_WIDTH, _HEIGHT = 460.0, 320.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 12.0, 10.0, 42.0
"""Room around the field of a line chart, for ticks and titles."""
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_LETTER = 0.56
"""Width of an average letter in parts of the font size."""
_HEAT_WIDTH = 930.0
"""Of the cells of a heat map, unless they would become too small to be told apart."""
_NUMBER_CELL = 28.0
"""Cells of this size hold their numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One curve over 0 to 1; it is broken where a value is None."""

    name: str
    points: Sequence[tuple[float, float | None]]
    color: str = "var(--series-1, #2459c7)"
    """As CSS has it."""
    faint: bool = False
    """One of many, shown for comparison."""
    key: int | None = None
    """Becomes `data-class`, so that a page can single it out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A point of a line chart that is worth a word."""

    point: Point
    text: str
    color: str = "var(--series-1, #2459c7)"


def line_chart(
    lines: Sequence[Line], *, title: str, axes: tuple[str, str], marks: Sequence[Mark] = ()
) -> str:
    """Curves in a square from 0 to 1; `title` is for those who cannot see them.

    >>> line = Line(name="a<b", points=[(0.0, 1.0), (1.0, 0.5)])
    >>> chart = line_chart([line], title="T", axes=("x", "y"))
    >>> "a&lt;b" in chart, "a<b" in chart
    (True, False)
    """
    faint = max(0.2, min(0.7, 6.0 / (1 + sum(line.faint for line in lines))))
    paths = [_path(line, faint=faint) for line in lines]
    body = [*_axes(*axes), *paths, *(_mark(mark) for mark in marks)]
    return _svg(body, width=_WIDTH, height=_HEIGHT, title=title, kind="lines")


def _svg(body: Sequence[str], *, width: float, height: float, title: str, kind: str) -> str:
    return (
        f'<svg class="chart {kind}" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg" '
        f'font-family="inherit" font-size="12">{"".join(body)}</svg>'
    )


def _place(x: float, y: float) -> Point:
    """Where a point of the unit square lies in a line chart."""
    return (
        round(_LEFT + x * (_WIDTH - _LEFT - _RIGHT), 1),
        round(_HEIGHT - _BOTTOM - y * (_HEIGHT - _TOP - _BOTTOM), 1),
    )


def _axes(x_title: str, y_title: str) -> Iterator[str]:
    (left, bottom), (right, top) = _place(0.0, 0.0), _place(1.0, 1.0)
    for value in _TICKS:
        x, y = _place(value, value)
        opacity = 0.45 if value == 0 else 0.13
        yield f'<path d="M{left} {y}H{right}M{x} {top}V{bottom}" stroke="currentColor" '
        yield f'stroke-opacity="{opacity}" fill="none"/>'
        yield _text(f"{value:g}", x, bottom + 16, anchor="middle", opacity=0.75)
        yield _text(f"{value:g}", left - 7, y + 4, anchor="end", opacity=0.75)
    yield _text(x_title, (left + right) / 2, _HEIGHT - 6.0, anchor="middle")
    middle = (top + bottom) / 2
    turn = f' transform="rotate(-90 12 {middle:g})"'
    yield _text(y_title, 12.0, middle, anchor="middle", more=turn)


def _text(
    text: str, x: float, y: float, *, anchor: str = "start", opacity: float = 1.0, more: str = ""
) -> str:
    faded = "" if opacity == 1 else f' fill-opacity="{opacity:g}"'
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="currentColor"{faded}{more}>'
        f"{escape(text)}</text>"
    )


def _path(line: Line, *, faint: float) -> str:
    parts, pen = [], "M"
    for x, y in line.points:
        if y is None:
            pen = "M"
            continue
        column, row = _place(x, y)
        parts.append(f"{pen}{column:g} {row:g}")
        pen = "L"
    key = "" if line.key is None else f' data-class="{line.key}"'
    thin = f'stroke-width="1" stroke-opacity="{faint:.2f}"'
    weight = thin if line.faint else 'stroke-width="2.5"'
    return (
        f'<path d="{"".join(parts)}" fill="none" style="stroke:{escape(line.color)}" {weight} '
        f'stroke-linejoin="round"{key}><title>{escape(line.name)}</title></path>'
    )


def _mark(mark: Mark) -> str:
    """A dot with its text on the side where there is more room."""
    x, y = _place(*mark.point)
    to_the_left = mark.point[0] > 0.55
    below = mark.point[1] > 0.9
    text_x, text_y = (x - 8 if to_the_left else x + 8), (y + 18 if below else y - 9)
    width = 12 * _LETTER * len(mark.text) + 8
    plate_x = text_x + 4 - width if to_the_left else text_x - 4
    plate = (
        f'<rect x="{plate_x:g}" y="{text_y - 12:g}" width="{width:g}" height="16" rx="3" '
        'style="fill:var(--paper, #fff)" fill-opacity="0.88"/>'
    )
    dot = f'<circle cx="{x:g}" cy="{y:g}" r="4.5" style="fill:{escape(mark.color)}"/>'
    text = _text(mark.text, text_x, text_y, anchor="end" if to_the_left else "start")
    return plate + dot + text


def heat_map(
    counts: Sequence[Sequence[int]],
    *,
    names: tuple[Sequence[str], Sequence[str]],
    axes: tuple[str, str],
    title: str,
) -> str:
    """A table of counts as squares, each as dark as its share of its row.

    `names` are those of the rows and of the columns, `axes` what they stand for. Numbers stand in
    the cells of a small table; in a large one they appear when a cell is pointed at.
    """
    rows, columns = names
    cell = _cell_size(len(rows))
    font = 12.0 if cell >= _NUMBER_CELL else 10.0
    left = 26 + _label_room(rows, font=font)
    top = 26 + _label_room(columns, font=font)
    grid = _Grid(left=left, top=top, cell=cell, font=font)
    body = [*grid.labels(rows, columns, axes)]
    for row, values in enumerate(counts):
        total = sum(values)
        for column, count in enumerate(values):
            if count:
                words = f"{axes[0]} {rows[row]}, {axes[1]} {columns[column]}: {count} of {total}"
                body.append(grid.cell_at(row, column, count, share=count / total, words=words))
    title_room = 24 * _LETTER * max(map(len, axes))  # for the words along the edges
    width = max(left + cell * len(columns) + 2, left + title_room)
    height = max(top + cell * len(rows) + 2, title_room)
    inner = f'<g font-size="{font:g}">{"".join(body)}</g>'
    natural = f'<svg style="width:{width:g}px" '
    drawn = _svg([inner], width=width, height=height, title=title, kind="heat")
    return drawn.replace("<svg ", natural, 1)


def _cell_size(count: int) -> float:
    """Pixels: large for few classes; for many as small as the width asks for, and no smaller."""
    roomy = min(56.0, 560.0 / count)
    return round(max(roomy, min(36.0, _HEAT_WIDTH / count), 11.0), 1)


def _label_room(names: Sequence[str], *, font: float) -> float:
    longest = max((len(shortened(name)) for name in names), default=0)
    return 10 + _LETTER * font * longest


def shortened(name: str, *, at_most: int = 22) -> str:
    """A name that fits beside a chart.

    >>> shortened("traffic light"), shortened("a very long name of a class", at_most=12)
    ('traffic light', 'a very long…')
    """
    return name if len(name) <= at_most else name[: at_most - 1].rstrip() + "…"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Grid:
    """Where the cells of a heat map are, in pixels."""

    left: float
    top: float
    cell: float
    font: float

    def labels(
        self, rows: Sequence[str], columns: Sequence[str], axes: tuple[str, str]
    ) -> Iterator[str]:
        width, height = self.cell * len(columns), self.cell * len(rows)
        for row, name in enumerate(rows):
            y = self.top + self.cell * (row + 0.5) + 0.36 * self.font
            yield _text(shortened(name), self.left - 7, y, anchor="end")
        for column, name in enumerate(columns):
            x = self.left + self.cell * (column + 0.5) + 0.36 * self.font
            turn = f' transform="rotate(-90 {x:g} {self.top - 7:g})"'
            yield _text(shortened(name), x, self.top - 7, more=turn)
        bold = ' font-weight="600" font-size="12"'
        yield _text(f"{axes[1]} →", self.left, 12.0, more=bold)
        turn = f' transform="rotate(-90 12 {self.top + height:g})"'
        yield _text(f"← {axes[0]}", 12.0, self.top + height, more=bold + turn)
        yield f'<path d="{self._rules(len(rows), len(columns))}" stroke="currentColor" '
        yield 'stroke-opacity="0.12" fill="none"/>'
        yield f'<rect x="{self.left:g}" y="{self.top:g}" width="{width:g}" height="{height:g}" '
        yield 'fill="none" stroke="currentColor" stroke-opacity="0.35"/>'

    def _rules(self, num_rows: int, num_columns: int) -> str:
        across = [
            f"M{self.left:g} {self.top + self.cell * row:g}h{self.cell * num_columns:g}"
            for row in range(1, num_rows)
        ]
        down = [
            f"M{self.left + self.cell * column:g} {self.top:g}v{self.cell * num_rows:g}"
            for column in range(1, num_columns)
        ]
        return "".join(across + down)

    def cell_at(self, row: int, column: int, count: int, *, share: float, words: str) -> str:
        """A square, its number where there is room, and its words for who points at it."""
        x, y, side = self.left + self.cell * column, self.top + self.cell * row, self.cell
        number = ""
        if side >= _NUMBER_CELL:
            size = 12 if count < 1000 else 10
            ink = "var(--heat-ink, #fff)" if share > 0.45 else "currentColor"
            number = (
                f'<text x="{x + side / 2:g}" y="{y + side / 2 + 4:g}" text-anchor="middle" '
                f'font-size="{size}" style="fill:{ink}">{count}</text>'
            )
        return (
            f'<g><title>{escape(words)}</title><rect x="{x:g}" y="{y:g}" width="{side:g}" '
            f'height="{side:g}" style="fill:var(--heat, #2459c7)" '
            f'fill-opacity="{0.08 + 0.92 * share:.2f}"/>{number}</g>'
        )
