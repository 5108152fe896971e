from __future__ import annotations

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
