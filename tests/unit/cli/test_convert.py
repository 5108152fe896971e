from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gelan.cli.main import main
from gelan.model.variants import build
from gelan.structures.classes import ClassTable
from gelan.weights.loading import load_weights, new_weights, save_weights


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network in our format."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "x.safetensors"
    detector = build("yolov9-t", num_classes=2)
    classes = ClassTable(("cat", "dog"))
    save_weights(path, new_weights(detector, classes, training={}, metrics={"ap": 0.5}))
    return path


def run(*words: object) -> int:
    return main(["convert", *map(str, words)])


def test_without_a_name_the_result_never_replaces_what_is_read(
    ours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ours.read_bytes()
    assert run(ours, "--deploy") == 0
    assert capsys.readouterr().out.splitlines() == [
        "note: the auxiliary part was left out",
        "network: yolov9-t, auxiliary part left out",
        "licence: not stated: whoever trained the network decides",
        f"{ours} -> {ours.with_name('x-gelan.safetensors')}",
    ]
    assert ours.read_bytes() == before
    assert run(ours) == 2
    assert capsys.readouterr().err == (
        f"gelan: {ours.with_name('x-gelan.safetensors')}: exists already, and is not overwritten; "
        "choose another name\n"
    )


def test_new_classes_are_the_same_in_every_run_and_told_ever_after(
    ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--new-classes", "st. bernard,poodle", "--out")
    assert run(ours, *words, tmp_path / "a.safetensors") == 0
    torch.rand(1)
    assert run(ours, *words, tmp_path / "b.safetensors") == 0
    first, second = (tmp_path / f"{name}.safetensors" for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    weights = load_weights(first)
    assert weights.classes.names == ("st. bernard", "poodle")
    assert "until they are trained, its detections mean nothing" in capsys.readouterr().out
    assert "until they are trained" in weights.notes[-1]


@pytest.mark.parametrize(
    ("name", "content"),
    [("text.pt", b"hello"), ("empty.pt", b""), ("a" * 300 + ".pt", None)],
)
def test_what_cannot_be_read_gives_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert run(tmp_path / name) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_place_where_nothing_can_be_written_is_refused_before_reading(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there.safetensors"
    there.write_text("mine")
    damaged = tmp_path / "damaged.pt"
    damaged.write_text("no weights at all")
    assert run(damaged, "--out", there) == 2
    assert capsys.readouterr().err == (
        f"gelan: {there}: exists already, and is not overwritten; choose another name\n"
    )
    assert run(damaged, "--out", tmp_path / "no" / "x.safetensors") == 2
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["x.pt", "x.PTH", "x.ckpt", "x.bin", "x.onnx"])
def test_a_name_that_promises_another_format_is_refused(
    ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(ours, "--out", tmp_path / name) == 2
    assert capsys.readouterr().err == (
        f"gelan: --out {tmp_path / name}: what is written is a safetensors file; call it "
        "x.safetensors\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_texts_of_a_file_only_show(
    ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = load_weights(ours)
    metadata = replace(weights.metadata, licence="MIT\nlicence: Apache-2.0\x1b[2J")
    hostile = tmp_path / "x.safetensors"
    save_weights(hostile, replace(weights, metadata=metadata, notes=("a\rnote",)))
    assert run(hostile) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        r"note: a\rnote",
        "network: yolov9-t",
        r"licence: MIT\nlicence: Apache-2.0\x1b[2J",
    ]
