"""A whole run: from settings, or from where it was left, to weights and a report in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from gelan.structures.history import PgiCost
from gelan.train.config import pgi_epochs
from gelan.train.cost import measure_pgi
from gelan.train.engine import Engine
from gelan.train.keeping import WeightsWriter
from gelan.train.processes import Processes, device_of, joined
from gelan.train.progress import Progress
from gelan.train.run_folder import RunFolder
from gelan.train.start import (
    ChooseDevice,
    Prepared,
    environment,
    identity_of,
    image_source,
    prepare,
    prepare_again,
)
from gelan.train.trainer import Listener, Silence, Trainer
from gelan.train.validation import Validator


@runtime_checkable
class Watcher(Listener, Protocol):
    """Watches a run from its preparation on."""

    def on_prepared(self, prepared: Prepared, cost: PgiCost | None) -> None:
        """What will be done is known; nothing has been written."""

    def on_start(self, folder: RunFolder, progress: Progress) -> None:
        """The folder is made, or found again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a run."""

    folder: RunFolder
    prepared: Prepared
    progress: Progress
    ending: str
    """Why it ended, in a sentence."""
    cost: PgiCost | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """Where a run takes place."""

    processes: Processes
    choose_device: ChooseDevice
    watcher: Watcher


def begin(
    settings: Mapping[str, object], *, make_folder: Callable[[], Path], around: Surroundings
) -> Outcome:
    """A new run to its end. `settings` have dotted keys, as `--set` has them.

    Raises:
        GelanError: whatever is wrong with settings, data or weights, before a folder is made; or
            why training had to stop, with the state saved.
    """
    prepared = prepare(settings, choose=_own_device(around))
    if around.processes.is_first:
        prepared = replace(prepared, pgi_cost=pgi_cost(prepared))
        around.watcher.on_prepared(prepared, prepared.pgi_cost)
    with joined(around.processes, prepared.device):
        path = make_folder() if around.processes.is_first else None
        folder = RunFolder(Path(around.processes.first_says(path) or ""))
        if around.processes.is_first:
            folder.write_config(prepared.config)
            folder.write_environment(environment())
        return _train(prepared, folder, around=around, again=False)


def go_on(path: Path, *, around: Surroundings) -> Outcome:
    """A run that was left, from its last saved state to its end.

    Raises:
        GelanError: the folder holds no run that can go on, or as `begin`.
    """
    folder = RunFolder(path)
    prepared = prepare_again(folder, choose=_own_device(around))
    if around.processes.is_first:
        around.watcher.on_prepared(prepared, None)
        folder.clear_unfinished()
    with joined(around.processes, prepared.device):
        return _train(prepared, folder, around=around, again=True)


def pgi_cost(prepared: Prepared) -> PgiCost | None:
    """What the auxiliary part costs here; nothing where there is none."""
    if pgi_epochs(prepared.config) == 0:
        return None
    return measure_pgi(prepared.weights.detector, prepared.config, prepared.device)


def _own_device(around: Surroundings) -> ChooseDevice:
    return lambda name: device_of(around.processes, around.choose_device, name)


def _train(
    prepared: Prepared,
    folder: RunFolder,
    *,
    around: Surroundings,
    again: bool,
) -> Outcome:
    config, processes = prepared.config, around.processes
    engine = Engine(prepared.weights.detector, config, device=prepared.device, processes=processes)
    validator = None
    if prepared.data.validation:
        validator = Validator(
            prepared.data.validation,
            classes=prepared.data.description.classes,
            config=config,
            device=prepared.device,
            processes=processes,
        )
    trainer = Trainer(
        engine,
        source=image_source(prepared.data.train, config, folder=folder.path),
        validator=validator,
        folder=folder,
        identity=identity_of(prepared),
        save_weights=WeightsWriter(prepared=prepared, folder=folder),
        listener=around.watcher if processes.is_first else Silence(),
    )
    if again:
        trainer.resume()
    if processes.is_first:
        around.watcher.on_start(folder, trainer.progress)
    ending = trainer.run()
    return Outcome(
        folder=folder,
        prepared=prepared,
        progress=trainer.progress,
        ending=ending,
        cost=prepared.pgi_cost,
    )
