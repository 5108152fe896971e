"""From files to networks and back: published families, our format, other classes."""

from __future__ import annotations

import math
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gelan.errors import CheckpointError, ConfigError
from gelan.model.auxiliary import detach_auxiliary
from gelan.model.detector import Detector
from gelan.model.head import decode
from gelan.model.variants import build
from gelan.structures.classes import ClassTable
from gelan.structures.coco import COCO
from gelan.weights.changes import with_classes
from gelan.weights.foreign import convert
from gelan.weights.layouts import LAYOUTS, Layout
from gelan.weights.loading import LoadedWeights, load_weights, renamed, save_weights
from tests.shared_files import golden, make_input, shared

IMAGES = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


MIT = (
    "not stated in the file: MIT if it is MultimediaTechLab's own file; "
    "a fine-tune's licence is its author's"
)
GPL = (
    "not stated in the file: GPL-3.0 if it is WongKinYiu's own file; "
    "a fine-tune's licence is its author's"
)


def layout_of(family: str, size: str, *, auxiliary: bool) -> Layout:
    return next(
        layout
        for layout in LAYOUTS
        if (layout.family, layout.has_auxiliary) == (family, auxiliary)
        and size in layout.sizes
        and not layout.left_behind
    )


def published_tensors(detector: Detector, layout: Layout, prefix: str = "") -> dict[str, Tensor]:
    """The detector's tensors under published names, with the constants that such files have."""
    tensors = {
        f"{prefix}{layout.theirs(ours)}": tensor for ours, tensor in detector.state_dict().items()
    }
    constants = {
        f"{prefix}{name}": torch.arange(16.0)[None, :, None, None] for name in layout.constants
    }
    return tensors | constants


def small(name: str = "yolov9-t", num_classes: int = 3) -> Detector:
    torch.manual_seed(0)
    return build(name, num_classes=num_classes).eval()


def same_state(first: Detector, second: Detector) -> bool:
    states = first.state_dict(), second.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(tensor, states[1][name]) for name, tensor in states[0].items()
    )


@pytest.fixture
def published_file(tmp_path: Path) -> Path:
    """A plain state dict of the training graph under official names."""
    layout = layout_of("official", "t", auxiliary=True)
    torch.save(published_tensors(small(), layout, "model."), tmp_path / "published.pt")
    return tmp_path / "published.pt"


def test_a_plain_state_dict_with_official_names_is_recognised(published_file: Path) -> None:
    weights = load_weights(published_file)
    assert same_state(weights.detector, small())
    assert weights.classes.names == ("class 0", "class 1", "class 2")
    assert weights.notes == (
        "the file has no class names; they are called 'class 0', 'class 1', ...",
    )
    assert not weights.detector.training
    assert weights.metadata.provenance["family"] == "unknown (official layout)"


def test_bare_safetensors_with_published_names_are_read_too(tmp_path: Path) -> None:
    layout = layout_of("multimediatechlab", "t", auxiliary=True)
    save_file(published_tensors(small(), layout), tmp_path / "v9-t.safetensors")
    weights = load_weights(tmp_path / "v9-t.safetensors")
    assert same_state(weights.detector, small())
    assert weights.metadata.licence == MIT


def test_a_lightning_file_gives_its_averaged_weights(tmp_path: Path) -> None:
    layout = layout_of("multimediatechlab", "t", auxiliary=False)
    averaged = published_tensors(small("gelan-t"), layout, "ema.model.")
    raw = {name.replace("ema.", "model."): tensor * 0 for name, tensor in averaged.items()}
    torch.save({"epoch": 3, "state_dict": raw | averaged}, tmp_path / "last.ckpt")
    assert same_state(load_weights(tmp_path / "last.ckpt").detector, small("gelan-t"))


