"""Charts as SVG text: small, sharp at any size, and in the colours of the page around them.

They are written here rather than by a plotting library because a report has to follow the light or
dark theme of its reader: lines and letters take the page's text colour (`currentColor`), and
colours are CSS variables with a value of their own where no page sets them. All text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from gelan.visualize.axes import Axis
from gelan.visualize.frame import (
    LETTER,
    Field,
    Point,
    axes_drawn,
    svg_picture,
    svg_text,
    text_width,
)

SIZE = (460.0, 320.0)
"""Width and height of a line chart, unless told otherwise."""
_HEAT_WIDTH = 930.0
"""Of the cells of a heat map, unless they would become too small to be told apart."""
_NUMBER_CELL = 28.0
"""Cells of this size hold their numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One curve; it is broken where a value is None or not finite."""

    name: str
    points: Sequence[tuple[float, float | None]]
    color: str = "var(--series-1, #2459c7)"
    """As CSS has it."""
    faint: bool = False
    """One of many, shown for comparison."""
    dashed: bool = False
    key: int | None = None
    """Becomes `data-class`, so that a page can single it out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A point of a line chart that is worth a word."""

    point: Point
    text: str
    color: str = "var(--series-1, #2459c7)"
    low: bool = False
    """Whether the text stands on the horizontal axis, a line leading to it; else at the point."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A place on the horizontal axis where something changed: a vertical line over the chart."""

    at: float
    text: str
    """Written above the chart; where it is empty there is only the line."""
    about: str = ""
    """For who points at the line."""


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    axes: tuple[str | Axis, str | Axis],
    marks: Sequence[Mark] = (),
    steps: Sequence[Step] = (),
    labelled: bool = False,
    size: tuple[float, float] = SIZE,
) -> str:
    """Curves over two axes; `title` is for those who cannot see them.

    An axis given by its title alone runs from 0 to 1. `labelled` lines have their names at their
    right ends. `size` is width and height, in the unit of which letters are 12 high.

    >>> line = Line(name="a<b", points=[(0.0, 1.0), (1.0, 0.5)])
    >>> chart = line_chart([line], title="T", axes=("x", "y"))
    >>> "a&lt;b" in chart, "a<b" in chart
    (True, False)
    """
    x, y = (Axis(title=axis) if isinstance(axis, str) else axis for axis in axes)
    rows = _step_rows(steps, x, width=size[0] - 90)
    names = [line.name for line in lines] if labelled else []
    more_top = 15.0 * (1 + max(rows, default=-1))
    more_right = max((2 + 1.2 * text_width(name) for name in names), default=0.0)  # bold
    field = Field.within(size, axes=(x, y), more_top=more_top, more_right=more_right)
    faint = max(0.2, min(0.7, 6.0 / (1 + sum(line.faint for line in lines))))
    body = [*axes_drawn(field, size), *_steps(steps, rows, field)]
    body += [_path(line, field, faint=faint) for line in lines]
    body += [*(_line_labels(lines, field) if labelled else ())]
    body += [_mark(mark, field) for mark in marks]
    return svg_picture(body, width=size[0], height=size[1], title=title, kind="lines")


def _path(line: Line, field: Field, *, faint: float) -> str:
    runs: list[list[Point]] = [[]]
    for x, y in line.points:
        if y is None or not math.isfinite(y):
            runs.append([])
        else:
            runs[-1].append(field.place(x, y))
    drawn = "".join("M" + "L".join(f"{x:g} {y:g}" for x, y in run) for run in runs if run)
    key = "" if line.key is None else f' data-class="{line.key}"'
    thin = f'stroke-width="1" stroke-opacity="{faint:.2f}"'
    weight = thin if line.faint else 'stroke-width="2.2"'
    dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
    color = escape(line.color)
    alone = [run[0] for run in runs if len(run) == 1 and not line.faint]
    dots = [f'<circle cx="{x:g}" cy="{y:g}" r="3" style="fill:{color}"/>' for x, y in alone]
    return (
        f'<path d="{drawn}" fill="none" style="stroke:{color}" {weight}{dashes} '
        f'stroke-linejoin="round"{key}><title>{escape(line.name)}</title></path>{"".join(dots)}'
    )


