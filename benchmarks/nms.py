"""Non-maximum suppression and post-processing: speed against OpenCV, exactness, memory.

Run by hand from the repository root: `python benchmarks/nms.py`. Candidates are made up, of the
kind and number that a network gives at a confidence of 0.001: 16 images of 8400 anchors x 80
classes with 20 to 60 objects, about 36,000 pairs of anchor and class each. Contenders take turns
within one run; times are medians. OpenCV's lists are prepared beforehand, outside its time.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from gelan.geometry.anchors import anchor_points
from gelan.geometry.boxes import pairwise_iou, xyxy_to_xywh
from gelan.geometry.letterbox import Placement
from gelan.geometry.nms import non_maximum_suppression
from gelan.predict.postprocess import EVALUATION, PostprocessSettings, postprocess

NUM_IMAGES = 16
NUM_CLASSES = 80
CANDIDATES = 36_000
ROUNDS = 7
IOU, LIMIT, CONFIDENCE = EVALUATION.iou, EVALUATION.max_detections, EVALUATION.confidence


class Raw(NamedTuple):
    """What a network might say about one image of 640 x 640 pixels."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]


class Candidates(NamedTuple):
    """Every pair of anchor and class above the confidence, for us and for OpenCV."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    xywh_list: list[list[float]]
    score_list: list[float]
    class_list: list[int]


def make_image(seed: int, *, candidates: int = CANDIDATES) -> Raw:
    """Boxes around 20 to 60 objects and scores of which so many exceed the confidence."""
    random = np.random.default_rng(seed)
    points, strides = anchor_points((640, 640))
    count = int(random.integers(20, 61))
    centres = random.uniform(0, 640, (count, 2))
    half_sizes = np.exp(random.uniform(np.log(8), np.log(200), (count, 2)))
    offsets = np.abs(points[:, None] - centres) / half_sizes  # 1 on the border of the object
    distances = offsets.max(axis=-1)
    owners, nearness = distances.argmin(axis=1), distances.min(axis=1)

    inside = (nearness < 1)[:, None]
    middles = np.where(inside, centres[owners], points)
    of_background = strides[:, None] * random.uniform(0.5, 3, (len(points), 2))
    halves = np.where(inside, half_sizes[owners], of_background)
    spread = np.where(inside, 0.04 + 0.1 * nearness[:, None], 0.3)
    halves = halves * np.exp(random.normal(0, spread, halves.shape))
    middles = middles + random.normal(0, 1, middles.shape) * spread * halves

    kinds = random.choice(random.integers(0, NUM_CLASSES, 8), count)  # few kinds in one scene
    return Raw(
        np.concatenate([middles - halves, middles + halves], axis=1).astype(np.float32),
        make_scores(random, kinds[owners], nearness, candidates=candidates),
    )


def make_scores(
    random: np.random.Generator,
    kinds: NDArray[np.int64],
    nearness: NDArray[np.float64],
    *,
    candidates: int,
) -> NDArray[np.float32]:
    """Scores of every anchor, given the kind of the object next to it and how near that is."""
    anchors, inside = len(kinds), nearness < 1
    objectness = np.where(inside, -5.5 - 1.5 * nearness, -8.5) + random.normal(0, 0.8, anchors)
    favour = random.normal(0, 1, NUM_CLASSES)  # some classes are always suspected more
    noise = random.normal(0, 1.2, (anchors, NUM_CLASSES))
    logits = objectness[:, None] + favour + noise
    logits[np.arange(anchors), kinds] += np.where(inside, 7 - 5 * nearness, 0)
    last = np.partition(logits.ravel(), logits.size - candidates)[logits.size - candidates]
    logits += np.log(CONFIDENCE / (1 - CONFIDENCE)) - last + 1e-4
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


def above_confidence(raw: Raw) -> Candidates:
    """The candidates of one image, anchor by anchor."""
    anchors, classes = np.nonzero(raw.scores > np.float32(CONFIDENCE))
    boxes, scores = raw.boxes[anchors], raw.scores[anchors, classes]
    return Candidates(
        boxes,
        scores,
        classes,
        xyxy_to_xywh(boxes).tolist(),
        scores.tolist(),
        classes.tolist(),
    )


def ours(candidates: Candidates, *, limit: int = LIMIT) -> NDArray[np.int64]:
    """Positions kept by this package."""
    return non_maximum_suppression(
        candidates.boxes,
        candidates.scores,
        candidates.classes,
        iou_threshold=IOU,
        max_detections=limit,
    )


def opencv(candidates: Candidates, *, only_best: int = 0) -> NDArray[np.int64]:
    """Positions kept by OpenCV; `only_best` (its `top_k`) cuts the candidates beforehand."""
    kept = cv2.dnn.NMSBoxesBatched(
        candidates.xywh_list,
        candidates.score_list,
        candidates.class_list,
        CONFIDENCE,
        IOU,
        1.0,
        only_best,
    )
    return np.asarray(kept, np.int64).ravel()[:LIMIT]


def greedy(candidates: Candidates) -> NDArray[np.int64]:
    """The definition of non-maximum suppression, one candidate after the other."""
    kept: list[int] = []
    for position in np.argsort(-candidates.scores, kind="stable").tolist():
        rivals = [i for i in kept if candidates.classes[i] == candidates.classes[position]]
        overlaps = pairwise_iou(candidates.boxes[[position]], candidates.boxes[rivals])
        if not (overlaps > np.float32(IOU)).any():
            kept.append(position)
        if len(kept) == LIMIT:
            break
    return np.array(kept, np.int64)


def milliseconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def in_turns(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each contender; each round calls all, one after the other."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            times[name].append(milliseconds(work))
    return {name: statistics.median(values) for name, values in times.items()}


def report_speed(images: list[Candidates]) -> None:
    """Milliseconds for all images, ours and OpenCV's, and how many detections each finds."""
    contenders: dict[str, Callable[[Candidates], NDArray[np.int64]]] = {
        "gelan": ours,
        "cv2, all candidates (top_k=0)": opencv,
        "cv2, best 300 candidates (top_k=300)": lambda image: opencv(image, only_best=LIMIT),
    }
    calls = {
        name: lambda keep=keep: [keep(image) for image in images]
        for name, keep in contenders.items()
    }
    for name, median in in_turns(calls, ROUNDS).items():
        found = [len(contenders[name](image)) for image in images]
        print(
            f"  {name:38} {median:9.1f} ms for {len(images)} images, {median / len(images):7.2f} "
            f"ms an image, {min(found)} to {max(found)} detections"
        )


