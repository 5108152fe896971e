"""Train a detector on labelled images, in a new folder under runs/; or go on with one that stopped.

The recipe of the paper, fitted to the data and the machine; each automatic choice is printed.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

from tqdm import tqdm

from gelan.cli.failures import PartlyDoneError
from gelan.cli.folders import require_new, result_folder
from gelan.config import option, parse_settings
from gelan.errors import ConfigError, TrainingError
from gelan.optional import require

if TYPE_CHECKING:
    from gelan.report.tensorboard import TensorboardLog
    from gelan.structures.history import EpochRow, PgiCost
    from gelan.train.progress import Progress
    from gelan.train.run import Outcome
    from gelan.train.run_folder import RunFolder
    from gelan.train.start import Prepared
    from gelan.train.trainer import Status

_NAMED = (
    *("data", "model", "weights", "epochs", "batch", "size", "pgi", "precision", "device"),
    *("workers", "seed"),
)
"""Settings with an option of their own; the others go through `--set`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Options of `gelan train`."""

    data: str = option(
        "labelled images: a data.yaml, a COCO JSON file, or a folder (YOLO, COCO, VOC)", default=""
    )
    model: str = option("the network: yolov9-t, -s, -m, -c, -e, or gelan-t ... -e", default="")
    weights: Path | None = option("start from these weights: ours or published ones", default=None)
    epochs: int | None = option("passes over the data (recipe: 500)", default=None)
    batch: int | None = option("images in a batch, over all processes (recipe: 16)", default=None)
    size: int | None = option("side of the input in pixels, a multiple of 32", default=None)
    pgi: str = option("auto, on, off, or until:N for the first N epochs", default="auto")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "arithmetic of the passes; the weights stay in fp32", default="auto"
    )
    device: str = option("auto, cpu, cuda, cuda:1, mps ...", default="auto")
    processes: int = option("train in so many processes on this machine, one a GPU", default=1)
    workers: int | None = option("processes that prepare images", default=None)
    seed: int | None = option("of everything that is left to chance", default=None)
    set: tuple[str, ...] = option(
        "any other setting, such as optimizer.learning_rate=0.005; docs/training.md lists them",
        default=(),
    )
    config: Path | None = option("settings from a YAML file; options go before them", default=None)
    out: Path | None = option(
        "folder of the run, which must not exist yet (default: runs/train, runs/train2, ...)",
        default=None,
    )
    resume: Path | None = option("go on with the run in this folder, exactly", default=None)
    dry_run: bool = option("say what would be done, and end", default=False)
    tensorboard: bool = option("write events for TensorBoard, too", default=False)
    quiet: bool = option("print errors and where the result is", default=False)


def run(options: Options) -> int:
    """Train; 0 when the run is over as planned, 1 if it was interrupted or had to stop."""
    require("torch", extra="train", purpose="to train")
    settings = settings_of(options)
    if options.processes < 1:
        raise ConfigError(f"--processes {options.processes}: take 1 or more")
    from gelan.predict.backends.pytorch import choose_device
    from gelan.train.processes import processes_of
    from gelan.train.run import Surroundings, begin, go_on

    processes = processes_of(os.environ)
    if processes.is_first:
        require_new(options.out)
    elif options.dry_run:
        return 0
    if options.processes > 1 and "RANK" not in os.environ and not options.dry_run:
        return _in_processes(options.processes)
    teller = Teller(options)
    around = Surroundings(processes=processes, choose_device=choose_device, watcher=teller)
    try:
        if options.resume is not None:
            outcome = go_on(options.resume, around=around)
        else:
            make_folder = partial(result_folder, options.out, "train")
            outcome = begin(settings, make_folder=make_folder, around=around)
    except DryRunError:
        return 0
    except TrainingError as error:
        raise PartlyDoneError(str(error)) from error
    finally:
        teller.close()
    return teller.finish(outcome) if processes.is_first else 0


def settings_of(options: Options) -> dict[str, object]:
    """What the user has set, by dotted names: the file first, options and `--set` over it.

    Raises:
        ConfigError: a setting is given twice or contradicts `--resume`.
    """
    named = {name: getattr(options, name) for name in _NAMED}
    given = {name: value for name, value in named.items() if value not in (None, "", "auto")}
    if "weights" in given:
        given["weights"] = str(given["weights"])
    more = parse_settings(options.set, where="--set")
    for name in more:
        if name in _NAMED:
            raise ConfigError(f"--set {name}: there is an option for it, --{name}")
    if options.resume is not None:
        unusable = [*given, *more, *(["config"] if options.config else [])]
        if unusable or options.out is not None:
            raise ConfigError(
                f"--resume goes on with the settings that the run began with: leave out "
                f"{', '.join(unusable or ['out'])}, or start a new run with --weights"
            )
        return {}
    from gelan.train.run_folder import settings_from_file

    of_file = {} if options.config is None else settings_from_file(options.config)
    return {**of_file, **given, **more}


def _in_processes(count: int) -> int:
    """The same command in several processes on this machine, started by torchrun."""
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    words += ["--nproc-per-node", str(count), "-m", "gelan", *sys.argv[1:]]
    return subprocess.run(words, check=False).returncode


class Teller:
    """Says what happens: the plan, a line an epoch, and where the results are."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._bar: tqdm[NoReturn] | None = None
        self._tensorboard: TensorboardLog | None = None
        self._epochs = 0
        self._prepared: Prepared | None = None

    def on_prepared(self, prepared: Prepared, cost: PgiCost | None) -> None:
        """The data, the choices, the cost."""
        self._prepared, self._epochs = prepared, prepared.config.epochs
        for line in plan_lines(prepared, cost):
            self._say(line)
        if self._options.dry_run:
            raise DryRunError

    def on_start(self, folder: RunFolder, progress: Progress) -> None:
        """Where it goes; and pictures of the data, if the run is new."""
        from gelan.train.telling import show_data

        assert self._prepared is not None  # it was prepared before it started
        if progress.iteration:
            self._say(f"going on in {folder.path}, epoch {progress.epoch + 1} of {self._epochs}")
        else:
            show_data(self._prepared, folder)
            self._say(f"{folder.path}  (labels.svg and batch1.jpg show the data as it is learnt)")
        if self._options.tensorboard:
            from gelan.report.tensorboard import TensorboardLog

            first = progress.epoch + 1 if progress.iteration else None
            self._tensorboard = TensorboardLog(folder.path / "tensorboard", resumed_in=first)
        self._say("")
        self._say(HEADINGS)

    def on_batch(self, status: Status) -> None:
        """The bar."""
        if self._options.quiet or not sys.stderr.isatty():
            return
        if self._bar is None:
            self._bar = tqdm(total=status.batches, leave=False, unit="batch", file=sys.stderr)
            self._bar.update(status.batch - 1)
            self._bar.set_description(f"epoch {status.epoch}/{status.epochs}")
        self._bar.update()
        if status.batch % 10 == 0 or status.batch == status.batches:
            losses = status.losses()
            shown = {name: f"{losses[name]:.2f}" for name in LOSSES}
            self._bar.set_postfix(shown, refresh=False)

    def on_epoch(self, row: EpochRow, *, is_best: bool) -> None:
        """A line."""
        self._close_bar()
        self._say(epoch_line(row, epochs=self._epochs, is_best=is_best))
        if self._tensorboard is not None:
            self._tensorboard.write(row)

    def finish(self, outcome: Outcome) -> int:
        """The report, and what to do with it."""
        from gelan.evaluate.report import as_table
        from gelan.train.telling import command_of, tell

        folder, is_over = outcome.folder, not outcome.ending.startswith("interrupted")
        if not is_over:
            print(f"gelan: {outcome.ending}", file=sys.stderr)
            return 1
        self._say(f"\n{outcome.ending}")
        report = tell(outcome, command=command_of(outcome.prepared.settings))
        if report is not None:
            self._say(f"\n{as_table(report)}")
        print(f"\nweights  {folder.best}\nreport   {folder.report}")
        self._say(f"use it   gelan predict --weights {shlex.quote(str(folder.best))} --source ...")
        return 0

    def close(self) -> None:
        """End the bar and the events."""
        self._close_bar()
        if self._tensorboard is not None:
            self._tensorboard.close()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _say(self, text: str) -> None:
        if not self._options.quiet:
            print(text, flush=True)


