"""What is said about a run holds: every sentence by its rule, and none where it does not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gelan.report.story import ap_trend, duration, overfitting, run_sentences
from gelan.structures.history import EpochRow
from tests.unit.report.made_up_runs import row, story


def with_ap(values: Sequence[float | None]) -> list[EpochRow]:
    return [row(epoch, ap=ap) for epoch, ap in enumerate(values, start=1)]


def with_losses(pairs: Sequence[tuple[float, float]]) -> list[EpochRow]:
    return [
        row(epoch, loss=loss, validation=validation)
        for epoch, (loss, validation) in enumerate(pairs, start=1)
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5] * 8 + [0.5, 0.5], "level"),
        ([0.1] * 8 + [0.112, 0.112], "improving"),
        ([0.1] * 8 + [0.108, 0.108], "level"),
        ([0.3] * 2 + [0.5] * 2 + [0.4] * 4 + [0.488, 0.488], "falling"),
        ([0.3] * 2 + [0.5] * 2 + [0.4] * 4 + [0.492, 0.492], "level"),
        ([0.1, 0.9] * 4 + [0.5, 0.5], "level"),  # a single high epoch is no trend
        ([0.1 * number for number in range(9)], "unknown"),
        ([], "unknown"),
    ],
)
def test_the_last_fifth_is_compared_with_the_best_fifth_before(
    values: list[float], expected: str
) -> None:
    assert ap_trend(with_ap(values)) == expected


def test_only_validated_epochs_count() -> None:
    sparse: list[float | None] = []
    for value in [0.1] * 8 + [0.2, 0.2]:
        sparse += [None, None, value]
    assert ap_trend(with_ap(sparse)) == "improving"
    assert ap_trend(with_ap(sparse[:27])) == "unknown"


def test_over_fitting_is_a_rising_validation_loss_while_training_falls() -> None:
    training = [5, 4.5, 4, 3.5, 3, 2.5, 2, 1.5, 1, 0.5]
    validation = [5, 4.5, 4, 4, 4, 4.1, 4.2, 4.3, 4.4, 4.4]
    found = overfitting(with_losses(list(zip(training, validation, strict=True))))
    assert found is not None
    assert found.epoch == 4  # the middle of 4, 4, 4: epochs 3 to 5
    assert found.rise == pytest.approx(0.1)  # 4.4 over 4


@pytest.mark.parametrize(
    ("training", "validation"),
    [
        ([5, 4.5, 4, 3.5, 3, 2.5, 2, 1.5, 1, 0.5], [4.0] * 8 + [4.1, 4.1]),  # 2.5 % is no rise
        ([3.0] * 10, [4.0] * 8 + [4.4, 4.4]),  # training did not fall: something else is wrong
        ([5, 4, 3, 2, 1], [4.0, 4.0, 4.0, 6.0, 6.0]),  # too few to tell
    ],
)
def test_what_is_not_over_fitting_is_not_called_so(
    training: list[float], validation: list[float]
) -> None:
    assert overfitting(with_losses(list(zip(training, validation, strict=True)))) is None


def test_the_story_of_a_finished_run_in_full() -> None:
    rows = with_ap([0.1] * 8 + [0.2, 0.3])
    assert run_sentences(story(rows, ending="all 10 epochs done")) == (
        "yolov9-t learnt 2 classes from 240 images in 1 min 40 s. All 10 epochs done. It was best "
        "after epoch 10 of 10, with AP 0.300. At the end it was still improving, so a longer run "
        "may well give more."
    )


def test_an_interrupted_run_without_validation_says_so_and_claims_nothing() -> None:
    rows = [row(epoch, ap=None, validation=None) for epoch in range(1, 4)]
    told = run_sentences(
        story(rows, planned=50, ending="interrupted.", names=("cat",), resumed_at=(2, 3))
    )
    assert told == (
        "yolov9-t learnt 1 class from 240 images in 30.0 s. It was taken up again twice, in epochs "
        "2 and 3. Interrupted. It went through 3 of 50 epochs. It was not validated, so nothing is "
        "known about how well it finds objects in images that it has not learnt from."
    )


def test_over_fitting_that_does_not_hurt_ap_is_told_as_that() -> None:
    rows = [
        row(epoch, loss=11 - epoch, validation=4 if epoch < 9 else 5, ap=0.03 * epoch)
        for epoch in range(1, 11)
    ]
    told = run_sentences(story(rows))
    assert "still improving" in told
    assert told.endswith(
        "It began to over-fit at about epoch 2: although AP did not suffer, the validation loss "
        "rose by 25 % from there to the end, while the training loss fell."
    )


def test_a_run_that_broke_off_at_once_has_a_story_too() -> None:
    told = run_sentences(story([], ending="out of memory"))
    assert told == (
        "yolov9-t was to learn 2 classes from 240 images. Out of memory. It ended before its "
        "first epoch was over."
    )


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (90000.0, "1 d 1 h"),
    ],
)
def test_times_never_show_sixty_of_a_unit(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected
