"""Axes of charts: from which value to which, and ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_ROUND = (1.0, 2.0, 5.0)
"""Leading digits of the distances between ticks."""
_MOST_LOG_TICKS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """A range of values, `low` below `high`; both are above 0 where it is logarithmic."""

    title: str
    low: float = 0.0
    high: float = 1.0
    ticks: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high one, outside of these beyond them.

        >>> Axis(title="", low=2.0, high=4.0).share(3.0)
        0.5
        >>> Axis(title="", low=1.0, high=100.0, log=True).share(10.0)
        0.5
        """
        if self.log:
            least = math.log(max(value, math.ulp(0.0)) / self.low)
            return least / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    @property
    def labels(self) -> tuple[str, ...]:
        """One for each tick."""
        return tuple(map(tick_label, self.ticks))


def tick_label(value: float) -> str:
    """A round number, short.

    >>> [tick_label(value) for value in (0.30000000000000004, 1500.0, 20000.0, 5e-05, 3e6)]
    ['0.3', '1500', '20k', '5e-5', '3M']
    """
    for limit, unit in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= limit and value % (limit / 100) == 0:
            return f"{value / (1e6 if unit == 'M' else 1e3):g}{unit}"
    return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e")


def round_axis(
    values: Iterable[float], *, title: str, from_zero: bool = False, num_ticks: int = 6
) -> Axis:
    """An axis whose ends and ticks are round; it holds all values that are finite numbers.

    About `num_ticks` ticks. Where there is no value it runs from 0 to 1, and one value alone has
    room on both sides.

    >>> round_axis([0.13, 0.87], title="AP").ticks
    (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    >>> round_axis([31.0, 38.0], title="images/s", num_ticks=4).ticks
    (30.0, 35.0, 40.0)
    """
    low, high = _ends(values, from_zero=from_zero)
    step = _step((high - low) / max(1, num_ticks - 1))
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    ticks = tuple(_clean(number * step) for number in range(first, last + 1))
    return Axis(title=title, low=ticks[0], high=ticks[-1], ticks=ticks)


def count_axis(first: int, last: int, *, title: str, num_ticks: int = 6) -> Axis:
    """An axis of whole numbers that begins and ends with those given, ticks at round ones.

    >>> count_axis(1, 50, title="epoch").ticks, count_axis(1, 1, title="epoch").ticks
    ((1.0, 10.0, 20.0, 30.0, 40.0, 50.0), (1.0,))
    """
    if first == last:
        return Axis(title=title, low=first - 1.0, high=first + 1.0, ticks=(float(first),))
    step = max(1, round(_step((last - first) / max(1, num_ticks))))
    ticks = [number for number in range(0, last + 1, step) if number > first + 0.3 * step]
    return Axis(
        title=title, low=float(first), high=float(last), ticks=tuple(map(float, (first, *ticks)))
    )


def log_axis(values: Iterable[float], *, title: str) -> Axis:
    """A logarithmic axis for numbers above 0; others have no place on it and are left out.

    Its ticks are 1, 2 and 5 times powers of ten, or only the powers where these are many.

    >>> log_axis([0.3, 40.0], title="loss").ticks
    (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
    >>> log_axis([1e-5, 0.02], title="rate").ticks
    (1e-05, 0.0001, 0.001, 0.01, 0.1)
    """
    low, high = _ends((value for value in values if value > 0), from_zero=False)
    low = low if low > 0 else high / 10
    powers = range(math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9) + 1)
    ticks = [_clean(digit * 10.0**power) for power in powers for digit in _ROUND]
    first = max(number for number, tick in enumerate(ticks) if tick <= low * 1.001)
    last = min(number for number, tick in enumerate(ticks) if tick >= high * 0.999)
    shown = ticks[first : last + 1]
    if len(shown) > _MOST_LOG_TICKS:
        shown = [_clean(10.0**power) for power in powers]
    return Axis(title=title, low=shown[0], high=shown[-1], ticks=tuple(shown), log=True)


def _ends(values: Iterable[float], *, from_zero: bool) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    if from_zero:
        finite.append(0.0)
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    if low == high:
        room = abs(low) / 10 or 1.0
        return (0.0, 1.0) if low == 0 and from_zero else (low - room, high + room)
    return low, high


def _step(least: float) -> float:
    """The smallest round distance that is not below `least`, about."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((digit * power for digit in _ROUND if digit * power >= 0.999 * least), 10.0 * power)


def _clean(value: float) -> float:
    """Without the dust of binary fractions."""
    return float(f"{value:.12g}")
