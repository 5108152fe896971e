"""Charts of a page as SVG files of their own: with headings, legends and the colours of the page.

A file follows the light or dark theme of whoever opens it and has its own background, so that it is
readable on white and on dark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from gelan.report.curves import Legend
from gelan.report.html import own_text
from gelan.visualize.frame import text_width

_MARGIN, _GAP = 24.0, 28.0
_HEADING, _LEGEND = 26.0, 20.0
"""Heights of a heading and of a line of a legend."""
_STYLE = """svg.figure { color: var(--ink); background: var(--paper); }
svg.figure .paper { fill: var(--paper); }
"""
_XML_NONE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that have no place in XML."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One chart of a figure."""

    heading: str
    chart: str
    """SVG."""
    legend: Legend = ()

    @property
    def size_wh(self) -> tuple[float, float]:
        """Of the chart alone."""
        found = re.match(r'<svg [^>]*viewBox="0 0 ([\d.]+) ([\d.]+)"', self.chart)
        assert found is not None, "charts begin with <svg and have a viewBox"
        return float(found[1]), float(found[2])

    @property
    def height(self) -> float:
        """With heading and legend."""
        return _HEADING + self.size_wh[1] + _LEGEND * len(self.legend)


def figure(rows: Sequence[Sequence[Part]], *, title: str) -> str:
    """Charts in rows under a title, as the text of an SVG file."""
    title = _XML_NONE.sub("\N{REPLACEMENT CHARACTER}", title)
    body: list[str] = []
    top = _MARGIN + 34
    for row in rows:
        left = _MARGIN
        for part in row:
            body.extend(_placed(part, left=left, top=top))
            left += part.size_wh[0] + _GAP
        top += max(part.height for part in row) + _GAP
    width = max(sum(part.size_wh[0] + _GAP for part in row) for row in rows)
    width = max(width - _GAP, 1.5 * text_width(title)) + 2 * _MARGIN
    heading = f'<text x="{_MARGIN:g}" y="{_MARGIN + 12:g}" fill="currentColor" font-size="18" '
    heading += f'font-weight="650">{escape(title)}</text>'
    height = top - _GAP + _MARGIN
    whole = (
        f'<svg class="figure" xmlns="http://www.w3.org/2000/svg" width="{width:g}" '
        f'height="{height:g}" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="{escape(title)}" font-family="system-ui, sans-serif">'
        f"<style>{own_text('theme.css')}{_STYLE}</style>"
        f'<rect class="paper" width="100%" height="100%"/>{heading}{"".join(body)}</svg>\n'
    )
    return _XML_NONE.sub("\N{REPLACEMENT CHARACTER}", whole)


def _placed(part: Part, *, left: float, top: float) -> Iterator[str]:
    width, height = part.size_wh
    yield f'<text x="{left:g}" y="{top + 12:g}" fill="currentColor" font-size="14" '
    yield f'font-weight="600">{escape(part.heading)}</text>'
    place = f'<svg x="{left:g}" y="{top + _HEADING:g}" width="{width:g}" height="{height:g}" '
    yield part.chart.replace("<svg ", place, 1)
    for number, (name, color) in enumerate(part.legend):
        y = top + _HEADING + height + _LEGEND * (number + 0.5)
        yield f'<path d="M{left + 46:g} {y:g}h18" style="stroke:{escape(color)}" stroke-width="3"/>'
        yield f'<text x="{left + 72:g}" y="{y + 4:g}" fill="currentColor" font-size="12">'
        yield f"{escape(name)}</text>"
