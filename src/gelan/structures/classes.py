"""What the classes of a network are called, and what its data set called them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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

    def indices(self, wanted: Sequence[str]) -> tuple[int, ...]:
        """Model indices of classes given by name or by model index.

        Raises:
            ConfigError: a name or index that the network does not have, with the nearest name.
        """
        return tuple(self._index(word.strip()) for word in wanted)

    def _index(self, word: str) -> int:
        if word in self.names:
            return self.names.index(word)
        if word.isdecimal():
            if int(word) < len(self.names):
                return int(word)
            raise ConfigError(f"class {word} is outside 0..{len(self.names) - 1}")
        raise ConfigError(f"no class is called {word!r}{nearest(word, self.names)}")

    @classmethod
    def unnamed(cls, num_classes: int) -> ClassTable:
        """`class 0`, `class 1`, ...: for files that hold no names."""
        return cls(tuple(f"class {index}" for index in range(num_classes)))
