"""The folder of one evaluation: the page, the figures, the detections, and what to compare with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gelan.config import to_mapping
from gelan.evaluate.report import Report, as_json
from gelan.evaluate.results import ImageResult
from gelan.predict.files import new_file, require_unused, write_json_list
from gelan.report.html import About
from gelan.structures.classes import ClassTable

ImageId = int | str


def write_page(path: Path, page: str) -> None:
    """The page in UTF-8; bytes of file names that are no text become escapes."""
    with require_unused(path).open("x", encoding="utf-8", errors="backslashreplace") as file:
        file.write(page)


def report_with_data(report: Report, about: About) -> dict[str, object]:
    """All figures, with the findings in the data and the command, ready for JSON."""
    whole: dict[str, object] = json.loads(as_json(report))
    whole["command"] = about.command
    whole["data"] = {
        "description": about.data,
        "findings": [to_mapping(finding) for finding in about.findings],
    }
    return whole


def write_report(path: Path, report: Report, *, about: About) -> None:
    """What `report_with_data` gives, as one JSON object."""
    with new_file(path) as file:
        json.dump(report_with_data(report, about), file, indent=1, allow_nan=False)
        file.write("\n")


def write_coco_results(
    path: Path, results: Sequence[ImageResult], *, ids: Sequence[ImageId], classes: ClassTable
) -> None:
    """COCO results with the data set's own ids, in full precision: they give the same figures."""
    write_json_list(require_unused(path), _coco_rows(results, ids, classes))


def _coco_rows(
    results: Sequence[ImageResult], ids: Sequence[ImageId], classes: ClassTable
) -> Iterator[dict[str, object]]:
    for image_id, result in zip(ids, results, strict=True):
        found = result.detections
        low, high = np.split(found.boxes.astype(np.float64), 2, axis=1)
        boxes = np.hstack([low, high - low]).tolist()
        scores = found.scores.astype(np.float64).tolist()
        for index, box, score in zip(found.classes.tolist(), boxes, scores, strict=True):
            category = classes.category_id(index)
            yield {"image_id": image_id, "category_id": category, "bbox": box, "score": score}
