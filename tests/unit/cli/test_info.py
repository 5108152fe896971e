"""`gelan info`: one line for what cannot be, and no memory for what is only counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gelan.cli.info import Options, run
from gelan.cli.main import main
from gelan.errors import ConfigError
from gelan.model.variants import build
from gelan.structures.classes import ClassTable
from gelan.weights.changes import without_auxiliary
from gelan.weights.loading import new_weights, save_weights
from tests.shared_files import shared

HOSTILE = "MIT\nlicence: Apache-2.0\r\x1b[2J"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of ours whose texts act on a terminal, without the auxiliary part that it had."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("hostile") / "x.safetensors"
    classes = ClassTable(("\x1b[31mred", "naïve\u202e"))
    weights = new_weights(build("yolov9-t", num_classes=2), classes, training={}, metrics={})
    provenance: dict[str, object] = {"file": HOSTILE, "family": HOSTILE, "entry": HOSTILE}
    metadata = replace(weights.metadata, licence=HOSTILE, provenance=provenance)
    weights = without_auxiliary(replace(weights, metadata=metadata, notes=(HOSTILE,)))
    save_weights(path, weights)
    return path


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "--size 0 is not a multiple of 32; take 32"),
        (-64, "--size -64 is not a multiple of 32; take 32"),
        (100, "--size 100 is not a multiple of 32; take 128"),
        (3_200_000_000, "--size 3200000000 is above 16384, the largest; take 640 or 1280"),
    ],
)
def test_an_impossible_size_is_one_clear_line(size: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        run(Options(target="gelan-t", size=size))
    assert str(caught.value) == message


def test_the_command_line_says_it_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "gelan-t", "--size=-64"]) == 2
    assert capsys.readouterr().err == "gelan: --size -64 is not a multiple of 32; take 32\n"


def test_the_largest_size_is_counted_without_memory_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(Options(target="gelan-t", size=16384, json=True)) == 0
    facts = json.loads(capsys.readouterr().out)
    # 7.71 GFLOPs at 640, and convolutions cost as much a pixel at every size
    expected = 7.71 * (16384 / 640) ** 2
    assert facts["cost"]["folded"]["gflops"] == pytest.approx(expected, rel=1e-3)
    assert facts["size"] == 16384


def test_a_name_that_is_nothing_gets_the_nearest() -> None:
    with pytest.raises(Exception, match=r"yolov9c is neither .*did you mean 'yolov9-c'\?"):
        run(Options(target="yolov9c"))


def test_the_texts_of_a_file_only_show(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Options(target=str(hostile))) == 0
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable()
    shown = r"MIT\nlicence: Apache-2.0\r\x1b[2J"
    lines = out.splitlines()
    assert lines[0] == "yolov9-t, auxiliary part left out, 2 classes"
    assert [line for line in lines if line.startswith("licence:")] == [f"licence: {shown}"]
    assert {f"file: {shown}", f"family: {shown}", f"note: {shown}"} <= set(lines)
    assert r"names: \x1b[31mred, naïve\u202e" in lines


def test_json_is_valid_on_a_terminal_that_knows_ascii_only(hostile: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gelan", "info", str(hostile), "--json"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    facts = json.loads(done.stdout.decode("ascii"))
    assert facts["metadata"]["names"] == ["\x1b[31mred", "naïve\u202e"]
    assert facts["metadata"]["licence"] == HOSTILE
    assert facts["network"] == "yolov9-t, auxiliary part left out"


@pytest.mark.parametrize(
    ("file", "family"),
    [
        ("golden/ultralytics-yolov9t.pt", "ultralytics"),
        # a bare state dict: no class names its program
        ("weights/yolov9t-ultralytics-coco-fp32.pt", "unknown (official layout)"),
    ],
)
def test_a_network_of_ultralytics_is_called_so(
    file: str, family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(shared(file))
    assert run(Options(target=path)) == 0
    lines = capsys.readouterr().out.splitlines()
    name = "yolov9-t as ultralytics builds it, without auxiliary part"
    assert lines[0].startswith(f"{name}, ")
    assert lines[1] == "PGI: no auxiliary branch in it"
    assert f"family: {family}" in lines
    assert run(Options(target=path, json=True)) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["network"] == name
    assert facts["metadata"]["provenance"]["family"] == family
