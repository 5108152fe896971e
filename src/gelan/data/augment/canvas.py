"""The canvas of a mosaic or letterbox: images at their places on it, and what may be pasted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from gelan.data.augment.config import AugmentConfig
from gelan.data.augment.geometric import Matrix, Rectangle, Tile, moved_boxes, scaling
from gelan.data.augment.objects import Moves, cut_boxes, joined
from gelan.geometry.boxes import area
from gelan.structures.samples import Annotations

_NOTHING = Rectangle(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """An image at its place on a canvas."""

    index: int
    """Of the image in its source."""
    size_hw: tuple[int, int]
    annotations: Annotations
    """In pixels of the image."""
    matrix: Matrix
    """From the image to the canvas."""
    window: Rectangle
    """The part of the image on the canvas, in pixels of the image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Canvas:
    """Images on a square canvas, and the objects of all of them one after the other."""

    placed: Sequence[Placed]
    side: int
    objects: Annotations
    """Each in pixels of its own image."""
    owners: Int64[np.ndarray, " n"]
    """Which of the placed images each object belongs to."""
    matrices: Float64[np.ndarray, "images 3 3"]
    windows: Float64[np.ndarray, "images 4"]

    @classmethod
    def of(cls, placed: Sequence[Placed], *, side: int) -> Canvas:
        """The canvas with these images."""
        counts = [len(image.annotations) for image in placed]
        return cls(
            placed=placed,
            side=side,
            objects=joined([image.annotations for image in placed]),
            owners=np.repeat(np.arange(len(placed)), counts),
            matrices=np.stack([image.matrix for image in placed]),
            windows=np.array([image.window for image in placed]),
        )

    def objects_to_paste(
        self, config: AugmentConfig, random: np.random.Generator
    ) -> Int64[np.ndarray, " chosen"]:
        """Objects to be pasted where they are when the canvas is mirrored left to right.

        Candidates are those whose outline is known, crowds left out, and that would cover little
        of any other; a share of them is taken (published recipe; Ghiasi et al. 2021).
        """
        has_outline = np.array([len(polygons) > 0 for polygons in self.objects.polygons], bool)
        if not config.copy_paste or not has_outline.any():
            return np.zeros(0, np.int64)
        seen = cut_boxes(self.objects.boxes, self.windows[self.owners])
        boxes = moved_boxes(seen, self.matrices[self.owners])
        is_seen = area(boxes) > 0
        mirrored = moved_boxes(boxes, scaling(-1.0, 1.0, left=float(self.side)))
        is_free = (covered(boxes[is_seen], by=mirrored) < config.copy_paste_cover).all(axis=1)
        candidates = np.flatnonzero(has_outline & ~self.objects.crowd & is_seen & is_free)
        count = round(config.copy_paste * len(candidates))
        return random.choice(candidates, count, replace=False) if count else candidates[:0]

    def moves(
        self, matrix: Matrix, tiles: Sequence[Tile | None], pasted: Int64[np.ndarray, " chosen"]
    ) -> Moves:
        """Where a matrix from the canvas to the output takes the objects, then the pasted ones.

        Args:
            matrix: from the canvas to the output.
            tiles: what is seen of each image.
            pasted: numbers of the objects that are pasted.
        """
        unseen = matrix @ self.matrices
        as_drawn = np.stack(
            [way if tile is None else tile.matrix for tile, way in zip(tiles, unseen, strict=True)]
        )
        seen = np.array([_NOTHING if tile is None else tile.seen for tile in tiles])
        mirrored = matrix @ scaling(-1.0, 1.0, left=float(self.side)) @ self.matrices
        both = np.concatenate([self.owners, self.owners[pasted]])
        windows = self.windows[both]
        return Moves(
            matrices=np.concatenate([as_drawn[self.owners], mirrored[self.owners[pasted]]]),
            windows=windows,
            seen=np.concatenate([seen[self.owners], windows[len(self.owners) :]]),
        )


def covered(
    boxes: Float64[np.ndarray, "n 4"], *, by: Float64[np.ndarray, "m 4"]
) -> Float64[np.ndarray, "m n"]:
    """The share of each box that each of the others covers; the boxes must not be empty.

    >>> covered(np.array([[0.0, 0.0, 4.0, 2.0]]), by=np.array([[3.0, 0.0, 9.0, 9.0]])).tolist()
    [[0.25]]
    """
    top_left = np.maximum(by[:, None, :2], boxes[None, :, :2])
    bottom_right = np.minimum(by[:, None, 2:], boxes[None, :, 2:])
    overlaps = area(np.concatenate([top_left, bottom_right], axis=-1))
    return np.asarray(overlaps / area(boxes))
