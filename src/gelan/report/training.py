"""The page of a training run: one file that tells its story to someone who was not there.

It shares its style, its sections on the evaluation and its rule with the page of an evaluation:
everything is in it, and whatever comes from outside is escaped.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import yaml  # type: ignore[import-untyped]
from jaxtyping import UInt8

from gelan.evaluate.intervals import Interval
from gelan.evaluate.report import Report
from gelan.evaluate.results import ImageResult
from gelan.report.html import About, Page, environment, evaluation_page
from gelan.report.learning import LearningCurves, learning_curves
from gelan.report.pictures import Photo, as_data_uri
from gelan.report.sentences import counted
from gelan.report.story import best_row, duration, run_sentences
from gelan.structures.history import EpochRow, RunStory
from gelan.visualize.labels import LabelOverview, centers_map, overview_words, sizes_map

Image: TypeAlias = UInt8[np.ndarray, "_ _ 3"]
"""RGB."""
LONGEST_SHEET = 1120
"""Pixels of the longer side of an inlined sheet; each takes about 350 kB."""
MOST_SHEETS = 2
"""Sheets of each kind that are shown; all are files beside the page."""
BEST_WEIGHTS = "best.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """Pictures on one sheet, inlined."""

    uri: str
    size_wh: tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassRow:
    """A class as the table has it."""

    source_id: int
    name: str
    count: int
    share: float
    """Length of its bar: 1 for the most frequent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPage:
    """What the template shows, apart from the evaluation."""

    story: RunStory
    evaluation: Report | None
    overview: LabelOverview | None
    curves: LearningCurves | None
    batches: tuple[Sheet, ...]
    validation: tuple[Sheet, ...]
    folder: str

    @property
    def sentences(self) -> str:
        """The story."""
        return run_sentences(self.story)

    @property
    def best(self) -> EpochRow | None:
        """The epoch whose weights are kept as the best."""
        return best_row(self.story)

    @property
    def headline(self) -> list[tuple[str, float | None, str, Interval | None]]:
        """AP and AP50 of the best weights: name, value, what it is, interval."""
        if self.evaluation is not None:
            head, report = self.evaluation.headline, self.evaluation
            return [
                ("AP", head.ap, "mean over overlaps 0.50 to 0.95", report.ap_interval),
                ("AP50", head.ap50, "overlap 0.50", report.ap50_interval),
            ]
        if self.best is None:
            return []
        about = f"measured in training, after epoch {self.best.epoch}"
        return [("AP", self.best.ap, about, None), ("AP50", self.best.ap50, about, None)]

    @property
    def facts(self) -> list[tuple[str, str, str]]:
        """The small cards: name, figure, what it is."""
        story, rows = self.story, self.story.rows
        if not rows:
            return []
        speed = sorted(row.images_per_second for row in rows)[len(rows) // 2]
        memory = max(row.memory_mb for row in rows)
        best = "none" if story.best_epoch is None else str(story.best_epoch)
        said = "after which the weights were best" if story.best_epoch else "nothing was validated"
        return [
            ("Best epoch", best, said),
            ("Epochs", str(rows[-1].epoch), f"of {story.planned_epochs} planned"),
            ("Time", duration(rows[-1].seconds), "validation included, pauses left out"),
            (
                "Speed",
                f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}",
                "images a second in training, median of the epochs",
            ),
            ("Memory", f"{memory / 1024:,.1f} GB", "the highest, of the GPU or else the process"),
            ("Steps", f"{rows[-1].iterations:,}", "batches"),
        ]

    @property
    def chosen_here(self) -> str:
        """What keeps the headline from being a fair measure; nothing if nothing was validated."""
        if not self.headline:
            return ""
        return (
            "These figures are of the averaged weights of the best epoch on the validation split. "
            "That epoch was chosen by its AP on the same images, so the figures flatter a little: "
            "images that had no part in the choice (a test split) give a fair measure."
        )

    @property
    def classes(self) -> list[ClassRow]:
        """In model order."""
        most = max((count for _, _, count in self.story.classes), default=0) or 1
        return [
            ClassRow(source_id=source_id, name=name, count=count, share=count / most)
            for source_id, name, count in self.story.classes
        ]

    @property
    def class_words(self) -> str:
        """How many classes and objects there are to learn."""
        objects = sum(count for _, _, count in self.story.classes)
        classes = counted(len(self.story.classes), "class")
        images = counted(self.story.num_images, "image")
        return f"{counted(objects, 'object')} of {classes} in {images} to learn from."

    @property
    def overview_words(self) -> str:
        """What is worth knowing about the labels."""
        if self.overview is None:
            return ""
        known, every = self.overview.num_objects, sum(row.count for row in self.classes)
        if known == 0 < every:
            return "Their sizes are not known, because the labels do not tell those of the images."
        partly = f"Of {counted(known, 'object')} in images of known size: " if known < every else ""
        return partly + overview_words(self.overview)

    @property
    def maps(self) -> list[tuple[str, str]]:
        """Pictures of the labels with their headings; none where nothing is marked."""
        if self.overview is None or not self.overview.num_objects:
            return []
        return [
            ("Sizes, in parts of the image", sizes_map(self.overview)),
            ("Centres in the image", centers_map(self.overview)),
        ]

    @property
    def settings(self) -> str:
        """The resolved configuration as its file has it."""
        text = yaml.safe_dump(_plain(self.story.settings), sort_keys=False, allow_unicode=True)
        return str(text).rstrip()

    @property
    def commands(self) -> list[tuple[str, str]]:
        """How to use the weights: what for, command."""
        weights = f"{self.folder}/{BEST_WEIGHTS}" if self.folder else BEST_WEIGHTS
        settings = self.story.settings
        data, split = str(settings.get("data", "DATA")), str(settings.get("val_split", "val"))
        predict = ["gelan", "predict", "--weights", weights, "--source", "IMAGES"]
        val = ["gelan", "val", "--weights", weights, "--data", data, "--split", split]
        return [
            ("Find objects in images, a folder of them, or a video", shlex.join(predict)),
            ("Measure it again, on this or another split or data set", shlex.join(val)),
            ("Look into the weights file", shlex.join(["gelan", "info", weights])),
        ]

    @property
    def sections(self) -> list[tuple[str, str]]:
        """Those that the page has: id and name."""
        there = [
            ("learning", "Learning", self.curves is not None),
            ("chosen", "Choices", True),
            ("labels", "Data", True),
            ("batches", "Augmented", bool(self.batches)),
            ("pictures", "Validation", bool(self.validation)),
            ("curves", "Precision and recall", self.evaluation is not None),
            ("classes", "Classes", self.evaluation is not None),
            ("errors", "Errors", self.evaluation is not None),
            ("confusion", "Confusion", self.evaluation is not None),
            ("worst", "Worst images", self.evaluation is not None),
            ("use", "Use it", True),
            ("settings", "Settings", True),
        ]
        return [(name, text) for name, text, shown in there if shown]


