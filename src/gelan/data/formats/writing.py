"""What the writers of all formats share: a new folder, images in it, boxes cut at the border.

A data set is built in a folder of a passing name, which gets its own name when it is complete: one
that is there is whole. Nothing that is there already is touched.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from gelan.data.formats.collector import Collector, count
from gelan.data.formats.records import ImageRecord
from gelan.data.reduced import SizeHW, image_size
from gelan.errors import ConfigError


@contextmanager
def new_data_set(folder: Path) -> Iterator[Path]:
    """A folder to build in, which becomes `folder` at the end and vanishes after an error.

    Raises:
        ConfigError: something is there already.
    """
    if folder.exists():
        raise ConfigError(f"{folder} is there already and stays as it is; choose another folder")
    building = folder.with_name(f".{folder.name}.unfinished-{secrets.token_hex(4)}")
    building.mkdir(parents=True)
    try:
        yield building
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building)
        raise


def unique_names(paths: Iterable[Path]) -> list[str]:
    """File names that differ in more than suffix and capitals: label files take their stems.

    >>> unique_names([Path("a/1.jpg"), Path("b/1.jpg"), Path("b/1.PNG"), Path("c/1_2.jpg")])
    ['1.jpg', '1_2.jpg', '1_3.PNG', '1_2_2.jpg']
    """
    numbers: dict[str, int] = {}
    names = []
    for path in paths:
        stem = path.stem
        while stem.casefold() in numbers:
            numbers[path.stem.casefold()] += 1
            stem = f"{path.stem}_{numbers[path.stem.casefold()]}"
        numbers[stem.casefold()] = 1
        names.append(stem + path.suffix)
    return names


def place_image(source: Path, target: Path, *, link: bool) -> None:
    """The image as another file: the same bytes twice on disk, or with `link` once if it can be."""
    if link:
        with contextlib.suppress(OSError):  # another disk, or a file system without links
            os.link(source.resolve(), target)
            return
    shutil.copyfile(source, target)


@dataclass(frozen=True, slots=True)
class Written:
    """The objects of an image in pixels, cut at its border; those outside are not among them."""

    record: ImageRecord
    size_hw: SizeHW
    kept: Int64[np.ndarray, " n"]
    """Which objects of the record these are."""
    corners: Float64[np.ndarray, "n 4"]

    @property
    def areas(self) -> list[float]:
        """Of each object itself, else of its box, in square pixels."""
        labels = self.record.labels
        unit = float(np.prod(self.size_hw)) if labels.in_fractions else 1.0
        boxes = (self.corners[:, 2:] - self.corners[:, :2]).prod(axis=1)
        own = labels.areas[self.kept] * unit
        areas: list[float] = np.where(np.isnan(own), boxes, own).tolist()
        return areas

    def outlines(self, position: int) -> list[Float64[np.ndarray, "_ 2"]]:
        """The polygons of an object, in pixels."""
        labels = self.record.labels
        scale = np.array(self.size_hw[::-1]) if labels.in_fractions else np.ones(2)
        return [part * scale for part in labels.polygons[int(self.kept[position])]]


@dataclass(slots=True)
class Losses:
    """What a format cannot hold, counted."""

    numbers: Counter[str] = field(default_factory=Counter)

    def findings(self, folder: Path, collector: Collector) -> None:
        """One finding for each kind of loss."""
        for what, number in self.numbers.items():
            if number:
                cause, remedy = f"{what}: {count(number, 'object')}", "keep the original, too"
                collector.warning("format-limit", folder, cause=cause, remedy=remedy)


def in_pixels(record: ImageRecord, losses: Losses) -> Written:
    """The objects of an image; its size is that of its label file, or else of the image itself.

    Boxes of which nothing lies in the image are counted as losses.

    Raises:
        ImageError: the size is not stated, and the image cannot be read.
    """
    size_hw = record.stated_hw or image_size(record.path)
    corners = record.labels.corners()
    limits = np.tile(np.array(size_hw[::-1], np.float64), 2)
    if record.labels.in_fractions:
        corners = corners * limits
    outside = record.outside(size_hw)
    losses.numbers["boxes that show nothing of their image are left out"] += int(outside.sum())
    kept = np.flatnonzero(~outside)
    return Written(record, size_hw, kept, np.clip(corners, 0.0, limits)[kept])


def split_names(splits: Sequence[str]) -> dict[str, str]:
    """Names for the splits as other programs know them: `all` alone becomes `train`.

    >>> split_names(["all"]), split_names(["val", "all"])
    ({'all': 'train'}, {'val': 'val', 'all': 'all'})
    """
    return {"all": "train"} if list(splits) == ["all"] else {name: name for name in splits}
