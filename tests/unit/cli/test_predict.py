"""`gelan predict` around a network whose answers are known: exit codes, disks, pipes, terminals."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from jaxtyping import Float32

from gelan.cli.main import main
from gelan.geometry.letterbox import Preprocessing
from gelan.predict.backends.raw import RawOutput
from gelan.predict.predictor import Predictor
from gelan.structures.classes import ClassTable

HOSTILE = "red \x1b[31m\n\ud800"


class OneBox:
    """Says one box of the first class in every image."""

    def __call__(self, images: Float32[np.ndarray, "batch 3 height width"]) -> RawOutput:
        boxes = np.tile(np.array([4, 4, 28, 28], np.float32), (len(images), 1, 1))
        return RawOutput(boxes, np.full((len(images), 1, 1), 0.5, np.float32))


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every weights file is this network; the working directory is empty but for two photos."""
    predictor = Predictor(
        OneBox(), classes=ClassTable((HOSTILE,)), preprocessing=Preprocessing(size=32)
    )
    monkeypatch.setattr("gelan.cli.predict.open_predictor", lambda _: predictor)
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in "ab":
        cv2.imwrite(f"photos/{name}.jpg", np.full((32, 32, 3), 90, np.uint8))


def predict(*words: object) -> int:
    return main(["predict", "--weights", "w.pt", *map(str, words)])


def files() -> set[str]:
    return {path.name for path in Path("runs/predict").rglob("*") if path.is_file()}


# --- what is done in part ----------------------------------------------------------------------


def test_a_list_with_a_missing_line_is_done_but_for_that_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("list.txt").write_text("photos/a.jpg\nphotos/c.jpg\nphotos/b.jpg\n")
    assert predict("--source", "list.txt") == 1
    shown = capsys.readouterr()
    assert "gelan: list.txt:2: photos/c.jpg: no such file or folder" in shown.err
    assert "1 of 3 images could not be read" in shown.err
    assert files() == {"a.jpg", "b.jpg", "detections.jsonl"}


def test_nothing_done_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        Path(f"photos/{name}.jpg").write_bytes(b"no picture")
    assert predict("--source", "photos") == 2
    assert "not one of 2 images could be read" in capsys.readouterr().err


@pytest.mark.parametrize(("first", "code"), [("a.jpg", 2), ("b.jpg", 1)])
def test_a_full_disk_is_one_line_and_leaves_whole_files(
    first: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            if path.name.startswith(first):
                file.write(data[:10])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return file.write(data)

    monkeypatch.setattr(Path, "write_bytes", write)
    assert predict("--source", "photos", "--quiet") == code
    message = capsys.readouterr().err
    disk = "No space left on device; make room on the disk, or choose another place"
    assert f"gelan: runs/predict/pictures/{first}: {disk}" in message
    assert message.endswith(" (after 1 of 2 images)\n") == (code == 1)
    assert message.count("\n") == 1
    pictures = [path.name for path in Path("runs/predict/pictures").iterdir()]
    assert pictures == ([] if code == 2 else ["a.jpg"])


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("/proc/x", "--out /proc/x: cannot be made: "),
        ("photos/a.jpg/sub", "--out photos/a.jpg/sub: cannot be made: Not a directory"),
        ("x" * 300, f"--out {'x' * 200}: cannot be made: File name too long"),
    ],
)
def test_an_impossible_folder_is_one_line(
    out: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict("--source", "photos", "--out", out) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"gelan: {message}")
    assert shown.count("\n") == 1


def test_an_image_too_long_for_jpeg_is_written_as_png_and_the_rest_goes_on() -> None:
    cv2.imwrite("photos/a.jpg", np.zeros((8, 8, 3), np.uint8))
    cv2.imwrite("photos/aa.webp", np.zeros((8, 8, 3), np.uint8))
    tall = np.full((70000, 8, 3), 200, np.uint8)
    Path("photos/aa.webp").unlink()
    cv2.imwrite("photos/aa.bmp", tall)
    assert predict("--source", "photos", "--save", "pictures,crops") == 0
    assert {"a.jpg", "aa.png", "b.jpg"} <= files()


# --- terminals and pipes -----------------------------------------------------------------------