def training_page(
    story: RunStory,
    *,
    evaluation: tuple[Report, Sequence[ImageResult]] | None,
    read: Callable[[str], Photo],
    overview: LabelOverview | None,
    batches: Sequence[Image],
    validation: Sequence[Image],
    folder: str = "",
) -> str:
    """The page.

    `evaluation` is that of the best weights on the validation split; `read` gives the image of a
    source in it, or raises an ImageError. `batches` are sheets of augmented training images,
    `validation` sheets with truth and detections; the first two of each are shown. `folder` is
    where the run is, for the commands that use its weights.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    page = TrainingPage(
        story=story,
        evaluation=None if evaluation is None else evaluation[0],
        overview=overview,
        curves=learning_curves(story),
        batches=tuple(map(_sheet, batches[:MOST_SHEETS])),
        validation=tuple(map(_sheet, validation[:MOST_SHEETS])),
        folder=folder,
    )
    evaluated = None if evaluation is None else _evaluated(story, *evaluation, read=read)
    return (
        environment()
        .get_template("training.html.jinja")
        .render(training=page, story=story, page=evaluated, report=page.evaluation)
    )


def _evaluated(
    story: RunStory,
    report: Report,
    results: Sequence[ImageResult],
    *,
    read: Callable[[str], Photo],
) -> Page:
    """The sections of an evaluation; what is said about the data stands elsewhere on this page."""
    about = About(title=story.title, subtitle="", command="", data="", findings=())
    return evaluation_page(report, results, about=about, read=read)


def _sheet(image: Image) -> Sheet:
    height, width = image.shape[:2]
    scale = min(1.0, LONGEST_SHEET / max(height, width))
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Sheet(uri=as_data_uri(image, size_wh), size_wh=size_wh)


def _plain(value: object) -> object:
    """With lists for tuples, which plain YAML does not know, and text for paths and the like."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
