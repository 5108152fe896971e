"""The worst images as a page shows them: what is there beside what was found, errors numbered.

Photos are made small and inlined; boxes and numbers are vector graphics over them, so that they
stay sharp at any size. All coordinates are pixels of the small photo.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from gelan.errors import ImageError
from gelan.evaluate.report import Report
from gelan.evaluate.results import ImageResult
from gelan.evaluate.worst import ErrorCase, ImageErrors

Photo = UInt8[np.ndarray, "_ _ 3"]
"""RGB."""

LONGEST_SIDE = 640
"""Of an inlined photo, in pixels."""
JPEG_QUALITY = 80
MOST_NUMBERED = 9
"""Errors of one image that get a number and a line; the rest is counted."""
PLATE_RADIUS = 10.5
"""Of the discs with the numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A box to be drawn, x, y, width and height."""

    place: tuple[float, float, float, float]
    look: str
    """`good`, `region` (a crowd), or the kind of the error."""
    number: int | None
    """Of the error; None where there is none, or it is one of too many."""
    words: str
    plate: tuple[float, float] = (0.0, 0.0)
    """The centre of its number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caption:
    """What is wrong, in words."""

    number: int
    kind: str
    html: str
    """In a sentence; class names are escaped and cannot turn the writing around them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorstCase:
    """One image of the list."""

    source: str
    photo: str | None
    """A data URI; None if the file can no longer be read."""
    problem: str
    """Why there is no photo."""
    size_wh: tuple[int, int]
    truth: tuple[Shape, ...]
    found: tuple[Shape, ...]
    captions: tuple[Caption, ...]
    num_objects: int
    num_more: int
    """Errors without a caption."""

    @property
    def name(self) -> str:
        """Of the file, without its folder."""
        return Path(self.source).name

    @property
    def folder(self) -> str:
        """Where the file is; nothing if the source tells no folder."""
        parent = str(Path(self.source).parent)
        return "" if parent == "." else parent


def worst_cases(
    report: Report,
    results: Sequence[ImageResult],
    *,
    read: Callable[[str], Photo],
    limit: int,
) -> tuple[WorstCase, ...]:
    """The worst images of a report, at most `limit`; `read` gives the image of a source."""
    by_source = {result.source: result for result in results}
    names = tuple(figures.name for figures in report.classes)
    confidence = report.conditions.settings.confidence
    cases = []
    for listed in report.worst[:limit]:
        result = by_source[listed.source]
        scores = result.detections.scores
        kept = result.detections[scores > np.float32(confidence)]
        cases.append(_case(listed, ImageResult(kept, result.annotations), names=names, read=read))
    return tuple(cases)


def _case(
    listed: ImageErrors,
    result: ImageResult,
    *,
    names: Sequence[str],
    read: Callable[[str], Photo],
) -> WorstCase:
    height, width = result.detections.size_hw
    scale = min(1.0, LONGEST_SIDE / max(height, width, 1))
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    photo, problem = None, ""
    try:
        photo = as_data_uri(read(listed.source), size_wh)
    except ImageError as error:
        problem = str(error)
    errors = _mixed(listed.errors)
    drawn = _Drawing(errors, scale, names)
    marked = [f"<bdi>{escape(name)}</bdi>" for name in names]
    return WorstCase(
        source=listed.source,
        photo=photo,
        problem=problem,
        size_wh=size_wh,
        truth=_with_plates(drawn.truth(result), size_wh),
        found=_with_plates(drawn.found(result), size_wh),
        captions=tuple(
            Caption(number=number, kind=error.kind, html=in_words(error, marked))
            for number, error in enumerate(errors[:MOST_NUMBERED], start=1)
        ),
        num_objects=listed.num_objects,
        num_more=max(0, len(listed.errors) - MOST_NUMBERED),
    )


def _mixed(errors: Sequence[ErrorCase]) -> list[ErrorCase]:
    """Wrong detections and missed objects in turn: many of the one shall not hide the other."""
    wrong = [error for error in errors if error.kind != "missed"]
    missed = [error for error in errors if error.kind == "missed"]
    pairs = zip_longest(wrong, missed)
    return [error for pair in pairs for error in pair if error is not None]


def as_data_uri(image: Photo, size_wh: tuple[int, int]) -> str:
    """A JPEG of the given size, as text that stands where a page would name a file.

    >>> as_data_uri(np.zeros((4, 4, 3), np.uint8), (2, 2))[:27]
    'data:image/jpeg;base64,/9j/'
    """
    small = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), options)
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


class _Drawing:
    """The boxes of one image, those with errors in front."""

    def __init__(self, errors: Sequence[ErrorCase], scale: float, names: Sequence[str]) -> None:
        self._errors, self._scale, self._names = errors, scale, names

    def truth(self, result: ImageResult) -> tuple[Shape, ...]:
        """All objects; one that an error has to do with has its number, one missed its colour."""
        about: dict[tuple[object, ...], tuple[int, ErrorCase]] = {}
        for number, error in reversed(list(enumerate(self._errors, start=1))):
            if error.truth_box is not None:
                about[(*error.truth_box, error.truth_class)] = (number, error)
        shapes = []
        annotations = result.annotations
        columns = (annotations.boxes.tolist(), annotations.classes.tolist(), annotations.crowd)
        for box, index, crowd in zip(*columns, strict=True):
            name, known = self._names[index], about.get((*box, index))
            if crowd:
                shapes.append(self._shape(box, "region", None, f"{name} (many)"))
            elif known is None:
                shapes.append(self._shape(box, "good", None, name))
            else:
                shapes.append(self._shape(box, known[1].kind, known[0], name))
        return _important_last(shapes)

    def found(self, result: ImageResult) -> tuple[Shape, ...]:
        """All detections that count; those that are wrong have their number and colour."""
        wrong: dict[tuple[object, ...], tuple[int, ErrorCase]] = {
            (*error.box, error.found_class): (number, error)
            for number, error in enumerate(self._errors, start=1)
            if error.box is not None
        }
        shapes = []
        found = result.detections
        for box, index, score in zip(
            found.boxes.tolist(), found.classes.tolist(), found.scores.tolist(), strict=True
        ):
            known, words = wrong.get((*box, index)), f"{self._names[index]} {score:.2f}"
            if known is None:
                shapes.append(self._shape(box, "good", None, words))
            else:
                shapes.append(self._shape(box, known[1].kind, known[0], words))
        return _important_last(shapes)

    def _shape(self, box: Sequence[float], look: str, number: int | None, words: str) -> Shape:
        left, top, right, bottom = (round(edge * self._scale, 1) for edge in box)
        return Shape(
            place=(left, top, round(right - left, 1), round(bottom - top, 1)),
            look=look,
            number=number if number is not None and number <= MOST_NUMBERED else None,
            words=words,
        )


def _important_last(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """So that the heaviest errors are drawn over everything else."""
    ranks = {"region": -2000, "good": -1000}
    return tuple(sorted(shapes, key=lambda shape: ranks.get(shape.look, -(shape.number or 999))))


def _with_plates(shapes: Sequence[Shape], size_wh: tuple[int, int]) -> tuple[Shape, ...]:
    """With places for the numbers: beside their boxes, and not on each other where that can be."""
    taken: list[tuple[float, float]] = []
    placed = []
    for shape in reversed(shapes):
        if shape.number is None:
            placed.append(shape)
            continue
        places = _plate_places(shape, size_wh)
        clear = [place for place in places if all(_apart(place, other) for other in taken)]
        plate = (clear or places)[0]
        taken.append(plate)
        placed.append(replace(shape, plate=plate))
    return tuple(reversed(placed))


def _plate_places(shape: Shape, size_wh: tuple[int, int]) -> list[tuple[float, float]]:
    """The corners of a box, outside it where the picture has room."""
    left, top, width, height = shape.place
    edge = PLATE_RADIUS + 1
    columns = (left + edge, left + width - edge, left - edge, left + width + edge)
    rows = (top - edge, top + height + edge)
    return [
        (
            round(min(max(column, edge), size_wh[0] - edge), 1),
            round(min(max(row, edge), size_wh[1] - edge), 1),
        )
        for row in rows
        for column in columns
    ]


def _apart(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return math.dist(one, other) >= 2 * PLATE_RADIUS


def in_words(error: ErrorCase, names: Sequence[str]) -> str:
    """One error as a reader would say it.

    >>> box = (0.0, 0.0, 1.0, 1.0)
    >>> in_words(
    ...     ErrorCase(kind="classification", box=box, found_class=1, score=0.8, truth_box=box,
    ...               truth_class=0, iou=0.9),
    ...     ["dog", "cat"],
    ... )
    'dog found as cat (score 0.80)'
    """
    truth = "" if error.truth_class is None else names[error.truth_class]
    found = "" if error.found_class is None else names[error.found_class]
    score = f"score {error.score or 0:.2f}"
    words = {
        "classification": f"{truth} found as {found} ({score})",
        "localisation": f"{truth} found, but the box is off: overlap {error.iou:.2f} ({score})",
        "both": f"{truth} taken for {found}, and the box is off ({score})",
        "duplicate": f"{truth} found once more ({score})",
        "background": f"{found} where none is marked ({score})",
        "missed": f"{truth} not found",
    }
    return words[error.kind]
