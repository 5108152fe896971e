"""Find objects in images: annotated pictures and data, in a new folder under runs/."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from gelan.cli.failures import PartlyDoneError, in_one_line
from gelan.cli.folders import require_new, result_folder
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
    require_sensible,
    size_option,
    weights_option,
)
from gelan.cli.printing import printable, progress_bar
from gelan.config import option
from gelan.errors import ConfigError, GelanError, ImageError
from gelan.predict.choice import listed_classes
from gelan.predict.postprocess import PREDICTION, PostprocessSettings
from gelan.predict.predictor import Predictor, Seen, Unreadable
from gelan.predict.sinks import (
    JsonLines,
    Sink,
    open_sinks,
    require_known_outputs,
)
from gelan.predict.sources import find_images
from gelan.structures.detections import Detections

FEW = 20
"""Up to so many images each get a line of their own; more get a progress bar."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `gelan predict`."""

    weights: str = weights_option()
    source: str = option(
        "an image, a folder, a pattern ('photos/*.jpg'), a list (.txt), or - for standard input"
    )
    out: Path | None = out_option("predict")
    save: str | None = option(
        "what to write, separated by commas: pictures, jsonl, coco, yolo, csv, crops, or none "
        "(default: pictures,jsonl; with --json: none)",
        default=None,
    )
    json: bool = option(
        "print one JSON line an image, and nothing else, on standard output", default=False
    )
    confidence: float = confidence_option(PREDICTION)
    iou: float = iou_option(PREDICTION)
    max_detections: int = max_detections_option(PREDICTION)
    classes: str | None = option(
        "only these classes, separated by commas: names, or numbers counted from 0 "
        "(digits are a name only where they are outside the range of numbers)",
        default=None,
    )
    agnostic: bool = option(
        "boxes of different classes suppress each other, too", default=PREDICTION.agnostic
    )
    size: int | None = size_option()
    batch: int = batch_option(1)
    device: str = device_option()
    precision: Precision = precision_option()
    names: str = names_option()
    quiet: bool = quiet_option()


def run(options: Options) -> int:
    """Predict on every image; 1 if one could not be read or written, 2 if none could be read."""
    wanted = _wanted_outputs(options)
    settings = _settings(options)
    files = find_images(options.source)
    predictor = open_predictor(options)
    if options.classes is not None:
        settings = replace(settings, classes=listed_classes(predictor.classes, options.classes))
    shown = _Summary(lines=len(files) <= FEW and not options.quiet and not options.json)
    with _counting_what_is_done(shown, len(files)), ExitStack() as stack:
        folder, sinks = _sinks(wanted, options, predictor)
        for sink in sinks:
            stack.enter_context(sink)
        results = predictor.stream(files, settings=settings, batch=options.batch)
        for result in _with_progress(results, len(files), options):
            if isinstance(result, Seen):
                shown.unwritten += not _written(result, sinks)
            shown.add(result)
    if not options.json and not options.quiet:
        print(shown.total(folder))
    for failures in shown.failures(len(files)):
        print(failures, file=sys.stderr)
    if not shown.images:
        return 2
    return 1 if shown.unreadable or shown.unwritten else 0


def _settings(options: Options) -> PostprocessSettings:
    """What the options say, but for the classes, which the weights have to know."""
    require_sensible(options)
    if options.classes is not None and not options.classes.strip():
        raise ConfigError("--classes is empty; leave it out to get all classes")
    return PostprocessSettings(
        confidence=options.confidence,
        iou=options.iou,
        max_detections=options.max_detections,
        agnostic=options.agnostic,
    )


def _wanted_outputs(options: Options) -> list[str]:
    """Names of outputs; for a look at everything before any work is done."""
    save = options.save
    if save is None:
        save = "none" if options.json else "pictures,jsonl"
    wanted = [name.strip() for name in save.split(",")]
    if not all(wanted):
        raise ConfigError(f"--save {save:.100}: a place between commas is empty; leave it out")
    if "none" in wanted and len(wanted) > 1:
        raise ConfigError(f"--save {save:.100}: none stands alone")
    wanted = [] if wanted == ["none"] else wanted
    require_known_outputs(wanted)
    require_new(options.out)
    if options.out is not None and not wanted:
        raise ConfigError("--out has no effect, because nothing is to be saved; name it in --save")
    return wanted


def _sinks(
    wanted: Sequence[str], options: Options, predictor: Predictor
) -> tuple[Path | None, list[Sink]]:
    """The folder for results, made only if anything is to be written, and the sinks."""
    folder, sinks = None, list[Sink]()
    if wanted:
        folder = result_folder(options.out, "predict")
        sinks = open_sinks(wanted, folder, classes=predictor.classes)
    if options.json:
        sinks.append(JsonLines(sys.stdout, predictor.classes))
    return folder, sinks


def _written(result: Seen, sinks: Sequence[Sink]) -> bool:
    """Whether every sink could take an image; a format may not hold it."""
    done = True
    for sink in sinks:
        try:
            sink.write(result.detections, result.image)
        except ImageError as error:
            tqdm.write(f"gelan: {in_one_line(error)}", file=sys.stderr)
            done = False
    return done


@contextmanager
def _counting_what_is_done(shown: _Summary, count: int) -> Iterator[None]:
    """An error after the first image says how many were done."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (GelanError, OSError, MemoryError) as error:
        if not shown.images:
            raise
        before = f"after {shown.images} of {_count(count, 'image')}"
        raise PartlyDoneError(f"{in_one_line(error)} ({before})") from error


def _with_progress(
    results: Iterable[Seen | Unreadable], count: int, options: Options
) -> Iterator[Seen | Unreadable]:
    """The results, with a progress bar for many images on a terminal; nothing in pipes."""
    hidden = options.quiet or count <= FEW
    if options.json and sys.stdout.isatty():  # the bar would stand among the lines
        hidden = True
    yield from progress_bar(results, total=count, hidden=hidden)


class _Summary:
    """What has been seen so far, in words."""

    def __init__(self, *, lines: bool) -> None:
        self._lines = lines
        self._objects: Counter[str] = Counter()
        self.images = 0
        self.unreadable = 0
        self.unwritten = 0

    def add(self, result: Seen | Unreadable) -> None:
        """Count one image, and print its line."""
        if isinstance(result, Unreadable):
            self.unreadable += 1
            tqdm.write(f"gelan: {in_one_line(result.error)}", file=sys.stderr)
            return
        self.images += 1
        self._objects.update(result.detections.labels)
        if self._lines:
            print(f"{printable(result.detections.source)}: {_in_words(result.detections)}")

    def total(self, folder: Path | None) -> str:
        """The last line of a run."""
        objects = sum(self._objects.values())
        where = "" if folder is None else f" -> {printable(str(folder))}"
        return f"{_count(self.images, 'image')}, {_count(objects, 'object')}{where}"

    def failures(self, count: int) -> Iterator[str]:
        """What could not be done, if anything."""
        if self.unreadable:
            number = self.unreadable if self.images else "not one"
            could = "could not" if self.images else "could"
            yield f"{number} of {_count(count, 'image')} {could} be read"
        if self.unwritten:
            yield f"{self.unwritten} of {_count(count, 'image')} could not be written in every form"


def _in_words(detections: Detections) -> str:
    found = Counter(detections.labels)
    words = (f"{number} {printable(name, at_most=60)}" for name, number in found.items())
    return ", ".join(words) or "nothing"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
