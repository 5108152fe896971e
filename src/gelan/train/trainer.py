"""The training loop: epochs of batches, steps, validation, and a state that can be gone on from.

Everything that is left to chance comes from (seed, epoch, image), so a run that was killed and is
taken up again at its last saved state does, to the bit, what it would have done (on a CPU; a GPU
adds in an order of its own).
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch

from gelan.data.augment.pipeline import SampleSource
from gelan.data.loader import Loader, LoaderConfig
from gelan.errors import ConfigError, ImageError, LoaderError, TrainingError
from gelan.geometry.letterbox import Preprocessing
from gelan.model.detector import Detector
from gelan.report.history_file import write_history
from gelan.structures.batches import Batch
from gelan.structures.history import EpochRow
from gelan.train.config import pgi_epochs
from gelan.train.cost import memory_mb
from gelan.train.engine import Engine, is_out_of_memory
from gelan.train.progress import Progress, Sums
from gelan.train.run_folder import RunFolder
from gelan.train.schedule import Schedule
from gelan.train.stopping import stop_signals
from gelan.train.validation import Validation, Validator

_SAVING_SHARE = 10.0
"""An epoch is at least so many times as long as saving, or several are saved together."""
_ASK_OTHERS = 10
"""Batches after which several processes agree on whether to stop."""


class Ending(Exception):  # noqa: N818  # not an error: the run is over
    """Why a run is over, in a sentence."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where a run is, for whoever watches it."""

    epoch: int
    """Counted from 1."""
    epochs: int
    batch: int
    """How many are done in this epoch."""
    batches: int
    images_per_second: float
    memory_mb: float
    losses: Callable[[], dict[str, float | None]]
    """Means of this epoch so far; asking waits for the device."""


@runtime_checkable
class Listener(Protocol):
    """Watches a run."""

    def on_batch(self, status: Status) -> None:
        """A batch is done."""

    def on_epoch(self, row: EpochRow, *, is_best: bool) -> None:
        """An epoch is done."""


class Silence:
    """A listener that does nothing."""

    def on_batch(self, status: Status) -> None:
        """Nothing."""

    def on_epoch(self, row: EpochRow, *, is_best: bool) -> None:
        """Nothing."""


@runtime_checkable
class SaveWeights(Protocol):
    """Writes the weights of an epoch."""

    def __call__(self, detector: Detector, *, row: EpochRow, is_best: bool, is_last: bool) -> None:
        """`detector` is the averaged network, with its auxiliary part if that is attached."""


class _Kept(NamedTuple):
    """A point from which the run can go on."""

    progress: Progress
    sums: Sums


