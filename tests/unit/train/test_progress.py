from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gelan.objective.objective import LossTerms, Terms
from gelan.train.processes import Processes
from gelan.train.progress import Progress, Sums
from tests.unit.train.little import CPU
from tests.unit.train.test_keeping import ROW


def terms(box: float, *, auxiliary: float | None = None) -> LossTerms:
    main = Terms(torch.tensor(box), torch.tensor(1.0), torch.tensor(0.5))
    other = None if auxiliary is None else Terms(*[torch.tensor(auxiliary)] * 3)
    return LossTerms(torch.tensor(0.0), main, other)


def test_means_are_over_images_and_norms_over_finite_steps() -> None:
    sums = Sums.none(CPU)
    sums.add_batch(terms(1.0, auxiliary=2.0), images=3, processes=Processes())
    sums.add_batch(terms(5.0, auxiliary=4.0), images=1, processes=Processes())
    for norm in (2.0, float("inf"), 4.0, float("nan")):
        sums.add_step(torch.tensor(norm))
    means = sums.means()
    assert means["box"] == pytest.approx(2.0)  # (3 x 1 + 1 x 5) / 4
    assert means["classification"] == pytest.approx(1.0)
    assert means["auxiliary_box"] == pytest.approx(2.5)  # (3 x 2 + 1 x 4) / 4
    assert means["gradient_norm"] == pytest.approx(3.0)
    assert sums.skipped_steps == 2


def test_without_pgi_there_are_no_auxiliary_means() -> None:
    sums = Sums.none(CPU)
    sums.add_batch(terms(1.0), images=2, processes=Processes())
    assert sums.means()["auxiliary_distribution"] is None


def test_an_epoch_that_has_not_begun_has_means_of_0() -> None:
    means = Sums.none(CPU).means()
    assert (means["box"], means["gradient_norm"]) == (0.0, 0.0)


def test_sums_come_back_from_a_file_exactly_and_a_copy_stays() -> None:
    sums = Sums.none(CPU)
    sums.add_batch(terms(0.1), images=3, processes=Processes())
    copy, again = sums.copy(), Sums.of(sums.as_list(), CPU)
    sums.add_batch(terms(9.0), images=1, processes=Processes())
    again.add_batch(terms(9.0), images=1, processes=Processes())
    assert again.as_list() == sums.as_list()
    assert copy.means()["box"] == pytest.approx(0.1)


def test_batches_and_epochs_are_counted() -> None:
    progress = Progress().after_batch(seconds=2.0).after_batch(seconds=1.0)
    assert (progress.batches, progress.iteration, progress.epoch_seconds) == (2, 2, 3.0)
    done = progress.after_epoch(replace(ROW, epoch=1), seconds=4.0)
    assert (done.epoch, done.batches, done.iteration) == (1, 0, 2)
    assert (done.seconds, done.epoch_seconds) == (7.0, 0.0)
    assert (done.best_ap, done.best_epoch) == (0.25, 1)


@pytest.mark.parametrize(
    ("aps", "best"),
    [
        ((0.1, 0.2, 0.2), 2),
        ((0.0, 0.0), 1),
        ((None, 0.0, None), 2),
        ((None, None), None),
        ((0.3, 0.2, 0.31), 3),
    ],
)
def test_the_best_epoch_is_the_first_of_the_largest_ap(
    aps: tuple[float | None, ...], best: int | None
) -> None:
    progress = Progress()
    for number, ap in enumerate(aps, start=1):
        progress = progress.after_epoch(replace(ROW, epoch=number, ap=ap), seconds=0.0)
    assert progress.best_epoch == best


def test_progress_comes_back_from_plain_values() -> None:
    progress = replace(Progress(), resumed_at=(1, 3)).after_epoch(ROW, seconds=1.5)
    values = progress.as_mapping()
    assert isinstance(values["rows"][0], dict)
    assert Progress.of_mapping(values) == progress
