"""Our networks against the reference numbers of the published ones, and against their tables.

Tolerances (CPU, float32): raw 1e-4, boxes 5e-3 px, scores 1e-5.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from gelan.model.blocks import ConvNormAct, RepConv
from gelan.model.detector import Detector
from gelan.model.head import decode
from gelan.model.reparameterize import reparameterize
from gelan.structures.predictions import HeadOutput
from gelan.weights.foreign import convert
from gelan.weights.layouts import LAYOUTS
from tests.parity.layer_tables import TableNetwork
from tests.shared_files import golden, golden_weights, keys, make_input, recipe_weights

RAW, BOXES, SCORES = 1e-4, 5e-3, 1e-5
SIZES = [(320, 320), (256, 384)]

GOLDENS = {
    "yolov9-t": "yolov9-t",
    "yolov9-c": "yolov9-c",
    "gelan-t": "gelan-t",
    "gelan-c": "gelan-c",
    "gelan-t-cls80": "yolov9-t-converted-released",
    "mtl-v9-t": "mtl-v9-t",
    "mtl-v9-t-cls80": "mtl-v9-t-cls80",
    "ultralytics-yolov9t": "ultralytics-yolov9t",
}
"""Reference file -> list of its tensors' names."""


def raw_channels(output: HeadOutput) -> Tensor:
    """(1, 4 * bins + classes, anchors): the channel order of the published networks."""
    return torch.cat([output.distances.flatten(2), output.logits], dim=2).transpose(1, 2)


def decoded_channels(output: HeadOutput, size_hw: tuple[int, int]) -> Tensor:
    """(1, 4 + classes, anchors): centre x, centre y, width, height in pixels, then scores."""
    boxes, scores = decode(output, size_hw)
    top_left, bottom_right = boxes[..., :2], boxes[..., 2:]
    centres = [(top_left + bottom_right) / 2, bottom_right - top_left, scores]
    return torch.cat(centres, dim=2).transpose(1, 2)


def largest(ours: Tensor, theirs: NDArray[np.float32], *, every: int = 7) -> float:
    """The largest absolute difference, where need be to a reference that keeps every 7th."""
    if ours.shape[-1] != theirs.shape[-1]:
        ours = ours[..., ::every]
    return float(np.abs(ours.numpy() - theirs).max())


@torch.no_grad()
def assert_meets(detector: Detector, arrays: dict[str, NDArray[np.float32]], prefix: str) -> None:
    """Every recorded output of one input size is met."""
    height, width = map(int, prefix.rpartition(".")[0].rpartition(".")[2].split("x"))
    predictions = detector(make_input(height, width))
    outputs = {"main": predictions.main}
    if predictions.auxiliary is not None:
        outputs["aux"] = predictions.auxiliary
    assert {key for key in arrays if key.startswith(prefix) and key.endswith(("_raw", "_dec"))} == {
        f"{prefix}{branch}_{kind}" for branch in outputs for kind in ("raw", "dec")
    }
    for branch, output in outputs.items():
        decoded, reference = (
            decoded_channels(output, (height, width)),
            arrays[f"{prefix}{branch}_dec"],
        )
        assert largest(raw_channels(output), arrays[f"{prefix}{branch}_raw"]) < RAW
        assert largest(decoded[:, :4], reference[:, :4]) < BOXES
        assert largest(decoded[:, 4:], reference[:, 4:]) < SCORES


@pytest.mark.parametrize(("name", "key_list"), GOLDENS.items())
def test_a_published_network_gives_its_recorded_outputs(name: str, key_list: str) -> None:
    arrays = golden(name)
    detector = convert(golden_weights(name, key_list), source=name).detector
    for height, width in SIZES:
        assert_meets(detector, arrays, f"{height}x{width}.")


def test_the_detector_in_a_segmentation_file_is_exact() -> None:
    arrays = golden("gelan-c-seg")
    converted = convert(golden_weights("gelan-c-seg", "gelan-c-seg"), source="gelan-c-seg")
    assert len(converted.notes) == 1
    assert "mask branch were left behind" in converted.notes[0]
    with torch.no_grad():
        output = converted.detector(make_input(192, 256)).main
    decoded, reference = decoded_channels(output, (192, 256)), arrays["192x256.dec_mc"]
    assert largest(raw_channels(output), arrays["192x256.raw"], every=5) < RAW
    assert largest(decoded[:, :4], reference[:, :4]) < BOXES
    assert largest(decoded[:, 4:], reference[:, 4:84]) < SCORES


