from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from gelan.data.description import open_dataset
from gelan.data.health.pictures import gone_findings, picture_findings
from gelan.data.health.scan import scan
from gelan.structures.findings import Finding
from tests.unit.data.health.synthetic_sets import YoloSet, encoded, picture
from tests.unit.data.image_files import UPRIGHT, saved_turned


def findings_in(place: Path) -> list[Finding]:
    description = open_dataset(place)
    paths = [record.path for records in description.splits.values() for record in records]
    return list(picture_findings(description, scan(paths)))


def coco_of(folder: Path, image: bytes, stated_wh: tuple[int, int]) -> Path:
    """A COCO file of one image that is said to have a width and height."""
    (folder / "a.jpg").write_bytes(image)
    width, height = stated_wh
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": width, "height": height}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 9, 9], "iscrowd": 0}
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (folder / "train.json").write_text(json.dumps(content))
    return folder / "train.json"


def test_sound_images_have_no_findings(tmp_path: Path) -> None:
    assert findings_in(YoloSet(tmp_path).place) == []


def test_a_truncated_image_says_why_and_what_to_do(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    path = data.add("train", "t1", encoded(picture(1))[:900])
    (found,) = findings_in(data.place)
    assert (found.kind, found.severity, found.file) == ("image-unreadable", "error", str(path))
    assert found.cause == "the JPEG is cut short: it has no end marker"
    assert found.remedy == "copy or download it again, or take it out"


def test_an_image_of_another_size_than_stated_is_an_error(tmp_path: Path) -> None:
    place = coco_of(tmp_path, encoded(picture(1)), stated_wh=(320, 240))
    (found,) = findings_in(place)
    assert (found.kind, found.file) == ("image-size", str(place))
    assert found.cause == "labels are for a.jpg of 320 x 240; it has 160 x 120"


def test_labels_for_the_stored_form_of_a_turned_image_are_an_error(tmp_path: Path) -> None:
    turned = saved_turned(UPRIGHT, "JPEG", 6)  # 40 x 24, stored as 24 x 40
    (found,) = findings_in(coco_of(tmp_path, turned, stated_wh=(24, 40)))
    assert found.kind == "image-turned"
    assert found.cause == (
        "labels are for a.jpg as stored, 24 x 40; its EXIF orientation 6 turns it to 40 x 24"
    )


def test_labels_for_the_upright_form_of_a_turned_image_are_right(tmp_path: Path) -> None:
    turned = saved_turned(UPRIGHT, "JPEG", 6)
    assert findings_in(coco_of(tmp_path, turned, stated_wh=(40, 24))) == []


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_labels_in_pixels_do_not_tell_whether_a_turn_that_keeps_the_size_was_seen(
    tmp_path: Path, orientation: int
) -> None:
    upside_down = saved_turned(UPRIGHT, "JPEG", orientation)
    (found,) = findings_in(coco_of(tmp_path, upside_down, stated_wh=(40, 24)))
    assert (found.kind, found.severity) == ("image-exif", "note")


def test_turned_images_with_labels_in_fractions_are_one_note_a_split(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    for number in (1, 2):
        large = np.ascontiguousarray(np.kron(picture(number), np.ones((1, 1, 1), np.uint8)))
        data.add("train", f"t{number}", saved_turned(large, "JPEG", 8))
    (found,) = findings_in(data.place)
    assert found.cause == "2 images of train turned by EXIF, t1.jpg the first"
    assert found.file == str(data.image("train", "t1"))


def test_files_that_are_gone_or_empty_are_found_without_opening_them(tmp_path: Path) -> None:
    empty, gone, sound = (tmp_path / name for name in ("empty.jpg", "gone.jpg", "sound.jpg"))
    empty.write_bytes(b"")
    sound.write_bytes(b"no image, but nobody looks")
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    found = list(gone_findings([empty, gone, sound, gone, pipe]))
    assert [(f.kind, f.file, f.cause) for f in found] == [
        ("image-gone", str(empty), "the file is empty"),
        ("image-gone", str(gone), "cannot be opened: No such file or directory"),
        ("image-gone", str(pipe), "is no ordinary file, but a folder, pipe or device"),
    ]
