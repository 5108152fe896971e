"""JSON objects that hold long lists, read with the line where each entry of a list begins."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from gelan.data.formats.places import read_text
from gelan.errors import ConfigError

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODE = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Entries:
    """A list and where its entries stand."""

    values: list[object]
    lines: Int64[np.ndarray, " n"]
    """Counted from 1; 0 where the file is one line, which tells nothing."""

    def line(self, index: int) -> int | None:
        """For a `Finding`."""
        return int(self.lines[index]) or None


def read_lists(path: Path) -> dict[str, Entries]:
    """The lists directly in the object that a JSON file holds; values that are no lists are not.

    Raises:
        ConfigError: the file cannot be read, is no complete JSON, or its outermost value is no
            object.
    """
    text = read_text(path)
    if text.lstrip().startswith("["):
        remedy = "name the file with 'images', 'annotations' and 'categories'"
        raise ConfigError(f"{path}: is a list, as results are; {remedy}")
    try:
        found = _lists(text)
    except json.JSONDecodeError as error:
        cause = f"is no complete JSON: {error.msg}"
        raise ConfigError(f"{path}:{error.lineno}: {cause}; write or download it again") from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise ConfigError(f"{path}: holds a number of thousands of digits; correct it") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: is nested too deeply to be annotations") from error
    newlines = np.array([match.start() for match in re.finditer("\n", text.rstrip())], np.int64)
    return {
        key: Entries(
            [value for value, _ in entries],
            np.searchsorted(newlines, np.array([start for _, start in entries], np.int64))
            + bool(newlines.size),
        )
        for key, entries in found.items()
    }


def _lists(text: str) -> dict[str, list[tuple[object, int]]]:
    """Entries of each list with the place in the text where they begin."""
    found: dict[str, list[tuple[object, int]]] = {}
    position = _expect("{", text, 0)
    while not text.startswith("}", position):
        key, position = _DECODE(text, position)
        position = _expect(":", text, _skip(text, position))
        if text.startswith("[", position):
            found[str(key)], position = _entries(text, position)
        else:
            _, position = _DECODE(text, position)
        position = _next(text, position, closing="}")
    return found


def _entries(text: str, position: int) -> tuple[list[tuple[object, int]], int]:
    """The entries of the list that begins at a position, and where it ends."""
    entries: list[tuple[object, int]] = []
    position = _expect("[", text, position)
    while not text.startswith("]", position):
        value, end = _DECODE(text, position)
        entries.append((value, position))
        position = _next(text, end, closing="]")
    return entries, position + 1


def _next(text: str, position: int, *, closing: str) -> int:
    """Where the next entry begins, or the closing bracket stands."""
    position = _skip(text, position)
    if text.startswith(closing, position):
        return position
    return _expect(",", text, position)


def _expect(mark: str, text: str, position: int) -> int:
    """The next thing behind a mark and spaces."""
    position = _skip(text, position)
    if not text.startswith(mark, position):
        raise json.JSONDecodeError(f"expected {mark!r}", text, min(position, len(text)))
    return _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return space.end() if space else position
