"""Find objects in images: annotated pictures and data, in a new folder under runs/."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from gelan.cli.classes import class_table
from gelan.cli.folders import result_folder
from gelan.config import option
from gelan.errors import ConfigError
from gelan.predict.loading import load
from gelan.predict.postprocess import PostprocessSettings
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

    weights: str = option("weights file: ours, or any published YOLOv9 checkpoint")
    source: str = option(
        "an image, a folder, a pattern ('photos/*.jpg'), a list (.txt), or - for standard input"
    )
    out: Path | None = option(
        "folder for the results, which must not exist yet "
        "(default: runs/predict, runs/predict2, ...)",
        default=None,
    )
    save: str = option(
        "what to write, separated by commas: pictures, jsonl, coco, yolo, csv, crops, or none "
        "(default: pictures,jsonl; with --json: none)",
        default="",
    )
    json: bool = option(
        "print one JSON line an image, and nothing else, on standard output", default=False
    )
    confidence: float = option("least score of a detection, 0 to 1", default=0.25)
    iou: float = option(
        "a box that overlaps a better one of its class by more than this is dropped, 0 to 1",
        default=0.45,
    )
    max_detections: int = option("at most so many in one image: the best", default=300)
    classes: str = option("only these classes: names or numbers, separated by commas", default="")
    agnostic: bool = option("boxes of different classes suppress each other, too", default=False)
    size: int | None = option(
        "longer side of the network's input in pixels, a multiple of 32 (default: the file's own)",
        default=None,
    )
    batch: int = option("images that go through the network together", default=1)
    device: str = option("auto, cpu, cuda, cuda:1, mps ...", default="auto")
    precision: Literal["fp32", "bf16", "fp16"] = option(
        "arithmetic of the network; bf16 is about twice as fast where the hardware has it",
        default="fp32",
    )
    names: str = option(
        "class names to use instead of the file's: coco, a text file with one a line, or a,b,c",
        default="",
    )
    quiet: bool = option("print errors only", default=False)


def run(options: Options) -> int:
    """Predict on every image of the source; 1 if one of them could not be read."""
    if options.batch < 1:
        raise ConfigError(f"--batch is {options.batch}; it must be at least 1")
    files = find_images(options.source)
    predictor = load(
        options.weights,
        device=options.device,
        precision=options.precision,
        size=options.size,
        classes=class_table(options.names) if options.names else None,
    )
    settings = _settings(options, predictor)
    with ExitStack() as stack:
        folder, sinks = _sinks(options, predictor)
        for sink in sinks:
            stack.enter_context(sink)
        results = predictor.stream(files, settings=settings, batch=options.batch)
        shown = _Summary(lines=len(files) <= FEW and not options.quiet and not options.json)
        for result in _with_progress(results, len(files), options):
            shown.add(result)
            if isinstance(result, Seen):
                for sink in sinks:
                    sink.write(result.detections, result.image)
    if not options.json and not options.quiet:
        print(shown.total(folder))
    if shown.unreadable:
        print(f"{shown.unreadable} of {len(files)} images could not be read", file=sys.stderr)
    return 1 if shown.unreadable else 0


def _settings(options: Options, predictor: Predictor) -> PostprocessSettings:
    wanted = options.classes.split(",") if options.classes else []
    return PostprocessSettings(
        confidence=options.confidence,
        iou=options.iou,
        max_detections=options.max_detections,
        classes=predictor.classes.indices(wanted) if wanted else None,
        agnostic=options.agnostic,
    )


def _sinks(options: Options, predictor: Predictor) -> tuple[Path | None, list[Sink]]:
    """The folder for results, made only if anything is to be written, and the sinks."""
    names = options.save or ("none" if options.json else "pictures,jsonl")
    wanted = [] if names == "none" else [name.strip() for name in names.split(",")]
    require_known_outputs(wanted)
    folder, sinks = None, list[Sink]()
    if wanted:
        folder = result_folder(options.out, "predict")
        sinks = open_sinks(wanted, folder, classes=predictor.classes)
    elif options.out is not None:
        raise ConfigError("--out has no effect, because nothing is to be saved; name it in --save")
    if options.json:
        sinks.append(JsonLines(sys.stdout, predictor.classes))
    return folder, sinks


def _with_progress(
    results: Iterable[Seen | Unreadable], count: int, options: Options
) -> Iterator[Seen | Unreadable]:
    """The results, with a progress bar for many images on a terminal; nothing in pipes."""
    hidden = options.quiet or count <= FEW or not sys.stderr.isatty()
    yield from tqdm(results, total=count, unit="image", disable=hidden, file=sys.stderr)


class _Summary:
    """What has been seen so far, in words."""

    def __init__(self, *, lines: bool) -> None:
        self._lines = lines
        self._images = 0
        self._objects: Counter[str] = Counter()
        self.unreadable = 0

    def add(self, result: Seen | Unreadable) -> None:
        """Count one image, and print its line."""
        if isinstance(result, Unreadable):
            self.unreadable += 1
            tqdm.write(f"gelan: {result.error}", file=sys.stderr)
            return
        self._images += 1
        self._objects.update(result.detections.labels)
        if self._lines:
            print(f"{result.detections.source}: {_in_words(result.detections)}")

    def total(self, folder: Path | None) -> str:
        """The last line of a run."""
        objects = sum(self._objects.values())
        where = "" if folder is None else f" -> {folder}"
        return f"{_count(self._images, 'image')}, {_count(objects, 'object')}{where}"


def _in_words(detections: Detections) -> str:
    found = Counter(detections.labels)
    return ", ".join(f"{number} {name}" for name, number in found.items()) or "nothing"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
