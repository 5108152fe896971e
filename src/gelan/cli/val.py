"""COCO figures on labelled images, and a report on what goes wrong, in a new folder under runs/."""

from __future__ import annotations

import json as json_module
import platform
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
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
    from gelan.evaluate.settings import EvaluationSettings
    from gelan.report.fitting import Fit
    from gelan.report.html import About
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
    split: str = option(
        "which part of the data: train, val, test; all where nothing says which", default="val"
    )
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
    from gelan.data.health.quick import quick_check
    from gelan.evaluate.settings import EvaluationSettings
    from gelan.report.fitting import fit_classes

    wanted = _require_known(options)
    say = _Teller(quiet=options.quiet or options.json)
    data = open_dataset(options.data)
    findings = quick_check(data)
    say.about(data, findings)
    records = _usable(data, options.split)
    predictor = open_predictor(options)
    counts = _objects_of_each_class(records, len(data.classes))
    fit = fit_classes(predictor.classes, data.classes, counts=counts)
    say.lines(fit.notes)
    settings = EvaluationSettings(
        precision_floor=options.precision_floor, postprocess=_postprocess(options, predictor, fit)
    )
    job = _Job(options, data, fit, settings, wanted)
    with _new_folder(options.out) as folder:
        unread = job.do(predictor, records, findings, folder)
    return 1 if unread else 0


def _usable(data: DatasetDescription, split: str) -> tuple[ImageRecord, ...]:
    """The images of a split; if there is no such split, the error says how to choose another."""
    from gelan.data.health.quick import require_usable

    if split in data.splits:
        return require_usable(data, split)
    try:
        return data.split(split)
    except SourceError as error:
        choices = " or ".join(f"--split {name}" for name in data.splits)
        raise SourceError(f"{error}; choose {choices}") from None


@contextmanager
def _new_folder(out: Path | None) -> Iterator[Path]:
    """The folder of results, made before the work; gone again, as far as empty, if that fails."""
    parts = [*([out] if out is not None else []), *(out or Path("runs/val")).parents]
    made = [part for part in parts if not part.exists()]
    folder = result_folder(out, "val")
    try:
        yield folder
    except BaseException:
        with suppress(OSError):  # what was written stays, and so does its folder
            for part in dict.fromkeys([folder, *made]):
                part.rmdir()
        raise


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


@dataclass(frozen=True, slots=True)
class _Job:
    """What was asked, and on what."""

    options: Options
    data: DatasetDescription
    fit: Fit
    settings: EvaluationSettings
    formats: Sequence[str]
    """What detections are written as."""

    def do(
        self,
        predictor: Predictor,
        records: Sequence[ImageRecord],
        findings: Sequence[Finding],
        folder: Path,
    ) -> int:
        """All the work, from images to files; how many images could not be read."""
        from gelan.evaluate.evaluator import evaluate, predict_all

        samples = ReadableSamples(records, quiet=self.options.quiet)
        found = predict_all(
            predictor, samples, settings=self.settings.postprocess, batch=self.options.batch
        )
        translated = self.fit.translated
        results = [replace(result, detections=translated(result.detections)) for result in found]
        if not results:
            split = self.options.split
            raise SourceError(f"{self.options.data}: not one image of {split!r} could be read")
        facts = _facts(self.options, predictor)
        report = evaluate(results, classes=self.fit.classes, settings=self.settings, facts=facts)
        misfits = samples.misfit_findings(self.data)
        report = self._with_notes(report, unread=len(samples.findings), misfits=len(misfits))
        about = self.about(report, (*samples.findings, *misfits, *findings))
        self.write(report, results, about, folder)
        _print(report, about, folder, self.options)
        return len(samples.findings)

    def _with_notes(self, report: Report, *, unread: int, misfits: int) -> Report:
        from gelan.report.sentences import counted

        notes = [*self.fit.notes]
        if unread:
            notes.append(f"{counted(unread, 'image')} could not be read, left out of all figures")
        if misfits:
            notes.append(
                f"the boxes of {counted(misfits, 'image')} are for another size or turn of the "
                "image, so they do not fit, and the figures are too low"
            )
        notes += report.conditions.notes
        return replace(report, conditions=replace(report.conditions, notes=tuple(notes)))

    def about(self, report: Report, findings: tuple[Finding, ...]) -> About:
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
            findings=findings,
        )

    def write(
        self, report: Report, results: Sequence[ImageResult], about: About, folder: Path
    ) -> None:
        """The files; what nothing else can bring back comes first."""
        from gelan.data.images import read_image
        from gelan.report.folder import write_page, write_report
        from gelan.report.html import as_html
        from gelan.report.saved import FILE_NAME, SavedResults, save_results

        saved = SavedResults(
            results=tuple(results),
            classes=self.fit.classes,
            # The classes looked for are those that the data set has, by other numbers.
            postprocess=replace(self.settings.postprocess, classes=None),
            facts=report.conditions.facts,
        )
        save_results(folder / FILE_NAME, saved)
        self._write_detections(folder, results)
        write_report(folder / "report.json", report, about=about)
        page = as_html(report, results, about=about, read=lambda path: read_image(Path(path)))
        write_page(folder / "report.html", page)

    def _write_detections(self, folder: Path, results: Sequence[ImageResult]) -> None:
        import numpy as np

        from gelan.predict.sinks import open_sinks
        from gelan.report.folder import write_coco_results

        if "coco" in self.formats:
            write_coco_results(
                folder / "coco.json",
                results,
                ids=self._image_ids(results),
                classes=self.fit.classes,
            )
        names = [name for name in self.formats if name != "coco"]
        no_image = np.zeros((1, 1, 3), np.uint8)  # these formats hold numbers only
        with ExitStack() as stack:
            for sink in open_sinks(names, folder, classes=self.fit.classes):
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


def _print(report: Report, about: About, folder: Path, options: Options) -> None:
    from gelan.evaluate.report import as_table
    from gelan.report.folder import report_with_data

    if options.json:
        print(json_module.dumps(report_with_data(report, about)))  # ASCII, for any terminal
    elif not options.quiet:
        print(f"\n{as_table(report)}\n\n{folder / 'report.html'}")
