"""Work in pieces: some samples of one group, drawn, or planned for a device that draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Int64, UInt8

from gelan.data.augment.compose import Plan
from gelan.data.augment.pipeline import Decoded, Hook, Recipe, SampleSource, plan, samples
from gelan.geometry.letterbox import Placement
from gelan.structures.samples import Annotations

Write = Callable[[UInt8[np.ndarray, "3 height width"]], None]
"""Puts the planes of a sample, red, green and blue, where they are wanted."""
GetImage = Callable[[int], UInt8[np.ndarray, "height width 3"]]
"""The decoded image of an index."""


class Piece(NamedTuple):
    """Some samples of one group."""

    group: Int64[np.ndarray, " n"]
    places: Sequence[int]
    """Of the samples in the group, rising."""
    recipe: Recipe

    @property
    def side(self) -> int:
        """Of the square samples, in pixels."""
        return self.recipe.preprocessing.size


class Drawn(NamedTuple):
    """What a sample is besides its pixels."""

    annotations: Annotations
    placement: Placement | None
    source: str


class Planned(NamedTuple):
    """A sample that is still to be drawn."""

    plan: Plan
    source: str


def pieces_of(
    recipe: Recipe, count: int, *, positions: Sequence[range], shuffle: bool, parts: int
) -> list[Piece]:
    """The samples at positions of an epoch of so many images, in its order.

    `positions` rise and do not overlap. A piece is what they hold of one group. Where there are
    fewer groups than `parts`, the groups are cut; images are then decoded once for each part that
    needs them.
    """
    groups = recipe.groups(count, shuffle=shuffle)
    cuts = max(1, -(-parts // len(groups)))
    wanted = np.zeros(count, bool)
    for part in positions:
        wanted[part.start : part.stop] = True
    pieces: list[Piece] = []
    first = 0
    for group in groups:
        length = -(-len(group) // cuts)
        for start in range(0, len(group), length):
            stop = min(start + length, len(group))
            places = start + np.flatnonzero(wanted[first + start : first + stop])
            if len(places):
                pieces.append(Piece(group, tuple(places.tolist()), recipe))
        first += len(group)
    return pieces


def drawn_samples(
    source: SampleSource, pieces: Sequence[Piece], *, hook: Hook | None
) -> Iterator[tuple[Drawn, Write]]:
    """Samples, and what writes their pixels."""
    for piece in pieces:
        made = samples(source, piece.group, piece.places, recipe=piece.recipe, hook=hook)
        for sample, placement in made:
            drawn = Drawn(sample.annotations, placement, sample.source)
            yield drawn, partial(_write_planes, sample.image)


def _write_planes(
    image: UInt8[np.ndarray, "height width 3"], planes: UInt8[np.ndarray, "3 height width"]
) -> None:
    cv2.split(image, list(planes))


def planned_samples(
    source: SampleSource, pieces: Sequence[Piece]
) -> Iterator[tuple[Planned, GetImage]]:
    """Samples with the images that they are to be drawn from."""
    for piece in pieces:
        read = Decoded(source, at_most=piece.side)
        for place in piece.places:
            made = plan(piece.group, place, recipe=piece.recipe, read=read)
            yield Planned(made, read(int(piece.group[place])).source), read.image
