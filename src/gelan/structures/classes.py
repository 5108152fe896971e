"""What the classes of a network are called, and what its data set called them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gelan.errors import ConfigError, nearest


@dataclass(frozen=True, slots=True)
class ClassTable:
    """Model index -> name and, where the data set had ids of its own, -> source category id.

    >>> table = ClassTable(names=("person", "car"), category_ids=(1, 3))
    >>> table.indices(["car", "0"])
    (1, 0)
    """

    names: tuple[str, ...]
    category_ids: tuple[int, ...] | None = None
    """Ids of the data set that the network was trained on (COCO: 1 to 90 with gaps)."""

    def __post_init__(self) -> None:
        if self.category_ids is not None and len(self.category_ids) != len(self.names):
            raise ConfigError(
                f"{len(self.names)} class names but {len(self.category_ids)} category ids"
            )

    def __len__(self) -> int:
        return len(self.names)

    def category_id(self, index: int) -> int:
        """The source's id of a class; its model index where the source is unknown."""
        return index if self.category_ids is None else self.category_ids[index]

    def index(self, wanted: object) -> int:
        """Model index of a class: a text is its name, a whole number the index itself.

        >>> ClassTable(("dog", "0")).index("0"), ClassTable(("dog", "0")).index(0)
        (1, 0)

        Raises:
            ConfigError: there is no such class, with the nearest name; or it is neither.
        """
        if isinstance(wanted, str):
            return self._named(wanted)
        if isinstance(wanted, bool) or not isinstance(wanted, int | np.integer):
            kind = type(wanted).__name__
            raise ConfigError(
                f"{wanted!r:.100} ({kind}) is no class; pass a name or a whole number"
            )
        if not 0 <= wanted < len(self):
            raise ConfigError(f"class {wanted} is outside 0..{len(self) - 1}")
        return int(wanted)

    def indices(self, words: Sequence[str]) -> tuple[int, ...]:
        """Model indices of classes given as words: digits are an index, outside its range a name.

        >>> ClassTable(("dog", "7", "0")).indices(["0", " dog", "7"])
        (0, 0, 1)

        Raises:
            ConfigError: there is no such class, with the nearest name.
        """
        return tuple(self._written(word.strip()) for word in words)

    def _written(self, word: str) -> int:
        is_number = word.isdecimal() and len(word) < 19
        if is_number and (int(word) < len(self) or word not in self.names):
            return self.index(int(word))
        return self.index(word)

    def _named(self, name: str) -> int:
        if name in self.names:
            return self.names.index(name)
        hint = nearest(name[:100], self.names)
        if name.isdecimal():
            hint = f"; to choose it by its index, pass the number {name[:20]}"
        raise ConfigError(f"no class is called {name[:100]!r}{hint}")

    @classmethod
    def given(cls, names: object) -> ClassTable:
        """The table that a user gave, as it is, or the one of a sequence of names.

        Raises:
            ConfigError: it is neither, holds no name or an empty one, or one stands twice.
        """
        if isinstance(names, ClassTable):
            return names
        wanted = "pass a ClassTable, or the name of every class in order"
        if isinstance(names, str | bytes) or not isinstance(names, Sequence):
            raise ConfigError(f"classes is {names!r:.100} ({type(names).__name__}); {wanted}")
        for number, name in enumerate(names):
            if not isinstance(name, str):
                raise ConfigError(f"classes holds {name!r:.100} ({type(name).__name__}); {wanted}")
            if not name.strip():
                raise ConfigError(f"classes: name {number} is empty")
            if name in names[:number]:
                raise ConfigError(f"classes: {name!r:.100} stands twice")
        if not names:
            raise ConfigError("classes: there are none")
        return cls(tuple(names))

    @classmethod
    def unnamed(cls, num_classes: int) -> ClassTable:
        """`class 0`, `class 1`, ...: for files that hold no names."""
        return cls(tuple(f"class {index}" for index in range(num_classes)))