def test_names_do_not_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/a.jpg").rename("photos/a\x1b[2J.jpg")
    assert predict("--source", "photos") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "photos/a\\x1b[2J.jpg: 1 red \\x1b[31m\\n\\ud800"
    assert len(shown) == 3


def test_standard_output_takes_any_character(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    Path("photos/a.jpg").rename("photos/é\udce9.jpg")
    assert predict("--source", "photos/é\udce9.jpg") == 0
    assert raw.getvalue().startswith(b"photos/\\xe9\\udce9.jpg: 1 red")


def many_photos() -> None:
    Path("many").mkdir()
    for number in range(21):
        cv2.imwrite(f"many/{number}.png", np.full((8, 8, 3), number, np.uint8))


def test_many_images_on_a_terminal_get_a_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    many_photos()
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert predict("--source", "many", "--save", "none") == 0
    assert "21/21" in terminal.getvalue()
    assert "image/s" in terminal.getvalue()


@pytest.mark.parametrize("words", [["--source", "many", "--quiet"], ["--source", "photos"]])
def test_few_images_and_quiet_runs_get_none(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    many_photos()
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert predict("--save", "none", *words) == 0
    assert terminal.getvalue() == ""


def test_json_on_a_terminal_is_not_mixed_with_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    many_photos()
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert predict("--source", "many", "--json") == 0
    assert len([json.loads(line) for line in terminal.getvalue().splitlines()]) == 21


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
def test_a_terminal_without_columns_gets_a_bar_that_does_not_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import pty

    many_photos()
    ours, theirs = pty.openpty()  # 0 rows of 0 columns until somebody says otherwise
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        assert predict("--source", "many", "--save", "none") == 0
        terminal.flush()
        assert b"21/21" in os.read(ours, 100_000)
    os.close(ours)


def test_a_reader_that_goes_away_is_exit_code_141_without_a_word() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code = "import sys; from gelan.cli.main import main; sys.exit(main(['--help']))"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_device_as_output_is_one_line() -> None:
    code = "import sys; from gelan.cli.main import main; sys.exit(main(['--help']))"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith(b"gelan: standard output: No space left on device; ")
    assert done.stderr.count(b"\n") == 1


# --- classes -----------------------------------------------------------------------------------


def test_digits_are_an_index(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("--source", "photos", "--classes", "0", "--json") == 0
    assert predict("--source", "photos", "--classes", "1") == 2
    assert capsys.readouterr().err == "gelan: class 1 is outside 0..0\n"


# --- what is refused before the weights are read -------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--save", "none,jsonl"], "--save none,jsonl: none stands alone"),
        (["--save", "jsonl,"], "--save jsonl,: a place between commas is empty; leave it out"),
        (["--save", ""], "--save : a place between commas is empty; leave it out"),
        (["--classes", ""], "--classes is empty; leave it out to get all classes"),
        (["--classes", " "], "--classes is empty; leave it out to get all classes"),
        (["--size", "641"], "--size 641 is not a multiple of 32; take 672"),
        (["--confidence", "2"], "confidence is 2.0; it must lie between 0 and 1"),
        (["--iou=-1"], "iou is -1.0; it must lie between 0 and 1"),
        (["--max-detections", "0"], "max_detections is 0; it must be at least 1"),
        (["--batch", "0"], "--batch is 0; it must be at least 1"),
        (
            ["--save", "pictres"],
            "no output is called 'pictres'; did you mean 'pictures'? "
            "(known: pictures, jsonl, coco, yolo, csv, crops)",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_the_weights_are_read(
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def read(options: object) -> Predictor:
        raise AssertionError("the weights were read")

    monkeypatch.setattr("gelan.cli.predict.open_predictor", read)
    assert predict("--source", "photos", *words) == 2
    assert capsys.readouterr().err == f"gelan: {message}\n"
    assert not Path("runs").exists()


def test_an_option_given_twice_under_two_names_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert predict("--source", "photos", "--confidence", "0.5", "--conf", "0.3") == 2
    message = "gelan predict: --confidence is given twice: keep one of the two\n"
    assert capsys.readouterr().err.endswith(message)


# --- quiet -------------------------------------------------------------------------------------


def test_quiet_leaves_out_warnings_and_notices_but_no_errors(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    cv2.imwrite("photos/a.bmp", np.zeros((66000, 8, 3), np.uint8))
    Path("photos/b.jpg").write_bytes(b"no picture")
    words = ("--source", "photos", "--save", "pictures", "--conf", "0.3")
    assert predict(*words, "--quiet") == 1
    assert caplog.messages == []
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[0].startswith("gelan: photos/b.jpg: ")
    assert shown.err.splitlines()[1:] == ["1 of 3 images could not be read"]
    assert logging.getLogger("gelan").level == logging.NOTSET  # as before
    assert predict(*words) == 1
    assert [message.partition(": ")[2] for message in caplog.messages] == [
        "8 x 66000 is too long for JPEG; written as PNG"
    ]
    assert "--conf is called --confidence here" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_json_to_a_full_device_names_the_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert predict("--source", "photos", "--json") == 2
    assert capsys.readouterr().err.startswith("gelan: standard output: No space left on device; ")
