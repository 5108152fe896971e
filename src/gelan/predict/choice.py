"""Which classes are wanted, as indices: from what Python code or a command line says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gelan.errors import ConfigError, nearest
from gelan.structures.classes import ClassTable

ClassChoice: TypeAlias = str | int | np.integer | Sequence[str | int | np.integer] | NDArray[Any]
"""One class or several; a number is an index, a text is a name."""


def chosen_classes(table: ClassTable, wanted: object) -> tuple[int, ...]:
    """The indices of a `ClassChoice`; a text is a name even if it is a number.

    >>> chosen_classes(ClassTable(("dog", "7")), ["7", 0])
    (1, 0)

    Raises:
        ConfigError: there is no such class, or it is neither a whole number nor a text.
    """
    if isinstance(wanted, str | int | np.integer) or not isinstance(wanted, Sequence | np.ndarray):
        return (_index(table, wanted),)
    values = wanted.reshape(-1).tolist() if isinstance(wanted, np.ndarray) else wanted
    return tuple(_index(table, value) for value in values)


def listed_classes(table: ClassTable, text: str) -> tuple[int, ...]:
    """The indices of `16,dog`: digits are an index, and only outside its range a name.

    >>> listed_classes(ClassTable(("dog", "7", "0")), "0, dog,7")
    (0, 0, 1)

    Raises:
        ConfigError: there is no such class, or a place between commas is empty.
    """
    return tuple(_listed(table, word.strip(), text) for word in text.split(","))


def _listed(table: ClassTable, word: str, text: str) -> int:
    if not word:
        raise ConfigError(f"classes {text!r}: a place between commas is empty; leave it out")
    is_number = word.isdecimal() and len(word) < 19
    if is_number and (int(word) < len(table) or word not in table.names):
        return _index(table, int(word))
    return _index(table, word)


def _index(table: ClassTable, wanted: object) -> int:
    if isinstance(wanted, str):
        if wanted in table.names:
            return table.names.index(wanted)
        hint = nearest(wanted[:100], table.names)
        if wanted.isdecimal():
            hint = f"; to choose it by its index, pass the number {wanted[:20]}"
        raise ConfigError(f"no class is called {wanted[:100]!r}{hint}")
    if isinstance(wanted, bool) or not isinstance(wanted, int | np.integer):
        kind = type(wanted).__name__
        raise ConfigError(f"{wanted!r:.100} ({kind}) is no class; pass a name or a whole number")
    if not 0 <= wanted < len(table):
        raise ConfigError(f"class {wanted} is outside 0..{len(table) - 1}")
    return int(wanted)
