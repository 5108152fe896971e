from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gelan.errors import ConfigError, ImageError, TrainingError
from gelan.model.detector import Detector
from gelan.objective.objective import LossTerms
from gelan.report.history_file import read_history
from gelan.structures.batches import Batch
from gelan.structures.history import EpochRow
from gelan.structures.samples import Sample
from gelan.train.engine import Engine
from gelan.train.run_folder import RunFolder
from gelan.train.trainer import Status, Trainer
from tests.unit.data.augment.painted import Painted
from tests.unit.train.little import CPU, copied, differing, little_network, settings

IMAGES = 7
BATCHES = 4  # of two images, the last of one


class Kept:
    """Notes what is kept and told."""

    def __init__(self, on_batch: Callable[[Status], None] | None = None) -> None:
        self.saved: list[tuple[int, bool]] = []
        self.rows: list[EpochRow] = []
        self.batches: list[tuple[int, int, int]] = []
        self._on_batch = on_batch

    def __call__(self, detector: Detector, *, row: EpochRow, is_best: bool, is_last: bool) -> None:
        self.saved.append((row.epoch, is_best))

    def on_batch(self, status: Status) -> None:
        self.batches.append((status.epoch, status.batch, status.batches))
        if self._on_batch is not None:
            self._on_batch(status)

    def on_epoch(self, row: EpochRow, *, is_best: bool) -> None:
        self.rows.append(row)


class Scripted(Trainer):
    """A trainer whose epochs have these AP."""

    script: tuple[float | None, ...] = ()

    def _validation_figures(self) -> dict[str, Any]:
        ap = self.script[self.progress.epoch]
        found = super()._validation_figures()
        return {**found, "ap": ap, "ap50": ap, "ap75": ap}


