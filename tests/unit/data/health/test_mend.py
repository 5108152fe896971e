from __future__ import annotations

import json
from pathlib import Path

import pytest

from gelan.data.description import open_dataset
from gelan.data.health.mend import CHANGES_FILE, mend
from gelan.data.health.report import HealthReport, examine, examine_labels
from gelan.errors import ConfigError, SourceError
from tests.unit.data.health.synthetic_sets import CLEAN_ROWS, YoloSet, encoded, picture


def report_of(place: Path) -> HealthReport:
    return examine(open_dataset(place))


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def planted(root: Path) -> YoloSet:
    """A leak, a duplicate, a truncated image, bad rows and a box that reaches out."""
    data = YoloSet(root)
    data.add("train", "leak", encoded(picture(103), quality=50))
    data.add("train", "twice", picture(1))
    data.add("train", "t2", encoded(picture(2))[:900])
    data.add("val", "v1", picture(101), [*CLEAN_ROWS, "0 0.5 0.5 -0.1 0.2", "0 0.95 0.5 0.2 0.2"])
    return data


def test_the_copy_passes_and_the_original_is_untouched(tmp_path: Path) -> None:
    data = planted(tmp_path / "mine")
    before = contents(data.root)
    mend(report_of(data.place), tmp_path / "copy")
    assert contents(data.root) == before
    copy = report_of(tmp_path / "copy" / "data.yaml")
    assert [str(found) for found in copy.findings if found.severity != "note"] == []
    assert {split: of.images for split, of in copy.counts.items()} == {"train": 5, "val": 6}
    assert copy.description.classes.names == ("cat", "dog")


def test_every_change_is_told_with_its_place_and_written_down(tmp_path: Path) -> None:
    data = planted(tmp_path / "mine")
    changes = mend(report_of(data.place), tmp_path / "copy")
    label = data.label("val", "v1")
    assert changes[:-1] == [
        f"{label}:4: changed: the box reaches 5.0% of the image's size out of it; it is cut there",
        f"{label}:3: left out: width -0.1, height 0.2: a size is never negative",
        f"{data.image('train', 'leak')}: left out of train: nearly the same as "
        f"{data.image('val', 'v3')} in val",
        f"{data.image('train', 't2')}: left out of train: the JPEG is cut short: "
        "it has no end marker; copy or download it again",
        f"{data.image('train', 'twice')}: left out of train: the same file as "
        f"{data.image('train', 't1')}",
    ]
    assert changes[-1] == f"11 images -> {tmp_path / 'copy'}; 5 changes, see {CHANGES_FILE}"
    assert (tmp_path / "copy" / CHANGES_FILE).read_text().splitlines() == changes[:-1]


def test_an_object_that_stands_twice_in_a_coco_file_is_written_once(tmp_path: Path) -> None:
    image = {"id": 1, "file_name": "a.png", "width": 160, "height": 120}
    fields = {"image_id": 1, "category_id": 5, "iscrowd": 0}
    boxes = [[2, 2, 50, 40], [2, 2, 50, 40], [60, 60, 50, 40]]
    annotations = [{"id": n, "bbox": box, **fields} for n, box in enumerate(boxes)]
    categories = [{"id": 5, "name": "cat"}]
    content = {"images": [image], "annotations": annotations, "categories": categories}
    (tmp_path / "mine").mkdir()
    place = tmp_path / "mine" / "train.json"
    place.write_text(json.dumps(content))
    (tmp_path / "mine" / "a.png").write_bytes(encoded(picture(1), ".png"))
    changes = mend(report_of(place), tmp_path / "copy")
    (change,) = [line for line in changes if "the same object of a.png" in line]
    copy = report_of(tmp_path / "copy")
    assert change.startswith(str(place))
    assert [row.boxes for row in copy.mapping] == [2]
    assert copy.description.classes.category_ids == (5,)
    assert [record.labels.ids.tolist() for record in copy.description.splits["train"]] == [[0, 2]]


def test_of_two_objects_alike_a_crowd_is_another_and_so_is_one_with_another_outline(
    tmp_path: Path,
) -> None:
    image = {"id": 1, "file_name": "a.png", "width": 160, "height": 120}
    fields = {"image_id": 1, "category_id": 5, "bbox": [2, 2, 50, 40]}
    outline = {"segmentation": [[2, 2, 52, 2, 52, 42]]}
    annotations = [fields, {**fields, "iscrowd": 1}, {**fields, **outline}]
    content = {
        "images": [image],
        "annotations": [{"id": n, **one} for n, one in enumerate(annotations)],
        "categories": [{"id": 5, "name": "cat"}],
    }
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.json").write_text(json.dumps(content))
    (tmp_path / "mine" / "a.png").write_bytes(encoded(picture(1), ".png"))
    mend(report_of(tmp_path / "mine"), tmp_path / "copy")
    assert json.loads((tmp_path / "copy" / "train.json").read_text()) == content


def test_an_existing_place_is_refused_and_stays(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine")
    (tmp_path / "copy").mkdir()
    with pytest.raises(ConfigError, match="already"):
        mend(report_of(data.place), tmp_path / "copy")
    assert contents(tmp_path / "copy") == {}


def test_a_report_on_labels_alone_is_refused(tmp_path: Path) -> None:
    report = examine_labels(open_dataset(YoloSet(tmp_path / "mine").place))
    with pytest.raises(ConfigError, match="needs the images"):
        mend(report, tmp_path / "copy")


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine", per_split=0)
    for split in ("train", "val"):
        data.add(split, "a", b"no image")
    with pytest.raises(SourceError, match="no image would be left"):
        mend(report_of(data.place), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_split_of_which_nothing_is_left_is_said(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine", per_split=1)
    data.add("train", "t0", b"no image")
    changes = mend(report_of(data.place), tmp_path / "copy")
    assert f"{data.place}: split 'train' left out: no image is left" in changes
