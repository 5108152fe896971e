"""One sample of several images: mosaic, mixup and copy-paste, planned first and then drawn.

A plan holds numbers and annotations but no pixels. Whoever draws it (`draw` with OpenCV, `device`
with torch) samples every image once, straight from its decoded pixels onto the output: the large
canvas of a mosaic and the letterbox exist only as coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from gelan.data.augment.canvas import Canvas, Placed
from gelan.data.augment.config import AugmentConfig
from gelan.data.augment.geometric import (
    Matrix,
    Rectangle,
    Tile,
    random_flips,
    random_matrix,
    scaling,
    tile_of,
)
from gelan.data.augment.objects import joined, moved_annotations
from gelan.data.augment.photometric import Gains, random_gains
from gelan.geometry.letterbox import Preprocessing
from gelan.structures.samples import Annotations, Polygons, Sample

Read = Callable[[int], Sample]
"""The decoded image of an index of the source, with its objects."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cutout:
    """An object that is pasted in once more."""

    index: int
    """Of its image in the source."""
    matrix: Matrix
    """From its image to the output."""
    outline: Polygons
    """In the output: what is pasted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """Everything on one output before it is blended and recoloured."""

    tiles: tuple[Tile, ...]
    cutouts: tuple[Cutout, ...]
    """Drawn over the tiles, in this order."""
    annotations: Annotations
    """In pixels of the output."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All that chance has decided about one sample."""

    scenes: tuple[Scene, ...]
    """One, or two that are blended."""
    blend: float
    """Weight of the first scene."""
    gains: Gains
    size: int
    pad_value: int

    @property
    def annotations(self) -> Annotations:
        """The objects of all scenes."""
        return joined([scene.annotations for scene in self.scenes])

    @property
    def indices(self) -> set[int]:
        """The images of the source that it takes to draw it."""
        tiles = {tile.index for scene in self.scenes for tile in scene.tiles}
        return tiles | {cutout.index for scene in self.scenes for cutout in scene.cutouts}


@dataclass(frozen=True, kw_only=True, slots=True)
class Planner:
    """Makes plans: what is in them depends on the arguments of `plan` alone."""

    config: AugmentConfig
    preprocessing: Preprocessing
    """Size of the output and grey of what no image covers."""
    read: Read

    def plan(
        self, index: int, others: Int64[np.ndarray, " n"], random: np.random.Generator
    ) -> Plan:
        """The plan of the sample whose own image is `index`, with partners among `others`."""
        config = self.config
        flips = random_flips(config, random, size=self.preprocessing.size)
        blend = 1.0
        if random.random() < config.mosaic:
            scenes = [self._mosaic([index, *_chosen(others, 3, random)], flips, random)]
            if random.random() < config.mixup:
                blend = float(random.beta(config.mixup_concentration, config.mixup_concentration))
                scenes.append(self._mosaic(_chosen(others, 4, random), flips, random))
        else:
            scenes = [self._letterbox(index, flips, random)]
        return Plan(
            scenes=tuple(scenes),
            blend=blend,
            gains=random_gains(config, random),
            size=self.preprocessing.size,
            pad_value=self.preprocessing.pad_value,
        )

    def _mosaic(self, indices: list[int], flips: Matrix, random: np.random.Generator) -> Scene:
        """Four images around a common corner, in random order, on a canvas of twice the size."""
        size, spread = self.preprocessing.size, self.config.mosaic_spread
        x, y = (random.uniform(1 - spread, 1 + spread, 2) * size).tolist()
        placed = []
        for index, corner in zip(indices, random.permutation(4).tolist(), strict=True):
            share = (1.0 if corner % 2 == 0 else 0.0, 1.0 if corner < 2 else 0.0)
            placed.append(self._placed(index, side=2 * size, anchor=(x, y), share=share))
        canvas = Canvas.of(placed, side=2 * size)
        pasted = canvas.objects_to_paste(self.config, random)
        matrix = flips @ random_matrix(self.config, random, canvas=2 * size, size=size)
        return self._scene(canvas, matrix, pasted)

    def _letterbox(self, index: int, flips: Matrix, random: np.random.Generator) -> Scene:
        """One image in the middle of a canvas of the size of the output."""
        size = self.preprocessing.size
        middle = (size / 2, size / 2)
        placed = self._placed(index, side=size, anchor=middle, share=(0.5, 0.5))
        matrix = flips @ random_matrix(self.config, random, canvas=size, size=size)
        return self._scene(Canvas.of([placed], side=size), matrix, np.zeros(0, np.int64))

    def _placed(
        self, index: int, *, side: int, anchor: tuple[float, float], share: tuple[float, float]
    ) -> Placed:
        """An image fitted to the size, so that the anchor lies at that share of its sides."""
        sample = self.read(index)
        height, width = sample.image.shape[:2]
        fit = self.preprocessing.size / max(height, width)
        if not self.preprocessing.enlarge:
            fit = min(fit, 1.0)
        left, top = anchor[0] - share[0] * width * fit, anchor[1] - share[1] * height * fit
        return Placed(
            index=index,
            size_hw=(height, width),
            annotations=sample.annotations,
            matrix=scaling(fit, fit, left=left, top=top),
            window=Rectangle(
                max(0.0, -left / fit),
                max(0.0, -top / fit),
                max(0.0, min(float(width), (side - left) / fit)),
                max(0.0, min(float(height), (side - top) / fit)),
            ),
        )

    def _scene(self, canvas: Canvas, matrix: Matrix, pasted: Int64[np.ndarray, " n"]) -> Scene:
        """What the output shows of a canvas that a matrix moves there."""
        size = self.preprocessing.size
        tiles = [
            tile_of(
                image.index,
                image.size_hw,
                matrix=matrix @ image.matrix,
                window=image.window,
                size=size,
            )
            for image in canvas.placed
        ]
        moves = canvas.moves(matrix, tiles, pasted)
        objects = joined([canvas.objects, canvas.objects[pasted]])
        annotations, kept = moved_annotations(objects, moves, config=self.config, size=size)
        cutouts = []
        for number, outline in zip(kept.tolist(), annotations.polygons, strict=True):
            if number >= len(canvas.objects):
                owner = canvas.owners[pasted[number - len(canvas.objects)]]
                index, way = canvas.placed[owner].index, moves.matrices[number]
                cutouts.append(Cutout(index=index, matrix=way, outline=outline))
        return Scene(
            tiles=tuple(tile for tile in tiles if tile is not None),
            cutouts=tuple(cutouts),
            annotations=annotations,
        )


def _chosen(others: Int64[np.ndarray, " n"], count: int, random: np.random.Generator) -> list[int]:
    """So many indices among others, each at most once where there are enough."""
    return [int(i) for i in random.choice(others, count, replace=len(others) < count)]