def test_half_precision_files_come_in_single_precision(tmp_path: Path) -> None:
    layout = layout_of("official", "t", auxiliary=False)
    tensors = published_tensors(small("gelan-t"), layout, "model.")
    halves = {k: t.half() if t.is_floating_point() else t for k, t in tensors.items()}
    torch.save({"model": halves}, tmp_path / "half.pt")
    detector = load_weights(tmp_path / "half.pt").detector
    assert {parameter.dtype for parameter in detector.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in detector.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_our_files_in_another_precision_come_in_single_precision(
    dtype: torch.dtype, published_file: Path, tmp_path: Path
) -> None:
    weights = load_weights(published_file)
    weights.detector.to(dtype)
    save_weights(tmp_path / "x.safetensors", weights)
    again = load_weights(tmp_path / "x.safetensors").detector
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}
    assert again(IMAGES).main.logits.shape == (1, 84, 3)


def test_whole_numbers_in_place_of_weights_are_named() -> None:
    layout = layout_of("official", "t", auxiliary=False)
    tensors = published_tensors(small("gelan-t"), layout, "model.")
    tensors["model.0.conv.weight"] = tensors["model.0.conv.weight"].to(torch.int8)
    with pytest.raises(CheckpointError, match=r"'0\.conv\.weight' holds torch\.int8 where"):
        convert(tensors, source="x.pt")


def test_our_format_keeps_the_network_and_everything_about_it(
    published_file: Path, tmp_path: Path
) -> None:
    names = ClassTable(("cat", "dog", "Bär 熊"), (7, 3, 90))
    weights = renamed(load_weights(published_file), names)
    save_weights(tmp_path / "ours.safetensors", weights)
    again = load_weights(tmp_path / "ours.safetensors")
    assert same_state(again.detector, weights.detector)
    assert again.classes == names
    assert again.preprocessing == weights.preprocessing
    assert again.metadata.provenance["file"] == "published.pt"
    assert again.detector.spec == weights.detector.spec
    assert again.notes == weights.notes == ()
    save_weights(tmp_path / "twice.safetensors", again)
    twice, once = (tmp_path / "twice.safetensors"), (tmp_path / "ours.safetensors")
    assert twice.read_bytes() == once.read_bytes()


def test_without_its_auxiliary_part_a_file_holds_none_of_its_tensors(
    published_file: Path, tmp_path: Path
) -> None:
    weights = load_weights(published_file)
    expected = weights.detector(IMAGES).main
    detach_auxiliary(weights.detector)
    save_weights(tmp_path / "deployed.safetensors", weights)
    again = load_weights(tmp_path / "deployed.safetensors").detector
    assert again.auxiliary is None
    assert not [name for name in again.state_dict() if "auxiliary" in name]
    assert torch.equal(again(IMAGES).main.logits, expected.logits)


def test_a_file_is_never_overwritten(published_file: Path, tmp_path: Path) -> None:
    weights = load_weights(published_file)
    (tmp_path / "kept.safetensors").write_text("precious")
    with pytest.raises(CheckpointError, match="exists already"):
        save_weights(tmp_path / "kept.safetensors", weights)
    assert (tmp_path / "kept.safetensors").read_text() == "precious"


def test_other_classes_renew_the_class_outputs_only_and_name_them(published_file: Path) -> None:
    weights = load_weights(published_file)
    changed = with_classes(weights, ClassTable(("cat", "dog")))
    old, new = weights.detector.state_dict(), changed.detector.state_dict()
    outputs = [
        f"{part}head.classes.{level}.2.{leaf}"
        for part in ("", "auxiliary.")
        for level in range(3)
        for leaf in ("weight", "bias")
    ]
    assert old.keys() == new.keys()
    assert [name for name in new if not torch.equal(old[name], new[name])] == sorted(
        outputs, key=list(new).index
    )
    assert new["head.classes.0.2.weight"].shape[0] == 2
    fresh = new["head.classes.0.2.weight"]
    assert fresh.std() > 0
    assert new["head.classes.0.2.bias"].tolist() == pytest.approx(
        [math.log(5 / 2 / 80**2)] * 2  # the prior of 2 classes at stride 8
    )
    note = changed.notes[-1]
    assert note.startswith("12 of 1770 tensors were not taken over, for 2 classes instead of 3: ")
    assert all(name in note for name in outputs)


