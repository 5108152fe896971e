"""Training samples of an epoch: which images, in which order, and all that chance does to them.

The order of an epoch is random, and cut into groups of about as many images as `partners` says.
The own image of each sample comes from the order, so each image is the own one of exactly one
sample; the partners of a mosaic come from the other images of its group. A group is a random
subset of the data set, so the four images of a mosaic are as random as if each had been drawn from
all of them, any three others as likely as any other three; what differs from the recipe is only
that an image is seen again within its group, not anywhere in the epoch. For that, each image is
decoded once where the recipe decodes it four and a half times.

Every sample has a random stream of its own, made from (seed, epoch, index of its own image). So
which process makes it, and after which others, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from gelan.data.augment.compose import Plan, Planner, Read
from gelan.data.augment.config import AugmentConfig
from gelan.data.augment.draw import drawn
from gelan.errors import ConfigError
from gelan.geometry.letterbox import Placement, Preprocessing, letterbox
from gelan.structures.samples import Annotations, Sample

_ORDER, _SAMPLE = 0, 1  # what a random stream is for

Hook = Callable[[Sample], Sample]
"""A change of the user's own, made last."""


@runtime_checkable
class SampleSource(Protocol):
    """What samples are made of: a data set, or a list in memory."""

    def __len__(self) -> int:
        """How many images there are."""

    def __getitem__(self, index: int) -> Sample:
        """An image in full."""

    def load(self, index: int, *, at_most: int) -> Sample:
        """An image whose longer side is at most so many pixels, with objects in those pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What decides the samples of one epoch, besides the images."""

    config: AugmentConfig
    preprocessing: Preprocessing
    seed: int
    epoch: int

    def __post_init__(self) -> None:
        if self.seed < 0 or self.epoch < 0:
            raise ConfigError(f"seed {self.seed} and epoch {self.epoch} must not be below 0")
        if not self.config.is_none and self.preprocessing.shape != "square":
            raise ConfigError("augment: samples are square; take a preprocessing of shape 'square'")

    def groups(self, count: int, *, shuffle: bool = True) -> list[Int64[np.ndarray, " _"]]:
        """All indices below `count` in the order of the epoch, in groups of partners.

        The groups are of nearly equal size. Without `shuffle` the images come in their own order,
        which is no random one; a mosaic is then refused.

        Raises:
            ConfigError: mosaics without `shuffle`.
        """
        if self.config.mosaic and not shuffle:
            raise ConfigError("mosaics take their partners from a random order: turn shuffle on")
        order = np.arange(count)
        if shuffle:
            order = _stream(self.seed, _ORDER, self.epoch).permutation(count)
        number = max(1, -(-count // self.config.partners))
        return np.array_split(order, number)


class Made(NamedTuple):
    """A sample, and the way back to its image where there is one."""

    sample: Sample
    placement: Placement | None


class Decoded:
    """Images of a source, each read once, no larger than the output needs."""

    def __init__(self, source: SampleSource, *, at_most: int) -> None:
        self._source = source
        self._at_most = at_most
        self._held: dict[int, Sample] = {}

    def __call__(self, index: int) -> Sample:
        """The image of an index, with its objects.

        Raises:
            ValueError: the source gave a larger image than it was asked for.
        """
        if index not in self._held:
            sample = self._source.load(index, at_most=self._at_most)
            height, width = sample.image.shape[:2]
            if max(height, width) > self._at_most:
                found = f"{sample.source}: load gave {height} x {width} pixels"
                raise ValueError(f"{found} where at most {self._at_most} were asked for")
            self._held[index] = sample
        return self._held[index]

    def image(self, index: int) -> UInt8[np.ndarray, "height width 3"]:
        """The image of an index alone."""
        return self(index).image


def augmented(
    source: SampleSource,
    index: int,
    *,
    seed: int = 0,
    epoch: int = 0,
    config: AugmentConfig,
    preprocessing: Preprocessing | None = None,
    hook: Hook | None = None,
) -> Sample:
    """The sample whose own image is `index`, just as a loader makes it in that epoch."""
    preprocessing = preprocessing or Preprocessing()
    recipe = Recipe(config=config, preprocessing=preprocessing, seed=seed, epoch=epoch)
    for group in recipe.groups(len(source)):
        for place in np.flatnonzero(group == index).tolist():
            ((sample, _),) = samples(source, group, [place], recipe=recipe, hook=hook)
            return sample
    raise IndexError(f"index {index} is outside 0..{len(source) - 1}")


def samples(
    source: SampleSource,
    group: Int64[np.ndarray, " n"],
    places: Sequence[int],
    *,
    recipe: Recipe,
    hook: Hook | None = None,
) -> Iterator[Made]:
    """The samples at places of a group; each image that they need is decoded once."""
    read = Decoded(source, at_most=recipe.preprocessing.size)
    for place in places:
        index = int(group[place])
        if recipe.config.is_none:
            made = letterboxed(source[index], recipe.preprocessing)
        else:
            image_plan = plan(group, place, recipe=recipe, read=read)
            sample = Sample(
                image=drawn(image_plan, read),
                annotations=image_plan.annotations,
                source=read(index).source,
            )
            made = Made(sample, None)
        yield made if hook is None else made._replace(sample=_hooked(made.sample, hook))


def plan(group: Int64[np.ndarray, " n"], place: int, *, recipe: Recipe, read: Read) -> Plan:
    """What chance has in store for the sample at a place of a group."""
    index = int(group[place])
    others = np.delete(group, place) if len(group) > 1 else group
    planner = Planner(config=recipe.config, preprocessing=recipe.preprocessing, read=read)
    return planner.plan(index, others, _stream(recipe.seed, _SAMPLE, recipe.epoch, index))


def letterboxed(sample: Sample, preprocessing: Preprocessing) -> Made:
    """A sample as `predict` sees it, with all its objects."""
    image, placement = letterbox(sample.image, preprocessing)
    found = sample.annotations
    (height, width), (new_height, new_width) = placement.size_hw, placement.resized_hw
    gain = np.float32(new_height * new_width / (height * width))
    moved = Annotations(
        boxes=placement.to_canvas(found.boxes),
        classes=found.classes,
        crowd=found.crowd,
        areas=found.areas * gain,
        polygons=tuple(
            tuple(_points_to_canvas(polygon, placement) for polygon in polygons)
            for polygons in found.polygons
        ),
    )
    return Made(Sample(image=image, annotations=moved, source=sample.source), placement)


def _points_to_canvas(
    points: Float32[np.ndarray, "n 2"], placement: Placement
) -> Float32[np.ndarray, "n 2"]:
    return placement.to_canvas(np.concatenate([points, points], axis=1))[:, :2]


def _hooked(sample: Sample, hook: Hook) -> Sample:
    """What the user's own change makes of a sample.

    Raises:
        ConfigError: another size or type of image, which no batch could hold.
    """
    try:
        changed = hook(sample)
    except Exception as error:
        error.add_note(f"the hook was given a sample of {sample.source}")
        raise
    before, after = sample.image, changed.image
    if after.shape != before.shape or after.dtype != before.dtype:
        raise ConfigError(
            f"{sample.source}: the hook made {after.dtype} {after.shape} of an image of "
            f"{before.dtype} {before.shape}; it must keep the size and the type"
        )
    return changed


def _stream(seed: int, *purpose: int) -> np.random.Generator:
    """A random stream of its own for each seed and purpose."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=purpose))
