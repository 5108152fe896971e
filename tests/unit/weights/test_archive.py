from __future__ import annotations

import pathlib
import pickle
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gelan.errors import CheckpointError
from gelan.weights.archive import FoundState, find_state, read_archive
from tests.shared_files import golden_weights, keys, shared
from tests.unit.weights.torch_files import foreign


def found_in(path: Path, value: object) -> FoundState:
    """What is found after torch itself has saved the value."""
    torch.save(value, path)
    return find_state(read_archive(path))


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


def normalised_convolution() -> dict[str, nn.Module]:
    return {"conv": nn.Conv2d(3, 4, 3, bias=False), "bn": nn.BatchNorm2d(4, eps=1e-3)}


def network(monkeypatch: pytest.MonkeyPatch, program: str, *, seed: int = 0) -> nn.Module:
    """A tiny module that is pickled as the networks of that program are."""
    torch.manual_seed(seed)
    owner, conv = {
        "official": ("models.yolo.DetectionModel", "models.common.Conv"),
        "ultralytics": ("ultralytics.nn.tasks.DetectionModel", "ultralytics.nn.modules.conv.Conv"),
    }[program]
    layers = [foreign(monkeypatch, conv, parts=normalised_convolution(), i=i) for i in range(2)]
    return foreign(
        monkeypatch,
        owner,
        parts={"model": nn.Sequential(*layers)},
        names={0: "cat", 1: "dog"},
        nc=2,
        stride=torch.tensor([8.0, 16.0, 32.0]),
        yaml={"nc": 2, "backbone": [[-1, 1, "Conv", [16, 3, 2]]]},
        yaml_file="tiny.yaml",
    ).half()


# The published families, as small look-alikes


def test_a_stripped_official_file_gives_the_state_dict_of_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network(monkeypatch, "official")
    options = {"epochs": 500, "save_dir": pathlib.PurePosixPath("runs/a")}
    entries = {"model": model, "ema": None, "epoch": -1, "opt": options, "date": None}
    found = found_in(tmp_path / "a.pt", entries)
    assert_same(found.tensors, model.state_dict())
    assert next(iter(found.tensors)) == "model.0.conv.weight"
    assert (found.where, found.names, found.licence) == ("model", ("cat", "dog"), None)
    assert found.attributes == {
        "epoch": -1,
        "opt": {"epochs": 500, "save_dir": "runs/a"},
        "nc": 2,
        "stride": [8.0, 16.0, 32.0],
        "yaml": {"nc": 2, "backbone": [[-1, 1, "Conv", [16, 3, 2]]]},
        "yaml_file": "tiny.yaml",
        "class": "models.yolo.DetectionModel",
        "batch_norm_epsilons": [0.001],
        "activations": [],
    }


def test_an_unstripped_official_file_gives_its_averaged_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network(monkeypatch, "official", seed=1)
    ema = network(monkeypatch, "official", seed=2)
    momentum = {number: {"momentum_buffer": torch.ones(2)} for number in range(3)}
    entries = {
        "epoch": 3,
        "best_fitness": np.array([0.25]),
        "model": model,
        "ema": ema,
        "updates": 40,
        "optimizer": {"state": momentum, "param_groups": [{"lr": 0.1, "params": [0, 1, 2]}]},
    }
    found = found_in(tmp_path / "last.pt", entries)
    assert_same(found.tensors, ema.state_dict())
    assert not torch.equal(
        found.tensors["model.0.conv.weight"], model.state_dict()["model.0.conv.weight"]
    )
    assert (found.where, found.attributes["updates"]) == ("ema", 40)


def test_an_ultralytics_training_file_has_its_weights_under_ema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network(monkeypatch, "ultralytics")
    entries = {
        "model": None,
        "ema": model,
        "license": "AGPL-3.0 License",
        "train_args": {"imgsz": 640},
    }
    found = found_in(tmp_path / "last.pt", entries)
    assert_same(found.tensors, model.state_dict())
    assert (found.where, found.licence) == ("ema", "AGPL-3.0 License")
    assert found.attributes["train_args"] == {"imgsz": 640}


def test_a_bound_method_in_a_fused_file_is_never_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network(monkeypatch, "ultralytics")
    for module in list(model.modules()):
        if "conv" in module._modules and "bn" in module._modules:
            del module._modules["bn"]
            vars(module)["forward"] = module.forward_fuse
    path = tmp_path / "fused.pt"
    torch.save({"model": model, "ema": None}, path)
    assert b"getattr" in path.read_bytes()
    found = find_state(read_archive(path))
    assert list(found.tensors) == ["model.0.conv.weight", "model.1.conv.weight"]
    assert (found.licence, found.attributes["class"]) == (
        None,
        "ultralytics.nn.tasks.DetectionModel",
    )


