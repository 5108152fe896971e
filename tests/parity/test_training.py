"""Learning rates and three training steps against the reference numbers of the published code.

The first step, from equal weights, is met to 1e-6. From the second on, the recipe's random networks
amplify rounding: weights moved by 1e-7 of themselves give a gradient norm that differs by 2 % in
the second step and by up to 120 % in the third. So does another number of threads. A later step is
therefore held to 1e-4 or, where that is more, to a few times what such a push does to it.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from gelan.objective.config import ObjectiveConfig
from gelan.objective.objective import LossTerms, Objective
from gelan.objective.targets import Targets
from gelan.train.config import EmaConfig, OptimizerConfig, ScheduleConfig
from gelan.train.ema import Ema
from gelan.train.optimizer import GROUPS, clip_gradients, make_optimizer
from gelan.train.schedule import Schedule
from gelan.weights.foreign import Converted, convert
from tests.shared_files import golden, golden_weights, make_input, shared

NAMES = ["gelan-t", "yolov9-t"]
HEIGHT, WIDTH = 128, 160
CLIP = 10.0
RELATIVE = 1e-4


def schedule_of(batch: int) -> Schedule:
    """The schedule of the reference rows: 10 epochs of 60 batches."""
    return Schedule(
        ScheduleConfig(),
        OptimizerConfig(),
        epochs=10,
        batches_per_epoch=60,
        batch=batch,
        nominal_batch=64,
    )


@pytest.mark.parametrize("batch", [16, 64, 128])
def test_every_iteration_has_the_recorded_rates_momentum_and_accumulation(batch: int) -> None:
    arrays = golden("schedule")
    assert arrays["columns"].tolist()[2:6] == ["lr_bias", "lr_other", "momentum", "accumulate"]
    rows = arrays[f"bs{batch}.rows"]
    schedule = schedule_of(batch)
    settings = [schedule.at(iteration) for iteration in range(len(rows))]
    ours = [[s.rates[0], s.rates[1], s.momentum, s.accumulate] for s in settings]
    np.testing.assert_allclose(ours, rows[:, 2:6], rtol=1e-6)
    assert all(s.rates[1] == s.rates[2] for s in settings)


def test_steps_are_the_recorded_ones_until_an_epoch_ends_between_two() -> None:
    rows = golden("schedule")["bs16.rows"]
    schedule = schedule_of(16)
    ours = [schedule.steps_at(iteration) for iteration in range(len(rows))]
    assert ours[:179] == rows[:179, 6].astype(bool).tolist()
    assert (ours[179], bool(rows[179, 6])) == (True, False)  # the reference loses two gradients
    assert [i for i in range(180, 200) if ours[i]] == [183, 187, 191, 195, 199]
    assert [i for i in range(180, 200) if rows[i, 6]] == [181, 185, 189, 193, 197]


@pytest.mark.parametrize("batch", [64, 128])
def test_without_accumulation_every_iteration_is_a_step(batch: int) -> None:
    rows = golden("schedule")[f"bs{batch}.rows"]
    schedule = schedule_of(batch)
    assert rows[:, 6].all()
    assert all(schedule.steps_at(iteration) for iteration in range(len(rows)))


class Run(NamedTuple):
    """What three training steps left behind."""

    rows: list[list[float]]
    """Total, box, classification and distribution loss, gradient norm, of each step."""
    sums: list[dict[str, tuple[float, float]]]
    """Sum and sum of absolutes of every tensor, by its published name, after each step."""
    average: dict[str, tuple[float, float]]
    updates: int
    groups: list[tuple[str, int, float]]


@cache
def run(name: str, *, push: float = 0.0) -> Run:
    """Three steps of a published network from the recipe's weights, moved by a part of them."""
    arrays = golden(name) | golden(f"trainstep-{name}")
    converted = convert(golden_weights(name, name), source=name)
    detector = converted.detector.train().requires_grad_(True)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in detector.parameters():
            parameter.mul_(1 + push * torch.randn(parameter.shape, generator=generator))
    config = OptimizerConfig(learning_rate=float(arrays["lr"]), momentum=float(arrays["momentum"]))
    optimizer = make_optimizer(detector, config, weight_decay=float(arrays["weight_decay"]))
    ema = Ema(detector, EmaConfig())
    objective = Objective(ObjectiveConfig())
    rows, sums = [], []
    for step in range(3):
        optimizer.zero_grad()
        loss = objective(detector(images_of(step)), targets_of_rows(arrays[f"step{step}.targets"]))
        loss.total.backward()
        norm = clip_gradients(list(detector.parameters()), limit=CLIP)
        optimizer.step()
        ema.update(detector)
        rows.append([loss.total.item(), *weighted(loss), norm.item()])
        sums.append(sums_of(converted, detector.state_dict()))
    groups = [(g["name"], len(g["params"]), g["weight_decay"]) for g in optimizer.param_groups]
    return Run(rows, sums, sums_of(converted, ema.module.state_dict()), ema.updates, groups)


