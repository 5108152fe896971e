"""AP and AR against pycocotools: the same numbers, on real and on made-up images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gelan import load
from gelan.data.images import read_image
from gelan.evaluate.average_precision import average_precision, rankings
from gelan.evaluate.coco import coco_arrays, headline
from gelan.evaluate.evaluator import evaluate, predict_all
from gelan.evaluate.matching import IOU_THRESHOLDS, match, overlaps
from gelan.evaluate.results import ImageResult, pool
from gelan.structures.classes import ClassTable
from gelan.structures.coco import COCO
from gelan.structures.detections import Detections
from gelan.structures.samples import Annotations, Sample
from tests.shared_files import shared
from tests.unit.evaluate.made_up import random_images

ROUNDING = 1e-12
"""Where sums are taken in another order."""


def pycocotools(
    results: Sequence[ImageResult], classes: ClassTable, limits: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall as the original tool computes them; at least one detection is needed."""
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    truth = coco.COCO()
    truth.dataset = {
        "images": [{"id": number + 1} for number in range(len(results))],
        "categories": [{"id": index + 1, "name": name} for index, name in enumerate(classes.names)],
        "annotations": [dict(row) for row in _annotation_rows(results)],
    }
    truth.createIndex()
    run = evaluation.COCOeval(truth, truth.loadRes(list(_detection_rows(results))), "bbox")
    run.params.maxDets = list(limits)
    run.evaluate()
    run.accumulate()
    return run.eval["precision"], run.eval["recall"]


def _annotation_rows(results: Sequence[ImageResult]) -> Iterator[dict[str, Any]]:
    number = 0
    for image, result in enumerate(results):
        there = result.annotations
        for box, kind, crowd, area in zip(
            there.boxes.tolist(), there.classes.tolist(), there.crowd, there.areas, strict=True
        ):
            number += 1
            yield {
                "id": number,
                "image_id": image + 1,
                "category_id": kind + 1,
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                "area": float(area),
                "iscrowd": int(crowd),
            }


def _detection_rows(results: Sequence[ImageResult]) -> Iterator[dict[str, Any]]:
    for image, result in enumerate(results):
        found = result.detections
        for box, kind, score in zip(
            found.boxes.tolist(), found.classes.tolist(), found.scores.tolist(), strict=True
        ):
            yield {
                "image_id": image + 1,
                "category_id": kind + 1,
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                "score": score,
            }


def our_class_precision(results: Sequence[ImageResult], classes: ClassTable) -> NDArray[np.float64]:
    """AP by class and overlap from our own matching; NaN where there are no objects."""
    pooled = pool(results, classes)
    pairs = overlaps(pooled, at_least=0.1)
    matches = match(pooled, pairs, thresholds=IOU_THRESHOLDS, max_detections=100)
    once = np.ones((len(results), 1), np.int32)
    return np.array(
        [average_precision(ranking, once)[:, 0] for ranking in rankings(pooled, matches)]
    )


def class_precision_of(precision: NDArray[np.float64], limit: int) -> NDArray[np.float64]:
    """AP by class and overlap from the arrays of the COCO tools; NaN where there are no objects."""
    values = precision[:, :, :, 0, limit]
    return np.where(values[:, 0] < 0, np.nan, values.mean(axis=1)).T


def assert_the_same(results: Sequence[ImageResult], classes: ClassTable) -> None:
    limits = (1, 10, 100, 300)
    precision, recall = pycocotools(results, classes, limits)
    arrays = coco_arrays(pool(results, classes), max_detections=100)
    assert arrays.limits == limits
    np.testing.assert_array_equal(arrays.precision, precision)
    np.testing.assert_array_equal(arrays.recall, recall)
    np.testing.assert_allclose(
        our_class_precision(results, classes),
        class_precision_of(precision, 2),
        atol=ROUNDING,
        rtol=0,
    )


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_random_images_with_crowds_and_empty_ones_agree(seed: int, coarse: bool) -> None:
    assert_the_same(*random_images(seed, 40, coarse=coarse))


@pytest.mark.parametrize("coarse", [False, True])
def test_more_detections_than_the_limits_agree(coarse: bool) -> None:
    assert_the_same(*random_images(1, 6, num_classes=2, found=500, coarse=coarse))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 4), st.integers(1, 12))
def test_a_few_images_with_ties_agree(seed: int, count: int, num_classes: int, found: int) -> None:
    results, classes = random_images(
        seed, count, num_classes=num_classes, objects=3, found=found, coarse=True
    )
    if any(len(result.detections) for result in results):
        assert_the_same(results, classes)


