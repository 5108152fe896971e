"""The network survives what deployment does to it: channels-last, bf16, compile, export."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gelan.model.reparameterize import reparameterize
from gelan.model.variants import build

IMAGES = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def detector() -> nn.Module:
    torch.manual_seed(0)
    return reparameterize(build("gelan-t", num_classes=3))


def test_channels_last_gives_the_same_numbers(detector: nn.Module) -> None:
    expected = detector(IMAGES).main
    twin = reparameterize(detector)
    twin.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs
    found = twin(IMAGES.contiguous(memory_format=torch.channels_last)).main
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-4)


def test_bfloat16_runs_and_stays_near(detector: nn.Module) -> None:
    expected = detector(IMAGES).main.logits
    found = reparameterize(detector).bfloat16()(IMAGES.bfloat16()).main.logits
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).abs().max() < 0.2


def test_an_exported_program_gives_the_same_numbers_at_other_sizes(detector: nn.Module) -> None:
    rows, columns = (
        torch.export.Dim("rows", min=2, max=40),
        torch.export.Dim("columns", min=2, max=40),
    )
    program = torch.export.export(
        detector, (IMAGES,), dynamic_shapes={"images": {2: 32 * rows, 3: 32 * columns}}
    ).module()
    other = torch.rand(1, 3, 128, 64, generator=torch.Generator().manual_seed(1))
    for images in (IMAGES, other):
        torch.testing.assert_close(program(images).main.logits, detector(images).main.logits)
