"""The trainer as a whole: it learns, goes on after any end, and is one engine for many processes.

The networks are yolov9-t at 64 to 128 pixels, the images drawn by the program.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch

from gelan.data.drawn.dataset import draw_dataset
from gelan.report.history_file import read_history

TINY = ["--model", "yolov9-t", "--size", "64", "--workers", "0", "--precision", "fp32"]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "gelan", "train", *words]


def run(*words: str) -> str:
    """Standard output of `gelan train`, which must succeed."""
    return output(command(*words))


def output(words: list[str]) -> str:
    """Standard output of a command, which must succeed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=300, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("drawings") / "set"
    return str(draw_dataset(folder, images={"train": 14, "val": 3}, size_hw=(96, 96)))


def assert_same_weights(path: Path, other: Path, *, tolerance: float = 0.0) -> None:
    ours, theirs = (safetensors.torch.load_file(where) for where in (path, other))
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        largest = (tensor.double() - theirs[name].double()).abs().max().item()
        assert largest <= tolerance * (1 + tensor.abs().max().item()), name


def run_and_kill(words: list[str], state: Path, *, after: float) -> tuple[int, str]:
    """Start a command, and kill it some seconds after it has written the state; code and errors."""
    before = state.stat().st_mtime_ns if state.exists() else 0
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as process:
        while process.poll() is None:
            if state.exists() and state.stat().st_mtime_ns != before:
                time.sleep(after)
                process.kill()
                break
            time.sleep(0.01)
        _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def test_a_run_killed_at_any_moment_goes_on_to_the_same_bits(drawings: str, tmp_path: Path) -> None:
    settings = [
        *TINY,
        *("--data", drawings, "--epochs", "4", "--batch", "4"),
        # PGI ends, mosaics end, gradients are gathered, and the state is saved at every step.
        *("--pgi", "until:3", "--set", "save_minutes=0.0001", "nominal_batch=8"),
        *("augment.close_mosaic=1", "schedule.warmup_epochs=1"),
    ]
    run(*settings, "--out", str(tmp_path / "whole"))
    killed = tmp_path / "killed"
    moments = random.Random(0)
    words = command(*settings, "--out", str(killed), "--quiet")
    kills = 0
    for _ in range(8):
        code, errors = run_and_kill(words, killed / "state.pt", after=moments.uniform(0.0, 1.0))
        assert code in (0, -signal.SIGKILL), errors
        if code == 0:
            break
        kills += 1
        words = command("--resume", str(killed), "--quiet")
    else:
        run("--resume", str(killed))

    assert kills >= 2
    for name in ("best.safetensors", "last.safetensors"):
        assert_same_weights(killed / name, tmp_path / "whole" / name)
    rows, others = (read_history(where / "results.csv") for where in (killed, tmp_path / "whole"))
    for row, other in zip(rows, others, strict=True):
        for field in ("box", "classification", "distribution", "auxiliary_box", "gradient_norm"):
            assert getattr(row, field) == getattr(other, field), field
        assert (row.ap, row.validation_box) == (other.ap, other.validation_box)
    assert [row.pgi for row in rows] == [True, True, True, False]
    assert [row.mosaic for row in rows] == [True, True, True, False]


def test_two_processes_make_the_steps_that_one_makes(drawings: str) -> None:
    script = str(Path(__file__).with_name("two_processes.py"))
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    alone, together = (
        json.loads(output([sys.executable, *words, script, drawings])) for words in ([], torchrun)
    )
    for step, (one, two) in enumerate(zip(alone, together, strict=True)):
        # The loss is computed in single precision, and its rounding grows from step to step.
        assert two == pytest.approx(one, rel=(1e-6, 1e-4, 2e-3)[step])


def test_a_command_in_two_processes_gives_the_run_of_one(drawings: str, tmp_path: Path) -> None:
    gentle = ["--set", "optimizer.learning_rate=1e-5", "schedule.warmup_bias_rate=1e-5"]
    settings = [*TINY, "--data", drawings, "--epochs", "1", "--batch", "4", *gentle]
    run(*settings, "--out", str(tmp_path / "one"))
    run(*settings, "--out", str(tmp_path / "two"), "--processes", "2")
    ((row,), (other,)) = (read_history(tmp_path / name / "results.csv") for name in ("one", "two"))
    for field in ("box", "classification", "distribution", "auxiliary_box", "validation_box"):
        assert getattr(other, field) == pytest.approx(getattr(row, field), rel=5e-3), field
    assert other.validation_box == pytest.approx(row.validation_box, rel=1e-4)
    assert other.iterations == row.iterations
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == {path.name for path in (tmp_path / "two").iterdir()}


def test_a_handful_of_images_is_learnt_by_heart(tmp_path: Path) -> None:
    classes = ("starfish", "crab", "scallop")
    few = {"train": 6, "val": 1}
    data = draw_dataset(tmp_path / "few", images=few, size_hw=(160, 160), classes=classes)
    unchanged = [f"augment.{name}=0" for name in UNUSED_STEPS]
    run(
        *("--data", str(data), "--model", "yolov9-t", "--size", "128", "--batch", "6"),
        *("--epochs", "200", "--workers", "0", "--out", str(tmp_path / "run"), "--set"),
        *("val_split=train", "validate_every=50", "patience=0", "augment.translate=0.05"),
        *("optimizer.kind=adamw", "optimizer.learning_rate=0.002", *unchanged),
    )
    last = read_history(tmp_path / "run" / "results.csv")[-1]
    assert last.ap50 is not None
    assert last.ap50 > 0.95


UNUSED_STEPS = (
    "mosaic",
    "mixup",
    "copy_paste",
    "close_mosaic",
    "scale",
    "hue",
    "saturation",
    "value",
)