def test_the_headline_is_the_summary_of_pycocotools() -> None:
    results, classes = random_images(7, 60)
    precision, recall = pycocotools(results, classes, (1, 10, 100))
    figures = headline(
        coco_arrays(pool(results, classes), max_detections=100),
        pool(results, classes),
        max_detections=100,
    )

    def summary(values: NDArray[np.float64]) -> float:
        return float(np.mean(values[values > -1]))

    assert figures.ap == summary(precision[:, :, :, 0, 2])
    assert figures.ap50 == summary(precision[[0]][:, :, :, 0, 2])
    assert figures.ap75 == summary(precision[[5]][:, :, :, 0, 2])
    assert [figures.ar_1, figures.ar_10, figures.ar_100] == [
        summary(recall[:, :, 0, limit]) for limit in range(3)
    ]
    assert [size.ap for size in figures.sizes] == [
        summary(precision[:, :, :, size, 2]) for size in (1, 2, 3)
    ]
    assert [size.ar for size in figures.sizes] == [
        summary(recall[:, :, size, 2]) for size in (1, 2, 3)
    ]


def test_a_drawing_is_worth_the_images_repeated_so_often() -> None:
    results, classes = random_images(11, 12)
    times = np.array([0, 3, 1, 1, 0, 2, 1, 0, 0, 1, 2, 1], np.int32)
    repeated = [result for result, often in zip(results, times, strict=True) for _ in range(often)]
    precision, _ = pycocotools(repeated, classes, (1, 10, 100))
    pooled = pool(results, classes)
    matches = match(
        pooled, overlaps(pooled, at_least=0.5), thresholds=IOU_THRESHOLDS, max_detections=100
    )
    weighted = np.array(
        [average_precision(ranking, times[:, None])[:, 0] for ranking in rankings(pooled, matches)]
    )
    np.testing.assert_allclose(weighted, class_precision_of(precision, 2), atol=ROUNDING, rtol=0)


def real_objects() -> list[Annotations]:
    """Of the 128 train images, with crowds and the areas of outlines."""
    data = json.loads(shared("data/coco128/annotations/instances_train2017.json").read_text())
    index = {COCO.category_id(number): number for number in range(len(COCO))}
    rows: dict[int, list[dict[str, Any]]] = {entry["id"]: [] for entry in data["images"]}
    for row in data["annotations"]:
        rows[row["image_id"]].append(row)
    return [
        Annotations(
            boxes=_corners(np.array([row["bbox"] for row in of_image])),
            classes=np.array([index[row["category_id"]] for row in of_image], np.int64),
            crowd=np.array([row["iscrowd"] == 1 for row in of_image], bool),
            areas=np.array([row["area"] for row in of_image], np.float32),
            polygons=((),) * len(of_image),
        )
        for of_image in rows.values()
    ]


def _corners(xywh: NDArray[np.float64]) -> NDArray[np.float32]:
    boxes = xywh.reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).astype(np.float32)


def test_real_objects_with_crowds_and_outlines_agree() -> None:
    random = np.random.default_rng(3)
    truths = real_objects()
    assert sum(int(truth.crowd.sum()) for truth in truths) == 10
    results = []
    for truth in truths:
        boxes = np.repeat(truth.boxes, 4, axis=0)
        sizes = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        boxes = boxes + random.normal(0, 0.1, boxes.shape).astype(np.float32) * sizes
        kinds = np.repeat(truth.classes, 4)
        kinds[random.random(len(kinds)) < 0.1] = 0
        detections = Detections(
            boxes=boxes.astype(np.float32),
            scores=random.uniform(0, 1, len(boxes)).astype(np.float32),
            classes=kinds,
            names=COCO.names,
            size_hw=(640, 640),
        )
        results.append(ImageResult(detections, truth))
    assert_the_same(results, COCO)


def labelled_images() -> Iterator[Sample]:
    """The 128 val images, their labels read by hand."""
    folder = shared("data/coco128")
    for path in sorted((folder / "images" / "val2017").glob("*.jpg")):
        image = read_image(path)
        label = folder / "labels" / "val2017" / f"{path.stem}.txt"
        lines = label.read_text().splitlines() if label.exists() else []
        rows = np.array([line.split() for line in lines], np.float64).reshape(-1, 5)
        half = rows[:, 3:] / 2
        corners = np.concatenate([rows[:, 1:3] - half, rows[:, 1:3] + half], axis=1)
        height, width = image.shape[:2]
        yield Sample(
            image=image,
            annotations=Annotations.of_boxes(
                (corners * [width, height, width, height]).astype(np.float32),
                rows[:, 0].astype(np.int64),
            ),
            source=path.name,
        )


@pytest.mark.slow
def test_the_trained_network_gets_its_published_figures_on_real_images() -> None:
    weights = shared("weights/yolov9t-ultralytics-coco-fp32.pt")
    results = list(predict_all(load(weights, classes=COCO), labelled_images()))
    assert len(results) == 128
    assert sum(len(result.annotations) for result in results) == 898
    figures = evaluate(results, classes=COCO).headline
    assert figures.ap == pytest.approx(0.449, abs=0.005)
    assert figures.ap50 == pytest.approx(0.611, abs=0.005)
    assert_the_same(results, COCO)
