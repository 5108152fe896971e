from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from gelan.data.formats.coco import read_coco_file, read_coco_folder
from gelan.data.formats.records import DatasetDescription
from gelan.errors import ConfigError, SourceError
from tests.unit.data.formats.small_sets import coco, of_kind, put, put_image


def annotation(number: int, *box: float, **fields: object) -> dict[str, object]:
    return {"id": number, "image_id": 7, "category_id": 1, "bbox": list(box)} | fields


def read(tmp_path: Path, text: str) -> DatasetDescription:
    put_image(tmp_path / "a.png")
    return read_coco_file(put(tmp_path / "train.json", text))


def test_a_box_is_left_top_width_height_in_pixels(tmp_path: Path) -> None:
    found = read(tmp_path, coco(annotations=[annotation(3, 10, 5, 20.5, 30, category_id=2)]))
    (record,) = found.splits["train"]
    assert (record.image_id, record.stated_hw) == (7, (50, 100))
    annotations = record.annotations((50, 100))
    assert annotations.boxes.tolist() == [[10.0, 5.0, 30.5, 35.0]]
    assert annotations.classes.tolist() == [1]
    assert annotations.areas.tolist() == [615.0]
    assert (record.labels.ids.tolist(), record.line(0)) == ([3], 10)


def test_sparse_ids_become_model_indices_in_their_order(tmp_path: Path) -> None:
    categories: list[dict[str, object]] = [{"id": 90, "name": "tooth"}, {"id": 1, "name": "person"}]
    boxes = [annotation(1, 0, 0, 9, 9, category_id=90)]
    found = read(tmp_path, coco(categories=categories, annotations=boxes))
    assert [(row.source_id, row.index, row.name, row.boxes) for row in found.mapping()] == [
        (1, 0, "person", 0),
        (90, 1, "tooth", 1),
    ]
    (note,) = of_kind(found.findings, "class-numbers")
    assert note.cause == "category ids are 1..90 with 88 gaps; the model counts 0..1 in their order"


def test_crowd_area_polygons_and_run_lengths_are_kept(tmp_path: Path) -> None:
    boxes = [
        annotation(1, 0, 0, 10, 10, iscrowd=1, area=42.5, segmentation={"counts": "", "size": []}),
        annotation(2, 0, 0, 4, 4, area=8, segmentation=[[0, 0, 4, 0, 4, 4], [1, 1, 2, 1, 2, 2]]),
        annotation(3, 5, 5, 4, 4, segmentation=[]),
    ]
    found = read(tmp_path, coco(annotations=boxes))
    annotations = found.splits["train"][0].annotations((50, 100))
    assert annotations.crowd.tolist() == [True, False, False]
    assert annotations.areas.tolist() == [42.5, 8.0, 16.0]
    assert [len(parts) for parts in annotations.polygons] == [0, 2, 0]
    assert annotations.polygons[1][0].tolist() == [[0, 0], [4, 0], [4, 4]]
    (note,) = of_kind(found.findings, "crowd")
    assert note.cause == "1 of 3 objects in train are crowds"


def test_a_category_that_only_stands_above_others_is_left_out_and_said(tmp_path: Path) -> None:
    categories: list[dict[str, object]] = [
        {"id": 0, "name": "cells", "supercategory": "none"},
        {"id": 1, "name": "red", "supercategory": "cells"},
        {"id": 2, "name": "white", "supercategory": "cells"},
    ]
    found = read(tmp_path, coco(categories=categories, annotations=[annotation(1, 0, 0, 9, 9)]))
    assert found.classes.names == ("red", "white")
    assert found.classes.category_ids == (1, 2)
    (note,) = of_kind(found.findings, "class-placeholder")
    assert "category 0 'cells' has no box and others name it as theirs" in note.cause
    assert [f.cause for f in of_kind(found.findings, "class-unused")] == [
        "1 class without an object: white"
    ]


