from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gelan.data.drawn.dataset import draw_dataset
from gelan.errors import ConfigError, GelanError, SourceError
from gelan.structures.history import PgiCost
from gelan.train.run_folder import RunFolder
from gelan.train.start import identity_of, open_labelled, prepare, prepare_again
from tests.unit.train.little import CPU

IMAGES = {"train": 4, "val": 2}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(
        tmp_path_factory.mktemp("start") / "set", images=IMAGES, size_hw=(64, 64)
    ).parent


@pytest.fixture
def place(drawn: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return shutil.copytree(drawn, tmp_path / "set")


def pictures(place: Path, split: str) -> list[Path]:
    return sorted((place / "images" / split).iterdir())


def opened(place: Path) -> Any:  # noqa: ANN401
    return open_labelled(str(place / "data.yaml"), train="train", validation="val")


def small(place: Path, **changes: object) -> dict[str, object]:
    return {"data": str(place / "data.yaml"), "model": "gelan-t", "size": 64, **changes}


def begin(place: Path, folder: Path, **changes: object) -> RunFolder:
    """A run folder with settings and a state, as after the first epoch."""
    folder.mkdir()
    prepared = prepare(small(place, **changes), choose=lambda _: CPU)
    cost = PgiCost(
        seconds_without=1.0,
        seconds_with=2.0,
        memory_mb_without=3.0,
        memory_mb_with=4.0,
        images=2,
    )
    run = RunFolder(folder)
    run.write_config(prepared.config)
    run.write_state({"identity": identity_of(replace(prepared, pgi_cost=cost))})
    return run


def test_a_run_is_taken_up_as_it_was_prepared(place: Path, tmp_path: Path) -> None:
    run = begin(place, tmp_path / "run", **{"augment.hue": 0.0, "freeze": ["backbone"]})
    again = prepare_again(run, choose=lambda _: CPU)
    first = prepare(
        small(place, **{"augment.hue": 0.0, "freeze": ["backbone"]}), choose=lambda _: CPU
    )
    assert again.config == first.config
    assert again.choices == first.choices
    assert again.settings == first.settings
    assert again.settings["augment.hue"] == 0.0
    assert again.weights.metadata.licence == first.weights.metadata.licence
    assert again.weights.detector.spec == first.weights.detector.spec
    assert again.pgi_cost is not None
    assert again.pgi_cost.memory_mb_with == 4.0


def rename_class(place: Path) -> None:
    path = place / "data.yaml"
    path.write_text(path.read_text().replace("starfish", "sea star"))


def change_label(place: Path) -> None:
    path = next(file for file in sorted((place / "labels" / "train").iterdir()) if file.read_text())
    words = path.read_text().split(" ")
    path.write_text(" ".join([str((int(words[0]) + 1) % 5), *words[1:]]))


def remove_image(place: Path) -> None:
    pictures(place, "train")[0].unlink()


def move_image(place: Path) -> None:
    image = pictures(place, "train")[-1]
    label = place / "labels" / "train" / f"{image.stem}.txt"
    image.rename(place / "images" / "val" / image.name)
    label.rename(place / "labels" / "val" / label.name)


@pytest.mark.parametrize("change", [rename_class, change_label, remove_image, move_image])
def test_a_run_does_not_go_on_with_other_data(
    place: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    run = begin(place, tmp_path / "run")
    change(place)
    with pytest.raises(ConfigError) as caught:
        prepare_again(run, choose=lambda _: CPU)
    assert str(caught.value) == (
        f"{run.path}: the images or labels in {place / 'data.yaml'} are not those that the run "
        "began with, so it cannot go on as it would have; start a new one with "
        f"--weights {run.last}"
    )


def test_an_image_that_cannot_be_read_is_left_out_and_said(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = pictures(place, "train")[1]
    broken.write_bytes(broken.read_bytes()[:300])
    found = opened(place)
    assert [record.path for record in found.train] == [
        path for path in pictures(place, "train") if path != broken
    ]
    assert len(found.validation) == 2
    assert any(str(broken) in message for message in caplog.messages)
    assert found.findings[0].file == str(broken)


@pytest.mark.parametrize("split", ["train", "val"])
def test_where_no_image_can_be_read_one_message_says_so(place: Path, split: str) -> None:
    for path in pictures(place, split):
        path.write_bytes(b"no picture, but long enough to be one")
    with pytest.raises(SourceError) as caught:
        opened(place)
    message = str(caught.value)
    assert f"not one image of split {split!r} can be read: " in message
    assert message.count(".jpg") == 1


def test_without_validation_images_there_is_no_validation(tmp_path: Path) -> None:
    data = draw_dataset(tmp_path / "set", images={"train": 1}, size_hw=(64, 64))
    found = open_labelled(str(data), train="train", validation="val")
    assert found.validation == ()
    with pytest.raises(GelanError, match="has no split 'test'"):
        open_labelled(str(data), train="train", validation="test")
    settings = {"data": str(data), "model": "gelan-t", "patience": 3}
    with pytest.raises(ConfigError, match="patience = 3 has no effect: no validation split"):
        prepare(settings, choose=lambda _: CPU)


def test_without_data_nothing_begins() -> None:
    with pytest.raises(ConfigError) as caught:
        prepare({"model": "gelan-t"}, choose=lambda _: CPU)
    assert str(caught.value) == "name the labelled images: --data data.yaml, or a folder"


def test_preparing_writes_nothing_and_draws_nothing_from_torchs_state(place: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    prepare(small(place), choose=lambda _: CPU)
    assert torch.equal(torch.rand(1), expected)
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


def test_fp16_on_a_cpu_is_refused_before_anything_is_done(place: Path) -> None:
    with pytest.raises(ConfigError, match="precision fp16 is slow and coarse on a CPU"):
        prepare(small(place, precision="fp16"), choose=lambda _: CPU)
