from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gelan.train.config import OptimizerConfig, ScheduleConfig
from gelan.train.schedule import Schedule, rate_factor

Shape = Literal["linear", "cosine", "flat_cosine", "constant"]


def schedule(
    config: ScheduleConfig | None = None,
    *,
    epochs: int = 10,
    batches_per_epoch: int = 60,
    batch: int = 16,
) -> Schedule:
    return Schedule(
        config or ScheduleConfig(),
        OptimizerConfig(),
        epochs=epochs,
        batches_per_epoch=batches_per_epoch,
        batch=batch,
        nominal_batch=64,
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("linear", [1.0, 0.75 + 0.0025, 0.505, 0.2575, 0.01]),
        ("cosine", [1.0, 0.855018, 0.505, 0.154982, 0.01]),  # 0.01 + 0.99 * (1 + cos) / 2
        ("flat_cosine", [1.0, 1.0, 1.0, 0.505, 0.01]),
        ("constant", [1.0, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_the_factor_falls_as_its_kind_says(kind: Shape, expected: list[float]) -> None:
    config = ScheduleConfig(kind=kind)
    factors = [rate_factor(config, epoch, 100) for epoch in (0, 25, 50, 75, 100)]
    assert factors == pytest.approx(expected, abs=1e-6)


@given(
    kind=st.sampled_from(["linear", "cosine", "flat_cosine", "constant"]),
    final=st.floats(0, 1),
    epochs=st.integers(1, 1000),
    parts=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_the_factor_never_rises_nor_leaves_its_range(
    kind: Shape, final: float, epochs: int, parts: tuple[float, float]
) -> None:
    config = ScheduleConfig(kind=kind, final_factor=final)
    early, late = (rate_factor(config, part * epochs, epochs) for part in sorted(parts))
    assert final - 1e-9 <= late <= early + 1e-9 <= 1 + 2e-9


@pytest.mark.parametrize(
    ("warmup_epochs", "batches", "expected"),
    [(3.0, 60, 180), (3.0, 5, 100), (0.5, 301, 150), (0.0, 60, 0)],
)
def test_the_warm_up_is_so_many_epochs_but_at_least_so_many_iterations_or_none(
    warmup_epochs: float, batches: int, expected: int
) -> None:
    config = ScheduleConfig(warmup_epochs=warmup_epochs)
    assert schedule(config, batches_per_epoch=batches).warmup_iterations == expected


def test_the_first_iteration_moves_biases_only() -> None:
    assert schedule().at(0) == ((0.1, 0.0, 0.0), 0.8, 1)


def test_half_of_the_warm_up_is_half_of_the_way() -> None:
    # iteration 90 of 180, in epoch 1: the rate to reach is 0.01 * (1 - 0.1 * 0.99) = 0.00901
    settings = schedule().at(90)
    assert settings.rates == pytest.approx((0.054505, 0.004505, 0.004505))
    assert settings.momentum == pytest.approx(0.8685)
    assert settings.accumulate == 2  # half of the way from 1 to 4 is 2.5: rounded to even


def test_after_the_warm_up_all_groups_have_the_rate_of_the_epoch() -> None:
    settings = schedule().at(180)
    assert settings.rates == pytest.approx((0.00703,) * 3)  # 0.01 * (1 - 0.3 * 0.99)
    assert (settings.momentum, settings.accumulate) == (0.937, 4)


def test_without_a_warm_up_the_first_iteration_is_an_ordinary_one() -> None:
    assert schedule(ScheduleConfig(warmup_epochs=0.0)).at(0) == ((0.01,) * 3, 0.937, 4)


@pytest.mark.parametrize(("batch", "expected"), [(1, 64), (24, 3), (48, 1), (64, 1), (500, 1)])
def test_gradients_of_about_the_nominal_batch_make_a_step(batch: int, expected: int) -> None:
    assert schedule(batch=batch).accumulate == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "cosine"),
        ("final_factor", 0.5),
        ("warmup_epochs", 1.0),
        ("warmup_least_iterations", 400),
        ("warmup_momentum", 0.5),
        ("warmup_bias_rate", 0.05),
    ],
)
def test_every_setting_matters(name: str, value: object) -> None:
    changed = ScheduleConfig(**{name: value})  # type: ignore[arg-type]
    plain, other = schedule(), schedule(changed)
    assert [plain.at(i) for i in range(0, 600, 50)] != [other.at(i) for i in range(0, 600, 50)]


def steps(plan: Schedule, first: int, last: int) -> list[int]:
    return [iteration for iteration in range(first, last) if plan.steps_at(iteration)]


def test_an_epoch_ends_with_a_step_and_the_next_starts_to_collect_anew() -> None:
    plan = schedule(ScheduleConfig(warmup_epochs=0.0), batches_per_epoch=10)
    assert steps(plan, 0, 20) == [3, 7, 9, 13, 17, 19]


def test_an_epoch_shorter_than_the_accumulation_makes_one_step() -> None:
    plan = schedule(ScheduleConfig(warmup_epochs=0.0), batches_per_epoch=2)
    assert steps(plan, 0, 6) == [1, 3, 5]


def test_a_warm_up_that_ends_within_an_epoch_leaves_no_seam() -> None:
    # 3 of the 4 that make a step are rounded to from iteration 9 of 12 on
    config = ScheduleConfig(warmup_epochs=0.6, warmup_least_iterations=0)
    plan = schedule(config, batches_per_epoch=20)
    assert plan.warmup_iterations == 12
    assert [plan.at(i).accumulate for i in range(13)] == [1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert steps(plan, 0, 24) == [0, 1, 3, 5, 8, 12, 16, 19, 23]


@given(
    batches=st.integers(1, 40),
    batch=st.integers(1, 130),
    warmup=st.sampled_from([0.0, 0.3, 1.0, 3.0]),
    least=st.integers(0, 100),
)
def test_no_gradient_waits_longer_than_the_accumulation_or_the_epoch(
    batches: int, batch: int, warmup: float, least: int
) -> None:
    config = ScheduleConfig(warmup_epochs=warmup, warmup_least_iterations=least)
    plan = schedule(config, batches_per_epoch=batches, batch=batch)
    waiting = 0
    for iteration in range(6 * batches):
        waiting += 1
        if plan.steps_at(iteration):
            waiting = 0
        assert waiting < plan.at(iteration).accumulate or waiting == 0
    assert waiting == 0


def test_the_schedule_depends_on_nothing_but_the_iteration() -> None:
    plan, resumed = schedule(), schedule()
    before = [(plan.at(i), plan.steps_at(i)) for i in range(600)]
    assert before[400:] == [(resumed.at(i), resumed.steps_at(i)) for i in range(400, 600)]
    assert before[::-1] == [(plan.at(i), plan.steps_at(i)) for i in range(599, -1, -1)]
