"""Detections to files: one small class per format, all with `write` and `close`.

Each sink makes its own file or folder inside an output folder that the caller made; nothing that
is there already is overwritten. Boxes are in pixels of the original image where the format has no
frame of its own. Numbers that are not finite are an error in every format.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gelan.data.images import Image
from gelan.errors import ConfigError, GelanError, nearest
from gelan.predict.files import (
    LineFile,
    new_file,
    new_folder,
    require_unused,
    write_image,
    write_json_list,
)
from gelan.predict.names import UniqueNames, coco_image_ids, safe_name, stem_of
from gelan.structures.classes import ClassTable
from gelan.structures.detections import Detections
from gelan.visualize.boxes import draw_detections

logger = logging.getLogger(__name__)


@runtime_checkable
class TextStream(Protocol):
    """What is used of an open text file."""

    def write(self, text: str, /) -> object:
        """Add to it."""

    def flush(self) -> None:
        """Let others see what was added."""

    def close(self) -> None:
        """Finish it."""


@runtime_checkable
class Sink(Protocol):
    """A place for the detections of many images; leaving its `with` block closes it."""

    def write(self, detections: Detections, image: Image) -> None:
        """Take the detections of one image."""

    def close(self) -> None:
        """Finish the files; by default they are finished after every image."""
        return

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Pictures(Sink):
    """Annotated images in `pictures/`: JPEG of quality 92; PNG for PNG sources and the longest."""

    def __init__(self, folder: Path, classes: ClassTable) -> None:
        self._folder = new_folder(folder / "pictures")
        self._stems = UniqueNames()

    def write(self, detections: Detections, image: Image) -> None:
        """Write `<stem>.jpg` or `<stem>.png`."""
        _require_finite(detections)
        suffix = ".png" if Path(detections.source).suffix.lower() == ".png" else ".jpg"
        path = self._folder / f"{self._stems.claim(stem_of(detections.source))}{suffix}"
        write_image(path, draw_detections(image, detections))


class JsonLines(Sink):
    """One JSON object per image and line, written out at once.

    `{"source", "width", "height", "detections": [{"class", "name", "category_id", "score",
    "box": [x1, y1, x2, y2], "track_id"}]}`. There is a `category_id` where the data set had ids
    of its own, and a `track_id` after tracking. Boxes have 2 decimals, scores 5.
    """

    def __init__(self, stream: TextStream, classes: ClassTable, *, owned: bool = False) -> None:
        """Lines to an open text stream in any encoding; `close` closes it only if it is owned."""
        self._stream, self._owned, self._classes = stream, owned, classes

    @classmethod
    def in_folder(cls, folder: Path, classes: ClassTable) -> JsonLines:
        """Lines to `detections.jsonl`."""
        return cls(LineFile(folder / "detections.jsonl"), classes, owned=True)

    def write(self, detections: Detections, image: Image) -> None:
        """Write one line."""
        _require_finite(detections)
        height, width = detections.size_hw
        line = {"source": detections.source, "width": width, "height": height}
        text = json.dumps({**line, "detections": self._found(detections)}, allow_nan=False)
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def _found(self, detections: Detections) -> list[dict[str, object]]:
        numbers = detections.classes.tolist()
        columns: dict[str, Sequence[object]] = {"class": numbers, "name": detections.labels}
        if self._classes.category_ids is not None:
            columns["category_id"] = [self._classes.category_id(number) for number in numbers]
        columns["score"] = _plain(detections.scores, decimals=5)
        columns["box"] = _plain(detections.boxes, decimals=2)
        if detections.track_ids is not None:
            columns["track_id"] = detections.track_ids.tolist()
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def close(self) -> None:
        """Close the file; a stream that was passed in stays open."""
        if self._owned:
            self._stream.close()


class CocoResults(Sink):
    """COCO results in `coco.json`, and in `coco_images.json` which image an `image_id` means.

    `[{"image_id", "category_id", "bbox": [x, y, width, height], "score"}]`, boxes with 3 decimals,
    scores with 5. The files appear when the sink is closed, complete, even after an interrupt.
    """

    def __init__(self, folder: Path, classes: ClassTable) -> None:
        self._results = require_unused(folder / "coco.json")
        self._images = require_unused(folder / "coco_images.json")
        self._classes = classes
        self._found: list[Detections] = []

    def write(self, detections: Detections, image: Image) -> None:
        """Keep the detections until `close`: only then it is known which ids the images get."""
        _require_finite(detections)
        self._found.append(detections)

    def close(self) -> None:
        """Write both files."""
        ids = coco_image_ids([detections.source for detections in self._found])
        pairs = list(zip(ids, self._found, strict=True))
        write_json_list(self._images, (_coco_image(number, found) for number, found in pairs))
        rows = (row for number, found in pairs for row in self._rows(number, found))
        write_json_list(self._results, rows)

    def _rows(self, image_id: int, detections: Detections) -> Iterator[dict[str, object]]:
        low, high = np.split(detections.boxes.astype(np.float64), 2, axis=1)
        boxes = _plain(np.hstack([low, high - low]), decimals=3)
        scores = _plain(detections.scores, decimals=5)
        for number, box, score in zip(detections.classes, boxes, scores, strict=True):
            category = self._classes.category_id(int(number))
            yield {"image_id": image_id, "category_id": category, "bbox": box, "score": score}


def _coco_image(number: int, detections: Detections) -> dict[str, object]:
    height, width = detections.size_hw
    return {"id": number, "file_name": detections.source, "width": width, "height": height}


class YoloText(Sink):
    """`labels/<stem>.txt`: `class cx cy width height score` per line, in parts of the image size.

    6 decimals; an image without detections has an empty file.
    """

    def __init__(self, folder: Path, classes: ClassTable) -> None:
        self._folder = new_folder(folder / "labels")
        self._stems = UniqueNames()

    def write(self, detections: Detections, image: Image) -> None:
        """Write one file."""
        _require_finite(detections)
        height, width = detections.size_hw
        low, high = np.split(detections.boxes / np.maximum([width, height] * 2, 1.0), 2, axis=1)
        columns = np.hstack([(low + high) / 2, high - low, detections.scores[:, None]])
        stem = self._stems.claim(stem_of(detections.source))
        with new_file(self._folder / f"{stem}.txt") as file:
            for number, row in zip(detections.classes, columns, strict=True):
                file.write(f"{number} {' '.join(f'{value:.6f}' for value in row)}\n")


class CsvTable(Sink):
    """One row per detection in `detections.csv`; boxes have 2 decimals, scores 5."""

    def __init__(self, folder: Path, classes: ClassTable) -> None:
        self._file = LineFile(folder / "detections.csv")
        self._write([["source", "class", "name", "score", "x1", "y1", "x2", "y2"]])

    def write(self, detections: Detections, image: Image) -> None:
        """Write the rows of one image."""
        _require_finite(detections)
        boxes, scores = _plain(detections.boxes, decimals=2), _plain(detections.scores, decimals=5)
        rows = zip(detections.classes, detections.labels, scores, boxes, strict=True)
        self._write(
            [detections.source, number, name, score, *box] for number, name, score, box in rows
        )

    def _write(self, rows: Iterable[Iterable[object]]) -> None:
        """All rows of an image, or none where the disk is full."""
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._file.write(text.getvalue())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Crops(Sink):
    """What lies in each box, as `crops/<class name>/<stem>_<n>.jpg`, where n counts from 1.

    n is the place of the detection in its image, so a crop can be found in the other outputs.
    Crops hold every pixel that the box touches; a box outside the image is left out and logged.
    """

    def __init__(self, folder: Path, classes: ClassTable) -> None:
        self._folder = new_folder(folder / "crops")
        self._stems = UniqueNames()
        names = UniqueNames()
        self._folders = [
            self._folder / names.claim(safe_name(name, instead=f"class {number}"))
            for number, name in enumerate(classes.names)
        ]

    def write(self, detections: Detections, image: Image) -> None:
        """Write one picture per detection."""
        _require_finite(detections)
        height, width = image.shape[:2]
        stem = self._stems.claim(stem_of(detections.source))
        pairs = zip(detections.classes, detections.boxes, strict=True)
        for count, (number, box) in enumerate(pairs, start=1):
            left, top = np.floor(box[:2]).clip(0, (width, height)).astype(int)
            right, bottom = np.ceil(box[2:]).clip(0, (width, height)).astype(int)
            if left >= right or top >= bottom:
                logger.warning("%s: no crop %d: the box holds no pixel", detections.source, count)
                continue
            self._folders[number].mkdir(exist_ok=True)
            path = self._folders[number] / f"{stem}_{count}.jpg"
            write_image(path, image[top:bottom, left:right])


OUTPUTS: dict[str, Callable[[Path, ClassTable], Sink]] = {
    "pictures": Pictures,
    "jsonl": JsonLines.in_folder,
    "coco": CocoResults,
    "yolo": YoloText,
    "csv": CsvTable,
    "crops": Crops,
}


def open_sinks(names: Iterable[str], folder: Path, *, classes: ClassTable) -> list[Sink]:
    """A sink for each name, a key of `OUTPUTS`, in the order given, inside an existing folder.

    Raises:
        ConfigError: a name is unknown, or one of the outputs is there already.
    """
    wanted = list(dict.fromkeys(names))
    require_known_outputs(wanted)
    with ExitStack() as opened:
        sinks = [opened.enter_context(OUTPUTS[name](folder, classes)) for name in wanted]
        opened.pop_all()
    return sinks


def require_known_outputs(names: Iterable[str]) -> None:
    """Nothing, if each name is a key of `OUTPUTS`; for a look before a folder is made.

    Raises:
        ConfigError: one is not; names the nearest.
    """
    for name in names:
        if name not in OUTPUTS:
            known = ", ".join(OUTPUTS)
            raise ConfigError(
                f"no output is called {name[:100]!r}{nearest(name, OUTPUTS)} (known: {known})"
            )


def new_run_folder(parent: Path, name: str = "predict") -> Path:
    """A new folder: `parent/predict`, or `predict2`, `predict3`, ... where that is taken already.

    It belongs to the caller alone, even if several processes ask at once.

    Raises:
        ConfigError: it cannot be made there: nobody may write there, or a part of it is a file.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return _first_free(parent, name)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(
            f"{parent} cannot be a folder: a file has that name; choose another place"
        ) from error
    except OSError as error:
        where, reason = parent.absolute(), error.strerror or error
        raise ConfigError(f"{where} cannot be made: {reason}; choose another place") from error


def _first_free(parent: Path, name: str) -> Path:
    folder, count = parent / name, 1
    while True:
        try:
            folder.mkdir()
        except FileExistsError:
            count += 1
            folder = parent / f"{name}{count}"
        else:
            return folder


def _plain(values: NDArray[np.floating], *, decimals: int) -> list[Any]:
    """Python floats, rounded in double precision; 0.0 for -0.0."""
    return list((values.astype(np.float64).round(decimals) + 0.0).tolist())


def _require_finite(detections: Detections) -> None:
    rows = np.column_stack([detections.boxes, detections.scores])
    wrong = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(wrong) > 0:
        raise GelanError(
            f"{detections.source}: detection {wrong[0] + 1} has box {detections.boxes[wrong[0]]} "
            f"and score {detections.scores[wrong[0]]}; numbers that are not finite come from "
            "damaged weights or a precision that is too low"
        )
