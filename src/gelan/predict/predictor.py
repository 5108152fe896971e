"""Images -> detections: reading, letterbox, network and selection put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from jaxtyping import UInt8

from gelan.data.images import as_image, read_image
from gelan.errors import ConfigError, ImageError
from gelan.geometry.letterbox import Preprocessing, letterbox, to_network
from gelan.predict.backends.raw import RawModel
from gelan.predict.choice import ClassChoice, chosen_classes
from gelan.predict.postprocess import PREDICTION, PostprocessSettings, postprocess
from gelan.predict.sources import ImageFile
from gelan.structures.classes import ClassTable
from gelan.structures.detections import Detections

if TYPE_CHECKING:
    from gelan.model.detector import Detector

Image = UInt8[np.ndarray, "_ _ 3"]
"""RGB, 0 to 255."""


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An image and what was found in it."""

    image: Image
    detections: Detections


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image that could not be read, and why."""

    name: str
    error: ImageError


class Predictor:
    """A network ready to look at images.

    `gelan.load("weights.safetensors")` makes one; so can anybody with a `RawModel` of their own.
    """

    def __init__(
        self,
        model: RawModel,
        *,
        classes: ClassTable,
        preprocessing: Preprocessing,
        detector: Detector | None = None,
    ) -> None:
        self.model = model
        """The runtime that is asked."""
        self.classes = classes
        self.preprocessing = preprocessing
        self._detector = detector

    @property
    def detector(self) -> Detector:
        """The network as an `nn.Module`, with its auxiliary part if the file holds one.

        Predictions come from a folded copy of it: later changes do not reach them.

        Raises:
            ConfigError: the weights are an exported file, which holds no such network.
        """
        if self._detector is None:
            raise ConfigError("an exported file holds no trainable network: load its weights file")
        return self._detector

    def predict(
        self,
        images: object,
        *,
        confidence: float = PREDICTION.confidence,
        iou: float = PREDICTION.iou,
        max_detections: int = PREDICTION.max_detections,
        classes: ClassChoice = (),
        agnostic: bool = PREDICTION.agnostic,
    ) -> list[Detections]:
        """The objects in each image, best score first.

        `images` is a path, an RGB array (height, width, 3) of uint8, a PIL image, or a list of
        such; the result is a list in any case. `classes` are names (texts) or indices (numbers),
        one or several; none means all. No more than one batch of images is held at a time.

        Raises:
            ImageError: an image cannot be read; use `stream` to go on with the others.
            ConfigError: a setting is outside its range, or a class is unknown.
        """
        settings = PostprocessSettings(
            confidence=confidence,
            iou=iou,
            max_detections=max_detections,
            classes=chosen_classes(self.classes, classes) or None,
            agnostic=agnostic,
        )
        several = list(images) if isinstance(images, list | tuple) else [images]
        named = (_named(image, number) for number, image in enumerate(several))
        return [
            seen.detections
            for batch in batched(named, 8)
            for seen in self._look_at(batch, settings)
        ]

    def stream(
        self, files: Iterable[ImageFile], *, settings: PostprocessSettings, batch: int = 1
    ) -> Iterator[Seen | Unreadable]:
        """What is found in each file, in order, as it comes; unreadable files do not stop it."""
        for group in batched(files, batch):
            read = [_read(file) for file in group]
            images = [entry for entry in read if not isinstance(entry, Unreadable)]
            seen = iter(self._look_at(images, settings))
            for entry in read:
                yield entry if isinstance(entry, Unreadable) else next(seen)

    def _look_at(
        self, images: Sequence[tuple[str, Image]], settings: PostprocessSettings
    ) -> list[Seen]:
        """The network asked once for each size of canvas among the images."""
        placed = [letterbox(image, self.preprocessing) for _, image in images]
        sizes = {canvas.shape for canvas, _ in placed}
        found: dict[int, Detections] = {}
        for size in sizes:
            members = [index for index, (canvas, _) in enumerate(placed) if canvas.shape == size]
            output = self.model(to_network([placed[index][0] for index in members]))
            for index, boxes, scores in zip(members, output.boxes, output.scores, strict=True):
                found[index] = postprocess(
                    boxes,
                    scores,
                    placement=placed[index][1],
                    names=self.classes.names,
                    source=images[index][0],
                    settings=settings,
                )
        return [Seen(image, found[index]) for index, (_, image) in enumerate(images)]


def _named(image: object, number: int) -> tuple[str, Image]:
    if isinstance(image, str | Path):
        return str(image), read_image(Path(image))
    name = f"image {number}"
    return name, as_image(image, name=name)


def _read(file: ImageFile) -> tuple[str, Image] | Unreadable:
    try:
        return file.name, file.read()
    except ImageError as error:
        return Unreadable(file.name, error)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`, the last one shorter (itertools has it from Python 3.12).

    >>> list(batched("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group