def test_such_a_category_with_a_box_is_a_class(tmp_path: Path) -> None:
    categories: list[dict[str, object]] = [
        {"id": 0, "name": "cells"},
        {"id": 1, "name": "red", "supercategory": "cells"},
    ]
    boxes = [annotation(1, 0, 0, 9, 9, category_id=0)]
    found = read(tmp_path, coco(categories=categories, annotations=boxes))
    assert found.classes.names == ("cells", "red")


def test_a_background_category_without_boxes_is_left_out(tmp_path: Path) -> None:
    categories: list[dict[str, object]] = [
        {"id": 0, "name": "__background__"},
        {"id": 1, "name": "cat"},
    ]
    found = read(tmp_path, coco(categories=categories, annotations=[annotation(1, 0, 0, 9, 9)]))
    assert found.classes.names == ("cat",)


@pytest.mark.parametrize(
    ("fields", "kind", "cause"),
    [
        ({"image_id": 8}, "id-unknown", "it is of image 8, which 'images' does not list"),
        ({"image_id": [7]}, "id-unknown", "it is of image [7], which"),
        ({"category_id": 9}, "class-unknown", "it is of category 9, which 'categories' does"),
        ({"category_id": "1"}, "class-unknown", "it is of category '1', which"),
        ({"bbox": [1, 2, 3]}, "row-fields", "bbox [1, 2, 3] is no box"),
        ({"bbox": None}, "row-fields", "bbox None is no box"),
        ({"bbox": [1, 2, "3", 4]}, "row-fields", "bbox [1, 2, '3', 4] is no box"),
        ({"bbox": [1, 2, math.nan, 4]}, "row-number", "bbox [1, 2, nan, 4] is not finite"),
        ({"bbox": [1, 2, 0, 4]}, "box-empty", "bbox [1, 2, 0, 4] is empty"),
        ({"bbox": [9, 9, -3, 4]}, "box-swapped", "bbox [9, 9, -3, 4] has a negative size"),
        ({"bbox": [100, 0, 3, 4]}, "box-outside", "bbox [100, 0, 3, 4] lies outside its image"),
        ({"bbox": [0, -5, 3, 4]}, "box-outside", "bbox [0, -5, 3, 4] lies outside its image"),
        ({"iscrowd": 2}, "row-number", "iscrowd is 2"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_told_with_its_id_and_line(
    tmp_path: Path, fields: dict[str, object], kind: str, cause: str
) -> None:
    boxes = [annotation(1, 0, 0, 9, 9), annotation(2, 0, 0, 5, 5, **fields)]
    found = read(tmp_path, coco(annotations=boxes))
    (finding,) = [finding for finding in found.findings if finding.severity == "error"]
    assert (finding.kind, finding.line, finding.file) == (kind, 11, str(tmp_path / "train.json"))
    name = "annotation 2" if kind == "id-unknown" else "annotation 2 of a.png"
    assert finding.cause.startswith(f"{name}: {cause}")
    assert found.splits["train"][0].labels.ids.tolist() == [1]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"bbox": [90, 0, 20, 9]}, "box-outside"),
        ({"area": -1}, "row-number"),
        ({"area": "9"}, "row-number"),
        ({"segmentation": [[0, 0, 1, 1]]}, "outline-broken"),
        ({"segmentation": [0, 0, 1, 1, 1, 0]}, "outline-broken"),
        ({"segmentation": "x"}, "outline-broken"),
        ({"id": 1}, "id-repeated"),
        ({"bbox": [0, 0, 9, 9]}, "row-repeated"),
    ],
)
def test_an_odd_annotation_is_used_with_a_warning(
    tmp_path: Path, fields: dict[str, object], kind: str
) -> None:
    second = annotation(2, 0, 0, 5, 5) | fields
    found = read(tmp_path, coco(annotations=[annotation(1, 0, 0, 9, 9), second]))
    (finding,) = [finding for finding in found.findings if finding.severity == "warning"]
    assert (finding.kind, finding.line) == (kind, 11)
    assert len(found.splits["train"][0].labels) == 2


