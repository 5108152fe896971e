"""What a run shows of itself: pictures of the data at its start, a report of it at its end."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from gelan.config import parse_settings, to_mapping
from gelan.data.augment.config import AugmentConfig
from gelan.data.augment.pipeline import augmented
from gelan.data.dataset import Dataset
from gelan.data.description import ImageRecord
from gelan.data.images import Image, read_image
from gelan.evaluate.evaluator import evaluate, predict_all
from gelan.evaluate.report import Report
from gelan.evaluate.results import ImageResult
from gelan.geometry.letterbox import Preprocessing
from gelan.predict.loading import load
from gelan.report.run_folder import (
    write_curves,
    write_evaluation,
    write_labels,
    write_run_page,
    write_sheets,
)
from gelan.report.training import training_page
from gelan.structures.history import RunStory
from gelan.structures.samples import Sample
from gelan.train.network import network_name
from gelan.train.run import Outcome
from gelan.train.run_folder import RunFolder
from gelan.train.start import Labelled, Prepared
from gelan.visualize.labels import LabelOverview, label_overview
from gelan.visualize.sheets import draw_annotations, sheet
from gelan.visualize.truth import draw_with_truth

_PER_SHEET, _COLUMNS, _CELL = 16, 4, 400
_SHOWN_CONFIDENCE = 0.25
"""Of detections in pictures; those of the figures begin at 0.001."""


def show_data(prepared: Prepared, folder: RunFolder) -> None:
    """`labels.svg`, and augmented images as training sees them, first and last epoch."""
    title = prepared.data.description.headline
    write_labels(folder.path, overview_of(prepared.data), title=title)
    write_sheets(folder.path, "batch", augmented_sheets(prepared))


def overview_of(data: Labelled) -> LabelOverview:
    """The objects of the training split, those of unknown image size left out."""
    classes, boxes = [], []
    for record in data.train:
        found = _relative(record)
        if found is not None:
            classes.append(record.labels.classes)
            boxes.append(found)
    names = data.description.classes.names
    if not boxes:
        return label_overview(np.zeros(0, np.int64), np.zeros((0, 4)), names=names)
    return label_overview(np.concatenate(classes), np.concatenate(boxes), names=names)


def augmented_sheets(prepared: Prepared) -> list[Image]:
    """16 samples of the first epoch, and 16 of the last, where these differ in kind."""
    config = prepared.config
    early = config.augment.at_epoch(0, epochs=config.epochs)
    late = config.augment.at_epoch(config.epochs - 1, epochs=config.epochs)
    kinds = [(0, early)] if early == late else [(0, early), (config.epochs - 1, late)]
    return [_augmented_sheet(prepared, epoch, augment) for epoch, augment in kinds]


def _augmented_sheet(prepared: Prepared, epoch: int, augment: AugmentConfig) -> Image:
    source, config = Dataset(prepared.data.train), prepared.config
    samples = [
        augmented(
            source,
            index,
            seed=config.seed,
            epoch=epoch,
            config=augment,
            preprocessing=Preprocessing(size=config.size),
        )
        for index in range(min(_PER_SHEET, len(source)))
    ]
    names = prepared.data.description.classes.names
    return sheet([draw_annotations(sample, names) for sample in samples], columns=4, cell=_CELL)


def tell(outcome: Outcome, *, command: str) -> Report | None:
    """Evaluate the best weights and write the page of the run; `command` begins the same run.

    The figures are those of `gelan val` on the validation split; None where there is none, or no
    epoch was done.
    """
    prepared, folder = outcome.prepared, outcome.folder
    evaluated = best_evaluated(prepared, folder)
    story = story_of(outcome, command=command)
    write_curves(folder.path, story)
    pictures: list[Image] = []
    if evaluated is not None:
        write_evaluation(folder.path, evaluated[0], title=story.title)
        pictures = [validation_sheet(evaluated[1])]
        write_sheets(folder.path, "validation", pictures)
    page = training_page(
        story,
        evaluation=evaluated,
        read=lambda source: read_image(Path(source)),
        overview=overview_of(prepared.data),
        batches=augmented_sheets(prepared),
        validation=pictures,
        folder=str(folder.path),
    )
    write_run_page(folder.path, page)
    return None if evaluated is None else evaluated[0]


def best_evaluated(
    prepared: Prepared, folder: RunFolder
) -> tuple[Report, tuple[ImageResult, ...]] | None:
    """The best weights on the validation split, by the published protocol, in float32."""
    records = prepared.data.validation
    if not records or not folder.best.exists():
        return None
    predictor = load(folder.best, device=str(prepared.device))
    results = tuple(predict_all(predictor, _samples(records), batch=8))
    facts = {"weights": str(folder.best), "runtime": str(predictor.model)}
    classes = prepared.data.description.classes
    return evaluate(results, classes=classes, facts=facts), results


def validation_sheet(results: Sequence[ImageResult]) -> Image:
    """Up to 16 images, evenly over the split, with truth dashed and detections drawn."""
    step = max(1, len(results) // _PER_SHEET)
    pictures = []
    for result in results[::step][:_PER_SHEET]:
        shown = result.detections[result.detections.scores > _SHOWN_CONFIDENCE]
        image = read_image(Path(result.source))
        pictures.append(draw_with_truth(image, shown, result.annotations))
    return sheet(pictures, columns=_COLUMNS, cell=_CELL)


def story_of(outcome: Outcome, *, command: str) -> RunStory:
    """The run as its page tells it."""
    prepared, progress = outcome.prepared, outcome.progress
    place = Path(prepared.config.data)
    counts = np.bincount(
        np.concatenate([record.labels.classes for record in prepared.data.train]),
        minlength=len(prepared.data.description.classes),
    )
    return RunStory(
        title=f"{network_name(prepared.weights.detector)} on {_name_of(place)}",
        network=network_name(prepared.weights.detector),
        num_images=len(prepared.data.train),
        command=command,
        rows=progress.rows,
        best_epoch=progress.best_epoch,
        planned_epochs=prepared.config.epochs,
        ending=outcome.ending,
        choices=prepared.choices,
        settings=to_mapping(prepared.config),
        environment=outcome.folder.read_environment(),
        data=prepared.data.description.headline,
        classes=tuple(
            (entry.source_id, entry.name, int(counts[entry.index]))
            for entry in prepared.data.description.mapping()
        ),
        pgi_cost=outcome.cost,
        resumed_at=progress.resumed_at,
    )


def command_of(settings: Mapping[str, object]) -> str:
    """A command line that begins the same run again.

    >>> command_of({"data": "my data", "optimizer.nesterov": False})
    "gelan train --data 'my data' --set optimizer.nesterov=false"
    """
    words = ["gelan", "train"]
    rest = []
    for name, value in settings.items():
        if name in _OPTIONS:
            words += [f"--{name}", str(value)]
        else:
            rest.append(f"{name}={_written(value)}")
    return shlex.join([*words, *(["--set", *rest] if rest else [])])


_OPTIONS = (
    *("data", "model", "weights", "epochs", "batch", "size", "device", "precision", "pgi"),
    *("workers", "seed"),
)
"""Settings with an option of their own."""


def _written(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    is_plain = _PLAIN.fullmatch(value) and parse_settings([f"x={value}"], where="") == {"x": value}
    return value if is_plain else json.dumps(value, ensure_ascii=False)


_PLAIN = re.compile(r"[\w./-]+")
"""Text that needs no quotes in a list of YAML, unless it is taken for a number or the like."""


def _name_of(place: Path) -> str:
    return place.resolve().parent.name if place.is_file() else place.resolve().name


def _relative(record: ImageRecord) -> np.ndarray | None:
    """Centre, width and height of boxes in parts of the image; None where its size is unknown."""
    labels = record.labels
    if labels.in_fractions:
        return labels.values
    if record.stated_hw is None or not all(record.stated_hw):
        return None
    corners = labels.corners() / np.array([record.stated_hw[1], record.stated_hw[0]] * 2)
    low, high = corners[:, :2], corners[:, 2:]
    return np.hstack([(low + high) / 2, high - low])


def _samples(records: Sequence[ImageRecord]) -> Iterator[Sample]:
    source = Dataset(records)
    return (source[index] for index in range(len(source)))
