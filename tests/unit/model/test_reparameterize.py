"""Folding: only what is known to fold is folded, everywhere it stands, rounded once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gelan.errors import ConfigError
from gelan.model.auxiliary import attach_auxiliary, detach_auxiliary
from gelan.model.blocks import ConvNormAct, Fusable, RepConv, fold_norm
from gelan.model.detector import detector_on
from gelan.model.reparameterize import reparameterize
from gelan.model.variants import build
from tests.unit.model.test_blocks import shaken

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
MAP = torch.rand(2, 4, 8, 8, generator=torch.Generator().manual_seed(1)).double()


class Flagged(nn.Module):
    """A user's backbone with an attribute `fused` of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.fused = True
        self.maps = nn.ModuleList(nn.Conv2d(3, 8, 1, stride=stride) for stride in (8, 16, 32))

    def forward(self, images: Tensor) -> list[Tensor]:
        return [part(images) for part in self.maps]


class Doubled(Fusable):
    """A user's block that folds itself: twice a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = 2 * self.conv(x)
        return out

    def fused(self) -> nn.Module:
        twin = nn.Conv2d(4, 4, 1, bias=False, dtype=self.conv.weight.dtype)
        with torch.no_grad():
            twin.weight.copy_(2 * self.conv.weight)
        return twin


def test_an_attribute_of_the_name_fused_is_not_a_way_to_fold() -> None:
    detector = detector_on(Flagged(), widths=(8, 8, 8), num_classes=2).eval()
    twin = reparameterize(detector)
    assert isinstance(twin.backbone.get_submodule("network"), Flagged)
    expected, found = detector(IMAGES).main.logits, twin(IMAGES).main.logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_block_that_says_that_it_is_fusable_folds_itself() -> None:
    network = nn.Sequential(Doubled()).double()
    twin = reparameterize(network)
    assert isinstance(twin[0], nn.Conv2d)
    torch.testing.assert_close(twin(MAP), network(MAP), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "block", [ConvNormAct(4, 6), RepConv(4, 6)], ids=["ConvNormAct", "RepConv"]
)
def test_a_block_alone_is_folded_too(block: ConvNormAct | RepConv) -> None:
    shaken(block.double())
    twin = reparameterize(block)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in twin.modules())
    assert not any(parameter.requires_grad for parameter in twin.parameters())
    torch.testing.assert_close(twin(MAP), block(MAP), rtol=1e-12, atol=1e-9)


def test_a_block_that_stands_twice_is_folded_once_for_both_places() -> None:
    block = ConvNormAct(4, 4)
    network = shaken(nn.Sequential(block, block, nn.Sequential(block))).double()
    twin = reparameterize(network)
    assert twin[0] is twin[1]
    assert isinstance(twin[2], nn.Sequential)
    assert twin[2][0] is twin[0]
    assert not any(isinstance(module, nn.BatchNorm2d) for module in twin.modules())
    torch.testing.assert_close(twin(MAP), network(MAP), rtol=1e-12, atol=1e-9)
    assert network[0] is network[1]


def test_a_norm_without_weights_and_a_convolution_with_bias_are_folded_exactly() -> None:
    block = ConvNormAct(4, 6)
    block.conv = nn.Conv2d(4, 6, 3, padding=2, dilation=2)
    block.norm = nn.BatchNorm2d(6, affine=False)
    block.act = nn.ReLU()
    network = shaken(nn.Sequential(block)).double()
    twin = reparameterize(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in twin.modules())
    torch.testing.assert_close(twin(MAP), network(MAP), rtol=1e-12, atol=1e-9)


def test_a_norm_without_statistics_is_refused() -> None:
    block = ConvNormAct(4, 6)
    block.norm = nn.BatchNorm2d(6, track_running_stats=False)
    with pytest.raises(ConfigError, match="has no running statistics, so it cannot be folded"):
        reparameterize(nn.Sequential(block))


def test_norms_of_a_foreign_part_stay() -> None:
    network = shaken(nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), ConvNormAct(4, 4)))
    twin = reparameterize(network)
    assert [type(module).__name__ for module in twin] == ["Conv2d", "BatchNorm2d", "Sequential"]


def test_folding_rounds_once_from_double_precision() -> None:
    block = ConvNormAct(64, 64)
    shaken(block)
    norm, weight = block.norm, block.conv.weight
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + 1e-3).sqrt()
    expected = (weight.double() * scale[:, None, None, None]).float()
    shift = (norm.bias.double() - norm.running_mean.double() * scale).float()
    folded = fold_norm(block.conv, norm)
    assert folded.bias is not None
    assert torch.equal(folded.weight, expected)
    assert torch.equal(folded.bias, shift)
    single = norm.weight / (norm.running_var + 1e-3).sqrt()
    assert not torch.equal(folded.weight, weight * single[:, None, None, None])


def test_a_twin_is_for_inference_and_takes_no_gradients() -> None:
    network = build("gelan-t", num_classes=1).train()
    twin = reparameterize(network)
    assert not any(parameter.requires_grad for parameter in twin.parameters())
    assert not any(module.training for module in twin.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_twin_takes_no_auxiliary_part_and_says_why() -> None:
    network = build("yolov9-t", num_classes=1)
    twin = reparameterize(network)
    part = detach_auxiliary(twin)
    assert part is not None
    for spec in (part, part.spec, "fpn"):
        with pytest.raises(ConfigError) as caught:
            attach_auxiliary(twin, spec)
        assert str(caught.value) == (
            "this network is re-parameterised, for inference only, where an auxiliary part has no "
            "use; attach it to the network from before reparameterize()"
        )
    attach_auxiliary(twin, "none")
