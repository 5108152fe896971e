"""COCO figures on labelled images, and a report on what goes wrong, in a new folder under runs/."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gelan.cli.again import command_line
from gelan.cli.folders import require_new, result_folder
from gelan.cli.labelled import ReadableSamples
from gelan.cli.options import (
    Precision,
    batch_option,
    confidence_option,
    device_option,
    iou_option,
    max_detections_option,
    names_option,
    open_predictor,
    out_option,
    precision_option,
    quiet_option,
    size_option,
    weights_option,
)
from gelan.cli.printing import printable
from gelan.config import option
from gelan.errors import ConfigError, SourceError
from gelan.predict.postprocess import EVALUATION, PostprocessSettings
from gelan.predict.predictor import Predictor

if TYPE_CHECKING:
    from gelan.data.description import DatasetDescription, ImageRecord
    from gelan.evaluate.report import Report
    from gelan.evaluate.results import ImageResult
    from gelan.report.fitting import Fit
    from gelan.report.html import About
    from gelan.structures.classes import ClassTable
    from gelan.structures.findings import Finding

SAVED = ("coco", "jsonl", "yolo", "csv")
"""What detections can be written as."""
FEW_FINDINGS = 8
"""Findings in the data that are printed; all stand in the report."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Options of `gelan val`."""

    weights: str = weights_option()
    data: str = option(
        "labelled images: a data.yaml, a COCO JSON file, or a folder (YOLO, COCO, VOC)"
    )
    split: str = option("which part of the data: train, val, test", default="val")
    out: Path | None = out_option("val")
    save: str = option(
        "what to write the detections as, separated by commas: coco, jsonl, yolo, csv, or none",
        default="coco",
    )
    json: bool = option(
        "print the report as JSON, and nothing else, on standard output", default=False
    )
    confidence: float = confidence_option(EVALUATION, note="; published figures use 0.001")
    iou: float = iou_option(EVALUATION)
    max_detections: int = max_detections_option(EVALUATION)
    precision_floor: float | None = option(
        "tell for each class the confidence that keeps to this precision, 0 to 1", default=None
    )
    size: int | None = size_option()
    batch: int = batch_option(8)
    device: str = device_option()
    precision: Precision = precision_option()
    names: str = names_option()
    quiet: bool = quiet_option()


def run(options: Options) -> int:
    """Evaluate; 1 if an image could not be read."""
    from gelan.data.description import open_dataset
    from gelan.data.health.quick import quick_check, require_usable
    from gelan.evaluate.evaluator import evaluate, predict_all
    from gelan.evaluate.settings import EvaluationSettings
    from gelan.report.fitting import fit_classes

    wanted = _require_known(options)
    say = _Teller(quiet=options.quiet or options.json)
    data = open_dataset(options.data)
    findings = quick_check(data)
    say.about(data, findings)
    records = require_usable(data, options.split)
    predictor = open_predictor(options)
    counts = _objects_of_each_class(records, len(data.classes))
    fit = fit_classes(predictor.classes, data.classes, counts=counts)
    say.lines(fit.notes)
    settings = EvaluationSettings(
        precision_floor=options.precision_floor, postprocess=_postprocess(options, predictor, fit)
    )
    samples = ReadableSamples(records, quiet=options.quiet)
    found = predict_all(predictor, samples, settings=settings.postprocess, batch=options.batch)
    results = [replace(result, detections=fit.translated(result.detections)) for result in found]
    if not results:
        raise SourceError(f"{options.data}: not one image of {options.split!r} could be read")
    report = evaluate(
        results, classes=fit.classes, settings=settings, facts=_facts(options, predictor)
    )
    report = _with_notes(report, fit, samples)
    job = _Job(options, data, fit.classes, (*samples.findings, *findings))
    folder = job.write(report, results, wanted)
    _print(report, folder, options)
    return 1 if samples.findings else 0


def _require_known(options: Options) -> list[str]:
    """The formats to write; for a look at everything before any work is done."""
    from gelan.errors import nearest

    require_new(options.out)
    names = [] if options.save == "none" else [name.strip() for name in options.save.split(",")]
    for name in names:
        if name not in SAVED:
            known = ", ".join(SAVED)
            raise ConfigError(
                f"--save: detections cannot be written as {name!r}{nearest(name, SAVED)} "
                f"(there are {known}; gelan predict draws pictures)"
            )
    return list(dict.fromkeys(names))


