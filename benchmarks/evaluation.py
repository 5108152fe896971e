"""Evaluation: seconds beside the forward passes, on made-up images of the size of COCO val2017.

Run by hand from the repository root: `python benchmarks/evaluation.py`. 5,000 images, 80 classes
of very unequal frequency, about 36,000 objects, 100 detections an image (or `--detections 300`) of
which about half have to do with an object. Times are medians of the rounds; `--pycocotools` adds
one run of the original tool, which takes half a minute. `--simulate` shows instead how often
intervals hold what they should, and how often equally good networks are told apart.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gelan.evaluate.coco import coco_arrays, headline
from gelan.evaluate.comparison import compare
from gelan.evaluate.evaluator import evaluate
from gelan.evaluate.report import Report, as_json, as_table
from gelan.evaluate.results import ImageResult, pool
from gelan.evaluate.settings import COMPARISON, STANDARD, EvaluationSettings
from gelan.structures.classes import ClassTable
from gelan.structures.coco import COCO
from gelan.structures.detections import Detections
from gelan.structures.samples import Annotations

NUM_IMAGES = 5000
OBJECTS = 7.2
"""Mean of an image."""
SETS = 400
"""Simulated sets of a size; a quarter of very large ones."""
WITHOUT_REPLICAS = EvaluationSettings(replicas=0)


def make_images(seed: int, *, detections: int) -> list[ImageResult]:
    """Objects and detections like those of a fair network on COCO."""
    random = np.random.default_rng(seed)
    likely = 1 / np.arange(1, len(COCO) + 1)
    likely[0] *= 2  # persons are three in ten
    return [
        make_image(random, likely / likely.sum(), number=number, detections=detections)
        for number in range(NUM_IMAGES)
    ]


def make_image(
    random: np.random.Generator, likely: NDArray[np.float64], *, number: int, detections: int
) -> ImageResult:
    """One image of 640 x 480 pixels."""
    there = int(random.poisson(OBJECTS))
    boxes = make_boxes(random, there)
    kinds = random.choice(len(COCO), there, p=likely)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    annotations = Annotations(
        boxes=boxes,
        classes=kinds.astype(np.int64),
        crowd=random.random(there) < 0.012,
        areas=(areas * random.uniform(0.4, 1, there)).astype(np.float32),
        polygons=((),) * there,
    )
    near = random.random(detections) < (0.5 if there else 0)
    which = random.integers(0, max(there, 1), detections)
    found = make_boxes(random, detections)
    sizes = np.tile(boxes[which, 2:] - boxes[which, :2], 2) if there else found
    moved = (boxes[which] if there else found) + random.normal(0, 0.12, found.shape) * sizes
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    own = near & (random.random(detections) < 0.6)
    scores = np.where(near, random.beta(1, 4, detections), random.beta(0.3, 20, detections))
    order = np.argsort(-scores, kind="stable")
    return ImageResult(
        Detections(
            boxes=np.where(near[:, None], moved, found).astype(np.float32)[order],
            scores=np.maximum(scores, 0.001).astype(np.float32)[order],
            classes=np.where(
                own,
                kinds[which] if there else 0,
                random.choice(len(COCO), detections, p=likely),
            ).astype(np.int64)[order],
            names=COCO.names,
            size_hw=(480, 640),
            source=f"{number:012}.jpg",
        ),
        annotations,
    )


def make_boxes(random: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Boxes from 8 to 300 pixels wide."""
    top_left = random.uniform(0, (600, 440), (count, 2))
    sizes = np.exp(random.uniform(np.log(8), np.log(300), (count, 2)))
    return np.concatenate([top_left, top_left + sizes], axis=1).astype(np.float32)