def _line_labels(lines: Sequence[Line], field: Field) -> Iterator[str]:
    """The names at the right ends of the lines, moved apart where they would touch."""
    ends = [
        (field.place(*last)[1], line)
        for line in lines
        if (last := next(((x, y) for x, y in reversed(line.points) if y is not None), None))
    ]
    ends.sort(key=lambda end: end[0])
    rows: list[float] = []
    for y, _ in ends:
        rows.append(max(y, rows[-1] + 14 if rows else field.top + 2))
    lowest = field.bottom
    for number in reversed(range(len(rows))):
        rows[number] = min(rows[number], lowest)
        lowest = rows[number] - 14
    for row, (_, line) in zip(rows, ends, strict=True):
        ink = f' style="fill:{escape(line.color)}" font-weight="600"'
        yield svg_text(line.name, field.right + 7, row + 4, more=ink)


def _step_rows(steps: Sequence[Step], axis: Axis, *, width: float) -> list[int]:
    """In which row above the chart each text stands, so that none covers another; -1: no text."""
    ends: list[float] = []
    rows = []
    for step in steps:
        if not step.text:
            rows.append(-1)
            continue
        half = text_width(step.text) / 2 + 6
        middle = axis.share(step.at) * width
        row = next((row for row, end in enumerate(ends) if end <= middle - half), len(ends))
        ends[row : row + 1] = [middle + half]
        rows.append(row)
    return rows


def _steps(steps: Sequence[Step], rows: Sequence[int], field: Field) -> Iterator[str]:
    for step, row in zip(steps, rows, strict=True):
        x, _ = field.place(step.at, field.y.low)
        top = field.top - 4 - 15.0 * max(0, row) if step.text else field.top
        about = f"<title>{escape(step.about or step.text)}</title>"
        yield (
            f'<path d="M{x:g} {top:g}V{field.bottom:g}" stroke="currentColor" fill="none" '
            f'stroke-opacity="0.5" stroke-dasharray="2 3">{about}</path>'
        )
        half = text_width(step.text) / 2
        middle = min(max(x, field.left + half - 30), field.right - half + 20)
        yield svg_text(step.text, middle, top - 3, anchor="middle", opacity=0.85)


def _mark(mark: Mark, field: Field) -> str:
    """A dot with its text on the side where there is more room."""
    x, y = field.place(*mark.point)
    to_the_left = field.x.share(mark.point[0]) > 0.55
    text_x = x - 8 if to_the_left else x + 8
    text_y = y + 18 if field.y.share(mark.point[1]) > 0.9 else y - 9
    text_y = field.bottom - 10 if mark.low else text_y
    width = text_width(mark.text) + 8
    plate_x = text_x + 4 - width if to_the_left else text_x - 4
    plate = (
        f'<rect x="{plate_x:g}" y="{text_y - 12:g}" width="{width:g}" height="16" rx="3" '
        'style="fill:var(--paper, #fff)" fill-opacity="0.88"/>'
    )
    dot = f'<circle cx="{x:g}" cy="{y:g}" r="4.5" style="fill:{escape(mark.color)}"/>'
    text = svg_text(mark.text, text_x, text_y, anchor="end" if to_the_left else "start")
    leader = f'<path d="M{x:g} {y:g}V{field.bottom:g}" style="stroke:{escape(mark.color)}"/>'
    return (leader if mark.low else "") + plate + dot + text


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
    title_room = 24 * LETTER * max(map(len, axes))  # for the words along the edges
    width = max(left + cell * len(columns) + 2, left + title_room)
    height = max(top + cell * len(rows) + 2, title_room)
    inner = f'<g font-size="{font:g}">{"".join(body)}</g>'
    natural = f'<svg style="width:{width:g}px" '
    drawn = svg_picture([inner], width=width, height=height, title=title, kind="heat")
    return drawn.replace("<svg ", natural, 1)


def _cell_size(count: int) -> float:
    """Pixels: large for few classes; for many as small as the width asks for, and no smaller."""
    roomy = min(56.0, 560.0 / count)
    return round(max(roomy, min(36.0, _HEAT_WIDTH / count), 11.0), 1)


def _label_room(names: Sequence[str], *, font: float) -> float:
    longest = max((len(shortened(name)) for name in names), default=0)
    return 10 + LETTER * font * longest


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
            yield svg_text(shortened(name), self.left - 7, y, anchor="end")
        for column, name in enumerate(columns):
            x = self.left + self.cell * (column + 0.5) + 0.36 * self.font
            turn = f' transform="rotate(-90 {x:g} {self.top - 7:g})"'
            yield svg_text(shortened(name), x, self.top - 7, more=turn)
        bold = ' font-weight="600" font-size="12"'
        yield svg_text(f"{axes[1]} →", self.left, 12.0, more=bold)
        turn = f' transform="rotate(-90 12 {self.top + height:g})"'
        yield svg_text(f"← {axes[0]}", 12.0, self.top + height, more=bold + turn)
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