def images_of(step: int) -> Tensor:
    """The reference batch: one image and its copy turned by 180 degrees, darker at each step."""
    image = make_input(HEIGHT, WIDTH)
    return torch.cat([image, image.flip(2, 3)]) * (1 - 0.1 * step)


def targets_of_rows(rows: NDArray[np.float32]) -> Targets:
    """Rows of (image, class, centre x, centre y, width, height), in parts of the image."""
    numbers = torch.from_numpy(rows)
    centres, sizes = numbers[:, 2:4], numbers[:, 4:6]
    boxes = torch.cat([centres - sizes / 2, centres + sizes / 2], dim=1)
    return Targets(
        boxes=boxes * torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT]),
        classes=numbers[:, 1].long(),
        images=numbers[:, 0].long(),
        num_images=2,
        size_hw=(HEIGHT, WIDTH),
    )


def weighted(loss: LossTerms) -> list[float]:
    """Each term: that of the main head and a quarter of the auxiliary one's."""
    if loss.auxiliary is None:
        return [term.item() for term in loss.main]
    pairs = zip(loss.main, loss.auxiliary, strict=True)
    return [main.item() + 0.25 * auxiliary.item() for main, auxiliary in pairs]


def sums_of(converted: Converted, state: dict[str, Tensor]) -> dict[str, tuple[float, float]]:
    """Sum and sum of absolutes of every tensor, by its published name."""
    theirs = converted.recognised.layout.theirs
    return {
        f"model.{theirs(ours)}": (tensor.double().sum().item(), tensor.double().abs().sum().item())
        for ours, tensor in state.items()
    }


Sums = dict[str, tuple[float, float]]


def recorded_sums(name: str, stem: str) -> Sums:
    """The reference's sums of every tensor that we have, too, but for the counters."""
    with np.load(shared(f"golden/trainstep-{name}.npz")) as arrays:
        pairs = zip(arrays["key_names"].tolist(), arrays[stem].tolist(), strict=True)
        return {
            key: (total, size)
            for key, (total, size) in pairs
            if ".dfl" not in key and not key.endswith("num_batches_tracked")
        }


def farthest(ours: Sums, theirs: Sums) -> float:
    """The largest difference of two sums of the same tensor, in parts of its absolutes."""
    assert len(theirs) > 1000
    return max(
        abs(ours[key][kind] - theirs[key][kind]) / theirs[key][1]
        for key in theirs
        for kind in (0, 1)
    )


def limit(sensitivity: float) -> float:
    """How far a number may be from the reference's, if a push of 1e-7 moves it so far."""
    return max(RELATIVE, 4 * sensitivity)


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_gradient_norm_of_the_first_step_are_met(name: str) -> None:
    recorded = golden(f"trainstep-{name}")["rows_total_box_cls_dfl_gradnorm"]
    np.testing.assert_allclose(run(name).rows[0], recorded[0], rtol=1e-5)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_losses_and_gradient_norms_of_later_steps_are_as_near_as_rounding_lets_them(
    name: str, step: int
) -> None:
    recorded = golden(f"trainstep-{name}")["rows_total_box_cls_dfl_gradnorm"][step]
    ours, pushed = np.array(run(name).rows[step]), np.array(run(name, push=1e-7).rows[step])
    sensitivity = np.abs(pushed / ours - 1).max()
    np.testing.assert_allclose(ours, recorded, rtol=limit(sensitivity))


@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_after_each_step_is_met(name: str, step: int) -> None:
    recorded = recorded_sums(name, f"step{step}.param_sum_abs")
    ours, pushed = run(name).sums[step], run(name, push=1e-7).sums[step]
    sensitivity = 0.0 if step == 0 else farthest(pushed, {key: ours[key] for key in recorded})
    assert farthest(ours, recorded) < limit(sensitivity)


@pytest.mark.parametrize("name", NAMES)
def test_the_moving_average_of_three_steps_is_met(name: str) -> None:
    recorded = recorded_sums(name, "ema_sum_abs")
    ours, pushed = run(name).average, run(name, push=1e-7).average
    sensitivity = farthest(pushed, {key: ours[key] for key in recorded})
    assert run(name).updates == golden(f"trainstep-{name}")["ema_updates"]
    assert farthest(ours, recorded) < limit(sensitivity)


@pytest.mark.parametrize("name", NAMES)
def test_the_groups_are_met_but_for_the_frozen_vectors(name: str) -> None:
    arrays = golden(f"trainstep-{name}")
    frozen = sum(".dfl" in key for key in arrays["key_names"].tolist())
    sizes = arrays["groups"] - np.array([0, frozen, 0])
    expected = list(zip(GROUPS, sizes.tolist(), arrays["groups_wd"].tolist(), strict=True))
    assert run(name).groups == expected
