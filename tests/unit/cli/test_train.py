from __future__ import annotations

import contextlib
import io
import os
import shlex
import signal
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from gelan.cli import train
from gelan.cli.main import main
from gelan.cli.train import HEADINGS, Options, Teller, epoch_line, settings_of
from gelan.config import parse_command_line
from gelan.data.drawn.dataset import draw_dataset
from gelan.errors import ConfigError
from gelan.structures.history import EpochRow
from gelan.train import telling
from gelan.train.engine import Engine
from gelan.train.run_folder import RunFolder
from gelan.train.telling import command_of
from gelan.train.trainer import Status

SMALL = ["--model", "gelan-t", "--size", "64", "--epochs", "1", "--device", "cpu"]
SMALL += ["--precision", "fp32", "--workers", "0", "--batch", "2"]
ROW = EpochRow(
    epoch=9,
    iterations=90,
    seconds=90.0,
    images_per_second=123.45,
    memory_mb=2048.0,
    learning_rate=0.01,
    gradient_norm=1.0,
    box=1.5,
    classification=12.25,
    distribution=0.125,
    auxiliary_box=None,
    auxiliary_classification=None,
    auxiliary_distribution=None,
    validation_box=1.0,
    validation_classification=2.0,
    validation_distribution=3.0,
    ap=0.25,
    ap50=0.5,
    ap75=0.2,
    mosaic=True,
    pgi=False,
)


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("cli") / "set"
    return str(draw_dataset(folder, images={"train": 4, "val": 2}, size_hw=(64, 64)))


