from __future__ import annotations

import copy
import math
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from gelan.errors import ConfigError
from gelan.model.variants import build
from gelan.train.config import OptimizerConfig
from gelan.train.optimizer import (
    GROUPS,
    apply_settings,
    clip_gradients,
    gradient_norm,
    make_optimizer,
    parameter_groups,
    scaled_decay,
)
from gelan.train.schedule import StepSettings

Kind = Literal["sgd", "adam", "adamw"]

SIZES = {
    "gelan-t": (227, 227, 221),
    "gelan-s": (227, 227, 221),
    "gelan-m": (155, 155, 149),
    "gelan-c": (160, 160, 154),
    "gelan-e": (309, 309, 298),
    "yolov9-t": (303, 303, 291),
    "yolov9-s": (303, 303, 291),
    "yolov9-m": (245, 245, 230),
    "yolov9-c": (253, 253, 238),
    "yolov9-e": (373, 373, 356),
}
"""The published tables, whose decayed tensors include one frozen vector for each head."""


@pytest.mark.parametrize(("name", "sizes"), SIZES.items())
def test_the_groups_of_every_network_are_as_large_as_published(
    name: str, sizes: tuple[int, int, int]
) -> None:
    with torch.device("meta"):
        groups = parameter_groups(build(name), weight_decay=5e-4)
    assert tuple(len(group["params"]) for group in groups) == sizes
    assert [group["name"] for group in groups] == ["biases", "weights", "norms"]
    assert [group["weight_decay"] for group in groups] == [0.0, 5e-4, 0.0]


