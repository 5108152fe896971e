"""From detections and objects to a report; and the loop that makes the detections."""

from __future__ import annotations

import importlib.metadata
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

from gelan.evaluate.average_precision import RECALLS, Ranking, rankings
from gelan.evaluate.coco import CocoArrays, class_precision, coco_arrays, headline, mean
from gelan.evaluate.confusion import confusion_matrix
from gelan.evaluate.curves import (
    CONFIDENCES,
    ClassCurves,
    OperatingPoint,
    Scored,
    best_point,
    confidence_curve,
    rounded,
)
from gelan.evaluate.errors import BACKGROUND_IOU, error_costs, verdicts
from gelan.evaluate.intervals import FEWEST, headline_intervals, images_with_objects
from gelan.evaluate.matching import IOU_THRESHOLDS, match, overlaps
from gelan.evaluate.report import ClassFigures, Conditions, Curves, Report
from gelan.evaluate.results import ImageResult, Pool, pool
from gelan.evaluate.settings import STANDARD, EvaluationSettings, deviations
from gelan.evaluate.worst import worst_images
from gelan.geometry.boxes import area
from gelan.predict.postprocess import EVALUATION, PostprocessSettings
from gelan.predict.predictor import Predictor, Unreadable
from gelan.predict.sources import ImageFile
from gelan.structures.classes import ClassTable
from gelan.structures.samples import Annotations, Sample

_TOO_FEW = (
    f"fewer than {FEWEST} images have objects: how sure the figures are cannot be told, so there "
    "are no intervals"
)
_FEW = 10
"""Objects; of fewer, one more found changes a class's recall by over a tenth."""


def evaluate(
    results: Iterable[ImageResult],
    *,
    classes: ClassTable,
    settings: EvaluationSettings = STANDARD,
    facts: Mapping[str, str] | None = None,
) -> Report:
    """The report on what was found in a set of images.

    `classes` are those of the data set; the detections must have been made with the same names.
    `facts` are conditions for the reader, such as the names of the weights and of the data.

    Raises:
        ConfigError: there is no image, or classes do not fit.
        MissingDependencyError: hotcoco is not installed.
    """
    pooled = pool(list(results), classes)
    arrays = coco_arrays(pooled, max_detections=settings.max_detections)
    figures = headline(arrays, pooled, max_detections=settings.max_detections)
    pairs = overlaps(pooled, at_least=min(BACKGROUND_IOU, settings.iou))
    matches = match(
        pooled, pairs, thresholds=IOU_THRESHOLDS, max_detections=settings.max_detections
    )
    ranked = rankings(pooled, matches)
    judged = verdicts(pooled, pairs, matches)
    ap_interval, ap50_interval = headline_intervals(
        ranked,
        num_images=len(pooled.sources),
        replicas=settings.replicas,
        level=settings.level,
        seed=settings.seed,
    )
    together = Scored.of(ranked)
    return Report(
        num_images=len(pooled.sources),
        num_objects=together.num_objects,
        num_detections=len(pooled.detections.images),
        headline=figures,
        ap_interval=ap_interval,
        ap50_interval=ap50_interval,
        best=_best(together),
        at_floor=_at_floor(together, settings),
        classes=_class_figures(arrays, ranked, classes, settings),
        curves=_curves(arrays, ranked, settings),
        confusion=confusion_matrix(pooled, pairs, confidence=settings.confidence, iou=settings.iou),
        errors=error_costs(pooled, judged, confidence=settings.confidence),
        worst=worst_images(
            pooled, judged, confidence=settings.confidence, limit=settings.worst_images
        ),
        conditions=_conditions(pooled, ranked, settings, facts or {}),
    )


def predict_all(
    predictor: Predictor,
    samples: Iterable[Sample],
    *,
    settings: PostprocessSettings = EVALUATION,
    batch: int = 8,
) -> Iterator[ImageResult]:
    """What the network finds in each sample beside what is there, in order, as it comes.

    The settings are the protocol of published figures unless others are given; say so to
    `evaluate`, too. No more than one batch of samples is held at a time.
    """
    waiting = deque[Annotations]()

    def images() -> Iterator[ImageFile]:
        for sample in samples:
            waiting.append(sample.annotations)
            yield _Held(name=sample.source, image=sample.image)

    for seen in predictor.stream(images(), settings=settings, batch=batch):
        assert not isinstance(seen, Unreadable)  # the image is in memory
        yield ImageResult(seen.detections, waiting.popleft())