@pytest.mark.parametrize(
    ("entries", "value", "where"),
    [
        (("ema.model.", "model.model."), 1.0, "state_dict: ema.model."),
        (("model.model.", "ema.model."), 1.0, "state_dict: ema.model."),
        (("model.model.",), 2.0, "state_dict: model.model."),
    ],
)
def test_a_lightning_file_gives_averaged_weights_before_raw_ones(
    tmp_path: Path, entries: tuple[str, ...], value: float, where: str
) -> None:
    values = {"ema.model.": 1.0, "model.model.": 2.0}
    state = OrderedDict(
        (f"{prefix}0.conv.weight", torch.tensor([values[prefix]])) for prefix in entries
    )
    content = {
        "epoch": 7,
        "global_step": 9,
        "pytorch-lightning_version": "2.6",
        "state_dict": state,
    }
    found = found_in(tmp_path / "epoch=7.ckpt", content)
    assert_same(found.tensors, {"0.conv.weight": torch.tensor([value])})
    assert found.where == where
    assert found.attributes == {"epoch": 7, "global_step": 9, "pytorch-lightning_version": "2.6"}


def test_weights_that_were_left_aside_are_told(tmp_path: Path) -> None:
    state = {"model.model.0.bias": torch.zeros(1), "ema.model.0.bias": torch.ones(1)}
    found = found_in(tmp_path / "a.ckpt", {"state_dict": state})
    assert found.notes == ("1 tensors beside 'ema.model.' were left, first ['model.model.0.bias']",)


@pytest.mark.parametrize("prefix", ["model.", "module.model."])
def test_an_old_trainer_file_loses_the_names_of_its_wrappers(tmp_path: Path, prefix: str) -> None:
    state = {f"{prefix}0.conv.weight": torch.ones(2)}
    content = {"epoch": 1, "model_state_dict": {"a": torch.zeros(1)}, "model_state_dict_ema": state}
    found = found_in(tmp_path / "E001.pt", content)
    assert_same(found.tensors, {"0.conv.weight": torch.ones(2)})
    assert found.where == "model_state_dict_ema"


@pytest.mark.parametrize("entry", ["", "model", "state_dict", "ema"])
def test_a_plain_state_dict_is_taken_as_it_is(tmp_path: Path, entry: str) -> None:
    state = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)).state_dict()
    found = found_in(tmp_path / "plain.pt", {entry: state} if entry else state)
    assert_same(found.tensors, state)
    assert (found.where, found.names, found.licence) == (entry, None, None)


def test_a_bare_module_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(monkeypatch, "official")
    assert_same(found_in(tmp_path / "a.pt", model).tensors, model.state_dict())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cat", "dog"], ("cat", "dog")),
        ({1: "dog", 0: "cat"}, ("cat", "dog")),
        (("cat", 7), ("cat", "7")),
        ([], ()),
        (None, None),
    ],
)
def test_class_names_come_as_a_list_or_by_number(
    tmp_path: Path, names: object, expected: tuple[str, ...] | None
) -> None:
    found = found_in(tmp_path / "a.pt", {"model": {"a": torch.zeros(1)}, "names": names})
    assert (found.names, found.notes) == (expected, ())


@pytest.mark.parametrize("names", [{1: "dog", 2: "cat"}, [["cat"]], "cat"])
def test_class_names_of_another_form_are_told(tmp_path: Path, names: object) -> None:
    found = found_in(tmp_path / "a.pt", {"model": {"a": torch.zeros(1)}, "names": names})
    assert found.names is None
    assert found.notes == ("its class names are in a form that is not known, and were left",)


def test_types_shapes_and_shared_storages_are_kept(tmp_path: Path) -> None:
    whole = torch.arange(12, dtype=torch.float64).reshape(3, 4)
    state = {
        "whole": whole,
        "turned": whole.T,
        "part": whole[1:, 2],
        "none": torch.zeros(0, 3),
        "single": torch.tensor(5),
        **{
            str(dtype): torch.tensor([0, 1, 2]).to(dtype)
            for dtype in (torch.float16, torch.bfloat16, torch.int8, torch.uint8, torch.bool)
        },
    }
    torch.save({"model": {**state, "filler": torch.zeros(99)}}, tmp_path / "a.pt")
    found = find_state(read_archive(tmp_path / "a.pt")).tensors
    found.pop("filler")
    assert_same(found, state)
    found["part"][0] = 100.0
    assert found["whole"][1, 2] == 100.0


