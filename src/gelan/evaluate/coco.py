"""The figures of the COCO protocol, by the library `hotcoco`, bit for bit those of pycocotools.

AP is the mean over ten overlaps, from 0.50 to 0.95, of the average precision at each, and the mean
of that over the classes that have objects; AR is the same mean of the greatest recall. Crowds are
no objects to be found, and what is found inside one is not wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from gelan.evaluate.results import Pool
from gelan.optional import require

SIZES = ("small", "medium", "large")
"""Of objects: below 32 x 32 square pixels of the original image, up to 96 x 96, above."""
_SIZE_LIMITS = (0.0, 32.0**2, 96.0**2, 1e10)
RECALL_LIMITS = (1, 10, 100, 300)
"""AR is given for so many detections of a class in one image."""


class CocoArrays(NamedTuple):
    """What the COCO tools compute; -1 stands where a class has no objects."""

    precision: Float64[np.ndarray, "ious recalls classes sizes limits"]
    recall: Float64[np.ndarray, "ious classes sizes limits"]
    limits: tuple[int, ...]
    """How many detections of a class in one image count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SizeFigures:
    """Figures of the objects of one size, by COCO's limits in square pixels."""

    size: str
    area_range: tuple[float, float]
    """Both ends included, as COCO has it."""
    num_objects: int
    ap: float | None
    ar: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """The figures that are published for a network, 0 to 1; None where there are no objects."""

    ap: float | None
    """Mean over overlaps of 0.50, 0.55 ... 0.95."""
    ap50: float | None
    ap75: float | None
    ar_1: float | None
    """With the best detection of each class in each image alone."""
    ar_10: float | None
    ar_100: float | None
    ar_300: float | None
    sizes: tuple[SizeFigures, ...]


def coco_arrays(pool: Pool, *, max_detections: int) -> CocoArrays:
    """Precision and recall at all overlaps, recalls, classes, sizes and limits.

    Raises:
        MissingDependencyError: hotcoco is not installed.
    """
    require("hotcoco", extra="train", purpose="to compute COCO figures")
    from hotcoco import COCO, COCOeval

    found, truth = pool.detections, pool.objects
    # Numbers begin with 1: the tools take 0 for "no object".
    dataset = COCO.from_arrays(
        [{"id": number + 1} for number in range(len(pool.sources))],
        [{"id": index + 1, "name": f"class {index}"} for index in range(pool.num_classes)],
        truth.images + 1,
        truth.classes + 1,
        _xywh(truth.boxes),
        area=truth.areas,
        iscrowd=truth.crowd,
    )
    columns = (found.images + 1, *_xywh(found.boxes).T, found.scores, found.classes + 1)
    evaluation = COCOeval(dataset, dataset.load_res(np.stack(columns, axis=1)), "bbox")
    limits = tuple(sorted({*RECALL_LIMITS, max_detections}))
    evaluation.params.max_dets = list(limits)
    evaluation.evaluate()
    evaluation.accumulate()
    arrays = evaluation.eval
    assert arrays is not None
    return CocoArrays(arrays["precision"], arrays["recall"], limits)


def _xywh(boxes: Float64[np.ndarray, "n 4"]) -> Float64[np.ndarray, "n 4"]:
    """In double precision, unlike `geometry.boxes.xyxy_to_xywh`."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def headline(arrays: CocoArrays, pool: Pool, *, max_detections: int) -> Headline:
    """The published figures; AP and those by size count `max_detections` (COCO: 100)."""
    standard = arrays.limits.index(max_detections)
    precision = arrays.precision[:, :, :, 0, standard]
    recalls = [mean(arrays.recall[:, :, 0, arrays.limits.index(n)]) for n in RECALL_LIMITS]
    return Headline(
        ap=mean(precision),
        ap50=mean(precision[0]),
        ap75=mean(precision[5]),
        ar_1=recalls[0],
        ar_10=recalls[1],
        ar_100=recalls[2],
        ar_300=recalls[3],
        sizes=tuple(_size_figures(arrays, pool, number, standard) for number in range(3)),
    )


def _size_figures(arrays: CocoArrays, pool: Pool, number: int, limit: int) -> SizeFigures:
    low, high = _SIZE_LIMITS[number], _SIZE_LIMITS[number + 1]
    areas = pool.objects.areas[~pool.objects.crowd]
    return SizeFigures(
        size=SIZES[number],
        area_range=(low, high),
        num_objects=int(np.count_nonzero((areas >= low) & (areas <= high))),
        ap=mean(arrays.precision[:, :, :, 1 + number, limit]),
        ar=mean(arrays.recall[:, :, 1 + number, limit]),
    )


def class_precision(
    arrays: CocoArrays, *, max_detections: int, ious: Sequence[int] | slice = slice(None)
) -> list[float | None]:
    """AP of each class over some of the overlaps (0 is 0.50), for objects of all sizes."""
    chosen = arrays.precision[ious][..., 0, arrays.limits.index(max_detections)]
    return [mean(chosen[:, :, index]) for index in range(chosen.shape[2])]


def mean(values: Float64[np.ndarray, "*shape"]) -> float | None:
    """The mean of what is known, as the COCO tools take it; None where nothing is.

    >>> mean(np.array([0.5, -1.0, 1.0])), mean(np.array([-1.0]))
    (0.75, None)
    """
    known = values[values > -1]
    return float(np.mean(known)) if len(known) else None
