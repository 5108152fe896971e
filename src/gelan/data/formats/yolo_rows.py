"""Rows of a YOLO label file: `class cx cy width height` or `class x1 y1 x2 y2 x3 y3 ...`.

Coordinates are parts of the image's width and height. Each row is judged for itself: boxes and
polygons may stand in one file. A row that cannot be used is kept aside with the reason; what the
reason looks like over a whole data set is told by `yolo_suspicions`.
"""

from __future__ import annotations

import errno
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gelan.data.formats.collector import Collector
from gelan.data.formats.outlines import encloses_nothing
from gelan.data.formats.records import Labels, Row, labels_of
from gelan.geometry.polygons import polygon_area

MOST_CLASSES = 100_000
ROUNDING = 1e-3
"""Parts of the image's size by which a coordinate may leave it: labels of 3 decimals do."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used."""

    line: int
    kind: str
    cause: str
    remedy: str
    values: tuple[float, ...] = ()
    """Its numbers after the class, where they are numbers."""
    number: int | None = None
    """Its class, where it is a whole number."""


@dataclass(frozen=True, slots=True)
class LabelFile:
    """The rows of one file."""

    path: Path
    labels: Labels
    bad: list[BadRow]


@dataclass(slots=True)
class RowReader:
    """Reads label files of one data set."""

    index_of: Mapping[int, int] | None
    """Model index of each class number; None where any number will do."""
    names: Mapping[str, int]
    """Class number of each name, for advice."""
    collector: Collector

    def read(self, path: Path) -> LabelFile | None:
        """The rows of a file; None, and a finding, where it cannot be read as text."""
        try:
            if path.exists() and not path.is_file():  # to open a pipe would wait for ever
                raise OSError(errno.EINVAL, "is no ordinary file")
            text = path.read_bytes().decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is no text in UTF-8"
            cause = f"cannot be read: {reason}; its image is left out"
            remedy = "save it again as plain text"
            self.collector.error("label-unreadable", path, cause=cause, remedy=remedy)
            return None
        bad: list[BadRow] = []
        rows: dict[tuple[float, ...], Row] = {}
        for line, words in enumerate(text.splitlines(), start=1):
            fields = words.split()
            if not fields:
                continue
            row = self._row(fields, line=line, path=path)
            if isinstance(row, BadRow):
                bad.append(row)
            else:
                first = rows.setdefault(tuple(map(float, fields)), row)
                if first is not row:
                    self._tell_repeated(row, first, path)
        return LabelFile(path, labels_of(list(rows.values()), layout="centre-fractions"), bad)

    def _tell_repeated(self, row: Row, first: Row, path: Path) -> None:
        cause = f"the same row as line {first.line}; one of them is used"
        remedy = "take one of them out"
        self.collector.warning("row-repeated", path, line=row.line, cause=cause, remedy=remedy)

    def _row(self, fields: list[str], *, line: int, path: Path) -> Row | BadRow:
        wrong = _wrong_number_of_fields(fields)
        if wrong:
            return BadRow(line, "row-fields", *wrong)
        try:
            values = tuple(map(float, fields[1:]))
        except ValueError:
            return _no_number(fields, line=line)
        number = _class_number(fields[0])
        if number is None:
            return self._no_class(fields[0], line=line, values=values)
        index = self._index(number)
        if index is None:
            return self._unknown_class(number, line=line, values=values)
        bad = _unusable(values)
        if bad:
            return BadRow(line, *bad, values, number)
        return self._usable(index, values, line=line, path=path)

    def _index(self, number: int) -> int | None:
        """The model's index of a class number; None where there is no such class."""
        if self.index_of is not None:
            return self.index_of.get(number)
        return number if number <= MOST_CLASSES else None

    def _usable(self, index: int, values: tuple[float, ...], *, line: int, path: Path) -> Row:
        lowest, highest = min(values), max(values)
        if lowest < 0 or highest > 1:
            worst = lowest if -lowest > highest - 1 else highest
            cause = f"{worst:g} is outside 0..1, no more than rounding; it is cut at the border"
            remedy = "write coordinates with 6 decimals"
            self.collector.warning("value-rounding", path, line=line, cause=cause, remedy=remedy)
            values = tuple([min(max(value, 0.0), 1.0) for value in values])
        if len(values) > 4:
            row = _polygon_row(index, values, line=line)
            if not row.polygons:
                cause, remedy = "the outline encloses nothing; its box is used", "draw it again"
                self.collector.warning(
                    "outline-broken", path, line=line, cause=cause, remedy=remedy
                )
            return row
        centre_x, centre_y, width, height = values
        reach = max(
            width / 2 - centre_x,
            height / 2 - centre_y,
            centre_x + width / 2 - 1,
            centre_y + height / 2 - 1,
        )
        if reach > ROUNDING:
            cause = f"the box reaches {reach:.1%} of the image's size out of it; it is cut there"
            remedy = "check that the row is centre x, centre y, width, height"
            self.collector.warning("box-outside", path, line=line, cause=cause, remedy=remedy)
        box = (centre_x, centre_y, width, height)
        return Row(box, index, line=line, place=line - 1)

    def _no_class(self, word: str, *, line: int, values: tuple[float, ...]) -> BadRow:
        if word in self.names:
            remedy = f"write {self.names[word]}, the number of this class"
        else:
            remedy = "begin the row with the number of its class"
        return BadRow(line, "class-unknown", f"class {word!r} is no whole number", remedy, values)

    def _unknown_class(self, number: int, *, line: int, values: tuple[float, ...]) -> BadRow:
        if self.index_of is None:
            cause = f"class {number} is more than any network has"
            return BadRow(line, "class-unknown", cause, "correct it", values, number)
        known = sorted(self.index_of)
        is_gapless = known == list(range(len(known)))
        span = f"0..{len(known) - 1}" if is_gapless else ", ".join(map(str, known))
        cause = f"class {number} is outside {span}"
        return BadRow(line, "class-unknown", cause, "correct it, or 'names'", values, number)


