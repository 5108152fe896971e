"""What was found and what is there, kept in one file, so that runs can be compared later.

The file is an npz archive of plain arrays (nothing in it is ever executed) with a header in JSON.
Outlines are not kept: no figure needs more of them than the areas.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gelan.config import from_mapping, to_mapping
from gelan.errors import ConfigError
from gelan.evaluate.results import ImageResult
from gelan.predict.files import require_unused
from gelan.predict.postprocess import PostprocessSettings
from gelan.structures.classes import ClassTable
from gelan.structures.detections import Detections
from gelan.structures.samples import Annotations

FILE_NAME = "results.npz"
_FORMAT = 1
_REMEDY = "make it anew with gelan val"


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedResults:
    """Everything that a comparison needs."""

    results: tuple[ImageResult, ...]
    classes: ClassTable
    postprocess: PostprocessSettings
    """How the detections were chosen."""
    facts: Mapping[str, str]
    """Conditions for the reader: weights, data ..."""


def save_results(path: Path, saved: SavedResults) -> None:
    """One new file.

    Raises:
        ConfigError: something is there already.
    """
    header = {
        "format": _FORMAT,
        "sources": [result.source for result in saved.results],
        "names": saved.classes.names,
        "category_ids": saved.classes.category_ids,
        "postprocess": to_mapping(saved.postprocess),
        "facts": dict(saved.facts),
    }
    text = json.dumps(header).encode("ascii")  # any file name, whatever its bytes
    with require_unused(path).open("xb") as file:
        columns = {"header": np.frombuffer(text, np.uint8), **_columns(saved.results)}
        np.savez_compressed(file, **columns)  # type: ignore[arg-type]  # they are not its options


def _columns(results: Sequence[ImageResult]) -> dict[str, NDArray[Any]]:
    found = [result.detections for result in results]
    truth = [result.annotations for result in results]
    return {
        "sizes_hw": np.array([each.size_hw for each in found], np.int64).reshape(-1, 2),
        "found_counts": np.array([len(each) for each in found], np.int64),
        "found_boxes": _joined([each.boxes.astype(np.float32) for each in found], (0, 4)),
        "found_scores": _joined([each.scores.astype(np.float32) for each in found], (0,)),
        "found_classes": _joined([each.classes.astype(np.int64) for each in found], (0,)),
        "truth_counts": np.array([len(each) for each in truth], np.int64),
        "truth_boxes": _joined([each.boxes for each in truth], (0, 4)),
        "truth_classes": _joined([each.classes for each in truth], (0,)),
        "truth_crowd": _joined([each.crowd for each in truth], (0,)),
        "truth_areas": _joined([each.areas for each in truth], (0,)),
    }


def _joined(parts: list[NDArray[Any]], shape: tuple[int, ...]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(shape)


def load_results(place: Path) -> SavedResults:
    """What `save_results` wrote: `place` is the file, or the folder of a `gelan val` with it.

    Raises:
        ConfigError: there is no such file, or it is damaged.
    """
    path = place / FILE_NAME if place.is_dir() else place
    if not path.is_file():
        raise ConfigError(
            f"{place}: holds no {FILE_NAME}; name the folder that gelan val has written"
        )
    try:
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            columns = {name: arrays[name] for name in arrays.files}
        header = json.loads(columns.pop("header").tobytes())
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); {_REMEDY}") from None
    found = header.get("format") if isinstance(header, dict) else None
    if found != _FORMAT:
        raise ConfigError(f"{path}: is in format {found}, this gelan reads {_FORMAT}; {_REMEDY}")
    try:
        return _assembled(header, columns, where=str(path))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: is damaged ({error}); {_REMEDY}") from None


def _assembled(
    header: Mapping[str, Any], columns: Mapping[str, NDArray[Any]], *, where: str
) -> SavedResults:
    ids = header["category_ids"]
    classes = ClassTable(tuple(header["names"]), None if ids is None else tuple(ids))
    settings = header["postprocess"]
    if settings["classes"] is not None:
        settings = {**settings, "classes": tuple(settings["classes"])}
    found = _split(columns, "found", ("boxes", "scores", "classes"))
    truth = _split(columns, "truth", ("boxes", "classes", "crowd", "areas"))
    sizes = columns["sizes_hw"].tolist()
    results = []
    for source, (height, width), of_found, of_truth in zip(
        header["sources"], sizes, found, truth, strict=True
    ):
        detections = Detections(
            **of_found, names=classes.names, size_hw=(height, width), source=source
        )
        outlines = ((),) * len(of_truth["boxes"])
        results.append(ImageResult(detections, Annotations(**of_truth, polygons=outlines)))
    return SavedResults(
        results=tuple(results),
        classes=classes,
        postprocess=from_mapping(PostprocessSettings, settings, where=where),
        facts=header["facts"],
    )


def _split(
    columns: Mapping[str, NDArray[Any]], group: str, names: tuple[str, ...]
) -> list[dict[str, NDArray[Any]]]:
    """The columns of each image."""
    counts = columns[f"{group}_counts"]
    ends = np.cumsum(counts)
    starts = ends - counts
    for name in names:
        length = len(columns[f"{group}_{name}"])
        if length != counts.sum():
            raise ValueError(f"{group}_{name} has {length} rows instead of {counts.sum()}")
    return [
        {name: columns[f"{group}_{name}"][start:end] for name in names}
        for start, end in zip(starts, ends, strict=True)
    ]
