"""`gelan doctor` from end to end: every planted defect is found where it is, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gelan.cli.main import main
from tests.shared_files import shared
from tests.unit.data.health.synthetic_sets import CLEAN_ROWS, YoloSet, encoded, picture

BAD_ROWS = {
    "value-range": "0 320 240 100 80",
    "box-swapped": "0 0.5 0.5 -0.2 0.3",
    "box-empty": "1 0.5 0.5 0 0.3",
    "class-unknown": "2 0.5 0.5 0.2 0.3",
    "row-fields": "0 0.5 0.5 0.2",
    "row-number": "0 0.5 0.5 0.2 wide",
}
"""Rows that cannot be used, by the kind of their finding."""
ODD_ROWS = {
    "value-rounding": "0 0.5 1.0004 0.2 0.3",
    "box-outside": "0 0.95 0.5 0.2 0.3",
    "row-repeated": CLEAN_ROWS[0],
    "box-repeated": "0 0.301 0.30 0.20 0.30",
    "box-two-classes": "1 0.301 0.30 0.20 0.30",
    "box-thin": "0 0.5 0.5 0.9 0.01",
}
"""Rows that are used, but suspicious."""


def doctor(place: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """Exit code and JSON of a run."""
    code = main(["doctor", "--data", str(place), "--json", *words])
    return code, json.loads(capsys.readouterr().out)


def above_note(report: Any) -> list[tuple[str, str, int | None]]:  # noqa: ANN401
    return [
        (found["kind"], found["file"], found["line"])
        for found in report["findings"]
        if found["severity"] != "note"
    ]


def test_a_clean_set_has_nothing_above_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ((), ("--strict",), ("--quick",)):
        code, report = doctor(YoloSet(tmp_path).place, capsys, *words)
        assert (code, above_note(report)) == (0, [])


@pytest.mark.parametrize(("kind", "row"), BAD_ROWS.items(), ids=BAD_ROWS.keys())
@pytest.mark.parametrize("quick", [(), ("--quick",)], ids=["full", "quick"])
def test_a_bad_row_is_an_error_at_its_line(
    kind: str,
    row: str,
    quick: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = YoloSet(tmp_path)
    data.add("train", "t3", picture(3), [*CLEAN_ROWS, row])
    code, report = doctor(data.place, capsys, *quick)
    assert code == 1
    assert (kind, str(data.label("train", "t3")), 3) in above_note(report)


@pytest.mark.parametrize(("kind", "row"), ODD_ROWS.items(), ids=ODD_ROWS.keys())
def test_an_odd_row_is_a_warning_at_its_line(
    kind: str, row: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = YoloSet(tmp_path)
    data.add("val", "v3", picture(103), [*CLEAN_ROWS, row])
    code, report = doctor(data.place, capsys)
    assert code == 0
    assert (kind, str(data.label("val", "v3")), 3) in above_note(report)
    assert doctor(data.place, capsys, "--strict")[0] == 1


IMAGES: dict[str, Callable[[], bytes]] = {
    "image-unreadable": lambda: encoded(picture(50))[:900],
    "leak": lambda: encoded(picture(104)),
    "leak-near": lambda: encoded(picture(104), quality=50),
    "duplicate": lambda: encoded(picture(4)),
}


@pytest.mark.parametrize(("kind", "image"), IMAGES.items(), ids=IMAGES.keys())
def test_a_bad_image_is_found(
    kind: str,
    image: Callable[[], bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = YoloSet(tmp_path)
    path = data.add("train", "zz", image())
    assert above_note(doctor(data.place, capsys)[1]) == [(kind, str(path), None)]


def test_a_label_without_an_image_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = YoloSet(tmp_path)
    data.image("train", "t2").unlink()
    expected = [("label-orphan", str(data.label("train", "t2")), None)]
    assert above_note(doctor(data.place, capsys)[1]) == expected


def test_a_whole_set_of_corners_is_diagnosed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = YoloSet(tmp_path)
    random = np.random.default_rng(0)
    for split, first in (("train", 0), ("val", 100)):
        for number in range(6):
            left, top = random.uniform(0.3, 0.6, 2)
            row = f"{number % 2} {left:.3f} {top:.3f} 0.95 0.97"
            data.add(split, f"{split[0]}{number}", picture(first + number), [row])
    kinds = {kind for kind, _, _ in above_note(doctor(data.place, capsys)[1])}
    assert "values-corners" in kinds


def test_the_fixed_copy_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = YoloSet(tmp_path / "mine")
    for number, row in enumerate(BAD_ROWS.values()):
        data.add("train", f"t{number}", picture(number), [*CLEAN_ROWS, row])
    for kind, image in IMAGES.items():
        data.add("train", f"zz-{kind}", image())
    code, report = doctor(data.place, capsys, "--fix", str(tmp_path / "copy"))
    assert code == 1
    assert len(report["changes"]) == len(BAD_ROWS) + len(IMAGES) + 1
    code, report = doctor(tmp_path / "copy", capsys, "--strict")
    assert (code, above_note(report)) == (0, [])
    assert report["splits"]["train"]["objects"] == 12


def test_the_words_group_findings_and_end_with_their_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = YoloSet(tmp_path / "mine")
    data.add("train", "zz", encoded(picture(104)))
    assert main(["doctor", "--data", str(data.place), "--fix", str(tmp_path / "copy")]) == 1
    out = capsys.readouterr().out
    assert "ERROR leak (1): the same image in two splits" in out
    assert "1 error, 0 warnings, 1 note; every image was decoded\n" in out
    assert f"left out of train: the same file as {data.image('val', 'v4')} in val\n" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--data", ".", "--shown", "0"], "--shown is 0; it must be at least 1"),
        (["--data", ".", "--fix", "there"], "--fix there: exists already; choose another name"),
        (["--data", ".", "--fix", "new", "--quick"], "leave --quick out"),
        (["--data", "set", "--fix", "set/images/new"], "lies in the data set, in "),
        (["--data", "set", "--fix", "file/x"], "file/x: cannot be made: "),
        (["--data", "set", "--fix", "/proc/x/y"], "/proc/x/y: cannot be made: "),
    ],
)
def test_what_cannot_run_ends_with_2_and_one_line(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    YoloSet(tmp_path / "set", per_split=1)
    monkeypatch.setattr(
        "gelan.data.health.report.examine", lambda *_, **__: pytest.fail("too late")
    )
    assert main(["doctor", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_the_report_comes_out_even_if_no_image_would_be_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    data = YoloSet(tmp_path / "mine", per_split=0)
    for split in ("train", "val"):
        data.add(split, "a", b"no image")
    copy = tmp_path / "copy"
    assert main(["doctor", "--data", str(data.place), "--fix", str(copy), *words]) == 2
    out, err = capsys.readouterr()
    assert out.count("image-unreadable") >= 1
    if words:
        assert json.loads(out)["changes"] is None
    assert "no image would be left" in err
    assert err.count("\n") == 1
    assert not copy.exists()


def test_names_that_are_no_text_are_printed_and_written_down(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine", per_split=2)
    label = data.label("train", "\udce9")  # the byte E9 alone, which is no UTF-8
    try:
        data.image("train", "t1").rename(data.image("train", "\udce9"))
    except (OSError, ValueError):
        pytest.skip("this file system has no such names")
    data.label("train", "t1").rename(label)
    label.write_text("9 .5 .5 .1 .1\n0 .5 .5 .1 .1\n")
    command = [sys.executable, "-m", "gelan", "doctor", "--data", str(data.place)]
    copy = tmp_path / "copy"
    done = subprocess.run(
        [*command, "--fix", str(copy)],
        check=False,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"\\udce9.txt:1: class 9 is outside 0..1" in done.stdout
    assert b"\\udce9.txt:1: left out" in (copy / "changes.txt").read_bytes()


def test_a_pipe_among_the_images_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = YoloSet(tmp_path, per_split=2)
    os.mkfifo(data.image("train", "x", ".png"))
    os.mkfifo(data.label("train", "t1").with_name("y.txt"))
    data.add("train", "z", picture(9))
    data.label("train", "z").unlink()
    os.mkfifo(data.label("train", "z"))
    code, report = doctor(data.place, capsys)
    assert code == 1
    assert [(kind, Path(file).name) for kind, file, _ in above_note(report)] == [
        ("image-unreadable", "x.png"),
        ("label-unreadable", "z.txt"),
        ("label-orphan", "y.txt"),
    ]


def test_blood_cells_have_two_empty_boxes_and_a_slide_in_two_splits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, report = doctor(shared("data/bccd/BCCD"), capsys)
    found = [(kind, Path(file).name, line) for kind, file, line in above_note(report)]
    assert code == 1
    assert sorted(found, key=str) == [
        ("box-empty", "BloodImage_00338.xml", 163),
        ("box-empty", "BloodImage_00343.xml", 55),
        ("leak-near", "BloodImage_00038.jpg", None),
    ]


def test_red_cells_have_four_boxes_of_two_classes_and_turned_copies_in_train_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, report = doctor(shared("data/rbc"), capsys)
    assert code == 0
    assert {kind for kind, _, _ in above_note(report)} == {"box-two-classes"}
    assert report["kinds"]["box-two-classes"]["count"] == 4
    copies = [found for found in report["findings"] if found["kind"] == "duplicate-near"]
    numbers = [
        [Path(word).name.split("_")[0] for word in (found["file"], found["cause"].split()[-1])]
        for found in copies
    ]
    assert len(numbers) > 50
    assert all(one == other for one, other in numbers)  # image-7_png.rf.<a> and image-7_png.rf.<b>


def test_coco_has_nothing_above_note(capsys: pytest.CaptureFixture[str]) -> None:
    place = shared("data/coco128/annotations/instances_train2017.json")
    code, report = doctor(place, capsys)
    assert (code, above_note(report)) == (0, [])
    assert report["classes"][79]["source_id"] == 90