def command(*words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of `gelan train`."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = main(["train", *words])
    return code, out.getvalue(), errors.getvalue()


@pytest.fixture(scope="module")
def finished(drawings: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run with PGI, and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "my run"
    words = ["--data", drawings, *SMALL, "--pgi", "on", "--out", str(folder)]
    code, out, errors = command(*words, "--set", "augment.hue=0.0", "val_split=val")
    assert code == 0, errors
    return folder, out


def test_a_run_says_what_it_does_and_leaves_a_folder_to_open(finished: tuple[Path, str]) -> None:
    folder, out = finished
    lines = out.splitlines()
    assert "5 classes" in lines[0]
    assert "classes (source id -> index, name): 0 -> 0 starfish, 1 -> 1 fish" in out
    assert "network: yolov9-t, from fresh weights, with PGI, on cpu" in lines
    assert any(line.startswith("chosen: nominal_batch = 2: only ") for line in lines)
    assert any(line.startswith("PGI costs ") and "MB memory" in line for line in lines)
    assert HEADINGS in lines
    assert any(line.startswith("    1/1  ") for line in lines)
    assert f"weights  {folder / 'best.safetensors'}" in lines
    assert f"report   {folder / 'report.html'}" in lines
    names = {path.name for path in folder.iterdir()}
    assert {
        *("config.yaml", "environment.json", "state.pt", "results.csv", "report.html"),
        *("best.safetensors", "last.safetensors", "curves.svg", "labels.svg", "batch1.jpg"),
        *("validation1.jpg", "confusion.svg"),
    } <= names
    assert not [name for name in names if "unfinished" in name]


def test_the_command_in_the_report_begins_the_same_run(
    finished: tuple[Path, str], drawings: str
) -> None:
    folder, _ = finished
    settings = RunFolder(folder).read_state()["identity"]["settings"]
    line = command_of(settings)
    assert f"--data {shlex.quote(drawings)} --model gelan-t" in line
    assert line.endswith("--set augment.hue=0.0 val_split=val")
    words = shlex.split(line)[2:]
    again = parse_command_line(Options, words, program="gelan train", description="")
    assert settings_of(again) == settings
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "--set augment.hue=0.0 val_split=val" in page


def test_a_finished_run_that_is_taken_up_tells_the_same_again(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    weights = (folder / "best.safetensors").read_bytes()
    (folder / "report.html").unlink()
    (folder / ".state.pt.7.unfinished").write_bytes(b"half")
    code, out, errors = command("--resume", str(folder), "--quiet")
    assert code == 0, errors
    assert out == f"\nweights  {folder / 'best.safetensors'}\nreport   {folder / 'report.html'}\n"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "--set augment.hue=0.0 val_split=val" in page
    assert "PGI costs" in page
    assert (folder / "best.safetensors").read_bytes() == weights
    assert not (folder / ".state.pt.7.unfinished").exists()


def test_a_dry_run_says_the_plan_and_writes_nothing(
    drawings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, errors = command("--data", drawings, *SMALL, "--dry-run", "--processes", "2")
    assert code == 0, errors
    assert "network: gelan-t, from fresh weights, without PGI, on cpu" in out
    assert "chosen: pgi = off: gelan-t: it has none; --pgi on attaches a new one" in out
    assert HEADINGS not in out
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_a_resumed_run_changes_nothing(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert command("--resume", str(folder), "--dry-run")[0] == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_folder_that_exists_is_refused_at_once_and_untouched(
    drawings: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    code, out, errors = command("--data", drawings, *SMALL, "--out", str(tmp_path))
    assert code == 2
    assert errors == f"gelan: --out {tmp_path}: exists already; choose another name\n"
    assert out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_running_out_of_memory_ends_with_1_and_the_run_goes_on(
    drawings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(Engine, "backward", fail)
        code, _, errors = command("--data", drawings, *SMALL, "--out", str(folder))
    assert code == 1
    assert "out of memory in epoch 1 with batches of 2" in errors
    monkeypatch.setattr(telling, "tell", lambda outcome, command: None)
    code, out, errors = command("--resume", str(folder))
    assert code == 0, errors
    assert f"going on in {folder}" in out or "epoch" in out


def test_an_interrupted_run_ends_with_1_and_says_how_to_go_on(
    drawings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: Teller, status: Status) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Teller, "on_batch", interrupt)
    folder = tmp_path / "run"
    code, out, errors = command("--data", drawings, *SMALL, "--out", str(folder), "--quiet")
    assert (code, out) == (1, "")
    assert errors.splitlines()[-1] == (
        "gelan: interrupted in epoch 1: its state is saved, and "
        f"gelan train --resume {folder} goes on"
    )
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name the labelled images: --data data.yaml, or a folder"),
        (["--set", "epochs=3"], "--set epochs: there is an option for it, --epochs"),
        (["--set", "epoch=3"], "settings: unknown key 'epoch'; did you mean 'epochs'?"),
        (["--set", "augmnt.hue=auto"], "settings: unknown key 'augmnt'"),
        (["--set", "clip=1", "clip=2"], "--set: clip is set twice: keep one of the two"),
        (["--json"], "unknown option --json"),
        (["--processes", "0"], "--processes 0: take 1 or more"),
        (["--precision", "fp64"], "'fp64'"),
        (["--config", "none.yaml"], "none.yaml: cannot be read: No such file or directory"),
        (["--resume", "none"], "none: holds no training run (there is no config.yaml)"),
        (["--resume", "a", "--epochs", "3"], "leave out epochs, or start a new run with --weights"),
        (["--resume", "a", "--set", "clip=1"], "leave out clip, or start"),
        (["--resume", "a", "--config", "b"], "leave out config, or start"),
        (["--resume", "a", "--out", "b"], "leave out out, or start"),
    ],
)
def test_a_wrong_command_says_what_to_do_and_ends_with_2(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, errors = command(*words)
    assert (code, out) == (2, "")
    assert message in errors
    assert len(errors.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_options_go_before_the_settings_file(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("epochs: 3\nseed: 4\naugment: {hue: 0.1}\nweights: null\n")
    options = Options(data="set", config=path, epochs=5, seed=0, set=("augment.scale=0.5",))
    assert settings_of(options) == {
        "epochs": 5,
        "seed": 0,
        "augment.hue": 0.1,
        "weights": None,
        "data": "set",
        "augment.scale": 0.5,
    }


def test_options_and_the_written_command_know_the_same_names() -> None:
    assert set(train._NAMED) == set(telling._OPTIONS)
    assert set(train._NAMED) < {field.name for field in fields(Options)}


def test_an_epoch_is_a_line_under_its_headings() -> None:
    line = epoch_line(ROW, epochs=10, is_best=True)
    assert line == (
        "   9/10   1.500 12.250  0.125  |           6.000 | 0.250  0.500 * |     123.5    2.0G"
        "    10.0 s"
    )
    assert len(line) == len(HEADINGS)
    bars = [place for place, letter in enumerate(HEADINGS) if letter == "|"]
    assert [place for place, letter in enumerate(line) if letter == "|"] == bars


def test_what_was_not_measured_leaves_its_place_empty() -> None:
    row = replace(ROW, ap=None, ap50=None, validation_box=None)
    line = epoch_line(row, epochs=9, is_best=True)
    assert [place for place, letter in enumerate(line) if letter == "|"] == [
        place for place, letter in enumerate(HEADINGS) if letter == "|"
    ]
    figures = line.split("|")[1:3]
    assert [part.strip() for part in figures] == ["", ""]


def status(batch: int) -> Status:
    return Status(
        epoch=1,
        epochs=2,
        batch=batch,
        batches=3,
        images_per_second=1.0,
        memory_mb=1.0,
        losses=lambda: {"box": 1.0, "classification": 2.0, "distribution": 3.0},
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "quiet", "shown"),
    [(io.StringIO(), False, False), (Terminal(), True, False), (Terminal(), False, True)],
)
def test_the_bar_is_for_terminals(
    stream: io.StringIO, quiet: bool, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    teller = Teller(Options(quiet=quiet))
    for batch in (2, 3):  # taken up in the middle of an epoch
        teller.on_batch(status(batch))
    teller.close()
    assert bool(stream.getvalue()) is shown
    if shown:
        assert "epoch 1/2" in stream.getvalue()
        assert "1/3" in stream.getvalue()


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for field in fields(Options):
        assert f"--{field.name.replace('_', '-')}" in text


def test_settings_are_refused_beside_resume_but_not_how_it_is_watched() -> None:
    assert settings_of(Options(resume=Path("a"), quiet=True, tensorboard=True)) == {}
    with pytest.raises(ConfigError, match="leave out seed"):
        settings_of(Options(resume=Path("a"), seed=0))
