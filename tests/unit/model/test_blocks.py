"""Blocks: arithmetic by hand, folding, and a block of the user's own."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn

from gelan.errors import ConfigError
from gelan.model.auxiliary import attach_auxiliary
from gelan.model.blocks import (
    BLOCKS,
    GELAN,
    SPPELAN,
    ConvDown,
    ConvNormAct,
    RepConv,
    SplitDown,
)
from gelan.model.detector import build_detector
from gelan.model.reparameterize import reparameterize
from gelan.model.specs import ElanSpec, PoolSpec
from gelan.model.variants import VARIANTS, build, with_block

Network = TypeVar("Network", bound=nn.Module)


def shaken(module: Network, seed: int = 0) -> Network:
    """The module with random weights and BatchNorm statistics, so that folding has work to do."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.9 + 0.1)
    return module.eval()


def test_a_convolution_of_one_pixel_by_hand() -> None:
    block = ConvNormAct(1, 1)
    with torch.no_grad():
        block.conv.weight.fill_(3.0)
        block.norm.weight.fill_(2.0)
        block.norm.bias.fill_(1.0)
    block.norm.running_mean = torch.tensor([4.0])
    block.norm.running_var = torch.tensor([1.0 - 1e-3])  # with epsilon 1e-3: exactly 1
    # (3 * 2 - 4) / 1 * 2 + 1 = 5, and silu(5) = 5 / (1 + exp(-5))
    expected = 5 / (1 + torch.exp(torch.tensor(-5.0)))
    assert block.eval()(torch.full((1, 1, 1, 1), 2.0)).item() == pytest.approx(expected.item())


def test_norms_have_the_published_epsilon_and_momentum() -> None:
    norms = [m for m in build("yolov9-t").modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 291
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.03)}


@pytest.mark.parametrize("down", [ConvDown, SplitDown])
def test_downsampling_halves_even_sizes(down: type[ConvDown | SplitDown]) -> None:
    assert down(4, 6)(torch.zeros(2, 4, 8, 12)).shape == (2, 6, 4, 6)


@pytest.mark.parametrize(
    "module",
    [
        ConvNormAct(4, 6, kernel=3, stride=2),
        ConvNormAct(4, 8, kernel=3, groups=4),
        RepConv(4, 6),
        ConvDown(4, 6),
        SplitDown(4, 6),
        SPPELAN(4, PoolSpec(out=6, hidden=2)),
        *(GELAN(4, ElanSpec(out=6, split=8, branch=4, block=block)) for block in ("none", *BLOCKS)),
        GELAN(4, ElanSpec(out=6, split=8, branch=6, branches=3, block="csp", depth=2)),
        GELAN(4, ElanSpec(out=6, split=8, branch=6, branches=1, block="dark", depth=3)),
    ],
    ids=lambda module: type(module).__name__,
)
def test_folding_keeps_the_function_and_drops_every_norm(module: nn.Module) -> None:
    original = shaken(nn.Sequential(module)).double()
    before = {key: tensor.clone() for key, tensor in original.state_dict().items()}
    images = torch.rand(2, 4, 16, 16, generator=torch.Generator().manual_seed(1)).double()
    twin = reparameterize(original)
    torch.testing.assert_close(twin(images), original(images), rtol=1e-12, atol=1e-9)
    assert not any(isinstance(m, nn.BatchNorm2d | RepConv) for m in twin.modules())
    assert all(torch.equal(before[key], tensor) for key, tensor in original.state_dict().items())


def test_a_folded_network_has_no_spec_and_the_original_keeps_its_own() -> None:
    detector = build("yolov9-t", num_classes=2)
    spec = detector.spec
    assert reparameterize(detector).spec is None
    assert reparameterize(nn.Sequential(detector))[0].spec is None
    assert detector.spec == spec
    assert spec is not None


def test_folding_twice_changes_nothing_more() -> None:
    twin = reparameterize(shaken(nn.Sequential(RepConv(2, 2))))
    again = reparameterize(twin)
    assert again.state_dict().keys() == twin.state_dict().keys()
    assert all(
        torch.equal(again.state_dict()[key], tensor) for key, tensor in twin.state_dict().items()
    )


class Swap(nn.Module):
    """A user's block: channels in reverse order; it folds itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = ConvNormAct(width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x.flip(1))
        return out


def test_a_block_of_the_users_own_can_be_named_in_a_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BLOCKS, "swap", lambda inputs, outputs, *, depth: Swap(inputs))
    block = GELAN(4, ElanSpec(out=6, split=8, branch=4, block="swap"))
    assert sum(isinstance(module, Swap) for module in block.modules()) == 2
    assert block(torch.zeros(1, 4, 8, 8)).shape == (1, 6, 8, 8)


def test_an_unknown_block_is_named_with_its_place_and_the_nearest() -> None:
    spec = with_block(VARIANTS["gelan-t"], "residul")
    with pytest.raises(ConfigError) as caught:
        build_detector(spec)
    assert str(caught.value) == (
        "backbone.stage2.elan.block: no computational block is called 'residul'; did you mean "
        "'residual'? (known: conv, residual, dark, csp, none); a block of your own must be put "
        "into gelan.model.blocks.BLOCKS first"
    )
    with pytest.raises(ConfigError, match=r"^block: no computational block is called 'residul'"):
        GELAN(4, ElanSpec(out=6, split=8, branch=4, block="residul"))


def test_an_unknown_block_of_an_auxiliary_part_is_named_with_its_place() -> None:
    auxiliary = VARIANTS["yolov9-t"].auxiliary
    assert auxiliary is not None
    assert auxiliary.top_down is not None
    merge4 = replace(auxiliary.top_down.merge4, block="x" * 10**6)
    wrong = replace(auxiliary, top_down=replace(auxiliary.top_down, merge4=merge4))
    with pytest.raises(ConfigError) as caught:
        attach_auxiliary(build("gelan-t"), wrong)
    assert str(caught.value).startswith("auxiliary.top_down.merge4.block: no computational block")
    assert len(str(caught.value)) < 300


def test_a_block_may_have_a_long_name(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "swap_" * 20
    monkeypatch.setitem(BLOCKS, name, lambda inputs, outputs, *, depth: Swap(inputs))
    block = GELAN(4, ElanSpec(out=6, split=8, branch=4, block=name))
    assert any(isinstance(module, Swap) for module in block.modules())


def test_a_block_called_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BLOCKS, "none", lambda inputs, outputs, *, depth: Swap(inputs))
    with pytest.raises(ConfigError) as caught:
        build_detector(VARIANTS["gelan-t"])
    assert str(caught.value) == (
        "BLOCKS has a block called 'none', the word for no block at all: register it under another "
        "name"
    )