class Trainer:
    """Trains a detector in a run folder: from the start, or after `resume` from its state."""

    def __init__(
        self,
        engine: Engine,
        *,
        source: SampleSource,
        validator: Validator | None,
        folder: RunFolder,
        identity: Mapping[str, Any],
        save_weights: SaveWeights,
        listener: Listener,
    ) -> None:
        """Make ready; `identity` is kept in the state, to be compared when it is taken up."""
        config, processes = engine.config, engine.processes
        self._engine, self._config, self._processes = engine, config, processes
        self._validator, self._folder, self._images = validator, folder, len(source)
        self._save_weights, self._listener = save_weights, listener
        self._identity = dict(identity)
        loading = LoaderConfig(
            batch_size=config.batch,
            workers=config.workers,
            seed=config.seed,
            part=processes.rank,
            parts=processes.world,
        )
        self._loader = Loader(
            source,
            loading,
            preprocessing=Preprocessing(size=config.size),
            device=engine.device if config.device_augment else None,
        )
        if len(self._loader) == 0:
            found = f"{len(source)} images give no batch for {processes.world} processes"
            raise ConfigError(f"{found}: take fewer processes")
        self._schedule = Schedule(
            config.schedule,
            config.optimizer,
            epochs=config.epochs,
            batches_per_epoch=len(self._loader),
            batch=config.batch,
            nominal_batch=config.nominal_batch,
        )
        self.progress = Progress()
        self._sums = Sums.none(engine.device)
        self._kept = _Kept(self.progress, self._sums)
        self._saved_at, self._saving_seconds = time.monotonic(), 0.0
        self.validation: Validation | None = None
        """Of the last epoch that was validated in this process's time."""

    def resume(self) -> None:
        """Go on from the state in the run folder.

        Raises:
            SourceError: there is none.
            CheckpointError: it is damaged, or of another network.
        """
        state = self._folder.read_state()
        progress = Progress.of_mapping(state["progress"])
        if not state["has_auxiliary"]:
            self._engine.detach_auxiliary()
        self._engine.load_state(state["engine"])
        self._sums = Sums.of(state["sums"], self._engine.device)
        self.progress = progress
        if progress.epoch < self._config.epochs:
            resumed_at = (*progress.resumed_at, progress.epoch + 1)
            self.progress = replace(progress, resumed_at=resumed_at)

    def run(self) -> str:
        """Train to the end; returns why it ended, in a sentence.

        Raises:
            TrainingError: a loss is not finite, the memory is used up, or an image cannot be read;
                the state is saved.
        """
        try:
            with self._loader, stop_signals() as stop:
                for epoch in range(self.progress.epoch, self._config.epochs):
                    self._require_patience()
                    self._train_epoch(epoch, stop)
                    self._finish_epoch(epoch)
        except Ending as ending:
            return str(ending)
        finally:
            if self._validator is not None:
                self._validator.close()
        return f"all {self._config.epochs} epochs are done"

    def _train_epoch(self, epoch: int, stop: threading.Event) -> None:
        config = self._config
        if epoch >= pgi_epochs(config):
            self._engine.detach_auxiliary()
        augment = config.augment.at_epoch(epoch, epochs=config.epochs)
        batches = self._loader.epoch(epoch, augment=augment, start_at=self.progress.batches)
        began = time.monotonic()
        self._kept = _Kept(self.progress, self._sums.copy())
        with self._saving():
            for batch in batches:
                stepped = self._train_batch(batch)
                now = time.monotonic()
                self.progress = self.progress.after_batch(seconds=now - began)
                began = now
                self._listener.on_batch(self._status(epoch))
                if stepped:
                    self._kept = _Kept(self.progress, self._sums.copy())
                    self._save_if_due(stop)

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """Where memory or an image fails: the state is saved, and what can be done is said."""
        try:
            yield
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self._save_state()
            raise TrainingError(self._about_memory()) from error
        except (ImageError, LoaderError) as error:
            self._save_state()
            mended = " when that is mended" if isinstance(error, ImageError) else ""
            raise TrainingError(
                f"{error}; the state is saved, and {self._resume} goes on{mended}"
            ) from error

    @property
    def _resume(self) -> str:
        return f"gelan train --resume {shlex.quote(str(self._folder.path))}"

    def _train_batch(self, batch: Batch) -> bool:
        """One batch; whether a step was made of it."""
        iteration = self.progress.iteration
        is_step = self._schedule.steps_at(iteration)
        terms = self._engine.backward(batch, is_last=is_step)
        images = min(self._config.batch, self._images - self._images_done())
        self._sums.add_batch(terms, images=images, processes=self._processes)
        if is_step:
            norm = self._engine.step(self._schedule.at(iteration))
            self._sums.add_step(norm)
            if self._engine.is_lost(norm):
                self._stop_at_infinity(terms.total)
        return is_step

    def _stop_at_infinity(self, total: torch.Tensor) -> None:
        """The weights are those before the step, because it was left out."""
        self._save_state()
        what = "the gradient" if torch.isfinite(total) else "the loss"
        rate = self._config.optimizer.learning_rate
        precise = "" if self._config.precision == "fp32" else " or --precision fp32"
        raise TrainingError(
            f"epoch {self.progress.epoch + 1}, batch {self.progress.batches + 1}: {what} is not a "
            f"finite number; the learning rate of {rate:g} may be too high: start again with "
            f"--set optimizer.learning_rate={rate / 5:g}{precise} (the state before this batch is "
            f"in {self._folder.state})"
        )

    def _finish_epoch(self, epoch: int) -> None:
        """Validate, write the row, the weights and the state."""
        config, began = self._config, time.monotonic()
        every, is_end = config.validate_every, epoch + 1 == config.epochs
        self.validation = None
        if self._validator is not None and every and (is_end or (epoch + 1) % every == 0):
            with self._saving():
                self.validation = self._validator(self._engine.averaged)
        row = self._processes.first_says(self._row(epoch))
        self.progress = self.progress.after_epoch(row, seconds=time.monotonic() - began)
        self._sums = Sums.none(self._engine.device)
        is_best = self.progress.best_epoch in (row.epoch, None)
        self._kept = _Kept(self.progress, self._sums)
        if self._processes.is_first:
            self._save_epoch(row, is_best=is_best, is_end=is_end)
        self._listener.on_epoch(row, is_best=is_best)

    def _save_epoch(self, row: EpochRow, *, is_best: bool, is_end: bool) -> None:
        """Write row, weights and state; the last two not where saving would take the longest time.

        A run that is killed goes on from the state before, and makes the same epochs again.
        """
        began = time.monotonic()
        is_due = began - self._saved_at >= _SAVING_SHARE * self._saving_seconds
        is_whole = is_end or is_due or self._is_out_of_patience()
        self._save_weights(
            self._engine.averaged,
            row=row,
            is_best=is_best and (is_whole or row.ap is not None),
            is_last=is_whole,
        )
        write_history(self._folder.results, self.progress.rows)
        if is_whole:
            self._save_state()
            self._saving_seconds = time.monotonic() - began

    def _row(self, epoch: int) -> EpochRow:
        progress, config = self.progress, self._config
        seen = self._validation_figures()
        images = self._images_done()
        settings = self._schedule.at(max(0, progress.iteration - 1))
        return EpochRow(
            epoch=epoch + 1,
            iterations=progress.iteration,
            seconds=progress.seconds,
            images_per_second=images / max(progress.epoch_seconds, 1e-9),
            memory_mb=memory_mb(self._engine.device),
            learning_rate=settings.rates[1],
            mosaic=config.augment.at_epoch(epoch, epochs=config.epochs).mosaic > 0,
            pgi=self._engine.detector.auxiliary is not None,
            **self._sums.means(),  # type: ignore[arg-type]  # its keys are fields of the row
            **seen,
        )

    def _validation_figures(self) -> dict[str, Any]:
        found = self.validation
        headline = None if found is None or found.report is None else found.report.headline
        return {
            "validation_box": found and found.box,
            "validation_classification": found and found.classification,
            "validation_distribution": found and found.distribution,
            "ap": headline and headline.ap,
            "ap50": headline and headline.ap50,
            "ap75": headline and headline.ap75,
        }

    def _images_done(self) -> int:
        """Of the epoch under way, in all processes."""
        return min(self.progress.batches * self._config.batch, self._images)

    def _is_out_of_patience(self) -> bool:
        best, patience = self.progress.best_epoch, self._config.patience
        return patience > 0 and best is not None and self.progress.epoch - best >= patience

    def _require_patience(self) -> None:
        progress, patience = self.progress, self._config.patience
        if self._is_out_of_patience():
            raise Ending(
                f"stopped after epoch {progress.epoch}: AP has not been better than after epoch "
                f"{progress.best_epoch} for {patience} epochs"
            )

    def _save_if_due(self, stop: threading.Event) -> None:
        """Save the state now and then within an epoch, and before an interruption."""
        asked = stop.is_set()
        if self._processes.world > 1:
            is_time = self.progress.iteration % _ASK_OTHERS == 0
            asked = is_time and self._processes.any_says(asked)
        interval = 60.0 * self._config.save_minutes
        is_due = interval > 0 and time.monotonic() - self._saved_at >= interval
        if is_due or asked:
            self._save_state()
        if asked:
            raise Ending(
                f"interrupted in epoch {self.progress.epoch + 1}: its state is saved, and "
                f"{self._resume} goes on"
            )

    def _save_state(self) -> None:
        """Write where the run stood after its last whole step."""
        if not self._processes.is_first:
            return
        self._folder.write_state(
            {
                "identity": self._identity,
                "has_auxiliary": self._engine.detector.auxiliary is not None,
                "progress": self._kept.progress.as_mapping(),
                "sums": self._kept.sums.as_list(),
                "engine": self._engine.state(),
            }
        )
        self._saved_at = time.monotonic()

    def _status(self, epoch: int) -> Status:
        return Status(
            epoch=epoch + 1,
            epochs=self._config.epochs,
            batch=self.progress.batches,
            batches=len(self._loader),
            images_per_second=self._images_done() / max(self.progress.epoch_seconds, 1e-9),
            memory_mb=memory_mb(self._engine.device),
            losses=self._sums.means,
        )

    def _about_memory(self) -> str:
        config = self._config
        smaller = max(1, config.batch // 2)
        return (
            f"out of memory in epoch {self.progress.epoch + 1} with batches of {config.batch} at "
            f"{config.size} pixels on {self._engine.device}: start again with --batch {smaller} "
            f"(gradients of {config.nominal_batch} images still make one step), a smaller --size, "
            f"or --pgi off; if other programs had the memory, {self._resume} goes on"
        )