LOSSES = ("box", "classification", "distribution")
HEADINGS = (
    "  epoch     box  class    dfl  | validation loss |    AP   AP50   |"
    "  images/s  memory      left"
)


def epoch_line(row: EpochRow, *, epochs: int, is_best: bool) -> str:
    """The figures of an epoch under `HEADINGS`."""
    from gelan.report.story import duration

    place = f"{row.epoch}/{epochs}"
    losses = f"{row.box:6.3f} {row.classification:6.3f} {row.distribution:6.3f}"
    validation = "" if row.validation_loss is None else f"{row.validation_loss:.3f}"
    figures = " " * 15
    if row.ap is not None and row.ap50 is not None:
        figures = f"{row.ap:6.3f} {row.ap50:6.3f} " + ("*" if is_best else " ")
    left = duration(row.seconds / row.epoch * (epochs - row.epoch)) if row.epoch < epochs else ""
    speed = f"{row.images_per_second:9.1f} {row.memory_mb / 1024:6.1f}G {left:>9}"
    return f"{place:>7}  {losses}  | {validation:>15} |{figures} | {speed}"


def plan_lines(prepared: Prepared, cost: PgiCost | None) -> Iterator[str]:
    """What will be done: data, classes, network, every automatic choice, what PGI costs."""
    from gelan.train.network import network_name

    config, data = prepared.config, prepared.data
    yield data.description.headline
    warnings = [finding for finding in data.findings if finding.severity == "warning"]
    for finding in warnings[:FEW]:
        yield f"warning: {finding}"
    if len(warnings) > FEW:
        yield f"... and {len(warnings) - FEW} more warnings (gelan doctor --data {config.data})"
    if not data.validation:
        yield "there is no validation split: nothing says which epoch is best; the last is kept"
    yield from class_lines(prepared)
    start = f", from {config.weights}" if config.weights else ", from fresh weights"
    pgi = {"on": "with PGI", "off": "without PGI"}.get(config.pgi, f"with PGI {config.pgi}")
    yield f"network: {network_name(prepared.weights.detector)}{start}, {pgi}, on {prepared.device}"
    for note in prepared.notes:
        yield f"note: {note}"
    for choice in prepared.choices:
        yield f"chosen: {choice}"
    if cost is not None:
        yield str(cost)


FEW = 8
"""Warnings and classes that are printed; all stand in the report."""


def class_lines(prepared: Prepared) -> Iterator[str]:
    """Source id -> model index -> name of each class."""
    rows = prepared.data.description.mapping()
    shown = [f"{row.source_id} -> {row.index} {row.name}" for row in rows[:FEW]]
    more = f", and {len(rows) - FEW} more" if len(rows) > FEW else ""
    yield f"classes (source id -> index, name): {', '.join(shown)}{more}"


class DryRunError(Exception):
    """All that should be said has been said."""
