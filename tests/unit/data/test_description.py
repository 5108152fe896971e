from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from gelan.data.description import open_dataset
from gelan.errors import ConfigError, SourceError
from tests.shared_files import shared
from tests.unit.data.formats.small_sets import (
    coco,
    of_kind,
    put,
    put_image,
    put_pair,
    voc,
    voc_object,
)

ROW = "0 0.5 0.5 0.2 0.2\n"
CAT = voc(voc_object("cat", 5, 5, 9, 9))


def test_each_kind_is_recognised_by_what_is_there(tmp_path: Path) -> None:
    put_pair(tmp_path / "yolo", "a", ROW)
    put(tmp_path / "yolo" / "data.yaml", "train: images/train\nnames: [cat]\n")
    put_image(tmp_path / "coco" / "a.png")
    put(tmp_path / "coco" / "train.json", coco())
    put_image(tmp_path / "voc" / "JPEGImages" / "a.png")
    put(tmp_path / "voc" / "Annotations" / "a.xml", CAT)
    put(tmp_path / "voc" / "ImageSets" / "Main" / "val.txt", "a\n")
    put(tmp_path / "train.txt", "yolo/images/train/a.png\n")
    kinds = {
        place: open_dataset(tmp_path / place).kind
        for place in (
            "yolo",
            "yolo/data.yaml",
            "train.txt",
            "coco",
            "coco/train.json",
            "voc",
            "voc/Annotations",
            "voc/ImageSets/Main/val.txt",
        )
    }
    assert list(kinds.values()) == ["yolo"] * 3 + ["coco"] * 2 + ["voc"] * 3


def test_the_kind_is_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put_pair(tmp_path, "a", ROW)
    with caplog.at_level(logging.INFO):
        open_dataset(str(tmp_path))
    assert caplog.messages == [f"{tmp_path}: YOLO, 1 class; train 1 image with 1 box"]


def test_a_folder_around_one_data_set_stands_for_it(tmp_path: Path) -> None:
    put_pair(tmp_path / "around" / "set", "a", ROW)
    put(tmp_path / "around" / "README.md", "read me")
    assert open_dataset(tmp_path / "around").place == tmp_path / "around" / "set"


def test_a_folder_around_several_names_them(tmp_path: Path) -> None:
    put_pair(tmp_path / "one", "a", ROW)
    put_pair(tmp_path / "two", "a", ROW)
    with pytest.raises(SourceError) as caught:
        open_dataset(tmp_path)
    one_of = f"it holds several: name one of {tmp_path / 'one'}, {tmp_path / 'two'}"
    assert str(caught.value).endswith(one_of)


def test_labels_of_another_kind_in_the_same_folder_are_told(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", ROW)
    put(tmp_path / "annotations" / "instances_train.json", coco())
    found = open_dataset(tmp_path)
    (note,) = of_kind(found.findings, "kind-also")
    assert found.kind == "yolo"
    assert note.severity == "note"
    assert str(tmp_path / "annotations") in note.cause
    assert open_dataset(tmp_path / "annotations").kind == "coco"


def test_a_description_of_any_name_is_used_if_it_is_the_only_one(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", ROW)
    put(tmp_path / "cats.yaml", "train: images/train\nnames: [cat]\n")
    put(tmp_path / "other.yaml", "learning_rate: 0.1\n")
    assert open_dataset(tmp_path).classes.names == ("cat",)
    put(tmp_path / "dogs.yml", "train: images/train\nnames: [dog]\n")
    with pytest.raises(
        ConfigError, match=r"holds several descriptions; name one of .*cats\.yaml, "
    ):
        open_dataset(tmp_path)


def test_names_may_be_given_where_the_data_set_has_none(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", ROW)
    assert open_dataset(tmp_path, names=["cat", "dog"]).classes.names == ("cat", "dog")
    put_image(tmp_path / "coco" / "a.png")
    put(tmp_path / "coco" / "train.json", coco())
    for place in ("coco", "coco/train.json"):
        with pytest.raises(ConfigError, match="COCO files name their own classes; leave the names"):
            open_dataset(tmp_path / place, names=["cat"])


def test_a_place_that_is_not_there_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "coco128").mkdir()
    with pytest.raises(SourceError) as caught:
        open_dataset(tmp_path / "coco182")
    missing = tmp_path / "coco182"
    assert str(caught.value) == f"{missing}: there is no {missing}; did you mean 'coco128'?"
    with pytest.raises(SourceError, match=r"there is no .*/set;? ?"):
        open_dataset(tmp_path / "set" / "data.yaml")


def test_a_place_without_labels_says_what_is_known(tmp_path: Path) -> None:
    put_image(tmp_path / "a.png")
    for place, message in (
        (tmp_path, "holds no data set"),
        (tmp_path / "a.png", "is no descripti"),
    ):
        with pytest.raises(SourceError, match=message) as caught:
            open_dataset(place)
        assert "a data.yaml; a folder with images/ and labels/; a COCO JSON" in str(caught.value)


def test_coco128_is_read_as_yolo_with_its_two_odd_label_files() -> None:
    found = open_dataset(shared("data/coco128"))
    assert (found.kind, len(found.classes)) == ("yolo", 80)
    assert {split: len(records) for split, records in found.splits.items()} == {
        "train": 128,
        "val": 128,
    }
    assert sum(row.boxes for row in found.mapping()) == 929 + 898
    assert [(f.kind, Path(f.file).name) for f in found.findings if f.severity != "note"] == [
        ("label-orphan", "000000000656.txt"),
        ("label-orphan", "000000000659.txt"),
        ("names-missing", "coco128"),
    ]


def test_coco128_as_json_has_the_same_boxes_under_cocos_own_ids() -> None:
    as_json = open_dataset(shared("data/coco128/annotations/instances_train2017.json"))
    as_text = open_dataset(shared("data/coco128"))
    assert as_json.mapping()[-1].source_id == 90
    assert as_json.mapping()[-1].index == 79
    texts = {record.path.name: record for record in as_text.splits["train"]}
    for record in as_json.splits["train"]:
        assert record.stated_hw is not None
        annotations = record.annotations(record.stated_hw)
        annotations = annotations[~annotations.crowd]
        others = texts[record.path.name].annotations(record.stated_hw)
        if texts[record.path.name].label_file is not None:
            assert sorted(annotations.classes.tolist()) == sorted(others.classes.tolist())
            np.testing.assert_allclose(
                np.sort(annotations.boxes, axis=0), np.sort(others.boxes, axis=0), atol=0.02
            )


def test_bccd_has_two_empty_boxes_at_known_lines() -> None:
    found = open_dataset(shared("data/bccd"))
    assert [(row.name, row.boxes) for row in found.mapping()] == [
        ("Platelets", 361),
        ("RBC", 4153),
        ("WBC", 372),
    ]
    assert [(f.kind, Path(f.file).name, f.line) for f in found.findings] == [
        ("box-empty", "BloodImage_00343.xml", 55),
        ("box-empty", "BloodImage_00338.xml", 163),
    ]


def test_rbc_loses_its_placeholder_and_nothing_else() -> None:
    found = open_dataset(shared("data/rbc"))
    assert [(row.source_id, row.index, row.name, row.boxes) for row in found.mapping()] == [
        (1, 0, "rbc", 5387),
        (2, 1, "wbc", 251),
    ]
    assert [finding.kind for finding in found.findings] == ["class-placeholder", "class-numbers"]
