"""Labelled images, read ahead in threads: the same order, every error, no more than a few."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from gelan.cli.labelled import ReadableSamples, read_ahead
from gelan.data.description import open_dataset


def test_results_come_in_order_whatever_is_finished_first() -> None:
    first_may_end = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert first_may_end.wait(timeout=10)
        else:
            first_may_end.set()
        return number * number

    assert list(read_ahead(work, range(50), threads=2, ahead=4)) == [n * n for n in range(50)]


def test_no_more_is_held_than_was_allowed() -> None:
    started: list[int] = []

    def work(number: int) -> int:
        started.append(number)
        return number

    results = read_ahead(work, range(100), threads=2, ahead=3)
    for count in range(1, 20):
        next(results)
        assert len(started) <= count + 3
    results.close()
    assert len(started) < 30


def test_an_error_reaches_the_one_who_asks() -> None:
    def work(number: int) -> int:
        return 1 // number

    results = read_ahead(work, [1, 0, 1])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_nothing_gives_nothing() -> None:
    assert list(read_ahead(abs, [])) == []


def test_unreadable_images_are_findings_as_the_doctor_words_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for number in range(5):
        cv2.imwrite(str(tmp_path / f"images/{number}.png"), np.full((8, 9, 3), number, np.uint8))
        (tmp_path / f"labels/{number}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "images/2.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [dot]\n")
    samples = ReadableSamples(open_dataset(str(tmp_path / "data.yaml")).split("val"), quiet=True)
    assert [int(sample.image[0, 0, 0]) for sample in samples] == [0, 1, 3, 4]
    (finding,) = samples.findings
    assert (finding.kind, finding.severity) == ("image-unreadable", "error")
    assert finding.file.endswith("2.png")
    assert finding.remedy.endswith(", or take it out")
    assert "2.png: the PNG is cut short" in capsys.readouterr().err
