"""The page of a run and its pictures as files in the folder of the run.

All of them may be written again: a run that is taken up again, or goes on, replaces its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gelan.evaluate.report import Report
from gelan.predict.files import appearing, write_image
from gelan.report.confusion import drawn_matrix
from gelan.report.curves import curve_pictures
from gelan.report.figures import Part, figure
from gelan.report.learning import learning_curves
from gelan.report.training import Image
from gelan.structures.history import RunStory
from gelan.visualize.labels import LabelOverview, centers_map, counts_chart, sizes_map

PAGE = "report.html"


def write_run_page(folder: Path, page: str) -> Path:
    """The page as `report.html` in UTF-8, in place of an earlier one; its path.

    Bytes of file names that are no text become escapes.
    """
    path = folder / PAGE
    _write(path, page)
    return path


def write_curves(folder: Path, story: RunStory) -> None:
    """`curves.svg`: the main curves and those of the losses; no file before the first epoch."""
    curves = learning_curves(story)
    if curves is None:
        return
    rows = [
        [Part(heading=panel.title, chart=panel.chart) for panel in group]
        for group in (curves.main, curves.terms)
    ]
    _write(folder / "curves.svg", figure(rows, title=story.title))


def write_labels(folder: Path, overview: LabelOverview, *, title: str) -> None:
    """`labels.svg`: how many objects of what there are, how large and where."""
    maps = [
        Part(heading="Sizes, in parts of the image", chart=sizes_map(overview)),
        Part(heading="Centres in the image", chart=centers_map(overview)),
    ]
    counts = Part(heading="Objects of each class", chart=counts_chart(overview))
    _write(folder / "labels.svg", figure([[counts, *maps]], title=title))


def write_evaluation(folder: Path, report: Report, *, title: str) -> None:
    """`precision_recall.svg` and `confusion.svg`; neither where there is nothing to draw."""
    curves = curve_pictures(report)
    if curves is not None:
        parts = [
            Part(
                heading="Precision over recall",
                chart=curves.precision_recall,
                legend=curves.precision_recall_legend,
            ),
            Part(
                heading="Precision, recall and F1 over confidence",
                chart=curves.by_confidence,
                legend=curves.by_confidence_legend,
            ),
        ]
        _write(folder / "precision_recall.svg", figure([parts], title=title))
    heat_map, _ = drawn_matrix(report)
    if heat_map:
        part = Part(heading="Confusion of classes", chart=heat_map)
        _write(folder / "confusion.svg", figure([[part]], title=title))


def write_sheets(folder: Path, name: str, sheets: Sequence[Image]) -> None:
    """Sheets as `NAME1.jpg`, `NAME2.jpg` ..., in place of earlier ones.

    Raises:
        ImageError: a sheet is longer than the format allows.
    """
    for number, sheet in enumerate(sheets, start=1):
        path = folder / f"{name}{number}.jpg"
        path.unlink(missing_ok=True)
        write_image(path, sheet)


def _write(path: Path, text: str) -> None:
    with appearing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
