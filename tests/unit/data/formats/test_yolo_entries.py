"""What a data.yaml says of places, and what it seems to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from gelan.data.formats.records import DatasetDescription
from gelan.data.formats.yolo import read_yolo_folder, read_yolo_yaml
from gelan.errors import ConfigError, SourceError
from tests.unit.data.formats.small_sets import of_kind, put, put_pair

ROW = "0 0.5 0.5 0.2 0.2\n"


def described(folder: Path, text: str) -> DatasetDescription:
    """One image in train, one in val."""
    put_pair(folder, "a", ROW)
    put_pair(folder, "b", ROW, split="val")
    return read_yolo_yaml(put(folder / "data.yaml", text))


TEXT = "train: images/train\nval: images/val\nnames: [cat]\n"


@pytest.mark.parametrize("path", ["../datasets/x", "~/none", "${HOME}", "/nowhere"])
def test_a_path_that_is_not_there_is_told_with_the_places_that_are_used(
    tmp_path: Path, path: str
) -> None:
    (told,) = described(tmp_path, f"{TEXT}path: {path}\n").findings
    assert (told.kind, told.severity, told.line) == ("path-unused", "warning", 4)
    assert told.cause.startswith(f"the folder {path!r} of 'path' is not there (tried ")
    assert f"images/val is read from {tmp_path / 'images/val'}" in told.cause


def test_a_path_that_does_not_hold_the_places_is_told(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (told,) = described(tmp_path, f"{TEXT}path: other\n").findings
    assert told.cause == (
        f"the folder 'other' of 'path' does not hold all places: images/train is read from "
        f"{tmp_path / 'images/train'}, images/val is read from {tmp_path / 'images/val'}"
    )


@pytest.mark.parametrize("path", [".", "./", "''", "{root}"])
def test_a_path_that_is_used_needs_no_word(tmp_path: Path, path: str) -> None:
    found = described(tmp_path, f"{TEXT}path: {path.format(root=tmp_path)}\n")
    assert not found.findings


def test_the_users_folder_may_be_written_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    put_pair(tmp_path / "set", "a", ROW)
    text = "path: ~/set\ntrain: images/train\nval: ~/set/images/train\nnames: [cat]\n"
    found = read_yolo_yaml(put(tmp_path / "configs/data.yaml", text))
    assert list(found.splits) == ["train", "val"]
    assert not of_kind(found.findings, "path-unused")


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("validation", "test"),
        ("validation", "val"),
        ("Val", "val"),
        ("trian", "train"),
        ("name", "names"),
        ("classes", "names"),
        ("num_classes", "nc"),
    ],
)
def test_a_key_that_is_not_read_and_looks_like_one_is_told(
    tmp_path: Path, key: str, near: str
) -> None:
    keys = {"train": "images/train", "val": "images/val", "names": "[cat]"}
    if near in keys:
        keys[key] = keys.pop(near)
    else:
        keys[key] = "1"
    if near == "train":
        keys["test"] = "images/train"
    text = "".join(f"{name}: {value}\n" for name, value in keys.items())
    told = of_kind(described(tmp_path, text).findings, "key-unknown")
    if (key, near) == ("validation", "test"):
        assert not told  # val is there
        return
    (finding,) = told
    assert finding.severity == "warning"
    assert finding.cause == f"{key!r} is no key that is read"
    assert finding.remedy == f"did you mean {near!r}?"


def test_keys_of_other_programs_need_no_word(tmp_path: Path) -> None:
    others = "download: x\nroboflow: {version: 1}\nkpt_shape: [1, 2]\nminival: x\nauthor: me\n"
    assert not described(tmp_path, TEXT + others + "nc: 1\ntest:\n").findings


def test_a_description_of_misspelt_splits_alone_names_the_right_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'validation' is not read, did you mean 'val'"):
        described(tmp_path, "validation: images/val\nnames: [cat]\n")


def test_a_class_of_nothing_that_never_occurs_is_told(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", "1 0.5 0.5 0.2 0.2\n")
    text = "train: images/train\nnames: [background, cat]\n"
    found = read_yolo_yaml(put(tmp_path / "data.yaml", text))
    (told,) = of_kind(found.findings, "class-placeholder")
    assert told.cause == "class 0 'background' has no box and means nothing"
    assert len(found.classes) == 2


@pytest.mark.parametrize(
    "text", ["nc: " + "9" * 5000, "nc: 200000", "names: {" + "9" * 5000 + ": a}"]
)
def test_more_classes_than_any_network_has_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        described(tmp_path, f"train: images/train\n{text}\n")
    assert len(str(caught.value)) < 400


def test_a_class_number_without_measure_is_a_finding_where_nothing_names_classes(
    tmp_path: Path,
) -> None:
    put_pair(tmp_path, "a", f"{ROW}999999999 0.5 0.5 0.2 0.2\n")
    found = read_yolo_folder(tmp_path)
    (told,) = of_kind(found.findings, "class-unknown")
    assert told.cause == "class 999999999 is more than any network has"
    assert len(found.classes) == 1


def test_hidden_label_files_are_no_orphans(tmp_path: Path) -> None:
    for name in ("._a.txt", ".hidden.txt"):
        put(tmp_path / "labels/train" / name, "x")
    assert not described(tmp_path, TEXT).findings


def test_a_name_with_a_zero_byte_in_a_list_is_a_missing_image(tmp_path: Path) -> None:
    put(tmp_path / "train.txt", "a\0.png\nimages/train/a.png\n")
    found = described(tmp_path, TEXT.replace("images/train", "train.txt"))
    assert [finding.kind for finding in found.findings] == ["image-missing"]
    with pytest.raises(SourceError):
        described(tmp_path, 'train: "a\\0b"\nnames: [cat]\n')