@dataclass(frozen=True, slots=True)
class _Held(ImageFile):
    """An image that has been read already."""

    image: UInt8[np.ndarray, "_ _ 3"] | None = None

    def read(self) -> UInt8[np.ndarray, "_ _ 3"]:
        assert self.image is not None
        return self.image


def _best(scored: Scored) -> OperatingPoint | None:
    return best_point(scored) if scored.num_objects else None


def _at_floor(scored: Scored, settings: EvaluationSettings) -> OperatingPoint | None:
    if settings.precision_floor is None or not scored.num_objects:
        return None
    return best_point(scored, precision_floor=settings.precision_floor)


def _class_figures(
    arrays: CocoArrays,
    ranked: Sequence[Ranking],
    classes: ClassTable,
    settings: EvaluationSettings,
) -> tuple[ClassFigures, ...]:
    limit = settings.max_detections
    ap = class_precision(arrays, max_detections=limit)
    ap50 = class_precision(arrays, max_detections=limit, ious=slice(1))
    of_class = [Scored.of([ranking]) for ranking in ranked]
    return tuple(
        ClassFigures(
            name=name,
            category_id=classes.category_id(index),
            num_images=len(np.unique(ranked[index].object_images)),
            num_objects=of_class[index].num_objects,
            ap=ap[index],
            ap50=ap50[index],
            best=_best(of_class[index]),
            at_floor=_at_floor(of_class[index], settings),
        )
        for index, name in enumerate(classes.names)
    )


def _curves(arrays: CocoArrays, ranked: Sequence[Ranking], settings: EvaluationSettings) -> Curves:
    precision = arrays.precision[..., 0, arrays.limits.index(settings.max_detections)]
    together = Scored.of(ranked)
    return Curves(
        recalls=tuple(RECALLS.round(2).tolist()),
        confidences=CONFIDENCES,
        precision_recall=_mean_curve(precision),
        precision_recall_50=_mean_curve(precision[:1]),
        precision_recall_75=_mean_curve(precision[5:6]),
        by_confidence=confidence_curve(together) if together.num_objects else None,
        classes=tuple(
            _class_curves(precision[0, :, index], ranking) for index, ranking in enumerate(ranked)
        ),
    )


def _mean_curve(
    precision: Float64[np.ndarray, "ious recalls classes"],
) -> tuple[float, ...] | None:
    points = [mean(precision[:, point]) for point in range(precision.shape[1])]
    known = [rounded(value) for value in points if value is not None]
    return tuple(known) if known else None


def _class_curves(
    precision: Float64[np.ndarray, " recalls"], ranking: Ranking
) -> ClassCurves | None:
    if not len(ranking.object_images):
        return None
    return ClassCurves(
        precision_recall=tuple(map(rounded, precision)),
        by_confidence=confidence_curve(Scored.of([ranking])),
    )


def _conditions(
    pooled: Pool,
    ranked: Sequence[Ranking],
    settings: EvaluationSettings,
    facts: Mapping[str, str],
) -> Conditions:
    programs = ("gelan", "hotcoco", "numpy")
    few = settings.replicas > 1 and images_with_objects(ranked) < FEWEST
    return Conditions(
        settings=settings,
        deviations=deviations(settings),
        notes=(*([_TOO_FEW] if few else []), *_notes(pooled)),
        facts=dict(facts),
        versions={name: importlib.metadata.version(name) for name in programs},
    )


def _notes(pooled: Pool) -> Iterator[str]:
    objects, counts = pooled.objects, pooled.num_objects()
    absent = int(np.count_nonzero(counts == 0))
    if absent:
        yield f"classes without objects: {absent} of {pooled.num_classes}; means leave them out"
    rare = int(np.count_nonzero((counts > 0) & (counts < _FEW)))
    if rare:
        yield (
            f"classes with fewer than {_FEW} objects: {rare}; the figures and the best confidence "
            "of each of them say little"
        )
    of_boxes = area(objects.boxes.astype(np.float32))
    if len(of_boxes) and np.allclose(objects.areas, of_boxes, rtol=1e-3):
        yield (
            "sizes are those of boxes, because no outlines are known; COCO takes the area of "
            "outlines, so AP by size differs a little"
        )
    crowds = int(np.count_nonzero(objects.crowd))
    if crowds:
        yield f"crowds: {crowds}; they need not be found, and what is found in them is not counted"
