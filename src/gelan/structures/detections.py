"""The objects found in one image, in numpy: no torch is needed to hold, select or draw them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, Integer


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Detections:
    """The objects found in one image, best score first.

    Equal to itself alone: compare the arrays to compare what was found.

    >>> found = Detections(
    ...     boxes=np.array([[10, 20, 50, 80], [0, 0, 9, 9]], np.float32),
    ...     scores=np.array([0.9, 0.3], np.float32),
    ...     classes=np.array([0, 2]),
    ...     names=("person", "bicycle", "car"),
    ...     size_hw=(100, 200),
    ... )
    >>> len(found), found.labels
    (2, ['person', 'car'])
    >>> found[found.scores > 0.5].labels, found[1].labels
    (['person'], ['car'])
    >>> [one.scores.item() > 0.5 for one in found]
    [True, False]
    """

    boxes: Float[np.ndarray, "n 4"]
    """x1, y1, x2, y2 in pixels of the original image, after EXIF rotation."""
    scores: Float[np.ndarray, " n"]
    """0 to 1."""
    classes: Int[np.ndarray, " n"]
    """Indices into `names`."""
    names: tuple[str, ...]
    """Name of every class that the network knows, found here or not."""
    size_hw: tuple[int, int]
    """Height and width of the original image in pixels."""
    source: str = ""
    """Path or name of the image, for messages and outputs."""
    track_ids: Int[np.ndarray, " n"] | None = None
    """The same number for the same object in other frames, where a tracker has run."""

    def __post_init__(self) -> None:
        lengths = {len(self.boxes), len(self.scores), len(self.classes)}
        if self.track_ids is not None:
            lengths.add(len(self.track_ids))
        if len(lengths) > 1:
            raise ValueError(
                f"boxes, scores, classes and track_ids must be equally long, got {sorted(lengths)}"
            )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(
        self,
        index: int | np.integer | slice | Bool[np.ndarray, " n"] | Integer[np.ndarray, "*m"],
    ) -> Detections:
        """The detections at a position, or chosen by a slice, a mask or an array of positions.

        Raises:
            IndexError: there is nothing at a position.
        """
        if isinstance(index, bool | np.bool_):
            raise TypeError(f"{index!s} is no position; pass a whole number, a slice or a mask")
        if isinstance(index, int | np.integer) or (
            isinstance(index, np.ndarray) and not index.ndim
        ):
            index = self._only(int(index))
        return replace(
            self,
            boxes=self.boxes[index],
            scores=self.scores[index],
            classes=self.classes[index],
            track_ids=None if self.track_ids is None else self.track_ids[index],
        )

    def __iter__(self) -> Iterator[Detections]:
        """Each detection by itself."""
        return (self[position] for position in range(len(self)))

    def _only(self, position: int) -> slice:
        if not -len(self) <= position < len(self):
            raise IndexError(f"there is no detection {position} among {len(self)}")
        start = position % len(self)
        return slice(start, start + 1)

    @property
    def labels(self) -> list[str]:
        """The class name of each detection."""
        return [self.names[index] for index in self.classes]

    @classmethod
    def empty(
        cls, *, names: Sequence[str] = (), size_hw: tuple[int, int] = (0, 0), source: str = ""
    ) -> Detections:
        """No detections in an image of the given size."""
        return cls(
            boxes=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            classes=np.zeros(0, np.int64),
            names=tuple(names),
            size_hw=size_hw,
            source=source,
        )
