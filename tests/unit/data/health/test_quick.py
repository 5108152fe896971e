from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gelan.data.description import open_dataset
from gelan.data.health.quick import quick_check, require_usable
from gelan.errors import SourceError
from tests.unit.data.health.synthetic_sets import CLEAN_ROWS, YoloSet, above_note, of_kind, picture


def test_a_clean_set_has_no_finding_above_note(tmp_path: Path) -> None:
    assert above_note(quick_check(open_dataset(YoloSet(tmp_path).place))) == []


def test_no_image_is_opened(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    data.add("train", "t1", b"no image at all")
    assert above_note(quick_check(open_dataset(data.place))) == []


def test_the_images_that_can_be_used_are_given_and_the_rest_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = YoloSet(tmp_path)
    empty = data.add("train", "t1", b"")
    data.add("train", "t2", picture(2), [*CLEAN_ROWS, "9 0.5 0.5 0.1 0.1"])
    description = open_dataset(data.place)
    with caplog.at_level(logging.WARNING):
        usable = require_usable(description, "train")
    assert [record.path.stem for record in usable] == ["t0", "t2", "t3", "t4", "t5"]
    logged = " ".join(record.getMessage() for record in caplog.records)
    assert f"{empty}: the file is empty" in logged
    assert f"{data.label('train', 't2')}:3: class 9 is outside 0..1" in logged


def test_nothing_left_is_one_clear_error(tmp_path: Path) -> None:
    data = YoloSet(tmp_path, per_split=0)
    data.add("train", "t0", b"")
    data.add("val", "v0", picture(1))
    with pytest.raises(SourceError) as caught:
        require_usable(open_dataset(data.place), "train")
    message = str(caught.value)
    assert "no image of split 'train' has an object that can be used (0 of 1 images" in message
    assert f"{data.image('train', 't0')}: the file is empty" in message
    assert f"'gelan doctor --data {data.place}' tells more" in message


def test_a_split_of_background_images_only_is_refused(tmp_path: Path) -> None:
    data = YoloSet(tmp_path, per_split=1)
    data.add("train", "t0", picture(0), [])
    with pytest.raises(
        SourceError, match=r"\(1 of 1 images are there, all of them empty\); 'gelan"
    ):
        require_usable(open_dataset(data.place), "train")


def test_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no split 'test'"):
        require_usable(open_dataset(YoloSet(tmp_path).place), "test")


def test_findings_come_worst_first(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    data.add("train", "t1", picture(1), [*CLEAN_ROWS, CLEAN_ROWS[0], "0 0.5 0.5 0 0"])
    found = quick_check(open_dataset(data.place))
    ranks = [("error", "warning", "note").index(each.severity) for each in found]
    assert ranks == sorted(ranks)
    assert [each.line for each in of_kind(found, "box-empty")] == [4]