def test_the_class_tower_keeps_its_width_for_few_classes(published_file: Path) -> None:
    changed = with_classes(load_weights(published_file), ClassTable(("plate",)))
    spec = changed.detector.spec
    assert spec is not None
    assert spec.head.class_width == 80


def test_as_many_names_as_classes_are_asked_for(published_file: Path) -> None:
    with pytest.raises(ConfigError, match="2 names were given for a network of 3 classes"):
        renamed(load_weights(published_file), ClassTable(("a", "b")))


def test_eighty_nameless_classes_are_taken_for_coco_and_it_is_said(tmp_path: Path) -> None:
    layout = layout_of("official", "t", auxiliary=False)
    tensors = published_tensors(small("gelan-t", 80), layout, "model.")
    torch.save(tensors, tmp_path / "nameless.pt")
    weights = load_weights(tmp_path / "nameless.pt")
    assert weights.classes == COCO
    assert weights.notes == (
        "the file has no class names; its 80 classes are taken for those of COCO",
    )


DAMAGE = {
    "missing": "1 tensor missing, first '4.cv1.conv.weight' (64, 64, 1, 1)",
    "surplus": "1 tensor surplus, first '4.cv9.weight' (2,)",
    "misshapen": "1 tensor misshapen, first '4.cv1.conv.weight' (5,) instead of (64, 64, 1, 1)",
    "constants": "tensor '22.dfl.conv.weight' should be the constants 0 .. 15",
}
"""Ways to spoil a state dict, each with the message that it must bring."""


def damage(kind: str, tensors: dict[str, Tensor]) -> None:
    if kind == "missing":
        del tensors["model.4.cv1.conv.weight"]
    elif kind == "surplus":
        tensors["model.4.cv9.weight"] = torch.zeros(2)
    elif kind == "misshapen":
        tensors["model.4.cv1.conv.weight"] = torch.zeros(5)
    else:
        tensors["model.22.dfl.conv.weight"] = torch.ones(1, 16, 1, 1)


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_names_the_tensor_and_what_it_looks_like(kind: str) -> None:
    tensors = published_tensors(
        small("gelan-t"), layout_of("official", "t", auxiliary=False), "model."
    )
    damage(kind, tensors)
    with pytest.raises(CheckpointError) as caught:
        convert(tensors, source="x.pt")
    assert str(caught.value).startswith(f"x.pt: {DAMAGE[kind]}")
    if kind != "constants":
        assert str(caught.value).endswith(
            "the file looks like a gelan-t (or converted yolov9-t) file"
        )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["0.conv.weight"], "the trunk is that of size t"),
        (["22.cv3.0.0.0.conv.weight"], "depthwise class tower"),
        (["38.dfl3.conv.weight"], "three heads"),
        (["model.encoder.weight"], "not the tensors of a YOLOv9 network"),
    ],
)
def test_other_networks_are_refused_by_name(names: list[str], message: str) -> None:
    tensors = {"0.conv.weight": torch.zeros(16, 3, 3, 3)} if "0." in names[0][:3] else {}
    tensors |= {name: torch.zeros(16, 3, 3, 3) for name in names}
    with pytest.raises(CheckpointError, match=message):
        convert(tensors, source="x.pt")


def test_hostile_and_broken_files_get_one_line_and_run_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {marker}",)

    torch.save({"model": Attack()}, tmp_path / "attack.pt")
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "empty.pt").touch()
    whole = tmp_path / "whole.pt"
    torch.save({"a": torch.zeros(1000)}, whole)
    (tmp_path / "truncated.pt").write_bytes(whole.read_bytes()[:-400])
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("archive/data.pkl", b"\0" * 10**8)
    for name in ("attack.pt", "text.pt", "empty.pt", "truncated.pt", "bomb.pt", "absent.pt"):
        with pytest.raises(CheckpointError) as caught:
            load_weights(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)
    assert not marker.exists()


