"""The images of a data set with their objects, decoded when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gelan.data.cache import Cache, CacheKey, Held
from gelan.data.formats.records import ImageRecord
from gelan.data.reduced import read_reduced
from gelan.errors import ImageError
from gelan.structures.samples import Annotations, Sample


class Dataset:
    """Images by number, in the order of the records.

    The pixels of a sample may be shared with a cache, so they cannot be written to; copy them to
    draw on them. A data set can be sent to another process.
    """

    def __init__(self, records: Sequence[ImageRecord], *, cache: Cache | None = None) -> None:
        self.records = tuple(records)
        self._cache = cache

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        """An image in full, with its objects.

        Raises:
            ImageError: it cannot be read; the message names the file.
            IndexError: there is no such image.
        """
        return self.load(index, at_most=None)

    def load(self, index: int, *, at_most: int | None) -> Sample:
        """An image whose longer side is at most so many pixels, with its objects in those pixels.

        Larger ones are decoded at a half, a quarter or an eighth where that is quicker, and shrunk.
        None asks for the image in full.

        Raises:
            ImageError: it cannot be read; the message names the file.
            IndexError: there is no such image.
        """
        record = self.records[index]
        held = self._held(record, at_most)
        annotations = scaled(record.annotations(held.size_hw), held.size_hw, held.image.shape[:2])
        return Sample(image=held.image, annotations=annotations, source=str(record.path))

    def _held(self, record: ImageRecord, at_most: int | None) -> Held:
        if self._cache is None:
            return _decoded(record, at_most)
        try:
            key = CacheKey.of(record.path, at_most)
        except OSError as error:
            cause = f"cannot be opened: {error.strerror or error}"
            raise ImageError(f"{record.path}: {cause}") from error
        held = self._cache.get(key)
        if held is None:
            held = _decoded(record, at_most)
            self._cache.put(key, held)
        return held


def _decoded(record: ImageRecord, at_most: int | None) -> Held:
    image, size_hw = read_reduced(record.path, at_most=at_most)
    image.flags.writeable = False
    return Held(image, size_hw)


def scaled(
    annotations: Annotations, size_hw: tuple[int, int], new_hw: tuple[int, int]
) -> Annotations:
    """The objects of an image that was resized from one height and width to another.

    >>> found = Annotations.of_boxes([[0, 10, 40, 20]], [0])
    >>> scaled(found, (100, 100), (50, 25)).boxes.tolist()
    [[0.0, 5.0, 10.0, 10.0]]
    """
    if size_hw == new_hw:
        return annotations
    factors = np.array([new_hw[1] / size_hw[1], new_hw[0] / size_hw[0]], np.float32)
    return Annotations(
        boxes=annotations.boxes * np.tile(factors, 2),
        classes=annotations.classes,
        crowd=annotations.crowd,
        areas=annotations.areas * factors.prod(),
        polygons=tuple(
            [tuple([part * factors for part in parts]) for parts in annotations.polygons]
        ),
    )
