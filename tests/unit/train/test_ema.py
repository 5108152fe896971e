from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from gelan.errors import CheckpointError
from gelan.model.auxiliary import detach_auxiliary
from gelan.model.variants import build
from gelan.structures.predictions import Predictions
from gelan.train.config import EmaConfig
from gelan.train.ema import Ema


def number(value: float) -> nn.Module:
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, value)
    return module


def test_the_average_is_worked_out_by_hand() -> None:
    # d = 0.8 * (1 - exp(-n / 2)): 0.314775 for n = 1, 0.505696 for n = 2
    module = number(1.0)
    ema = Ema(module, EmaConfig(decay=0.8, ramp=2.0))
    nn.init.constant_(module.get_parameter("weight"), 2.0)
    ema.update(module)
    assert ema.module.get_parameter("weight").item() == pytest.approx(0.314775 + 2 * 0.685225)
    nn.init.constant_(module.get_parameter("weight"), 4.0)
    ema.update(module)
    expected = 0.505696 * 1.685225 + 0.494304 * 4
    assert ema.module.get_parameter("weight").item() == pytest.approx(expected, rel=1e-5)
    assert ema.updates == 2


@pytest.mark.parametrize(
    ("updates", "expected"), [(0, 0.0), (2000, 0.9999 * (1 - 1 / math.e)), (10**6, 0.9999)]
)
def test_the_decay_grows_with_the_updates(updates: int, expected: float) -> None:
    assert Ema(number(0.0), EmaConfig()).decay_at(updates) == pytest.approx(expected)


@pytest.mark.parametrize("config", [EmaConfig(decay=0.5), EmaConfig(ramp=10.0)])
def test_every_setting_matters(config: EmaConfig) -> None:
    assert Ema(number(0.0), config).decay_at(100) != Ema(number(0.0), EmaConfig()).decay_at(100)


@given(values=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=5))
def test_the_average_stays_between_the_smallest_and_the_largest_weight(
    values: list[float],
) -> None:
    module = number(values[0])
    ema = Ema(module, EmaConfig(ramp=3.0))
    for value in values:
        nn.init.constant_(module.get_parameter("weight"), value)
        ema.update(module)
    average = ema.module.get_parameter("weight").item()
    slack = 1e-4 * (1 + max(map(abs, values)))
    assert min(values) - slack <= average <= max(values) + slack


def test_what_does_not_change_stays_bit_identical() -> None:
    torch.manual_seed(0)
    module = nn.Conv2d(3, 8, 3)
    ema = Ema(module, EmaConfig())
    for _ in range(50):
        ema.update(module)
    assert torch.equal(ema.module.get_parameter("weight"), module.weight)


def moved(module: nn.Module, seed: int) -> None:
    """Move all parameters and statistics, as a step does."""
    generator = torch.Generator().manual_seed(seed)
    module.train()
    with torch.no_grad():
        module(torch.rand(2, 3, 4, 4, generator=generator))
        for parameter in module.parameters():
            parameter.add_(torch.rand(parameter.shape, generator=generator))


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def test_statistics_are_averaged_and_counters_copied() -> None:
    module = small()
    ema = Ema(module, EmaConfig())
    expected = {key: value.clone() for key, value in module.state_dict().items()}
    for step in range(3):
        moved(module, step)
        ema.update(module)
        for key, value in module.state_dict().items():
            if value.is_floating_point():
                decay = ema.decay_at(step + 1)
                expected[key] = decay * expected[key] + (1 - decay) * value
            else:
                expected[key] = value.clone()
    for key, value in ema.module.state_dict().items():
        torch.testing.assert_close(value, expected[key], rtol=1e-6, atol=1e-7)
    assert ema.module.get_buffer("1.num_batches_tracked").item() == 3


def test_the_averaged_network_is_in_evaluation_mode_and_apart() -> None:
    module = small().train()
    ema = Ema(module, EmaConfig())
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert not ema.module.training
    assert not any(parameter.requires_grad for parameter in ema.module.parameters())
    before = ema.module(torch.ones(1, 3, 4, 4))
    moved(module, 0)
    assert torch.equal(ema.module(torch.ones(1, 3, 4, 4)), before)


def test_a_network_in_half_precision_is_averaged_in_single() -> None:
    module = number(1.0).bfloat16()
    ema = Ema(module, EmaConfig(decay=0.999, ramp=1.0))
    for _ in range(5):
        ema.update(module)
    nn.init.constant_(module.get_parameter("weight"), 1.0 + 2**-7)
    ema.update(module)
    average = ema.module.get_parameter("weight")
    assert average.dtype == torch.float32
    decay = 0.999 * (1 - math.exp(-6))
    assert average.item() == pytest.approx(1 + (1 - decay) * 2**-7, abs=1e-7)


def test_a_saved_average_goes_on_exactly() -> None:
    module = small()
    ema = Ema(module, EmaConfig(ramp=5.0))
    for step in range(2):
        moved(module, step)
        ema.update(module)
    saved = copy.deepcopy(ema.state_dict())
    other = Ema(small(), EmaConfig(ramp=5.0))
    other.load_state_dict(saved)
    for step in (2, 3):
        moved(module, step)
        ema.update(module)
        other.update(module)
    assert (ema.updates, other.updates) == (4, 4)
    assert_same(ema.state_dict(), other.state_dict())


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []


@pytest.mark.parametrize("spoilt", ["updates", "0.weight", "surplus", "1.bias"])
def test_the_average_of_another_network_is_refused_and_nothing_changed(spoilt: str) -> None:
    ema = Ema(small(), EmaConfig())
    before = copy.deepcopy(ema.state_dict())
    state = {key: value + 1 for key, value in before.items()}
    if spoilt == "1.bias":
        state[spoilt] = torch.zeros(7)
    elif spoilt == "surplus":
        state[spoilt] = torch.zeros(1)
    else:
        del state[spoilt]
    with pytest.raises(CheckpointError) as caught:
        ema.load_state_dict(state)
    assert str(caught.value) == (
        f"the saved average is not of this network: {spoilt!r} is missing, unknown or of another "
        "shape; was the run made with other settings?"
    )
    assert_same(ema.state_dict(), before)


def test_tensors_that_were_exchanged_are_followed() -> None:
    module = number(0.0)
    ema = Ema(module, EmaConfig())
    ema.update(module)
    module.register_parameter("weight", nn.Parameter(torch.ones(1, 1)))
    ema.update(module)
    assert ema.module.get_parameter("weight").item() == pytest.approx(1 - ema.decay_at(2))


def test_an_auxiliary_part_is_dropped_when_it_is_taken_off() -> None:
    detector = build("yolov9-t", num_classes=2)
    ema = Ema(detector, EmaConfig())
    ema.update(detector)
    assert detach_auxiliary(detector) is not None
    ema.drop("auxiliary")
    before = {key: value.clone() for key, value in ema.state_dict().items()}
    ema.update(detector)
    assert not any(key.startswith("auxiliary") for key in ema.state_dict())
    assert before.keys() - {"updates"} == detector.state_dict().keys()
    with torch.no_grad():
        predictions: Predictions = ema.module(torch.rand(1, 3, 32, 32))
    assert predictions.auxiliary is None


def test_a_part_that_only_one_of_the_two_has_is_an_error() -> None:
    detector = build("yolov9-t", num_classes=2)
    ema = Ema(detector, EmaConfig())
    detach_auxiliary(detector)
    with pytest.raises(ValueError, match=r"first 'auxiliary\..*drop a part from the average"):
        ema.update(detector)
    assert ema.updates == 0