class _Teller:
    """What is said on the way."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def lines(self, texts: Sequence[str]) -> None:
        for text in texts:
            if not self._quiet:
                print(f"note: {printable(text)}")

    def about(self, data: DatasetDescription, findings: Sequence[Finding]) -> None:
        """Kind, classes, and what is suspicious; what was left out is in the log."""
        if self._quiet:
            return
        print(printable(data.headline))
        said = [finding for finding in findings if finding.severity == "warning"]
        for finding in said[:FEW_FINDINGS]:
            print(f"{finding.severity}: {printable(str(finding))}")
        if len(said) > FEW_FINDINGS:
            print(f"... and {len(said) - FEW_FINDINGS} more warnings, which the report lists")


def _objects_of_each_class(records: Sequence[ImageRecord], num_classes: int) -> list[int]:
    counts = [0] * num_classes
    for record in records:
        for index in record.labels.classes.tolist():
            counts[index] += 1
    return counts


def _postprocess(options: Options, predictor: Predictor, fit: Fit) -> PostprocessSettings:
    """The protocol, with what was asked for; only classes that the data has are looked for."""
    everything = len(fit.wanted) == len(predictor.classes)
    return replace(
        EVALUATION,
        confidence=options.confidence,
        iou=options.iou,
        max_detections=options.max_detections,
        classes=None if everything else fit.wanted,
    )


def _facts(options: Options, predictor: Predictor) -> dict[str, str]:
    """The conditions under which the figures hold."""
    from gelan.weights.checkpoint import sha256_of

    facing = predictor.preprocessing
    return {
        "weights": options.weights,
        "sha256": sha256_of(Path(options.weights)),
        "data": f"{options.data}, split {options.split}",
        "input": f"{facing.size} pixels, {facing.shape}",
        "runtime": str(predictor.model),
        "batch": str(options.batch),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "date": datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
    }


def _with_notes(report: Report, fit: Fit, samples: ReadableSamples) -> Report:
    unread = len(samples.findings)
    more = [f"{unread} images could not be read and are in no figure"] if unread else []
    notes = (*fit.notes, *more, *report.conditions.notes)
    return replace(report, conditions=replace(report.conditions, notes=notes))


@dataclass(frozen=True, slots=True)
class _Job:
    """What was asked, and on what."""

    options: Options
    data: DatasetDescription
    classes: ClassTable
    findings: tuple[Finding, ...]

    def about(self, report: Report) -> About:
        """What the page says beside the figures."""
        from gelan.report.html import About
        from gelan.report.sentences import counted

        place = Path(self.options.data)
        name = place.parent.name if place.is_file() else place.resolve().name
        return About(
            title=f"{Path(self.options.weights).name} on {name}, {self.options.split}",
            subtitle=", ".join(
                [
                    counted(report.num_images, "image"),
                    counted(report.num_objects, "object"),
                    counted(len(report.classes), "class"),
                    report.conditions.facts["date"][:10],
                ]
            ),
            command=command_line("val", self.options, without=("out", "json", "quiet")),
            data=self.data.headline,
            findings=self.findings,
        )

    def write(self, report: Report, results: Sequence[ImageResult], wanted: Sequence[str]) -> Path:
        """The new folder."""
        from gelan.data.images import read_image
        from gelan.report.folder import write_page, write_report
        from gelan.report.html import as_html
        from gelan.report.saved import FILE_NAME, SavedResults, save_results

        about = self.about(report)
        page = as_html(report, results, about=about, read=lambda path: read_image(Path(path)))
        folder = result_folder(self.options.out, "val")
        write_page(folder / "report.html", page)
        write_report(folder / "report.json", report, about=about)
        saved = SavedResults(
            results=tuple(results),
            classes=self.classes,
            postprocess=report.conditions.settings.postprocess,
            facts=report.conditions.facts,
        )
        save_results(folder / FILE_NAME, saved)
        self._write_detections(folder, results, wanted)
        return folder

    def _write_detections(
        self, folder: Path, results: Sequence[ImageResult], wanted: Sequence[str]
    ) -> None:
        import numpy as np

        from gelan.predict.sinks import open_sinks
        from gelan.report.folder import write_coco_results

        if "coco" in wanted:
            write_coco_results(
                folder / "coco.json",
                results,
                ids=self._image_ids(results),
                classes=self.classes,
            )
        names = [name for name in wanted if name != "coco"]
        no_image = np.zeros((1, 1, 3), np.uint8)  # these formats hold numbers only
        with ExitStack() as stack:
            for sink in open_sinks(names, folder, classes=self.classes):
                stack.enter_context(sink)
                for result in results:
                    sink.write(result.detections, no_image)

    def _image_ids(self, results: Sequence[ImageResult]) -> list[int | str]:
        """Those of the data set; the numbers in the file names where it has none."""
        from gelan.predict.names import coco_image_ids

        own = {str(record.path): record.image_id for record in self.data.split(self.options.split)}
        ids = [own[result.source] for result in results]
        known = [number for number in ids if number is not None]
        if len(known) == len(ids):
            return known
        return list(coco_image_ids([result.source for result in results]))


def _print(report: Report, folder: Path, options: Options) -> None:
    from gelan.evaluate.report import as_json, as_table

    if options.json:
        print(as_json(report))
    elif not options.quiet:
        print(f"\n{as_table(report)}\n\n{folder / 'report.html'}")