def report_exactness(images: list[Candidates]) -> None:
    """Whether we, and OpenCV, keep what the definition keeps."""
    expected = [greedy(image) for image in images]
    for name, keep in (("gelan", ours), ("cv2, all candidates,", opencv)):
        exact = sum(
            np.array_equal(keep(image), kept) for image, kept in zip(images, expected, strict=True)
        )
        print(f"  {name} keeps what the greedy loop keeps on {exact} of {len(images)} images")
    for number, (image, kept) in enumerate(zip(images, expected, strict=True)):
        theirs = opencv(image)
        if not np.array_equal(theirs, kept):
            print(f"  image {number}: cv2 differs; {first_difference(image, kept, theirs)}")


def first_difference(image: Candidates, kept: NDArray[np.int64], theirs: NDArray[np.int64]) -> str:
    """What is known of the first place where two results part."""
    rank = int(np.argmax(kept[: len(theirs)] != theirs[: len(kept)]))
    pair = [int(kept[rank]), int(theirs[rank])]
    before = [i for i in kept[:rank] if image.classes[i] in image.classes[pair]]
    overlaps = pairwise_iou(image.boxes[pair], image.boxes[before])
    same_class = image.classes[pair][:, None] == image.classes[before]
    largest = (overlaps * same_class).max(axis=1, initial=0)
    return (
        f"rank {rank}: scores {image.scores[pair]}, largest IoU with better ones {largest} "
        f"(threshold {IOU})"
    )


def report_memory() -> None:
    """Peak of what we allocate, over the candidates themselves."""
    for count in (CANDIDATES, 2 * CANDIDATES, 4 * CANDIDATES):
        image = above_confidence(make_image(0, candidates=count))
        peaks = []
        for limit in (LIMIT, count):
            tracemalloc.start()
            kept = len(ours(image, limit=limit))
            peaks.append(f"{tracemalloc.get_traced_memory()[1] / 2**20:6.1f} MiB ({kept} kept)")
            tracemalloc.stop()
        print(f"  {len(image.scores):7,} candidates: {peaks[0]}; without a limit {peaks[1]}")


def report_postprocess(raw: Raw) -> None:
    """Milliseconds of the whole way from scores to detections of one image."""
    settings = PostprocessSettings(confidence=0.25, iou=0.45)
    fiftieth = np.sort(raw.scores.max(axis=1))[-50]
    few = Raw(raw.boxes, raw.scores * np.float32(0.2501) / fiftieth)
    names = [f"class {index}" for index in range(NUM_CLASSES)]
    placement = Placement(scale=1.0, left=0, top=80, size_hw=(480, 640), canvas_hw=(640, 640))

    def call(image: Raw, chosen: PostprocessSettings) -> int:
        return len(
            postprocess(
                image.boxes,
                image.scores,
                placement=placement,
                names=names,
                source="",
                settings=chosen,
            )
        )

    passing = int((few.scores.max(axis=1) > np.float32(0.25)).sum())
    rows = {
        f"confidence 0.25, {passing} anchors pass": lambda: call(few, settings),
        "confidence 0.001, multi-label": lambda: call(raw, EVALUATION),
    }
    for name, median in in_turns(rows, 50).items():
        print(f"  {name:38} {median:9.3f} ms an image, {rows[name]()} detections")


def machine() -> str:
    """Processor, cores and versions."""
    information = Path("/proc/cpuinfo")
    model = platform.processor()
    if information.exists():
        lines = information.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if "model name" in line), model)
    return (
        f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"numpy {np.__version__}, OpenCV {cv2.__version__}"
    )


def main() -> int:
    """Print all figures."""
    print(machine())
    raw = [make_image(seed) for seed in range(NUM_IMAGES)]
    images = [above_confidence(image) for image in raw]
    counts = [len(image.scores) for image in images]
    print(f"{NUM_IMAGES} images, {min(counts):,} to {max(counts):,} candidates, IoU {IOU}")
    print(f"Suppression, median of {ROUNDS} rounds in turns:")
    report_speed(images)
    print("Exactness:")
    report_exactness(images)
    print("Peak memory of gelan beyond its arguments:")
    report_memory()
    print("Post-processing of one image (8400 x 80 scores), median of 50:")
    report_postprocess(raw[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
