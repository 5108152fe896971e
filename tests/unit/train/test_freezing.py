from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from gelan.errors import ConfigError
from gelan.model.detector import Detector
from gelan.model.variants import build
from gelan.train.config import EmaConfig, OptimizerConfig
from gelan.train.ema import Ema
from gelan.train.freezing import HeldStill, freeze
from gelan.train.optimizer import make_optimizer, parameter_groups


def detector_of(seed: int = 0) -> Detector:
    torch.manual_seed(seed)
    return build("yolov9-t", num_classes=2)


def three_steps(detector: Detector) -> Ema:
    """Train a little; the moving average of it."""
    ema = Ema(detector, EmaConfig())
    config = OptimizerConfig(learning_rate=0.1)
    optimizer = make_optimizer(detector, config, weight_decay=0.1)
    for _ in range(3):
        detector.train()
        optimizer.zero_grad()
        predictions = detector(torch.rand(2, 3, 64, 64))
        outputs = [part for head in predictions if head is not None for part in head]
        torch.stack([part.square().mean() for part in outputs]).sum().backward()
        optimizer.step()
        ema.update(detector)
    return ema


@pytest.mark.parametrize("parts", [("backbone",), ("backbone.base.stage3", "neck"), ("head",)])
def test_frozen_tensors_stay_bit_identical_and_all_others_move(parts: tuple[str, ...]) -> None:
    detector = detector_of()
    frozen = set(freeze(detector, parts))
    before = copy.deepcopy(detector.state_dict())
    average = three_steps(detector).module.state_dict()
    assert {key for key in before if key.startswith(tuple(f"{p}." for p in parts))} == frozen
    for state in (detector.state_dict(), average):
        unchanged = {key for key in before if torch.equal(state[key], before[key])}
        assert unchanged == frozen


def test_a_frozen_normalisation_stays_in_evaluation_mode() -> None:
    detector = detector_of()
    freeze(detector, ["backbone"])
    detector.train()
    norms = [m for m in detector.modules() if isinstance(m, nn.BatchNorm2d)]
    held = [m for m in norms if isinstance(m, HeldStill)]
    assert not any(norm.training for norm in held)
    assert all(norm.training for norm in norms if norm not in held)
    assert len(held) == sum(
        isinstance(module, nn.BatchNorm2d) for module in detector.backbone.modules()
    )


def test_freezing_changes_neither_names_nor_outputs() -> None:
    plain, frozen = detector_of().eval(), detector_of()
    freeze(frozen, ["backbone", "neck"])
    frozen.eval()
    images = torch.rand(1, 3, 32, 32)
    assert list(plain.state_dict()) == list(frozen.state_dict())
    with torch.no_grad():
        assert torch.equal(plain(images).main.logits, frozen(images).main.logits)


def test_frozen_parameters_get_no_gradient_and_are_in_no_group() -> None:
    detector = detector_of()
    frozen = freeze(detector, ["backbone"])
    groups = parameter_groups(detector, weight_decay=0.0)
    named = {name for group in groups for name in group["parameter_names"]}
    assert not named & set(frozen)
    three_steps(detector)
    assert all(parameter.grad is None for parameter in detector.backbone.parameters())


def test_freezing_twice_and_a_part_within_another_is_freezing_once() -> None:
    once, twice = detector_of(), detector_of()
    names = freeze(once, ["backbone"])
    assert freeze(twice, ["backbone", "backbone.base.stage3"]) == names
    assert freeze(twice, ["backbone"]) == names


def test_freezing_nothing_changes_nothing() -> None:
    detector = detector_of()
    assert freeze(detector, []) == ()
    assert all(parameter.requires_grad for parameter in detector.parameters())


class ActivatedNorm(nn.BatchNorm2d):
    """A normalisation with a forward pass of its own, as some foreign backbones have."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


def test_a_foreign_normalisation_keeps_its_own_forward_pass() -> None:
    module = nn.Sequential(nn.Sequential(ActivatedNorm(2)), nn.Conv2d(2, 1, 1))
    freeze(module, ["0"])
    module.train()
    out = module[0](torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1))
    torch.testing.assert_close(out.flatten(), torch.tensor([0.0, 1.0]), rtol=1e-4, atol=0)
    assert module.get_buffer("0.0.num_batches_tracked").item() == 0


def test_a_frozen_network_can_be_copied() -> None:
    detector = detector_of()
    freeze(detector, ["backbone"])
    twin = copy.deepcopy(detector).train()
    assert not any(m.training for m in twin.modules() if isinstance(m, HeldStill))
    assert any(isinstance(m, HeldStill) for m in twin.modules())


@pytest.mark.parametrize(
    ("part", "hint"),
    [
        ("bakcbone", "; did you mean 'backbone'?"),
        ("backbone.base.stage5", "; did you mean 'backbone.base.stage4'?"),
        ("qqq", ""),
    ],
)
def test_an_unknown_part_is_refused_with_the_nearest_and_nothing_is_frozen(
    part: str, hint: str
) -> None:
    detector = detector_of()
    with pytest.raises(ConfigError) as caught:
        freeze(detector, ["neck", part])
    assert str(caught.value) == (
        f"freeze: the network has no part {part!r}{hint} "
        "(the largest: backbone, neck, head, auxiliary)"
    )
    assert all(parameter.requires_grad for parameter in detector.parameters())
