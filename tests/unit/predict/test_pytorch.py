"""The network as it is deployed in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from gelan.errors import ConfigError
from gelan.model.blocks import RepConv
from gelan.model.head import decode
from gelan.model.variants import build
from gelan.predict.backends.pytorch import TorchModel, choose_device, deployed
from gelan.structures.predictions import HeadOutput

IMAGES = np.random.default_rng(0).random((2, 3, 64, 96), np.float32)


def test_a_deployed_network_is_folded_channels_last_and_without_its_auxiliary_part() -> None:
    detector = build("yolov9-t", num_classes=2)
    twin = deployed(detector, device=torch.device("cpu"), precision="fp32")
    assert twin.auxiliary is None
    assert not any(isinstance(module, nn.BatchNorm2d | RepConv) for module in twin.modules())
    weight = twin.get_parameter("backbone.base.stage2.elan.branches.0.conv.0.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    assert detector.auxiliary is not None
    assert detector.training


def test_boxes_and_scores_are_those_of_the_detector() -> None:
    torch.manual_seed(0)
    detector = build("yolov9-t", num_classes=2).eval()
    with torch.no_grad():
        boxes, scores = decode(detector(torch.from_numpy(IMAGES)).main, (64, 96))
    output = TorchModel(detector, device="cpu")(IMAGES)
    np.testing.assert_allclose(output.boxes, boxes.numpy(), atol=5e-3)
    np.testing.assert_allclose(output.scores, scores.numpy(), atol=1e-5)
    assert output.scores.flags.c_contiguous


def test_bf16_gives_single_precision_results_near_those_of_fp32() -> None:
    torch.manual_seed(0)
    detector = build("gelan-t", num_classes=2)
    single, half = (
        TorchModel(detector, device="cpu", precision=precision)(IMAGES)
        for precision in ("fp32", "bf16")
    )
    assert half.boxes.dtype == half.scores.dtype == np.float32
    assert np.abs(half.boxes - single.boxes).max() < 4.0


def test_scores_of_half_precision_logits_are_computed_in_single() -> None:
    logits = torch.full((1, 42, 1), -5.03125, dtype=torch.bfloat16)
    output = HeadOutput(logits, torch.zeros(1, 42, 4, 16))
    _, scores = decode(output, (32, 64))
    assert scores.dtype == torch.float32
    assert scores[0, 0, 0].item() == pytest.approx(1 / (1 + np.exp(5.03125)), rel=1e-5)


def test_fp16_on_a_cpu_and_unknown_devices_are_refused() -> None:
    with pytest.raises(ConfigError, match="fp16 is slow and coarse on a CPU"):
        TorchModel(build("gelan-t"), device="cpu", precision="fp16")
    with pytest.raises(ConfigError, match="device 'gpu7' cannot be used here"):
        choose_device("gpu7")


@pytest.mark.parametrize("name", ["meta", "mps:9", "privateuseone", "", "vulkan"])
def test_a_device_that_gives_no_results_here_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{name}' cannot be used here"):
        choose_device(name)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    ],
)
def test_a_batch_that_does_not_fit_into_memory_says_what_to_do(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TorchModel(build("gelan-t", num_classes=1), device="cpu")

    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(model, "_answer", full)
    with pytest.raises(
        ConfigError, match="cpu is too small for 2 images of 96 x 64 together; take"
    ):
        model(IMAGES)


def test_other_errors_of_torch_are_not_taken_for_a_lack_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = TorchModel(build("gelan-t", num_classes=1), device="cpu")

    def broken(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(model, "_answer", broken)
    with pytest.raises(RuntimeError, match="a mistake"):
        model(IMAGES)