def test_a_box_that_reaches_out_by_less_than_a_pixel_is_cut_without_a_word(tmp_path: Path) -> None:
    found = read(tmp_path, coco(annotations=[annotation(1, 90, 0, 10.02, 9, area=91)]))
    assert not [finding for finding in found.findings if finding.severity != "note"]
    assert found.splits["train"][0].annotations((50, 100)).boxes.tolist() == [[90, 0, 100, 9]]


def test_boxes_that_look_like_corners_or_fractions_are_told(tmp_path: Path) -> None:
    corners = [annotation(i, 40 + i, 10 + i, 95 - i, 45 - i, category_id=2) for i in range(6)]
    found = read(tmp_path, coco(annotations=corners))
    assert "looks like x1 y1 x2 y2" in of_kind(found.findings, "values-corners")[0].cause
    fractions = [annotation(i, 0.1, 0.1, 0.1 + i / 100, 0.2) for i in range(6)]
    found = read(tmp_path, coco(annotations=fractions))
    assert "parts of the image's size" in of_kind(found.findings, "value-range")[0].cause


def test_an_image_all_of_whose_annotations_are_bad_does_not_pass_for_empty(tmp_path: Path) -> None:
    put_image(tmp_path / "b.png")
    images: list[dict[str, object]] = [
        {"id": 7, "file_name": "a.png", "width": 100, "height": 50},
        {"id": 8, "file_name": "b.png"},
    ]
    found = read(tmp_path, coco(images=images, annotations=[annotation(1, 0, 0, 0, 0)]))
    assert [record.path.name for record in found.splits["train"]] == ["b.png"]
    (finding,) = of_kind(found.findings, "image-left-out")
    assert finding.line == 7
    assert (
        of_kind(found.findings, "background")[0].cause
        == "1 of 2 images in train have no annotation"
    )


def test_images_that_are_absent_listed_twice_or_unnamed_are_told(tmp_path: Path) -> None:
    images: list[dict[str, object]] = [
        {"id": 7, "file_name": "a.png"},
        {"id": 8, "file_name": "gone.png"},
        {"id": 7, "file_name": "b.png"},
        {"id": 9, "file_name": "a.png"},
        {"id": 10},
    ]
    found = read(tmp_path, coco(images=images, annotations=[annotation(1, 0, 0, 9, 9)]))
    assert [(f.kind, f.severity, f.line) for f in found.findings if f.severity != "note"] == [
        ("id-repeated", "error", 9),
        ("image-repeated", "warning", 10),
        ("row-fields", "error", 11),
        ("image-missing", "error", 8),
    ]


@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        ("annotations/instances_train2017.json", "train2017/a.png"),
        ("annotations/instances_train2017.json", "images/train2017/a.png"),
        ("annotations/instances_train.json", "images/a.png"),
        ("annotations/train.json", "train/a.png"),
        ("train.json", "a.png"),
        ("train.json", "images/a.png"),
        ("train/_annotations.coco.json", "train/a.png"),
    ],
)
def test_images_are_found_where_they_usually_are(
    tmp_path: Path, annotations: str, images: str
) -> None:
    put_image(tmp_path / images)
    path = put(tmp_path / annotations, coco(annotations=[annotation(1, 0, 0, 9, 9)]))
    for found in (read_coco_file(path), read_coco_folder(tmp_path)):
        assert [record.path for record in found.splits["train"]] == [tmp_path / images]


def test_a_few_images_of_many_are_found(tmp_path: Path) -> None:
    images: list[dict[str, object]] = [{"id": i, "file_name": f"{i}.png"} for i in range(300)]
    put_image(tmp_path / "train" / "7.png")
    path = put(tmp_path / "annotations" / "train.json", coco(images=images))
    found = read_coco_file(path)
    assert [record.image_id for record in found.splits["train"]] == [7]
    assert len(of_kind(found.findings, "image-missing")) == 299


def test_file_names_with_the_folders_of_another_computer_are_cut_short(tmp_path: Path) -> None:
    images: list[dict[str, object]] = [{"id": 7, "file_name": "C:\\data\\a.png"}]
    assert len(read(tmp_path, coco(images=images)).splits["train"]) == 1


