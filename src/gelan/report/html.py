"""A report as one page of HTML that needs no network, no server and no other file.

Everything is in it: style, script, curves and photos. Whatever comes from outside (class names,
file names, messages) is escaped by the template engine; only what this package writes itself goes
in as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gelan.evaluate.report import ClassFigures, Report
from gelan.evaluate.results import ImageResult
from gelan.optional import require
from gelan.report.confusion import ConfusedRow, confused_rows, drawn_matrix
from gelan.report.curves import CurvePictures, curve_pictures
from gelan.report.pictures import Photo, WorstCase, worst_cases
from gelan.report.sentences import ERROR_WORDS, counted, meaning
from gelan.structures.findings import Finding

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).with_name("templates")
MOST_PICTURES = 12
"""Worst images that are shown; each takes about 80 kB."""
MOST_FINDINGS = 200
"""Findings of the data that are listed; all are in the JSON report."""
SECTIONS = (
    ("curves", "Curves"),
    ("classes", "Classes"),
    ("errors", "What goes wrong"),
    ("confusion", "Confusion"),
    ("worst", "Worst images"),
    ("data", "Data"),
    ("conditions", "Conditions"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What a page says beside the figures."""

    title: str
    subtitle: str
    command: str
    """With which anybody gets the same report."""
    data: str
    """The data set in one sentence."""
    findings: tuple[Finding, ...]
    """What was left out of the data, is suspicious or worth knowing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorRow:
    """One kind of error as the table has it."""

    kind: str
    words: str
    count: int
    confident: int
    ap50_cost: float | None
    share: float
    """Length of its bar: 1 for the most expensive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What the template shows, apart from the report itself."""

    about: About
    report: Report
    curves: CurvePictures | None
    confused: tuple[ConfusedRow, ...]
    heat_map: str
    num_hidden: int
    """Classes without a row in the matrix."""
    worst: tuple[WorstCase, ...]

    @property
    def meaning(self) -> str:
        """The headline figures in words."""
        return meaning(self.report)

    @property
    def size_words(self) -> list[str]:
        """What small, medium and large mean, and how many there are."""
        limits = ("below 32²", "of 32² to 96²", "above 96²")
        return [
            f"{counted(size.num_objects, 'object')} {limit} pixels"
            for size, limit in zip(self.report.headline.sizes, limits, strict=True)
        ]

    @property
    def best_words(self) -> str:
        """Under which condition the point of best F1 holds."""
        best = self.report.best
        return "nothing right was found" if best is None else f"at score {best.confidence:.2g}"

    @property
    def floor(self) -> str | None:
        """The precision that each class was asked to keep to."""
        floor = self.report.conditions.settings.precision_floor
        return None if floor is None else f"{floor:g}"

    @property
    def class_rows(self) -> list[ClassFigures]:
        """Best AP first; classes without objects last."""
        return sorted(
            self.report.classes,
            key=lambda figures: -1.0 if figures.ap is None else figures.ap,
            reverse=True,
        )

    @property
    def error_rows(self) -> list[ErrorRow]:
        """Most expensive first."""
        most = max((cost.ap50_cost or 0.0 for cost in self.report.errors), default=0.0)
        rows = [
            ErrorRow(
                kind=cost.kind,
                words=ERROR_WORDS[cost.kind],
                count=cost.count,
                confident=cost.confident,
                ap50_cost=cost.ap50_cost,
                share=max(0.0, cost.ap50_cost or 0.0) / most if most > 0 else 0.0,
            )
            for cost in self.report.errors
        ]
        return sorted(rows, key=lambda row: -(row.ap50_cost or 0.0))

    @property
    def findings(self) -> list[Finding]:
        """The most severe first."""
        order = ("error", "warning", "note")
        ranked = sorted(self.about.findings, key=lambda finding: order.index(finding.severity))
        return ranked[:MOST_FINDINGS]

    @property
    def num_more_findings(self) -> int:
        """Those that are not listed."""
        return max(0, len(self.about.findings) - MOST_FINDINGS)

    @property
    def num_errors(self) -> int:
        """Of the data: what is left out, or wrong enough to spoil the figures."""
        return sum(finding.severity == "error" for finding in self.about.findings)

    @property
    def settings(self) -> list[tuple[str, str]]:
        """How detections were chosen and judged."""
        settings = self.report.conditions.settings
        made = settings.postprocess
        return [
            (
                "detections",
                f"score above {made.confidence:g}, at most {made.max_detections} an image",
            ),
            ("suppression", f"boxes of a class that overlap by more than {made.iou:g}"),
            ("AP counts", f"{settings.max_detections} detections of a class in an image"),
            (
                "intervals",
                f"{settings.replicas} bootstrap drawings of images, seed {settings.seed}",
            ),
        ]


def as_html(
    report: Report,
    results: Sequence[ImageResult],
    *,
    about: About,
    read: Callable[[str], Photo],
) -> str:
    """The page. `read` gives the image of a source.

    If it raises an ImageError, the page shows that instead of the photo.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    page = evaluation_page(report, results, about=about, read=read)
    template = environment().get_template("report.html.jinja")
    return template.render(page=page, report=report, about=about, sections=SECTIONS)


def evaluation_page(
    report: Report,
    results: Sequence[ImageResult],
    *,
    about: About,
    read: Callable[[str], Photo],
) -> Page:
    """What the sections on an evaluation show, here and on the page of a training run."""
    heat_map, num_hidden = drawn_matrix(report)
    return Page(
        about=about,
        report=report,
        curves=curve_pictures(report),
        confused=confused_rows(report),
        heat_map=heat_map,
        num_hidden=num_hidden,
        worst=worst_cases(report, results, read=read, limit=MOST_PICTURES),
    )


@cache
def environment() -> Environment:
    """Of all templates of this package: what they show is escaped, what they lack is an error.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    require("jinja2", extra="train", purpose="to write the HTML report")
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(own_text=own_text, counted=counted)
    return made


def own_text(name: str) -> str:
    """A file of this package that goes into the page as it is."""
    from markupsafe import Markup

    return Markup((_TEMPLATES / name).read_text("utf-8"))