def unit_scales(key_list: str) -> dict[str, float]:
    """BatchNorm scales of 1, for the recipe."""
    return {key.rpartition(".")[0]: 1.0 for key, _, _ in keys(key_list) if ".bn." in key}


def test_the_layer_tables_run_as_the_reference_does() -> None:
    for name in ("yolov9-t", "yolov9-c"):
        arrays = golden(name)
        network = TableNetwork(name, golden_weights(name, name))
        auxiliary, main = (torch.cat(pair, dim=1) for pair in network.run(make_input(320, 320)))
        assert largest(main, arrays["320x320.main_raw"]) < RAW
        assert largest(auxiliary, arrays["320x320.aux_raw"]) < RAW


@pytest.mark.parametrize("size", ["t", "s", "m", "c", "e"])
@pytest.mark.parametrize("family", ["yolov9", "gelan"])
@torch.no_grad()
def test_every_size_computes_what_its_layer_table_says(family: str, size: str) -> None:
    name = f"{family}-{size}"
    images = make_input(128, 160)
    table = TableNetwork(name, recipe_weights(name, unit_scales(name)), calibrate=True)
    table.run(images)
    table.calibrate = False
    expected = [torch.cat(pair, dim=1) for pair in table.run(images)]
    converted = convert(table.state, source=name)
    predictions = converted.detector(images)
    assert converted.recognised.name == name
    assert expected[-1].std() > 0.1  # the comparison is not one of zeros
    assert (raw_channels(predictions.main) - expected[-1]).abs().max() < RAW
    folded = reparameterize(converted.detector)(images)
    assert (raw_channels(folded.main) - raw_channels(predictions.main)).abs().max() < RAW
    if family == "yolov9":
        assert predictions.auxiliary is not None
        assert (raw_channels(predictions.auxiliary) - expected[0]).abs().max() < RAW


@pytest.mark.parametrize("size", ["t", "s", "m", "c"])
def test_multimediatechlab_files_hold_the_same_network_under_other_names(size: str) -> None:
    name = f"yolov9-{size}"
    wanted = convert(recipe_weights(name, unit_scales(name)), source=name).detector.state_dict()
    (layout,) = (
        layout
        for layout in LAYOUTS
        if layout.family == "multimediatechlab" and size in layout.sizes and layout.has_auxiliary
    )
    listed = {key: shape for key, shape, _ in keys(f"mtl-v9-{size}")}
    theirs = {layout.theirs(ours): tensor for ours, tensor in wanted.items()}
    theirs |= {key: torch.arange(16.0).view(listed[key]) for key in layout.constants}
    assert {key: tuple(tensor.shape) for key, tensor in theirs.items()} == listed
    converted = convert(theirs, source="mtl")
    assert converted.recognised.name == name
    for ours, tensor in converted.detector.state_dict().items():
        assert torch.equal(tensor, wanted[ours]), ours


@pytest.mark.parametrize("size", ["s", "m", "c", "e"])
def test_ultralytics_files_are_official_ones_with_an_ungrouped_box_tower(size: str) -> None:
    name = f"ultralytics-yolov9{size}"
    converted = convert(recipe_weights(name, unit_scales(name)), source=name)
    assert converted.recognised.name == f"gelan-{size}"
    assert converted.recognised.spec.head.box_groups == 1


@pytest.mark.parametrize("size", ["t", "s", "m", "c", "e"])
@torch.no_grad()
def test_a_folded_file_becomes_a_network_that_folds_back_to_it(size: str) -> None:
    name = f"gelan-{size}"
    tensors = recipe_weights(f"{name}.fused", {})
    converted = convert(tensors, source=name)
    assert len(converted.training_notes) == 2
    folded = reparameterize(converted.detector)
    compared = 0
    for path, module in converted.detector.named_modules():
        if isinstance(module, ConvNormAct | RepConv):
            leaf = "conv.weight" if isinstance(module, ConvNormAct) else "conv3.weight"
            theirs = converted.recognised.layout.theirs(f"{path}.{leaf}")
            theirs = theirs if leaf == "conv.weight" else theirs.replace(".conv1.conv.", ".conv.")
            twin = folded.get_parameter(f"{path}.0.weight")
            torch.testing.assert_close(twin, tensors[f"model.{theirs}"], rtol=1e-6, atol=1e-6)
            compared += 1
    assert compared == sum(key.endswith(".conv.bias") for key in tensors) - 5 * (
        size == "e"
    )  # routes