def test_a_spec_that_was_tampered_with_is_refused(published_file: Path, tmp_path: Path) -> None:
    weights = load_weights(published_file)
    from gelan.config import to_mapping
    from gelan.weights.checkpoint import save_checkpoint

    assert weights.detector.spec is not None
    architecture = to_mapping(weights.detector.spec)
    architecture["backbone"]["stems"] = 16
    metadata = replace(weights.metadata, architecture=architecture)
    save_checkpoint(tmp_path / "x.safetensors", weights.detector.state_dict(), metadata=metadata)
    with pytest.raises(CheckpointError) as caught:
        load_weights(tmp_path / "x.safetensors")
    assert str(caught.value) == (
        f"{tmp_path}/x.safetensors: architecture: unknown key 'backbone.stems'; "
        "did you mean 'stem'?"
    )


def raw_and_decoded(weights: LoadedWeights, size: tuple[int, int]) -> dict[str, Tensor]:
    """Outputs in the channel order of the reference files."""
    with torch.no_grad():
        predictions = weights.detector(make_input(*size))
    outputs = {"main": predictions.main}
    if predictions.auxiliary is not None:
        outputs["aux"] = predictions.auxiliary
    found: dict[str, Tensor] = {}
    for branch, output in outputs.items():
        raw = torch.cat([output.distances.flatten(2), output.logits], 2).transpose(1, 2)
        boxes, scores = decode(output, size)
        centres = (boxes[..., :2] + boxes[..., 2:]) / 2
        decoded = torch.cat([centres, boxes[..., 2:] - boxes[..., :2], scores], 2).transpose(1, 2)
        found |= {f"{branch}_raw": raw, f"{branch}_dec": decoded}
    return found


@pytest.mark.parametrize(
    ("file", "arrays_of", "licence"),
    [
        ("yolov9-t-official.pt", "yolov9-t", GPL),
        ("gelan-t-official.pt", "gelan-t", GPL),
        ("mtl-v9-t.pt", "mtl-v9-t", MIT),
        ("ultralytics-yolov9t.pt", "ultralytics-yolov9t", None),
    ],
)
def test_the_reference_files_load_and_give_their_recorded_outputs(
    file: str, arrays_of: str, licence: str | None
) -> None:
    weights = load_weights(shared(f"golden/{file}"))
    arrays = golden(arrays_of)
    if licence is not None:
        assert weights.metadata.licence == licence
    else:
        assert "AGPL-3.0" in weights.metadata.licence
    outputs = raw_and_decoded(weights, (320, 320))
    recorded = [key for key in arrays if key.startswith("pt_half.")]
    assert len(recorded) == len(outputs)
    for key in recorded:
        ours, theirs = outputs[key.rpartition(".")[2]], arrays[key]
        ours = ours if ours.shape[-1] == theirs.shape[-1] else ours[..., ::7]
        difference = np.abs(ours.numpy() - theirs)
        if key.endswith("raw"):
            assert difference.max() < 1e-4
        else:
            assert difference[:, :4].max() < 5e-3
            assert difference[:, 4:].max() < 1e-5


def test_the_real_trained_network_gives_its_recorded_output() -> None:
    weights = load_weights(shared("weights/yolov9t-ultralytics-coco-fp32.pt"))
    arrays = golden("yolov9t-ultralytics-val139")
    assert weights.classes == COCO
    with torch.no_grad():
        boxes, scores = decode(weights.detector(torch.from_numpy(arrays["x"])).main, (640, 640))
    centres = torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], 2)
    recorded = torch.from_numpy(arrays["y"]).transpose(1, 2)
    assert (centres - recorded[..., :4]).abs().max() < 5e-3
    assert (scores - recorded[..., 4:]).abs().max() < 1e-5