class Foreign(nn.Module):
    """What a backbone from elsewhere may be made of."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(4, 6)
        self.attention = nn.MultiheadAttention(6, 2)
        self.norm = nn.LayerNorm((3, 6))
        self.group = nn.GroupNorm(2, 6)
        self.scale = nn.Parameter(torch.ones(6))
        self.temperature = nn.Parameter(torch.tensor(1.0))
        self.tied = nn.Linear(6, 4, bias=False)
        self.tied.weight = self.table.weight


def names_by_group(module: nn.Module) -> dict[str, list[str]]:
    groups = parameter_groups(module, weight_decay=1.0)
    return {group["name"]: group["parameter_names"] for group in groups}


def test_matrices_tables_vectors_and_norms_of_a_foreign_backbone_find_their_groups() -> None:
    assert names_by_group(Foreign()) == {
        "biases": [
            "attention.in_proj_bias",
            "attention.out_proj.bias",
            "norm.bias",
            "group.bias",
        ],
        "weights": ["table.weight", "attention.in_proj_weight", "attention.out_proj.weight"],
        "norms": ["scale", "temperature", "norm.weight", "group.weight"],
    }


def test_every_trainable_parameter_is_in_one_group_once() -> None:
    module = Foreign()
    module.norm.requires_grad_(False)
    listed = [p for group in parameter_groups(module, weight_decay=0.0) for p in group["params"]]
    assert len({id(p) for p in listed}) == len(listed)
    assert {id(p) for p in listed} == {id(p) for p in module.parameters() if p.requires_grad}


def test_a_network_without_norms_keeps_an_empty_group_so_that_the_order_stays() -> None:
    module = nn.Linear(2, 1)
    optimizer = make_optimizer(module, OptimizerConfig(), weight_decay=0.1)
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1, 0]
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()


def test_a_network_without_anything_to_train_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        parameter_groups(nn.Linear(2, 2).requires_grad_(False), weight_decay=0.0)
    assert str(caught.value) == (
        "no parameter of the network is trainable: freeze less of it (setting 'freeze')"
    )


@pytest.mark.parametrize(
    ("batch", "accumulate", "expected"),
    [(16, 4, 5e-4), (64, 1, 5e-4), (128, 1, 1e-3), (4, 8, 25e-5)],
)
def test_decay_grows_with_the_images_of_a_step(
    batch: int, accumulate: int, expected: float
) -> None:
    decay = scaled_decay(5e-4, batch=batch, accumulate=accumulate, nominal_batch=64)
    assert decay == pytest.approx(expected)


def one_number(
    kind: Kind, *, value: float, **settings: float
) -> tuple[nn.Module, torch.optim.Optimizer]:
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, value)
    config = OptimizerConfig(kind=kind, learning_rate=0.1, momentum=0.9)
    return module, make_optimizer(module, config, weight_decay=settings.get("weight_decay", 0.0))


def after_steps(kind: Kind, gradients: list[float], *, weight_decay: float = 0.0) -> float:
    module, optimizer = one_number(kind, value=1.0, weight_decay=weight_decay)
    (weight,) = module.parameters()
    for gradient in gradients:
        weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
    return weight.item()


def test_sgd_looks_ahead_as_nesterov_does() -> None:
    # velocity 2, then 0.9 * 2 + 2 = 3.8; each step moves by 0.1 * (gradient + 0.9 * velocity)
    assert after_steps("sgd", [2.0]) == pytest.approx(1 - 0.1 * (2 + 1.8))
    assert after_steps("sgd", [2.0, 2.0]) == pytest.approx(1 - 0.1 * (2 + 1.8) - 0.1 * (2 + 3.42))


def test_sgd_adds_the_decay_to_the_gradient() -> None:
    # gradient 0 + 0.5 * 1; moved by 0.1 * 1.9 of it
    assert after_steps("sgd", [0.0], weight_decay=0.5) == pytest.approx(1 - 0.1 * 1.9 * 0.5)


def test_adam_moves_by_its_rate_at_first_and_adamw_decays_apart_from_it() -> None:
    assert after_steps("adam", [3.0]) == pytest.approx(0.9, abs=1e-6)
    assert after_steps("adam", [0.0], weight_decay=0.5) == pytest.approx(0.9, abs=1e-6)
    assert after_steps("adamw", [3.0], weight_decay=0.5) == pytest.approx(0.95 - 0.1, abs=1e-6)
    assert after_steps("adamw", [0.0], weight_decay=0.5) == pytest.approx(0.95, abs=1e-6)


def test_nesterov_can_be_switched_off() -> None:
    module = nn.Linear(1, 1, bias=False)
    config = OptimizerConfig(nesterov=False)
    assert make_optimizer(module, config, weight_decay=0.0).defaults["nesterov"] is False


def convolutions(memory_format: torch.memory_format) -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3))
    for parameter in layers.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format)
    return layers


def plain_optimizer(module: nn.Module, kind: Kind) -> torch.optim.Optimizer:
    groups = parameter_groups(module, weight_decay=0.1)
    if kind == "sgd":
        return torch.optim.SGD(groups, lr=0.01, momentum=0.937, nesterov=True, foreach=False)
    adam = torch.optim.Adam if kind == "adam" else torch.optim.AdamW
    return adam(groups, lr=0.01, betas=(0.937, 0.999), foreach=False)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_fused_steps_are_those_of_the_plain_loop_in_both_memory_formats(
    kind: Kind, memory_format: torch.memory_format
) -> None:
    ours, plain = convolutions(memory_format), convolutions(torch.contiguous_format)
    config = OptimizerConfig(kind=kind, learning_rate=0.01)
    loop = plain_optimizer(plain, kind)
    pairs = [(ours, make_optimizer(ours, config, weight_decay=0.1)), (plain, loop)]
    for _ in range(3):
        for module, optimizer in pairs:
            torch.manual_seed(1)
            optimizer.zero_grad()
            module(torch.rand(2, 3, 8, 8)).square().mean().backward()
            optimizer.step()
    for mine, other in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5, check_stride=False)


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_settings_reach_the_groups(kind: Kind) -> None:
    _, optimizer = one_number(kind, value=1.0)
    apply_settings(optimizer, StepSettings((0.1, 0.02, 0.03), 0.8, 1))
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.02, 0.03]
    for group in optimizer.param_groups:
        assert group.get("momentum", None if kind == "sgd" else 0.8) == 0.8
        assert kind == "sgd" or group["betas"] == (0.8, 0.999)


def test_a_restored_optimizer_goes_on_as_if_never_saved() -> None:
    values: list[list[Tensor]] = []
    for restored in (False, True):
        module = convolutions(torch.channels_last)
        optimizer = make_optimizer(module, OptimizerConfig(), weight_decay=0.1)
        for step in range(4):
            if restored and step == 2:
                saved = copy.deepcopy(optimizer.state_dict())
                optimizer = make_optimizer(module, OptimizerConfig(), weight_decay=0.3)
                optimizer.load_state_dict(saved)
            optimizer.zero_grad()
            module(torch.ones(2, 3, 8, 8) * step).square().mean().backward()
            optimizer.step()
        values.append(list(module.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(*values, strict=True))


def with_gradients(*gradients: list[float] | None) -> list[Tensor]:
    parameters: list[Tensor] = []
    for gradient in gradients:
        parameter = nn.Parameter(torch.zeros(len(gradient or [0.0])))
        parameter.grad = None if gradient is None else torch.tensor(gradient)
        parameters.append(parameter)
    return parameters


def test_the_norm_is_over_all_gradients_and_those_without_do_not_count() -> None:
    assert gradient_norm(with_gradients([2.0, 3.0], None, [6.0])).item() == 7.0
    assert gradient_norm(with_gradients(None)).item() == 0.0


def test_clipping_returns_the_norm_before_and_keeps_the_direction() -> None:
    parameters = with_gradients([20.0, 30.0], None, [60.0])
    assert clip_gradients(parameters, limit=7.0).item() == 70.0
    assert gradient_norm(parameters).item() == pytest.approx(7.0, rel=1e-6)
    assert parameters[2].grad is not None
    assert parameters[2].grad.item() == pytest.approx(6.0, rel=1e-6)


def test_small_gradients_are_not_clipped() -> None:
    parameters = with_gradients([3.0, 4.0])
    assert clip_gradients(parameters, limit=10.0).item() == 5.0
    assert parameters[0].grad is not None
    assert parameters[0].grad.tolist() == [3.0, 4.0]


def test_a_norm_that_is_not_finite_is_reported_not_hidden() -> None:
    assert math.isnan(clip_gradients(with_gradients([math.nan]), limit=1.0).item())
    assert math.isinf(clip_gradients(with_gradients([math.inf]), limit=1.0).item())


def test_the_order_of_groups_is_that_of_the_warm_up() -> None:
    assert GROUPS == ("biases", "weights", "norms")