def make(
    folder: Path,
    *,
    source: Painted | None = None,
    kind: type[Trainer] = Trainer,
    kept: Kept | None = None,
    **changes: object,
) -> Trainer:
    kept = kept or Kept()
    return kind(
        Engine(little_network(), settings(**changes), device=CPU),
        source=Painted(IMAGES) if source is None else source,
        validator=None,
        folder=RunFolder(folder),
        identity={"of": "a test"},
        save_weights=kept,
        listener=kept,
    )


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Those of the network and of the average."""
    state = trainer._engine.state()
    return copied({**state["detector"], **{f"ema.{k}": v for k, v in state["ema"].items()}})


def failing_at(call: int, error: BaseException) -> Callable[..., LossTerms]:
    """`Engine.backward` that fails once, after its forward pass."""
    whole, calls = Engine.backward, iter(range(1, 10**6))

    def backward(engine: Engine, batch: Batch, *, is_last: bool) -> LossTerms:
        terms = whole(engine, batch, is_last=is_last)
        if next(calls) == call:
            raise error
        return terms

    return backward


def test_a_run_tells_every_batch_and_epoch_and_writes_its_history(tmp_path: Path) -> None:
    kept = Kept()
    trainer = make(tmp_path, kept=kept)
    assert trainer.run() == "all 2 epochs are done"
    assert kept.batches == [(e, b, BATCHES) for e in (1, 2) for b in range(1, BATCHES + 1)]
    assert [row.iterations for row in kept.rows] == [BATCHES, 2 * BATCHES]
    # Nothing is validated: no epoch is known to be better than the last.
    assert kept.saved == [(1, True), (2, True)]
    assert read_history(tmp_path / "results.csv") == tuple(kept.rows)
    assert all(row.auxiliary_box and row.validation_box is None for row in kept.rows)


def test_the_mean_losses_count_each_image_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, int]] = []
    whole = Engine.backward

    def backward(engine: Engine, batch: Batch, *, is_last: bool) -> LossTerms:
        terms = whole(engine, batch, is_last=is_last)
        seen.append((terms.main.box.item(), len(batch)))
        return terms

    monkeypatch.setattr(Engine, "backward", backward)
    kept = Kept()
    make(tmp_path, kept=kept, epochs=1).run()
    assert [count for _, count in seen] == [2, 2, 2, 1]
    assert kept.rows[0].box == pytest.approx(sum(loss * count for loss, count in seen) / IMAGES)


def test_a_failure_in_the_third_batch_is_gone_on_from_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make(tmp_path / "whole", nominal_batch=4)
    (tmp_path / "whole").mkdir()
    whole.run()

    folder = tmp_path / "failed run"
    folder.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(Engine, "backward", failing_at(4, torch.OutOfMemoryError("CUDA")))
        with pytest.raises(TrainingError) as caught:
            make(folder, nominal_batch=4).run()
    assert str(caught.value) == (
        "out of memory in epoch 1 with batches of 2 at 64 pixels on cpu: start again with "
        "--batch 1 (gradients of 4 images still make one step), a smaller --size, or --pgi off; "
        f"if other programs had the memory, gelan train --resume '{folder}' goes on"
    )

    again = make(folder, nominal_batch=4)
    again.resume()
    assert again.progress.batches == 2
    again.run()
    # Also the statistics of the normalisations, which the failed batches had changed.
    assert differing(weights(whole), weights(again)) == []
    assert again.progress.resumed_at == (1,)


def test_an_error_that_is_not_of_memory_stays_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "backward", failing_at(1, RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        make(tmp_path).run()


def test_a_loss_that_is_no_number_stops_the_run_with_a_usable_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, calls = Detector.forward, iter(range(1, 10**6))

    def poisoned(detector: Detector, images: torch.Tensor) -> Any:  # noqa: ANN401
        return forward(detector, images * torch.nan if next(calls) == 6 else images)

    with monkeypatch.context() as patched:
        patched.setattr(Detector, "forward", poisoned)
        with pytest.raises(TrainingError) as caught:
            make(tmp_path, precision="bf16").run()
    assert str(caught.value) == (
        "epoch 2, batch 2: the loss is not a finite number; the learning rate of 0.01 may be too "
        "high: start again with --set optimizer.learning_rate=0.002 or --precision fp32 (the "
        f"state before this batch is in {tmp_path / 'state.pt'})"
    )
    again = make(tmp_path, precision="bf16")
    again.resume()
    assert (again.progress.epoch, again.progress.batches) == (1, 1)
    assert all(bool(tensor.isfinite().all()) for tensor in weights(again).values())


class Vanishing(Painted):
    """Whose fifth image is gone from its second epoch on."""

    def load(self, index: int, *, at_most: int) -> Sample:
        if index == 4 and self.loads.count(4) > 0:
            raise ImageError("5.jpg: cannot be opened: No such file or directory")
        return super().load(index, at_most=at_most)


def test_an_image_that_vanishes_stops_the_run_with_a_way_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        make(tmp_path, source=Vanishing(IMAGES)).run()
    assert str(caught.value) == (
        "5.jpg: cannot be opened: No such file or directory; the state is saved, and "
        f"gelan train --resume {tmp_path} goes on when that is mended"
    )
    again = make(tmp_path)
    again.resume()
    assert again.progress.epoch == 1
    assert again.run() == "all 2 epochs are done"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_step_and_it_goes_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    whole = make(tmp_path / "whole", epochs=1)
    (tmp_path / "whole").mkdir()
    whole.run()

    def ask(status: Status) -> None:
        if status.batch == 2:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    ending = make(tmp_path, kept=Kept(ask), epochs=1).run()
    assert ending == (
        f"interrupted in epoch 1: its state is saved, and gelan train --resume {tmp_path} goes on"
    )
    assert signal.getsignal(number) == before
    again = make(tmp_path, epochs=1)
    again.resume()
    assert again.progress.batches == 2
    again.run()
    assert differing(weights(whole), weights(again)) == []


def test_a_second_interrupt_ends_it_at_once(tmp_path: Path) -> None:
    def insist(status: Status) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, kept=Kept(insist)).run()


def scripted(
    folder: Path,
    script: tuple[float | None, ...],
    **changes: Any,  # noqa: ANN401
) -> tuple[Trainer, Kept]:
    kept = Kept()
    trainer = make(folder, kind=Scripted, kept=kept, epochs=len(script), **changes)
    assert isinstance(trainer, Scripted)
    trainer.script = script
    return trainer, kept


def test_an_epoch_is_the_best_if_its_ap_is_larger_and_not_if_it_is_equal(tmp_path: Path) -> None:
    trainer, kept = scripted(tmp_path, (0.1, 0.3, 0.3, 0.2))
    trainer.run()
    assert kept.saved == [(1, True), (2, True), (3, False), (4, False)]
    assert (trainer.progress.best_ap, trainer.progress.best_epoch) == (0.3, 2)


def test_epochs_that_were_not_validated_are_kept_until_one_is(tmp_path: Path) -> None:
    trainer, kept = scripted(tmp_path, (None, 0.3, None))
    trainer.run()
    assert kept.saved == [(1, True), (2, True), (3, False)]


def test_a_run_stops_when_nothing_gets_better_and_says_so_again_when_resumed(
    tmp_path: Path,
) -> None:
    script = (0.1, 0.3, 0.2, 0.3, 0.1, 0.9)
    trainer, kept = scripted(tmp_path, script, patience=2)
    said = "stopped after epoch 4: AP has not been better than after epoch 2 for 2 epochs"
    assert trainer.run() == said
    assert len(kept.rows) == 4
    again, more = scripted(tmp_path, script, patience=2)
    again.resume()
    assert again.run() == said
    assert more.rows == []


def test_patience_counts_on_over_a_pause(tmp_path: Path) -> None:
    script = (0.3, 0.2, 0.2, 0.2)
    trainer, _ = scripted(tmp_path, script, patience=3)
    stopped, _ = scripted(tmp_path, script, patience=3)
    stopped._listener = Kept(
        lambda status: os.kill(os.getpid(), signal.SIGTERM) if status.epoch == 2 else None
    )
    assert stopped.run().startswith("interrupted in epoch 2")
    trainer.resume()
    assert trainer.progress.best_epoch == 1
    assert trainer.run() == "all 4 epochs are done"
    assert trainer.progress.best_epoch == 1


def test_a_patience_of_0_never_stops(tmp_path: Path) -> None:
    trainer, _ = scripted(tmp_path, (0.3, 0.2, 0.1), patience=0)
    assert trainer.run() == "all 3 epochs are done"


def test_a_finished_run_that_is_taken_up_does_nothing(tmp_path: Path) -> None:
    make(tmp_path).run()
    state = (tmp_path / "state.pt").read_bytes()
    again = make(tmp_path)
    again.resume()
    assert again.run() == "all 2 epochs are done"
    assert again.progress.resumed_at == ()
    assert (tmp_path / "state.pt").read_bytes() == state


def test_pgi_ends_with_its_epoch_and_a_resumed_run_knows(tmp_path: Path) -> None:
    kept = Kept()
    trainer = make(tmp_path, kept=kept, pgi="until:1", epochs=2)
    trainer.run()
    assert [row.pgi for row in kept.rows] == [True, False]
    assert kept.rows[1].auxiliary_box is None
    again = make(tmp_path, pgi="until:1", epochs=2)
    again.resume()
    assert differing(weights(trainer), weights(again)) == []
    assert not [name for name in weights(again) if "auxiliary" in name]


def test_the_state_is_saved_within_an_epoch_when_its_time_has_come(tmp_path: Path) -> None:
    seen: list[bool] = []

    def look(status: Status) -> None:
        seen.append((tmp_path / "state.pt").exists())

    make(tmp_path, kept=Kept(look), epochs=1, save_minutes=1e-9).run()
    assert seen == [False, True, True, True]
    (tmp_path / "state.pt").unlink()
    seen.clear()
    make(tmp_path, kept=Kept(look), epochs=1, save_minutes=0.0).run()
    assert seen == [False] * BATCHES


def test_no_images_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are no images"):
        make(tmp_path, source=Painted(0))