def median_seconds(work: Callable[[], object], rounds: int) -> float:
    """Of several calls."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def coco_figures(results: Sequence[ImageResult]) -> None:
    """From what the loop over images gives to the published figures."""
    pooled = pool(results, COCO)
    headline(coco_arrays(pooled, max_detections=100), pooled, max_detections=100)


def pycocotools(results: Sequence[ImageResult]) -> float | None:
    """AP by the original tool; None if it is not installed."""
    try:
        from pycocotools.coco import COCO as Truth  # type: ignore[import-untyped]  # noqa: N811
        from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        return None
    objects: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for number, result in enumerate(results):
        there, seen = result.annotations, result.detections
        for box, kind, crowd, area in zip(
            there.boxes.tolist(), there.classes.tolist(), there.crowd, there.areas, strict=True
        ):
            row = entry(number, box, kind)
            objects.append(
                {**row, "id": len(objects) + 1, "area": float(area), "iscrowd": int(crowd)}
            )
        for box, kind, score in zip(
            seen.boxes.tolist(), seen.classes.tolist(), seen.scores.tolist(), strict=True
        ):
            found.append({**entry(number, box, kind), "score": score})
    with redirect_stdout(StringIO()):
        truth = Truth()
        truth.dataset = {
            "images": [{"id": number} for number in range(len(results))],
            "categories": [{"id": index} for index in range(len(COCO))],
            "annotations": objects,
        }
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(found), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return float(run.stats[0])


def entry(image: int, box: Sequence[float], kind: int) -> dict[str, Any]:
    """What objects and detections of COCO files have in common."""
    left, top, right, bottom = box
    return {
        "image_id": image,
        "category_id": kind,
        "bbox": [left, top, right - left, bottom - top],
    }


def report_seconds(results: Sequence[ImageResult], rounds: int) -> Report:
    """Print the time of each part; the report."""
    report = evaluate(results, classes=COCO)
    bare = evaluate(results, classes=COCO, settings=WITHOUT_REPLICAS)
    figures = median_seconds(lambda: coco_figures(results), rounds)
    without = median_seconds(
        lambda: evaluate(results, classes=COCO, settings=WITHOUT_REPLICAS), rounds
    )
    whole = median_seconds(lambda: evaluate(results, classes=COCO), rounds)
    written = median_seconds(lambda: (as_json(report), as_table(report)), rounds)
    show("COCO figures", figures)
    show("the rest of the report, without intervals", without - figures)
    show(f"intervals, {STANDARD.replicas} drawings", whole - without)
    show("whole report", whole)
    show(f"JSON ({len(as_json(report)) / 1e6:.2f} MB) and table", written)
    assert bare.headline == report.headline
    return report


def simulate(
    what: str, draw: Callable[[int], tuple[list[ImageResult], ClassTable]], sizes: Sequence[int]
) -> None:
    """Print how often intervals hold the mean AP, and equally good networks are told apart."""
    random = np.random.default_rng(1)
    for num_images in sizes:
        sets = SETS if num_images <= 200 else SETS // 4
        figures, intervals, alarms = [], [], 0
        for number in range(sets):
            drawn, classes = draw(num_images)
            settings = EvaluationSettings(seed=number)
            report = evaluate(drawn, classes=classes, settings=settings)
            if report.headline.ap is None:
                continue
            figures.append(report.headline.ap)
            intervals.append(report.ap_interval)
            pair = ([shaken(result, random) for result in drawn] for _ in range(2))
            found = compare(*pair, classes=classes, settings=settings).ap
            alarms += "better" in found.verdict()
        known = [each for each in intervals if each is not None]
        mean = statistics.mean(figures)
        held = sum(each.low <= mean <= each.high for each in known)
        words = f"{held / len(known):6.1%} of {len(known)}" if known else "there are none"
        print(
            f"  {what:11}{num_images:5} images: AP {mean:.3f} +- {statistics.stdev(figures):.3f}; "
            f"intervals hold the mean: {words}; told apart {alarms / len(figures):.1%} of "
            f"{len(figures)}"
        )


def of_coco() -> Callable[[int], tuple[list[ImageResult], ClassTable]]:
    """Sets of images with 80 classes, many of them rare."""
    random, source = np.random.default_rng(2), make_images(0, detections=30)

    def draw(num_images: int) -> tuple[list[ImageResult], ClassTable]:
        chosen = random.choice(NUM_IMAGES, num_images, replace=False)
        return [source[index] for index in chosen], COCO

    return draw


def of_few_classes(
    num_classes: int, *, right: float, noise: float
) -> Callable[[int], tuple[list[ImageResult], ClassTable]]:
    """Sets of images with about two objects each, found with a chance and a noise of the box."""
    random, classes = np.random.default_rng(2), ClassTable(tuple(map(str, range(num_classes))))

    def one(number: int) -> ImageResult:
        there = int(random.poisson(2))
        boxes = make_boxes(random, there)
        kinds = random.integers(0, num_classes, there)
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        found = random.random(there) < right
        sizes = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        moved = boxes + random.normal(0, noise, boxes.shape) * sizes
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        wrong = int(random.poisson(2 * (1 - right)))
        scores = np.concatenate([random.uniform(0.3, 0.9, found.sum()), random.random(wrong) * 0.6])
        return ImageResult(
            Detections(
                boxes=np.concatenate([moved[found], make_boxes(random, wrong)]).astype(np.float32),
                scores=scores.astype(np.float32),
                classes=np.concatenate([kinds[found], random.integers(0, num_classes, wrong)]),
                names=classes.names,
                size_hw=(480, 640),
                source=str(number),
            ),
            Annotations(
                boxes=boxes,
                classes=kinds,
                crowd=np.zeros(there, np.bool_),
                areas=areas,
                polygons=((),) * there,
            ),
        )

    return lambda num_images: ([one(number) for number in range(num_images)], classes)


def shaken(result: ImageResult, random: np.random.Generator) -> ImageResult:
    """The same image by a network that is as good but errs elsewhere."""
    found = result.detections
    scores = np.clip(found.scores + random.normal(0, 0.1, len(found)), 0.001, 1)
    sizes = np.tile(found.boxes[:, 2:] - found.boxes[:, :2], 2)
    moved = found.boxes + random.normal(0, 0.05, found.boxes.shape) * sizes
    return ImageResult(
        replace(found, boxes=moved.astype(np.float32), scores=scores.astype(np.float32)),
        result.annotations,
    )


def show(what: str, seconds: float) -> None:
    """One line."""
    print(f"  {what:45} {seconds:7.2f} s")


def machine() -> str:
    """Processor, cores and versions."""
    information = Path("/proc/cpuinfo")
    model = platform.processor()
    if information.exists():
        lines = information.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if "model name" in line), model)
    return (
        f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"numpy {np.__version__}"
    )


def main() -> int:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--detections", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compare", action="store_true", help="time a comparison of two, too")
    parser.add_argument("--pycocotools", action="store_true", help="run the original tool, too")
    parser.add_argument("--simulate", action="store_true", help="show how good intervals are")
    options = parser.parse_args()
    print(machine())
    if options.simulate:
        print("intervals of 95 %, and networks that are equally good:")
        small = (2, 3, 5, 6, 8, 10, 20, 50)
        simulate("2 classes", of_few_classes(2, right=0.7, noise=0.08), small)
        simulate("nearly all", of_few_classes(1, right=0.97, noise=0.01), small)
        simulate("80 classes", of_coco(), (5, 10, 20, 50, 128, 1000))
        return 0
    results = make_images(0, detections=options.detections)
    objects = sum(len(result.annotations) for result in results)
    print(
        f"{NUM_IMAGES:,} images, {objects:,} objects, {len(COCO)} classes, {options.detections} "
        f"detections an image; median of {options.rounds}:"
    )
    report = report_seconds(results, options.rounds)
    print(f"  AP {report.headline.ap}, AP50 {report.headline.ap50}")
    if options.compare:
        others = make_images(0, detections=options.detections)
        seconds = median_seconds(lambda: compare(results, others, classes=COCO), 1)
        show(f"comparison of two, {COMPARISON.replicas} exchanges", seconds)
    if options.pycocotools:
        started = time.perf_counter()
        ap = pycocotools(results)
        print(
            f"  pycocotools: AP {ap} in                    {time.perf_counter() - started:7.2f} s"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