# What is no weights file


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "holds no weights in a known form, but nothing"),
        ({"epoch": 1, "net": 2}, "holds no weights in a known form, but 'epoch', 'net'"),
        ([1], "holds no weights, only a value of type list"),
        (torch.zeros(2), "holds no weights, only a value of type Tensor"),
        ({"model": "a"}, "entry 'model' is neither a module nor tensors, but str"),
        ({"state_dict": {}}, "entry 'state_dict' is neither a module nor tensors, but dict"),
    ],
)
def test_a_file_without_weights_says_what_it_holds(
    tmp_path: Path, value: object, message: str
) -> None:
    with pytest.raises(CheckpointError) as caught:
        found_in(tmp_path / "a.pt", value)
    assert str(caught.value) == f"{tmp_path / 'a.pt'}: {message}"


def test_averaged_weights_of_an_unknown_form_are_not_replaced_by_raw_ones(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="entry 'ema' is neither a module nor tensors"):
        found_in(tmp_path / "a.pt", {"ema": {"decay": 0.9}, "model": {"a": torch.zeros(1)}})


def test_tensors_that_overlap_beyond_the_file_are_refused(tmp_path: Path) -> None:
    shared_numbers = torch.zeros(10_000)
    state = {f"{number}.weight": shared_numbers for number in range(50)}
    with pytest.raises(CheckpointError, match="its tensors overlap: 2,000,000 bytes in a file of"):
        found_in(tmp_path / "a.pt", state)


OTHER_FILES = {
    "": "is an empty file; a weights file was expected",
    "weights: yolov9-c\n": "is a text file; a weights file was expected",
    "<!DOCTYPE html><html>": "is a web page, not the file behind it; download the file itself",
    "version https://git-lfs.github.com/spec/v1\n": "is a Git LFS pointer, not the file that it "
    "stands for; fetch it with git lfs pull",
    "\0\1": "is of no kind that is known here; a weights file was expected",
}


@pytest.mark.parametrize(("content", "message"), OTHER_FILES.items())
def test_other_files_are_named_for_what_they_are(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "a.pt"
    path.write_text(content)
    with pytest.raises(CheckpointError) as caught:
        read_archive(path)
    assert str(caught.value) == f"{path}: {message}"


def test_an_old_torch_file_says_to_save_it_anew(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save({"a": torch.zeros(1)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(
        CheckpointError, match=r"torch before 1\.6; re-save it with a current torch"
    ):
        read_archive(path)


def test_a_bare_pickle_is_not_read_at_all(tmp_path: Path) -> None:
    path = tmp_path / "bare.pt"
    path.write_bytes(pickle.dumps(SimpleNamespace(a=1), protocol=2))
    with pytest.raises(CheckpointError, match=r"is a bare pickle, .*; nothing in it was run"):
        read_archive(path)


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").touch()
    with pytest.raises(CheckpointError, match="is a folder; name the weights file in it"):
        read_archive(tmp_path)
    with pytest.raises(CheckpointError, match=r"no such file; did you mean 'weights\.pt'\?"):
        read_archive(tmp_path / "weigths.pt")


# The reference files beside the project

GOLDENS = {
    "yolov9-t-official": ("yolov9-t", "yolov9-t", "model", None),
    "gelan-t-official": ("gelan-t", "gelan-t", "model", None),
    "mtl-v9-t": ("mtl-v9-t", "mtl-v9-t", "", None),
    "ultralytics-yolov9t": (
        "ultralytics-yolov9t",
        "ultralytics-yolov9t",
        "model",
        "AGPL-3.0 License (https://ultralytics.com/license)",
    ),
}
"""File -> reference of its statistics, list of its names, entry, licence."""


@pytest.mark.parametrize("name", GOLDENS)
def test_the_published_layouts_are_read_exactly(name: str) -> None:
    statistics, key_list, where, licence = GOLDENS[name]
    found = find_state(read_archive(shared(f"golden/{name}.pt")))
    assert [(key, tuple(tensor.shape)) for key, tensor in found.tensors.items()] == [
        (key, shape) for key, shape, _ in keys(key_list)
    ]
    for key, tensor in golden_weights(statistics, key_list).items():
        expected = tensor.half() if tensor.is_floating_point() else tensor
        assert torch.equal(found.tensors[key], expected), key
    assert (found.where, found.licence) == (where, licence)


def test_the_trained_network_is_read() -> None:
    path = shared("weights/yolov9t-ultralytics-coco-fp32.pt")
    tensors = find_state(read_archive(path)).tensors
    assert len(tensors) == 454
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert tensors["model.0.conv.weight"].shape == (16, 3, 3, 3)
