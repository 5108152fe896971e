"""Training samples per second and core, beside a plain reading of the recipe, in one run.

    python benchmarks/loader.py [--data ../shared/data/coco128] [--split train] [--rounds 7]

The plain reading decodes four images in full, pastes them on a canvas of twice the size, warps that
to the output, and does so again for mixup; it is written below with OpenCV throughout, as fast as
that order of steps allows. Data with outlines (COCO JSON) makes all contenders copy and paste. The
last line is what the CPU does where samples are drawn on a device: decode, resize and plan. Each
contender makes an epoch in turn, in one process with one thread; its figure is the median over the
rounds of samples per second of processor time, which equals the clock's on a machine that does
nothing else. Files are in the page cache.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gelan.data.augment.config import AugmentConfig, published
from gelan.data.augment.pieces import Piece, drawn_samples, pieces_of, planned_samples
from gelan.data.augment.pipeline import Recipe
from gelan.data.cache import MemoryCache
from gelan.data.dataset import Dataset
from gelan.data.description import open_dataset
from gelan.geometry.letterbox import Preprocessing
from gelan.structures.samples import Sample

SIZE = 640
GREY = 114
Image = NDArray[np.uint8]
Boxes = NDArray[np.float64]


@dataclass
class Mosaic:
    """What the plain reading passes from step to step."""

    image: Image
    boxes: Boxes
    classes: NDArray[np.int64]
    outlines: list[NDArray[np.float64]]
    """One for each box, or none at all."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/coco128"))
    parser.add_argument("--split", default="train")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    described = open_dataset(options.data)
    records = described.split(options.split)
    plain = Dataset(records)
    cached = Dataset(records, cache=MemoryCache(max_bytes=8 * 2**30))
    contenders: dict[str, Callable[[int], Iterator[object]]] = {
        "plain": lambda epoch: plain_epoch(plain, epoch),
        "gelan": lambda epoch: our_epoch(Dataset(records), epoch),
        "gelan, images in memory": lambda epoch: our_epoch(cached, epoch),
        "gelan, drawn elsewhere": lambda epoch: planned_epoch(Dataset(records), epoch),
    }
    for _ in contenders["gelan, images in memory"](0):
        pass
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for epoch in range(options.rounds):
        for name, make in contenders.items():
            seconds[name].append(timed(make, epoch) / len(records))
    print(f"{described.headline}; split {options.split}")
    print(
        f"OpenCV {cv2.__version__}, numpy {np.__version__}, {platform.machine()}, one core, "
        f"{SIZE} x {SIZE} px, {options.rounds} rounds"
    )
    for name, each in seconds.items():
        ratios = [a / b for a, b in zip(seconds["plain"], each, strict=True)]
        print(
            f"{name:25}{1 / statistics.median(each):8.0f} images/s"
            f"{1000 * statistics.median(each):8.2f} ms{statistics.median(ratios):7.2f} x"
        )


def timed(make: Callable[[int], Iterator[object]], epoch: int) -> float:
    """Processor seconds of one epoch."""
    start = time.process_time()
    for _ in make(epoch):
        pass
    return time.process_time() - start


def our_epoch(source: Dataset, epoch: int) -> Iterator[object]:
    """An epoch as a worker makes it."""
    planes = np.empty((3, SIZE, SIZE), np.uint8)
    for sample, write in drawn_samples(source, pieces(source, epoch), hook=None):
        write(planes)
        yield sample


def planned_epoch(source: Dataset, epoch: int) -> Iterator[object]:
    """An epoch as a worker makes it for a device that draws."""
    for sample, get_image in planned_samples(source, pieces(source, epoch)):
        for index in sample.plan.indices:
            get_image(index)
        yield sample


def pieces(source: Dataset, epoch: int) -> list[Piece]:
    """The work of an epoch."""
    recipe = Recipe(config=published(), preprocessing=Preprocessing(size=SIZE), seed=0, epoch=epoch)
    count = len(source)
    return pieces_of(recipe, count, positions=[range(count)], shuffle=True, parts=1)


def plain_epoch(source: Dataset, epoch: int) -> Iterator[object]:
    """An epoch by the plain reading of the recipe."""
    config, random = published(), np.random.default_rng(epoch)
    for index in random.permutation(len(source)).tolist():
        made = plain_mosaic(source, index, config, random)
        if random.random() < config.mixup:
            other = plain_mosaic(source, int(random.integers(len(source))), config, random)
            ratio = random.beta(config.mixup_concentration, config.mixup_concentration)
            blended = cv2.addWeighted(made.image, ratio, other.image, 1 - ratio, 0)
            made.image = np.asarray(blended, np.uint8)
            made.boxes = np.concatenate([made.boxes, other.boxes])
            made.classes = np.concatenate([made.classes, other.classes])
        made.image = plain_colour(made.image, config, random)
        if random.random() < config.flip_left_right:
            made.image = np.asarray(cv2.flip(made.image, 1), np.uint8)
            made.boxes[:, [0, 2]] = SIZE - made.boxes[:, [2, 0]]
        yield np.stack(cv2.split(made.image)), made.boxes, made.classes


