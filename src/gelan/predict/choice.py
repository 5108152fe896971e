"""Which classes are wanted, as indices: from what Python code or a command line says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gelan.errors import ConfigError
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
        return (table.index(wanted),)
    values = wanted.reshape(-1).tolist() if isinstance(wanted, np.ndarray) else wanted
    return tuple(table.index(value) for value in values)


def listed_classes(table: ClassTable, text: str) -> tuple[int, ...]:
    """The indices of `16,dog`, as `ClassTable.indices` takes its words.

    >>> listed_classes(ClassTable(("dog", "7", "0")), "0, dog,7")
    (0, 0, 1)

    Raises:
        ConfigError: there is no such class, or a place between commas is empty.
    """
    words = text.split(",")
    if not all(map(str.strip, words)):
        raise ConfigError(f"classes {text!r}: a place between commas is empty; leave it out")
    return table.indices(words)