def test_when_no_image_is_there_all_folders_that_were_tried_are_listed(tmp_path: Path) -> None:
    path = put(tmp_path / "annotations" / "instances_val2017.json", coco())
    with pytest.raises(SourceError) as caught:
        read_coco_file(path)
    assert "split 'val': none of its 1 image is there; looked for a.png in" in str(caught.value)
    for folder in ("images/val2017", "val2017", "images", "annotations"):
        assert str(tmp_path / folder) in str(caught.value)


def test_splits_of_a_folder_share_one_table_of_classes(tmp_path: Path) -> None:
    for split, category in (
        ("train", {"id": 5, "name": "cat"}),
        ("valid", {"id": 2, "name": "dog"}),
    ):
        boxes = [annotation(1, 0, 0, 9, 9, category_id=category["id"])]
        text = coco(categories=[dict[str, object](category)], annotations=boxes)
        put(tmp_path / split / "_annotations.coco.json", text)
        put_image(tmp_path / split / "a.png")
    found = read_coco_folder(tmp_path)
    assert (found.classes.names, found.classes.category_ids) == (("dog", "cat"), (2, 5))
    assert {
        split: records[0].labels.classes.tolist() for split, records in found.splits.items()
    } == {
        "train": [1],
        "val": [0],
    }


def test_splits_that_call_an_id_differently_are_refused(tmp_path: Path) -> None:
    for split, name in (("train", "cat"), ("test", "dog")):
        text = coco(categories=[{"id": 1, "name": name}])
        put(tmp_path / split / "_annotations.coco.json", text)
    with pytest.raises(ConfigError) as caught:
        read_coco_folder(tmp_path)
    assert ":3: category 1 is 'cat', and in" in str(caught.value)
    assert "'dog'; give each class an id of its own, the same in all files" in str(caught.value)


@pytest.mark.parametrize(
    "categories",
    [[{"id": 1}], [{"name": "cat"}], [{"id": "1", "name": "cat"}], [{"id": 1, "name": 2}]],
)
def test_a_category_without_id_or_name_is_refused(
    tmp_path: Path, categories: list[dict[str, object]]
) -> None:
    with pytest.raises(ConfigError, match=r"train\.json:3: category 1 needs a whole 'id' and a"):
        read(tmp_path, coco(categories=categories))


def test_two_files_for_one_split_are_refused(tmp_path: Path) -> None:
    for year in (2014, 2017):
        put(tmp_path / "annotations" / f"instances_train{year}.json", coco())
    with pytest.raises(
        ConfigError, match=r"train2014\.json and .*train2017\.json are both for the"
    ):
        read_coco_folder(tmp_path)


def test_files_for_other_tasks_are_passed_over(tmp_path: Path) -> None:
    for name in ("captions_train2017", "person_keypoints_train2017", "instances_train2017"):
        put(tmp_path / "annotations" / f"{name}.json", coco())
    put_image(tmp_path / "train2017" / "a.png")
    assert list(read_coco_folder(tmp_path).splits) == ["train"]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.json: has no list 'images'; is it a COCO ann"):
        read(tmp_path, '{"shapes": []}')


def test_annotations_without_categories_give_classes_named_by_their_id(tmp_path: Path) -> None:
    text = coco(annotations=[annotation(1, 0, 0, 9, 9, category_id=4)])
    found = read(tmp_path, text.replace('"categories"', '"kinds"'))
    assert found.classes.names == ("category 4",)
    assert of_kind(found.findings, "names-missing")


def test_numbers_of_the_file_are_kept_bit_for_bit(tmp_path: Path) -> None:
    found = read(tmp_path, coco(annotations=[annotation(1, 0.1, 0.2, 0.30000000000000004, 9)]))
    expected = np.array([[0.1, 0.2, 0.30000000000000004, 9.0]])
    assert (found.splits["train"][0].labels.values == expected).all()
