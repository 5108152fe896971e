"""One picture of a tide pool and what is in it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from gelan.data.drawn.animals import ANIMALS, CLASSES
from gelan.data.drawn.painting import (
    Alpha,
    Figure,
    Light,
    Patch,
    Picture,
    on_canvas,
    painted,
    pose,
    put,
)
from gelan.data.drawn.scenery import (
    floor,
    foam,
    palette,
    pebble,
    seaweed,
    sunlight,
    with_grit,
)
from gelan.structures.samples import Annotations, Polygons, Sample

SIZE_HW = (320, 320)
MOST_ANIMALS = 6
LEAST_SEEN = 0.6
"""Share of an animal that stays visible; what would hide more is not put there."""

_EMPTY = 0.05  # share of the pictures without animals
_FOAMY = 0.3  # and of those with foam
_STONE_AFTER_ANIMAL = 0.25
_RADII = (0.08, 0.23)  # of an animal, in parts of the picture's shorter side
_TRIES = 12
_SMOOTHED = 0.7  # pixels by which an outline may leave the border; a pixel's diagonal has 0.71
Mask = Bool[np.ndarray, "height width"]


@dataclass(slots=True)
class _Scene:
    """A picture in the making."""

    picture: Picture
    light: Light
    random: np.random.Generator
    seen: list[Alpha] = field(default_factory=list)
    """Of each animal: the share of each pixel of the picture that it still has."""
    wholes: list[int] = field(default_factory=list)
    """Of each animal: how many pixels it had if nothing hid it, and the picture went on."""
    classes: list[int] = field(default_factory=list)

    @property
    def size_hw(self) -> tuple[int, int]:
        height, width = self.picture.shape[:2]
        return height, width

    def add(self, figure: Figure, *, radius: float, index: int | None) -> None:
        """The figure at a random place where it hides too much of nothing, if there is one.

        `index` is the class of an animal; None for what belongs to no class.
        """
        stretch = self.random.uniform(0.8, 1.25) * self.random.choice([-1.0, 1.0])
        turn = self.random.uniform(0, 2 * math.pi)
        matrix = pose(radius=radius * min(self.size_hw), turn=turn, stretch=float(stretch))
        colors = palette(self.random)
        patch = painted(figure, palette=colors, matrix=matrix, light=self.light)
        for _ in range(_TRIES):
            left, top = self._place(patch)
            cover = on_canvas(patch, left=left, top=top, size_hw=self.size_hw)
            seen = [part * (1 - cover) for part in self.seen]
            wholes = list(self.wholes)
            if index is not None:
                seen.append(cover)
                wholes.append(int(visible(patch.alpha).sum()))
            if _all_seen(seen, wholes):
                put(self.picture, patch, left=left, top=top, light=self.light)
                self.seen, self.wholes = seen, wholes
                self.classes += [] if index is None else [index]
                return

    def _place(self, patch: Patch) -> tuple[int, int]:
        """Left and top so that the middle of the patch is in the picture."""
        ends = zip(self.size_hw[::-1], patch.alpha.shape[::-1], strict=True)
        left, top = (int(self.random.integers(0, end)) - part // 2 for end, part in ends)
        return left, top


def _all_seen(seen: list[Alpha], wholes: list[int]) -> bool:
    return all(
        visible(part).sum() >= LEAST_SEEN * whole for part, whole in zip(seen, wholes, strict=True)
    )


def visible(seen: Alpha) -> Mask:
    """Pixels of which at least half belongs to an object."""
    return np.asarray(seen >= 0.5)


def draw_sample(
    index: int,
    *,
    split: str,
    seed: int,
    size_hw: tuple[int, int] = SIZE_HW,
    classes: Sequence[str] = CLASSES.names,
) -> Sample:
    """A picture of a tide pool, always the same for the same arguments.

    Each picture has a random state of its own, made of seed, split and index. A box is the extent
    of the pixels of which the animal covers at least half, other things in front taken off; an
    outline follows their border, and its hull is the box. Every animal is labelled: at least
    `LEAST_SEEN` of each is in the picture and not hidden.

    Args:
        index: number of the picture, from 0.
        split: `train` and `val` have no picture in common.
        seed: 0 or more.
        size_hw: height and width in pixels.
        classes: the animals to be drawn, of `CLASSES`; class numbers are positions in them.

    Raises:
        ConfigError: there is no animal of that name.
    """
    names = [CLASSES.names[number] for number in CLASSES.indices(classes)]
    scene = _new_scene(np.random.default_rng([seed, zlib.crc32(split.encode()), index]), size_hw)
    _populate(scene, names)
    image = _photographed(scene.picture, scene.random)
    return Sample(image=image, annotations=_annotations(scene), source=f"{split}-{index:05d}")


def _populate(scene: _Scene, names: Sequence[str]) -> None:
    """Stones first, then animals and more stones among them, weed and foam last."""
    random = scene.random
    for _ in range(int(random.integers(1, 7))):
        scene.add(pebble(random), radius=_log_uniform(random, 0.02, 0.14), index=None)
    number = 0 if random.random() < _EMPTY else int(random.integers(1, MOST_ANIMALS + 1))
    for _ in range(number):
        index = int(random.integers(0, len(names)))
        figure = ANIMALS[names[index]](random)
        scene.add(figure, radius=_log_uniform(random, *_RADII), index=index)
        if random.random() < _STONE_AFTER_ANIMAL:
            scene.add(pebble(random), radius=_log_uniform(random, 0.03, 0.12), index=None)
    for _ in range(int(random.integers(0, 3))):
        scene.add(seaweed(random), radius=random.uniform(0.25, 0.5), index=None)
    if random.random() < _FOAMY:
        scene.add(foam(random), radius=random.uniform(0.06, 0.12), index=None)


def _log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    return float(math.exp(random.uniform(math.log(low), math.log(high))))


def _new_scene(random: np.random.Generator, size_hw: tuple[int, int]) -> _Scene:
    """A floor without animals, and where its light comes from."""
    picture = floor(size_hw, random)
    picture = with_grit(picture, random, number=int(random.integers(10, 70)))
    angle, height = random.uniform(0, 2 * math.pi), random.uniform(0.9, 1.3)
    towards = np.array([math.cos(angle), math.sin(angle), height], np.float32)
    direction = towards / np.linalg.norm(towards)
    light = Light(direction=direction, shadow=random.uniform(0.25, 0.5))
    return _Scene(picture, light, random)


def _photographed(
    picture: Picture, random: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """The scene through water and a camera: light, tint, exposure, blur and noise."""
    size_hw = picture.shape[:2]
    picture = picture * sunlight((size_hw[0], size_hw[1]), random)[..., None]
    water = np.array([70.0, 150.0, 165.0], np.float32)
    picture += np.float32(random.uniform(0.0, 0.22)) * (water - picture)
    picture = (picture - 110) * np.float32(random.uniform(0.85, 1.2)) + 110
    picture *= np.float32(random.uniform(0.85, 1.2))
    picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.25, 0.9))
    picture += random.normal(0, random.uniform(1, 6), picture.shape).astype(np.float32)
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


def _annotations(scene: _Scene) -> Annotations:
    masks = [visible(seen) for seen in scene.seen]
    return Annotations(
        boxes=np.array([extent(mask) for mask in masks], np.float32).reshape(-1, 4),
        classes=np.array(scene.classes, np.int64),
        crowd=np.zeros(len(masks), bool),
        areas=np.array([mask.sum() for mask in masks], np.float32),
        polygons=tuple([outlines(mask) for mask in masks]),
    )


def extent(mask: Mask) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels that are true, edges of pixels included.

    >>> extent(np.array([[False, False, False], [False, True, True]]))
    (1, 1, 3, 2)
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def outlines(mask: Mask) -> Polygons:
    """The border of each connected part, to about a pixel; each hull is exactly the part's extent.

    >>> outlines(np.array([[False, False, False], [False, True, True]]))[0].tolist()
    [[1.0, 1.0], [1.0, 2.0], [3.0, 2.0], [3.0, 1.0]]
    """
    doubled = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    # A doubled pixel left of an edge is odd, one right of it even: half, rounded up, is the edge.
    return tuple(_smoothed((contour[:, 0] + 1) // 2) for contour in contours)


def _smoothed(border: Int32[np.ndarray, "n 2"]) -> Float32[np.ndarray, "m 2"]:
    """Fewer corners; what that took off the hull is given back by stretching."""
    corners = cv2.approxPolyDP(border, _SMOOTHED, True)[:, 0].astype(np.float32)
    low, high = border.min(axis=0), border.max(axis=0)
    start, end = corners.min(axis=0), corners.max(axis=0)
    return np.asarray((corners - start) / (end - start) * (high - low) + low, np.float32)