def plain_mosaic(
    source: Dataset, index: int, config: AugmentConfig, random: np.random.Generator
) -> Mosaic:
    """Four images on a large canvas, objects pasted, and the canvas warped to the output."""
    indices = [index, *random.integers(0, len(source), 3).tolist()]
    random.shuffle(indices)
    centre = random.uniform(SIZE / 2, 3 * SIZE / 2, 2).astype(int).tolist()
    canvas = np.full((2 * SIZE, 2 * SIZE, 3), GREY, np.uint8)
    parts = [
        pasted_tile(canvas, source[index], corner, centre) for corner, index in enumerate(indices)
    ]
    outlines = [outline for part in parts for outline in part.outlines]
    made = Mosaic(
        canvas,
        np.concatenate([part.boxes for part in parts]).clip(0, 2 * SIZE),
        np.concatenate([part.classes for part in parts]),
        [outline.clip(0, 2 * SIZE) for outline in outlines],
    )
    if len(made.outlines) == len(made.boxes) > 0:
        plain_copy_paste(made, config, random)
    return plain_affine(made, config, random)


def pasted_tile(canvas: Image, sample: Sample, corner: int, centre: list[int]) -> Mosaic:
    """One image in its corner of the canvas, cut where it ends; its objects on the canvas."""
    image = sample.image
    height, width = image.shape[:2]
    scale = SIZE / max(height, width)
    if scale != 1:
        size = int(width * scale), int(height * scale)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        height, width = image.shape[:2]
    left = centre[0] - width if corner % 2 == 0 else centre[0]
    top = centre[1] - height if corner < 2 else centre[1]
    x1, y1 = max(left, 0), max(top, 0)
    x2, y2 = min(left + width, 2 * SIZE), min(top + height, 2 * SIZE)
    canvas[y1:y2, x1:x2] = image[y1 - top : y2 - top, x1 - left : x2 - left]
    found, offset = sample.annotations, np.array([left, top], np.float64)
    return Mosaic(
        canvas,
        found.boxes * scale + np.tile(offset, 2),
        found.classes,
        [np.concatenate(parts) * scale + offset for parts in found.polygons if parts],
    )


def plain_copy_paste(made: Mosaic, config: AugmentConfig, random: np.random.Generator) -> None:
    """Some mirrored objects drawn over the canvas, where they cover little of others."""
    flipped = cv2.flip(made.image, 1)
    mask = np.zeros(made.image.shape[:2], np.uint8)
    mirrored = made.boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [2 * SIZE, 0, 2 * SIZE, 0]
    top_left = np.maximum(mirrored[:, None, :2], made.boxes[None, :, :2])
    bottom_right = np.minimum(mirrored[:, None, 2:], made.boxes[None, :, 2:])
    overlap = (bottom_right - top_left).clip(0).prod(axis=2)
    areas = (made.boxes[:, 2:] - made.boxes[:, :2]).prod(axis=1)
    free = np.flatnonzero((overlap / (areas + 1e-9) < config.copy_paste_cover).all(axis=1))
    for number in random.choice(free, round(config.copy_paste * len(free)), replace=False):
        outline = made.outlines[number] * [-1, 1] + [2 * SIZE, 0]
        cv2.fillPoly(mask, [outline.astype(np.int32)], 1)
        made.boxes = np.concatenate([made.boxes, mirrored[number : number + 1]])
        made.classes = np.append(made.classes, made.classes[number])
        made.outlines.append(outline)
    cv2.copyTo(flipped, mask, dst=made.image)


def plain_affine(made: Mosaic, config: AugmentConfig, random: np.random.Generator) -> Mosaic:
    """The canvas scaled around its middle and shifted to the output, with boxes and filters."""
    scale = random.uniform(1 - config.scale, 1 + config.scale)
    shift = random.uniform(0.5 - config.translate, 0.5 + config.translate, 2) * SIZE - scale * SIZE
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    image = cv2.warpAffine(made.image, matrix, (SIZE, SIZE), borderValue=(GREY, GREY, GREY))
    boxes = (made.boxes * scale + np.tile(shift, 2)).clip(0, SIZE)
    if len(made.outlines) == len(made.boxes):
        boxes = np.array([outlined(outline * scale + shift) for outline in made.outlines])
        boxes = boxes.reshape(-1, 4)
    before = (made.boxes[:, 2:] - made.boxes[:, :2]).prod(axis=1) * scale**2
    sides = boxes[:, 2:] - boxes[:, :2]
    least = config.min_seen_outline if made.outlines else config.min_seen_box
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = (
            (sides > config.min_side).all(axis=1)
            & (sides.prod(axis=1) / before > least)
            & (sides.max(axis=1) / sides.min(axis=1) < config.max_aspect)
        )
    return Mosaic(np.asarray(image, np.uint8), boxes[kept], made.classes[kept], [])


def outlined(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """The box around those of 1000 points along an outline that lie in the output."""
    closed = np.concatenate([outline, outline[:1]])
    places, known = np.linspace(0, len(outline), 1000), np.arange(len(closed))
    points = np.stack([np.interp(places, known, closed[:, axis]) for axis in (0, 1)], axis=1)
    points = points[((points >= 0) & (points <= SIZE)).all(axis=1)]
    if not len(points):
        return np.zeros(4)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def plain_colour(image: Image, config: AugmentConfig, random: np.random.Generator) -> Image:
    """Hue, saturation and value through tables."""
    gains = 1 + random.uniform(-1, 1, 3) * [config.hue, config.saturation, config.value]
    levels = np.arange(256)
    tables = [levels * gains[0] % 180, *((levels * gain).clip(0, 255) for gain in gains[1:])]
    planes = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    changed = [
        cv2.LUT(plane, table.astype(np.uint8)) for plane, table in zip(planes, tables, strict=True)
    ]
    return np.asarray(cv2.cvtColor(cv2.merge(changed), cv2.COLOR_HSV2RGB), np.uint8)


if __name__ == "__main__":
    main()
