"""What a run leaves behind, tells, and begins with; of gelan-t on four drawn images."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import gelan
from gelan.data.drawn.dataset import draw_dataset
from gelan.model.detector import Detector
from gelan.structures.history import EpochRow
from gelan.train.keeping import WeightsWriter
from gelan.train.run_folder import RunFolder
from gelan.train.start import Prepared, prepare
from gelan.weights.loading import load_weights
from tests.unit.train.little import CPU, differing

ROW = EpochRow(
    epoch=2,
    iterations=4,
    seconds=1.0,
    images_per_second=1.0,
    memory_mb=1.0,
    learning_rate=0.01,
    gradient_norm=1.0,
    box=1.0,
    classification=1.0,
    distribution=1.0,
    auxiliary_box=None,
    auxiliary_classification=None,
    auxiliary_distribution=None,
    validation_box=None,
    validation_classification=None,
    validation_distribution=None,
    ap=0.25,
    ap50=0.5,
    ap75=0.125,
    mosaic=True,
    pgi=True,
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("keeping") / "set"
    data = draw_dataset(folder, images={"train": 4, "val": 1}, size_hw=(64, 64))
    settings = {"data": str(data), "model": "yolov9-t", "size": 64, "keep_every": 2, "epochs": 4}
    return prepare(settings, choose=lambda _: CPU)


def write(prepared: Prepared, folder: Path, row: EpochRow, *, is_best: bool) -> None:
    writer = WeightsWriter(prepared=prepared, folder=RunFolder(folder))
    writer(prepared.weights.detector, row=row, is_best=is_best, is_last=True)


def test_the_best_is_for_use_and_the_last_for_training_on(
    prepared: Prepared, tmp_path: Path
) -> None:
    write(prepared, tmp_path, ROW, is_best=True)
    best = load_weights(tmp_path / "best.safetensors")
    last = load_weights(tmp_path / "last.safetensors")
    ours = dict(prepared.weights.detector.state_dict())
    assert differing(ours, dict(last.detector.state_dict())) == []
    left_out = differing(ours, dict(best.detector.state_dict()))
    assert left_out
    assert all(name.startswith("auxiliary.") for name in left_out)
    assert best.description == "yolov9-t, auxiliary part left out"
    assert (last.training_notes, best.training_notes) == ((), ("the auxiliary part was left out",))


def test_a_file_says_what_it_was_trained_on_and_how_good_it_is(
    prepared: Prepared, tmp_path: Path
) -> None:
    write(prepared, tmp_path, ROW, is_best=True)
    found = load_weights(tmp_path / "best.safetensors")
    metadata = found.metadata
    assert metadata.metrics == {"ap": 0.25, "ap50": 0.5, "ap75": 0.125, "split": "val"}
    assert metadata.training["epoch"] == 2
    settings, classes = metadata.training["settings"], metadata.training["classes"]
    assert isinstance(settings, dict)
    assert isinstance(classes, list)
    assert (settings["epochs"], settings["optimizer"]["momentum"]) == (4, 0.937)
    assert classes[0] == {"source_id": 0, "index": 0, "name": "starfish"}
    assert len(classes) == 5
    assert metadata.training["fingerprint"] == prepared.data.fingerprint
    assert found.preprocessing.size == 64
    assert found.classes.names == prepared.data.description.classes.names


def test_without_validation_no_figures_are_claimed(prepared: Prepared, tmp_path: Path) -> None:
    write(prepared, tmp_path, replace(ROW, ap=None, ap50=None, ap75=None), is_best=True)
    assert load_weights(tmp_path / "best.safetensors").metadata.metrics == {}


def test_the_same_weights_make_the_same_file_to_the_bit(prepared: Prepared, tmp_path: Path) -> None:
    files = []
    for _ in range(2):
        write(prepared, tmp_path, ROW, is_best=True)
        files.append([path.read_bytes() for path in sorted(tmp_path.iterdir())])
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("epoch", "is_best", "expected"),
    [
        (1, False, ["last.safetensors"]),
        (1, True, ["best.safetensors", "last.safetensors"]),
        (2, False, ["epoch2.safetensors", "last.safetensors"]),
        (3, False, ["last.safetensors"]),
    ],
)
def test_epochs_are_kept_as_often_as_asked(
    prepared: Prepared, tmp_path: Path, epoch: int, is_best: bool, expected: list[str]
) -> None:
    write(prepared, tmp_path, replace(ROW, epoch=epoch), is_best=is_best)
    assert sorted(path.name for path in tmp_path.iterdir()) == expected


@pytest.mark.parametrize("name", ["best", "last"])
def test_both_load_and_predict(prepared: Prepared, tmp_path: Path, name: str) -> None:
    write(prepared, tmp_path, ROW, is_best=True)
    predictor = gelan.load(tmp_path / f"{name}.safetensors", device="cpu")
    found = list(predictor.predict([prepared.data.train[0].path]))
    assert len(found) == 1


def test_what_is_written_is_what_is_given_and_not_the_network_of_the_start(
    prepared: Prepared, tmp_path: Path
) -> None:
    averaged: Detector = copy.deepcopy(prepared.weights.detector)
    with torch.no_grad():
        averaged.head.get_parameter("classes.0.2.bias").fill_(7.0)
    writer = WeightsWriter(prepared=prepared, folder=RunFolder(tmp_path))
    writer(averaged, row=ROW, is_best=False, is_last=True)
    tensors = load_weights(tmp_path / "last.safetensors").detector.state_dict()
    assert tensors["head.classes.0.2.bias"].tolist() == [7.0] * 5
