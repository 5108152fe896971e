"""What all charts have in common: the field between two axes, its ticks and titles, and letters.

The unit of length is that of the picture's `viewBox`, in which letters are 12 high; y runs down.
All text is escaped. Lines and letters take the colour of the text around the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from gelan.visualize.axes import Axis

Point = tuple[float, float]

FONT = 12.0
LETTER = 0.56
"""Width of an average letter in parts of the font size."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 12.0, 10.0, 42.0
"""Least room around a field, for ticks and titles."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """Where the values of a chart are."""

    x: Axis
    y: Axis
    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def within(
        cls,
        size: tuple[float, float],
        *,
        axes: tuple[Axis, Axis],
        more_top: float = 0.0,
        more_right: float = 0.0,
    ) -> Field:
        """The field of a picture of this width and height, with room for its ticks and titles."""
        x, y = axes
        longest = max(map(text_width, y.labels), default=0.0)
        ticks = (25.0 if y.title else 10.0) + longest
        return cls(
            x=x,
            y=y,
            left=max(_LEFT if y.title else 0.0, ticks),
            top=_TOP + more_top,
            right=size[0] - _RIGHT - more_right,
            bottom=size[1] - (_BOTTOM if x.title else _BOTTOM - 18),
        )

    def place(self, x: float, y: float) -> Point:
        """Of two values."""
        return (
            round(self.left + self.x.share(x) * (self.right - self.left), 1),
            round(self.bottom - self.y.share(y) * (self.bottom - self.top), 1),
        )


def text_width(text: str) -> float:
    """About how wide a text becomes."""
    return LETTER * FONT * len(text)


def axes_drawn(field: Field, size: tuple[float, float]) -> Iterator[str]:
    """Ticks, rules and titles in a picture of this width and height."""
    left, right, top, bottom = field.left, field.right, field.top, field.bottom
    for tick, label in zip(field.x.ticks, field.x.labels, strict=True):
        x, _ = field.place(tick, field.y.low)
        yield _rule(f"M{x} {top:g}V{bottom:g}", heavy=tick == field.x.low)
        yield svg_text(label, x, bottom + 16, anchor="middle", opacity=0.75)
    for tick, label in zip(field.y.ticks, field.y.labels, strict=True):
        _, y = field.place(field.x.low, tick)
        yield _rule(f"M{left:g} {y}H{right:g}", heavy=tick == field.y.low)
        yield svg_text(label, left - 7, y + 4, anchor="end", opacity=0.75)
    yield svg_text(field.x.title, (left + right) / 2, size[1] - 6.0, anchor="middle")
    middle = (top + bottom) / 2
    turn = f' transform="rotate(-90 12 {middle:g})"'
    yield svg_text(field.y.title, 12.0, middle, anchor="middle", more=turn)


def _rule(path: str, *, heavy: bool) -> str:
    opacity = 0.45 if heavy else 0.13
    return f'<path d="{path}" stroke="currentColor" stroke-opacity="{opacity}" fill="none"/>'


def svg_text(
    text: str, x: float, y: float, *, anchor: str = "start", opacity: float = 1.0, more: str = ""
) -> str:
    """A text in the colour of the page, unless `more` attributes fill it; nothing for no text."""
    if not text:
        return ""
    faded = "" if opacity == 1 else f' fill-opacity="{opacity:g}"'
    ink = "" if "fill:" in more else ' fill="currentColor"'
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{ink}{faded}{more}>{escape(text)}</text>'
    )


def svg_picture(body: Sequence[str], *, width: float, height: float, title: str, kind: str) -> str:
    """The whole picture; `title` is for those who cannot see it."""
    return (
        f'<svg class="chart {kind}" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg" '
        f'font-family="inherit" font-size="12">{"".join(body)}</svg>'
    )