def _wrong_number_of_fields(fields: list[str]) -> tuple[str, str] | None:
    """Cause and remedy, where there are neither 5 fields nor 7, 9, 11, ..."""
    size = len(fields)
    if size == 5 or (size >= 7 and size % 2 == 1):
        return None
    remedy = "write 'class cx cy width height' or 'class x1 y1 x2 y2 x3 y3 ...'"
    cause = f"{size} field{'' if size == 1 else 's'}, neither a box nor a polygon"
    if any(separator in "".join(fields) for separator in ",;"):
        return f"{cause}: separated by commas?", "separate the fields by spaces"
    if size == 6:
        return f"{cause}: a box with a score?", "take the sixth field out"
    return cause, remedy


def _no_number(fields: list[str], *, line: int) -> BadRow:
    word = next(word for word in fields[1:] if not _is_number(word))
    if re.fullmatch(r"[+-]?\d*,\d+", word):
        cause, remedy = f"{word!r} has a comma for its point", "write decimals with a point"
    else:
        cause, remedy = f"{word!r} is no number", "write coordinates as numbers in 0..1"
    return BadRow(line, "row-number", cause, remedy)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _class_number(word: str) -> int | None:
    """A whole number, also where a program wrote it as `3.0`."""
    match = re.fullmatch(r"(\d{1,9})(?:\.0*)?", word)
    return int(match[1]) if match and match[1].isascii() else None


def _unusable(values: tuple[float, ...]) -> tuple[str, str, str] | None:
    """Kind, cause and remedy where coordinates cannot be those of a box or polygon."""
    if not all(map(math.isfinite, values)):
        return "row-number", "a coordinate is not finite", "label this object again"
    is_box = len(values) == 4
    if is_box and min(values[2:]) < 0:
        cause = f"width {values[2]:g}, height {values[3]:g}: a size is never negative"
        return "box-swapped", cause, "exchange the corners that the size was computed from"
    if min(values) < -ROUNDING or max(values) > 1 + ROUNDING:
        worst = max(values, key=lambda value: abs(value - 0.5))
        remedy = "divide x and width by the image's width, y and height by its height"
        return "value-range", f"{worst:g} is outside 0..1", remedy
    width, height = _size(values)
    if width <= 0 or height <= 0:
        what = "box" if is_box else "polygon"
        cause = f"a {what} of width {width:g} and height {height:g}"
        return "box-empty", cause, "delete the row, or label the object again"
    return None


def _size(values: tuple[float, ...]) -> tuple[float, float]:
    """Width and height of the part of a box or polygon within 0..1."""
    if len(values) == 4:
        spans = [
            (values[axis] - values[axis + 2] / 2, values[axis] + values[axis + 2] / 2)
            for axis in (0, 1)
        ]
    else:
        spans = [(min(values[axis::2]), max(values[axis::2])) for axis in (0, 1)]
    (left, right), (top, bottom) = spans
    return min(right, 1.0) - max(left, 0.0), min(bottom, 1.0) - max(top, 0.0)


def _polygon_row(index: int, values: tuple[float, ...], *, line: int) -> Row:
    outline = np.array(values, np.float64).reshape(-1, 2)
    (left, top), (right, bottom) = outline.min(axis=0).tolist(), outline.max(axis=0).tolist()
    box = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
    if encloses_nothing(outline):
        return Row(box, index, line=line, place=line - 1)
    area = polygon_area(outline)
    return Row(box, index, area=area, polygons=(outline,), line=line, place=line - 1)
