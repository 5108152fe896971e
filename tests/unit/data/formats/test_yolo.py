from __future__ import annotations

from pathlib import Path

import pytest

from gelan.data.formats.records import DatasetDescription
from gelan.data.formats.yolo import read_yolo_folder, read_yolo_list, read_yolo_yaml
from gelan.data.formats.yolo_places import label_candidates
from gelan.errors import ConfigError, SourceError
from tests.unit.data.formats.small_sets import of_kind, put, put_image, put_pair

ROW = "0 0.5 0.5 0.2 0.2\n"


def described(folder: Path, text: str) -> DatasetDescription:
    return read_yolo_yaml(put(folder / "data.yaml", text))


def stems(found: DatasetDescription) -> dict[str, list[str]]:
    return {split: [r.path.stem for r in records] for split, records in found.splits.items()}


def test_folders_for_train_and_val_are_read_with_their_labels(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", ROW)
    put_pair(tmp_path, "b", "1 0.5 0.5 0.2 0.2\n1 0.3 0.3 0.2 0.2\n")
    put_pair(tmp_path, "c", ROW, split="val")
    found = described(tmp_path, "train: images/train\nval: images/val\nnames: [cat, dog]\nnc: 2\n")
    assert stems(found) == {"train": ["a", "b"], "val": ["c"]}
    assert found.kind == "yolo"
    assert found.classes.names == ("cat", "dog")
    assert found.classes.category_ids is None
    assert [(row.source_id, row.index, row.name, row.boxes) for row in found.mapping()] == [
        (0, 0, "cat", 2),
        (1, 1, "dog", 2),
    ]
    assert not found.findings
    assert found.headline.endswith(
        "YOLO, 2 classes; train 2 images with 3 boxes; val 1 image with 1 box"
    )


def test_boxes_come_out_in_pixels_of_the_image(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", "0 0.5 0.5 0.2 0.4\n0 0 0 0.5 0 0.5 1\n")
    found = described(tmp_path, "train: images/train\nnames: [cat]\n")
    annotations = found.splits["train"][0].annotations((50, 100))
    assert annotations.boxes.tolist() == [[40.0, 15.0, 60.0, 35.0], [0.0, 0.0, 50.0, 50.0]]
    assert annotations.areas.tolist() == [400.0, 1250.0]
    assert [part.tolist() for part in annotations.polygons[1]] == [[[0, 0], [50, 0], [50, 50]]]


@pytest.mark.parametrize(
    ("yaml", "entry"),
    [
        ("data.yaml", "path: .\ntrain: images/train"),
        ("data.yaml", "path: nowhere\ntrain: images/train"),
        ("data.yaml", "train: ../images/train"),
        ("data.yaml", "train: [images/train]"),
        ("data.yaml", "train: list.txt"),
        ("data.yaml", "train: [list.txt]"),
        ("data.yaml", "train: images\\train"),
        ("configs/data.yaml", "path: ..\ntrain: images/train"),
        ("configs/data.yaml", "train: ../images/train"),
        ("configs/data.yaml", "path: {root}\ntrain: images/train"),
        ("configs/data.yaml", "path: nowhere\ntrain: {root}/images/train"),
        ("data.yaml", "train: images"),
    ],
)
def test_places_are_found_as_the_usual_programs_write_them(
    tmp_path: Path, yaml: str, entry: str
) -> None:
    put_pair(tmp_path, "a", ROW)
    put(tmp_path / "list.txt", "./images/train/a.png\n\n")
    path = put(tmp_path / yaml, f"{entry.format(root=tmp_path)}\nnames: [cat]\n")
    assert stems(read_yolo_yaml(path)) == {"train": ["a"]}


def test_the_working_directory_is_the_last_place_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_pair(tmp_path / "work" / "set", "a", ROW)
    path = put(tmp_path / "configs" / "data.yaml", "path: set\ntrain: images/train\nnames: [cat]")
    monkeypatch.chdir(tmp_path / "work")
    assert stems(read_yolo_yaml(path)) == {"train": ["a"]}


def test_a_split_of_several_folders_and_lists_is_all_of_them_and_each_image_once(
    tmp_path: Path,
) -> None:
    put_pair(tmp_path, "a", ROW)
    put_pair(tmp_path, "b", ROW, split="more")
    put(tmp_path / "list.txt", "images/train/a.png\nimages/more/b.png\n")
    text = "train:\n- images/train\n- images/more\n- list.txt\nnames: [cat]\n"
    assert stems(described(tmp_path, text)) == {"train": ["a", "b"]}


def test_when_nothing_is_found_every_place_that_was_tried_is_listed(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        described(tmp_path, "path: data\ntrain: ../train/images\nnames: [cat]\n")
    message = str(caught.value)
    assert f"{tmp_path / 'data.yaml'}:2: split 'train': there is no folder or list" in message
    for tried in ("data/../train/images", "../train/images", "train/images", "data/train/images"):
        assert str(tmp_path / tried) in message or f" {tried}" in message


def test_one_split_that_is_not_there_is_a_finding_and_an_error_only_if_asked_for(
    tmp_path: Path,
) -> None:
    put_pair(tmp_path, "a", ROW)
    found = described(tmp_path, "train: images/train\nval: images/val\ntest:\nnames: [cat]\n")
    (missing,) = of_kind(found.findings, "split-missing")
    assert (missing.severity, missing.line) == ("error", 2)
    assert found.split("train") == found.splits["train"]
    with pytest.raises(SourceError, match=r"has no split 'val', only train \(.*data.yaml:2: split"):
        found.split("val")
    with pytest.raises(SourceError, match="has no split 'trian', only train; did you mean 'train'"):
        found.split("trian")


def test_valid_is_val(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", ROW)
    assert stems(described(tmp_path, "valid: images/train\nnames: [cat]")) == {"val": ["a"]}
    with pytest.raises(ConfigError, match=r"data\.yaml:2: 'val' and 'valid' mean the same"):
        described(tmp_path, "val: images/train\nvalid: images/train\nnames: [cat]")


def test_lines_of_a_list_that_name_no_image_or_one_twice_are_findings(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", ROW)
    path = put(tmp_path / "train.txt", "images/train/a.png\nimages/train/b.png\nimages/train/a.png")
    found = read_yolo_list(path, names=["cat"])
    assert stems(found) == {"train": ["a"]}
    assert [(f.kind, f.severity, f.line) for f in found.findings] == [
        ("image-missing", "error", 2),
        ("image-repeated", "warning", 3),
    ]
    assert str(tmp_path / "images/train/b.png") in found.findings[0].cause


@pytest.mark.parametrize(
    ("names", "expected", "ids"),
    [
        ("[cat, dog]", ("cat", "dog"), None),
        ("{0: cat, 1: dog}", ("cat", "dog"), None),
        ("{1: dog, 0: cat}", ("cat", "dog"), None),
        ("{1: cat, 2: dog}", ("cat", "dog"), (1, 2)),
        ("[no, 7]", ("no", "7"), None),
    ],
)
def test_names_are_a_list_or_numbered(
    tmp_path: Path, names: str, expected: tuple[str, ...], ids: tuple[int, ...] | None
) -> None:
    put_pair(tmp_path, "a", "1 0.5 0.5 0.2 0.2\n")
    found = described(tmp_path, f"train: images/train\nnames: {names}\n")
    assert (found.classes.names, found.classes.category_ids) == (expected, ids)
    assert found.splits["train"][0].labels.classes.tolist() == [0 if ids else 1]
    assert bool(of_kind(found.findings, "class-numbers")) == bool(ids)


def test_a_wrong_nc_is_told_and_the_names_count(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", ROW)
    found = described(tmp_path, "train: images/train\nnc: 3\nnames: [cat]\n")
    (finding,) = found.findings
    assert str(finding) == (
        f"{tmp_path / 'data.yaml'}:2: nc is 3, and the length of 'names', which counts, is 1; "
        "correct nc, or take it out"
    )


def test_nc_without_names_gives_classes_without_a_name(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", ROW)
    found = described(tmp_path, "train: images/train\nnc: 2\n")
    assert found.classes.names == ("class 0", "class 1")
    assert [finding.kind for finding in found.findings] == ["names-missing", "class-unused"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "is no data set description"),
        ("names: [cat]", "names no images; add 'train:' and 'val:'"),
        ("train: {a: b}", "1: 'train' must be a folder, a list file, or several"),
        ("train: x\npath: [a]", "2: 'path' must be one folder"),
        ("train: x\nnames: cat", "2: 'names' must be a list, or number: name"),
        ("train: x\nnames: []", "2: 'names' is empty"),
        ("train: x\nnames:\n- cat\n- [dog]", "4: a class name must be text"),
        ("train: x\nnames: {cat: 0}", "2: 'cat' is no class number"),
        ("train: x\nnames: {0: cat, 00: dog}", "2: class 0 is named twice"),
        ("train: x\nnc: many", "2: nc must be a whole number"),
    ],
)
def test_a_description_that_contradicts_itself_is_an_error(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        described(tmp_path, text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'data.yaml'}:")


def test_images_without_labels_or_with_an_empty_file_show_nothing_and_are_counted(
    tmp_path: Path,
) -> None:
    put_pair(tmp_path, "a", ROW)
    put_pair(tmp_path, "b", "")
    put_image(tmp_path / "images/train/c.png")
    found = described(tmp_path, "train: images/train\nnames: [cat]\n")
    assert [len(record.labels) for record in found.splits["train"]] == [1, 0, 0]
    (note,) = found.findings
    assert (note.kind, note.severity) == ("background", "note")
    assert note.cause.startswith("1 of 3 images in train have no label file and 1 an empty one")


def test_a_split_without_any_label_file_says_where_they_were_looked_for(tmp_path: Path) -> None:
    put_image(tmp_path / "pictures/a.png")
    found = described(tmp_path, "train: pictures\nnames: [cat]\n")
    (missing,) = of_kind(found.findings, "label-missing")
    assert missing.severity == "warning"
    assert missing.cause.endswith(f"for the first, tried {tmp_path / 'pictures/a.txt'}")


def test_good_rows_of_a_bad_file_are_kept(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", "0 0.5 0.5 0.2 0.2\n0 320 240 9 9\n")
    found = described(tmp_path, "train: images/train\nnames: [cat]\n")
    assert found.splits["train"][0].labels.lines.tolist() == [1]
    assert found.splits["train"][0].line(0) == 1
    (finding,) = found.findings
    assert str(finding).startswith(
        f"{tmp_path / 'labels/train/a.txt'}:2: 320 is outside 0..1: looks like pixels; divide"
    )


def test_an_image_all_of_whose_rows_are_bad_does_not_pass_for_empty(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", "0 320 240 9 9\n")
    put_pair(tmp_path, "b", ROW)
    found = described(tmp_path, "train: images/train\nnames: [cat]\n")
    assert stems(found) == {"train": ["b"]}
    assert [finding.kind for finding in found.findings] == ["value-range", "image-left-out"]


def test_when_no_image_is_left_the_error_says_why(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", "0 320 240 9 9\n")
    with pytest.raises(SourceError, match=r"no image that can be used\. .*a\.txt:1: 320 is outsid"):
        described(tmp_path, "train: images/train\nnames: [cat]\n")


def test_label_files_without_image_and_images_that_share_one_are_told(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", ROW)
    put_image(tmp_path / "images/train/a.jpg")
    put(tmp_path / "labels/train/gone.txt", ROW)
    put(tmp_path / "labels/train/classes.txt", "cat\n")
    found = described(tmp_path, "train: images/train\nnames: [cat]\n")
    assert [(finding.kind, Path(finding.file).name) for finding in found.findings] == [
        ("label-shared", "a.txt"),
        ("label-orphan", "gone.txt"),
    ]


def test_the_same_image_in_two_splits_is_told(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", ROW)
    found = described(tmp_path, "train: images/train\nval: images/train\nnames: [cat]\n")
    (finding,) = of_kind(found.findings, "split-overlap")
    assert finding.cause.startswith("1 image both in train and in val, first")


def test_unused_classes_and_names_that_are_nearly_the_same_are_told(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", ROW)
    found = described(tmp_path, "train: images/train\nnames: [cat, dog, ' Dog']\n")
    assert [(finding.kind, finding.cause) for finding in found.findings] == [
        ("class-unused", "2 classes without an object: dog,  Dog"),
        ("class-alike", "classes have nearly the same name: 'dog', ' Dog'"),
    ]


@pytest.mark.parametrize(
    ("images", "labels", "splits"),
    [
        ("images/train/a.png", "labels/train/a.txt", ["train"]),
        ("images/a.png", "labels/a.txt", ["all"]),
        ("images/photos/a.png", "labels/photos/a.txt", ["all"]),
        ("valid/images/a.png", "valid/labels/a.txt", ["val"]),
        ("a.png", "a.txt", ["all"]),
        ("test/a.png", "test/a.txt", ["test"]),
        ("images/a.png", "images/a.txt", ["all"]),
    ],
)
def test_a_folder_needs_no_yaml(
    tmp_path: Path, images: str, labels: str, splits: list[str]
) -> None:
    put_image(tmp_path / images)
    put(tmp_path / labels, "4 0.5 0.5 0.2 0.2\n")
    found = read_yolo_folder(tmp_path)
    assert list(found.splits) == splits
    assert found.classes.names == tuple(f"class {index}" for index in range(5))
    assert [finding.kind for finding in found.findings] == ["names-missing"]


def test_class_numbers_up_to_90_without_names_recall_coco(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", "90 0.5 0.5 0.2 0.2\n")
    (finding,) = read_yolo_folder(tmp_path).findings
    assert "numbers go up to 90 (if they are COCO's ids 1..90: its 80 classes" in finding.cause


def test_a_file_of_names_beside_the_images_is_used(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", "1 0.5 0.5 0.2 0.2\n")
    put(tmp_path / "classes.txt", "cat\nhot dog\n\n")
    assert read_yolo_folder(tmp_path).classes.names == ("cat", "hot dog")
    put(tmp_path / "classes.txt", "cat\n\nhot dog\n")
    with pytest.raises(ConfigError, match=r"classes\.txt: a line is empty"):
        read_yolo_folder(tmp_path)


def test_names_that_are_given_replace_those_of_the_data_set(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", "1 0.5 0.5 0.2 0.2\n")
    assert read_yolo_folder(tmp_path, names=["x", "y"]).classes.names == ("x", "y")


def test_a_folder_without_labels_is_no_yolo_data_set(tmp_path: Path) -> None:
    put_image(tmp_path / "a.png")
    with pytest.raises(SourceError, match="no images with YOLO label files found"):
        read_yolo_folder(tmp_path)


def test_hidden_files_and_loops_of_links_are_passed_over(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", ROW)
    put(tmp_path / "images/train/._a.png")
    (tmp_path / "images/train/again").symlink_to(tmp_path / "images", target_is_directory=True)
    found = described(tmp_path, "train: images/train\nnames: [cat]\n")
    assert stems(found)["train"].count("a") == 1


def test_labels_are_looked_for_beside_the_last_folder_called_images() -> None:
    assert label_candidates(Path("/images/x/images/y/a.jpg"))[0] == Path("/images/x/labels/y/a.txt")
    assert label_candidates(Path("pictures/a.jpg")) == [Path("pictures/a.txt")]
    assert label_candidates(Path("images.jpg")) == [Path("images.txt")]
