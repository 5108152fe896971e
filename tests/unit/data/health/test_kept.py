"""A corrected copy keeps everything that need not change, and says what it changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gelan.data.description import open_dataset
from gelan.data.health.mend import CHANGES_FILE, mend, require_place
from gelan.data.health.report import HealthReport, examine
from gelan.errors import ConfigError
from tests.unit.data.formats.small_sets import coco, put, voc, voc_object
from tests.unit.data.health.synthetic_sets import CLEAN_ROWS, YoloSet, encoded, of_kind, picture


def report_of(place: Path) -> HealthReport:
    return examine(open_dataset(place))


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def without_changes(folder: Path) -> dict[str, bytes]:
    found = contents(folder)
    del found[CHANGES_FILE]
    return found


def put_picture(path: Path, seed: int) -> Path:
    """A picture of 160 x 120."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(picture(seed), path.suffix))
    return path


# --- YOLO


def test_a_sound_yolo_set_comes_out_byte_for_byte(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine")
    text = data.place.read_text() + "kpt_shape: [17, 3]  # of another program\nnc: 2\n"
    data.place.write_text(text)
    data.label("train", "t1").write_bytes(b"\xef\xbb\xbf0 .5 .5 5e-1 0.30\r\n\r\n1.0 .7 .6 .25 .4")
    changes = mend(report_of(data.place), tmp_path / "copy")
    assert without_changes(tmp_path / "copy") == contents(data.root)
    assert changes == [f"12 images -> {tmp_path / 'copy'}; 0 changes, see {CHANGES_FILE}"]


def test_class_numbers_with_gaps_stay_and_only_bad_rows_go(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine")
    data.place.write_text(
        "train: images/train\nval: images/val\nnames: {0: cat, 1: dog, 7: cow}\nnc: 8\n"
    )
    rows = ["7 .5 .5 .20 .2", "9 .5 .5 .1 .1", "  0 0.3 0.3 0.2 0.3", "1 0.95 0.5 0.2 0.2"]
    data.add("train", "t1", picture(1), rows)
    mend(report_of(data.place), tmp_path / "copy")
    assert (tmp_path / "copy/data.yaml").read_text() == data.place.read_text()
    assert (tmp_path / "copy/labels/train/t1.txt").read_text().splitlines() == [
        "7 .5 .5 .20 .2",
        "  0 0.3 0.3 0.2 0.3",
        "1 0.92500000 0.50000000 0.15000000 0.20000000",
    ]


def test_folders_and_names_of_images_stay(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine")
    data.add("train", "sub/t1", picture(70))
    data.add("train", "t1", picture(71), suffix=".png")
    mend(report_of(data.place), tmp_path / "copy")
    assert without_changes(tmp_path / "copy") == contents(data.root)


def test_a_list_loses_only_the_lines_of_images_that_go(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine")
    lines = [f"./images/train/t{number}.jpg" for number in range(6)]
    put(data.root / "lists/train.txt", "\n".join([*lines, "", "nowhere.jpg"]) + "\n")
    data.place.write_text("train: lists/train.txt\nval: images/val\nnames: [cat, dog]\n")
    data.add("train", "t2", encoded(picture(2))[:900])
    changes = mend(report_of(data.place), tmp_path / "copy")
    copy = tmp_path / "copy/lists/train.txt"
    assert copy.read_text().splitlines() == [*lines[:2], *lines[3:], ""]
    assert (tmp_path / "copy/data.yaml").read_bytes() == data.place.read_bytes()
    assert sum("nowhere.jpg" in line for line in changes) == 1
    assert len(report_of(tmp_path / "copy").description.splits["train"]) == 5


def test_places_that_lead_back_to_the_original_are_written_anew_and_said(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine")
    put(data.root / "train.txt", f"{data.image('train', 't1')}\n{data.image('train', 't2')}\n")
    root = data.root.as_posix()
    text = f"path: {root}  # mine\ntrain: train.txt\nval: [{root}/images/val]\nnames: [cat, dog]\n"
    data.place.write_text(text)
    changes = mend(report_of(data.place), tmp_path / "copy")
    copy = report_of(tmp_path / "copy/data.yaml").description
    assert {len(part) for part in copy.splits.values()} == {2, 6}
    for part in copy.splits.values():
        assert all((tmp_path / "copy") in record.path.parents for record in part)
    assert "names: [cat, dog]\n" in (tmp_path / "copy/data.yaml").read_text()
    assert root not in (tmp_path / "copy/data.yaml").read_text()
    told = [line for line in changes if line.startswith(str(data.place))]
    assert [line.partition(": changed: ")[2] for line in told] == [
        "'path' is taken out: places begin in the folder of this file",
        "'val' is 'images/val'",
    ]
    assert f"{data.root / 'train.txt'}: changed: 2 paths begin in the folder of the list" in changes


def test_a_split_that_shares_its_folder_becomes_a_list_where_it_lost_an_image(
    tmp_path: Path,
) -> None:
    data = YoloSet(tmp_path / "mine")
    text = "train: [images/train, images/val]\nval: images/val\nnames: [cat, dog]\n"
    data.place.write_text(text)
    changes = mend(report_of(data.place), tmp_path / "copy")
    copy = report_of(tmp_path / "copy/data.yaml").description
    assert {split: len(part) for split, part in copy.splits.items()} == {"train": 6, "val": 6}
    assert any("'train' is 'train.txt'" in line for line in changes)


def test_label_files_without_an_image_and_other_files_are_not_copied_and_said(
    tmp_path: Path,
) -> None:
    data = YoloSet(tmp_path / "mine")
    put(data.root / "README.md", "mine")
    put(data.root / "notes/a.txt", "mine")
    data.image("train", "t2").unlink()
    changes = mend(report_of(data.place), tmp_path / "copy")
    assert f"{data.label('train', 't2')}: left out: there is no image of this name" in changes
    told = [line for line in changes if "not copied" in line]
    assert told == [f"{data.root}: not copied: 2 other files: README.md, notes/a.txt"]
    assert sorted(contents(tmp_path / "copy"))[0] == CHANGES_FILE


def test_names_in_a_file_of_their_own_stay(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine")
    data.place.unlink()
    put(data.root / "classes.txt", "cat\ndog\n")
    mend(report_of(data.root), tmp_path / "copy")
    assert without_changes(tmp_path / "copy") == contents(data.root)


def test_a_description_far_from_its_images_stands_on_top_of_the_copy(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine")
    text = f"train: {data.root}/images/train\nval: {data.root}/images/val\nnames: [cat, dog]\n"
    place = put(tmp_path / "configs/my.yaml", text)
    mend(report_of(place), tmp_path / "copy")
    copy = report_of(tmp_path / "copy/my.yaml").description
    assert all((tmp_path / "copy") in r.path.parents for part in copy.splits.values() for r in part)


def test_a_box_that_is_nothing_at_the_size_of_the_image_is_told_not_dropped_in_silence(
    tmp_path: Path,
) -> None:
    data = YoloSet(tmp_path / "mine")
    data.add("train", "t1", picture(1), [CLEAN_ROWS[0], "0 .5 .5 1e-8 .3"])
    report = report_of(data.place)
    (found,) = of_kind(report.findings, "box-empty")
    assert (found.severity, found.file, found.line) == ("error", str(data.label("train", "t1")), 2)
    assert found.cause == "a box of 1.6e-06 x 36 pixels in t1.jpg of 160 x 120 shows nothing"
    changes = mend(report, tmp_path / "copy")
    assert f"{data.label('train', 't1')}:2: left out: {found.cause}" in changes
    assert (tmp_path / "copy/labels/train/t1.txt").read_text() == f"{CLEAN_ROWS[0]}\n"


def test_an_image_whose_every_box_is_nothing_does_not_pass_for_empty(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine")
    data.add("train", "t1", picture(1), ["0 .5 .5 1e-8 .3"])
    changes = mend(report_of(data.place), tmp_path / "copy")
    assert not (tmp_path / "copy/images/train/t1.jpg").exists()
    assert f"{data.image('train', 't1')}: left out of train: no object of it can be used" in changes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train:  # a\n- {root}/images/train  # b\n# c\nval: images/val\nnc: 2\n",
         "train: images/train  # b\n# c\nval: images/val\nnc: 2\n"),
        ("{{path: {root}, train: images/train, val: images/val, nc: 2}}",
         "{{path: ., train: images/train, val: images/val, nc: 2}}"),
        ("nc: 2\r\npath: {root}\r\ntrain: images/train\r\nval: images/val\r\n",
         "nc: 2\r\ntrain: images/train\r\nval: images/val\r\n"),
        ("train: &a {root}/images/train\nval: *a\nnc: 2\n",
         "train: images/train\nval: images/train\nnc: 2\n"),
    ],
)  # fmt: skip
def test_of_a_description_only_places_are_written_anew(
    tmp_path: Path, text: str, expected: str
) -> None:
    data = YoloSet(tmp_path / "mine")
    data.place.write_bytes(text.format(root=data.root).encode())
    report = report_of(data.place)
    if "*a" in text:  # the same folder twice: nothing of train stays
        mend(report, tmp_path / "copy")
        written = (tmp_path / "copy/data.yaml").read_text()
        assert written == "train:\nval: images/train\nnc: 2\n"
        return
    mend(report, tmp_path / "copy")
    assert (tmp_path / "copy/data.yaml").read_bytes() == expected.format().encode()


def test_a_list_alone_is_copied_with_what_it_names(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine")
    place = put(data.root / "val.txt", "images/val/v1.jpg\nimages/val/v2.jpg\n")
    put(data.root / "classes.txt", "cat\ndog\n")
    data.add("val", "v2", b"no image")
    mend(report_of(place), tmp_path / "copy")
    assert sorted(without_changes(tmp_path / "copy")) == [
        "classes.txt",
        "images/val/v1.jpg",
        "labels/val/v1.txt",
        "val.txt",
    ]
    assert (tmp_path / "copy/val.txt").read_text() == "images/val/v1.jpg\n"


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(["0 .5 .5 .2 .2", "1 .9 .5 .4 .2", "9 .1 .1 .1 .1", "0 .5 .5 1e-9 .1", ""]),
        max_size=6,
    )
)
def test_the_copy_of_a_copy_is_the_copy(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("twice")
    data = YoloSet(folder / "mine", per_split=1)
    data.add("train", "x", picture(50), rows)
    mend(report_of(data.place), folder / "copy")
    (folder / "copy" / CHANGES_FILE).unlink()
    changes = mend(report_of(folder / "copy"), folder / "again")
    assert len(changes) == 1
    assert without_changes(folder / "again") == contents(folder / "copy")


# --- copies that contradict each other


def test_of_equal_images_with_different_labels_in_a_split_both_stay_and_it_is_said(
    tmp_path: Path,
) -> None:
    data = YoloSet(tmp_path / "mine")
    first = data.add("train", "a_copy", picture(1), [])
    changes = mend(report_of(data.place), tmp_path / "copy")
    assert (tmp_path / "copy/images/train/a_copy.jpg").exists()
    assert (tmp_path / "copy/images/train/t1.jpg").exists()
    assert (
        f"{data.image('train', 't1')}: kept, although it is the same file as {first}: their labels "
        "differ, and nothing says which are right" in changes
    )


def test_of_equal_images_with_different_labels_in_two_splits_none_stays_and_it_is_said(
    tmp_path: Path,
) -> None:
    data = YoloSet(tmp_path / "mine")
    ours = data.add("train", "leak", picture(103), [])
    theirs = data.image("val", "v3")
    changes = mend(report_of(data.place), tmp_path / "copy")
    why = "labels differ, and nothing says which are right"
    assert f"{ours}: left out of train: the same file as {theirs} in val; their {why}" in changes
    assert f"{theirs}: left out of val: the same file as {ours} in train; their {why}" in changes
    copy = report_of(tmp_path / "copy")
    assert {split: of.images for split, of in copy.counts.items()} == {"train": 6, "val": 5}


# --- COCO


def coco_fields(tmp_path: Path) -> dict[str, Any]:
    """A file with much that no detector needs, and an empty box."""
    for number in range(3):
        put_picture(tmp_path / f"images/sub/{number}.jpg", number)
    images = [
        {"id": n, "file_name": f"sub/{n}.jpg", "width": 160, "height": 120, "license": 1}
        for n in range(3)
    ]
    mask = {"counts": [0, 10], "size": [120, 160]}
    box = {"image_id": 0, "category_id": 1, "bbox": [10, 10, 40, 40], "area": 900, "iscrowd": 0}
    extra = {"segmentation": mask, "keypoints": [1, 2, 2], "attributes": {"occluded": True}}
    annotations = [
        {"id": 5, **box, **extra},
        {"id": 6, **box, "image_id": 1, "bbox": [10, 10, 0, 40]},
        {"id": 7, **box, "image_id": 1, "bbox": [130, 10, 60, 40]},
    ]
    categories = [
        {"id": 1, "name": "x", "supercategory": "thing", "keypoints": ["n"]},
        {"id": 0, "name": "thing"},
    ]
    return {
        "info": {"version": 1.5},
        "licenses": [{"id": 1}],
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def test_a_coco_copy_keeps_everything_of_every_entry_that_stays(tmp_path: Path) -> None:
    fields = coco_fields(tmp_path / "mine")
    put(tmp_path / "mine/annotations/instances_train.json", json.dumps(fields))
    mend(report_of(tmp_path / "mine"), tmp_path / "copy")
    written = json.loads((tmp_path / "copy/annotations/instances_train.json").read_text())
    cut = {**fields["annotations"][2], "bbox": [130, 10, 30, 40]}
    expected = {**fields, "annotations": [fields["annotations"][0], cut]}
    assert written == expected
    assert (tmp_path / "copy/images/sub/2.jpg").exists()


def test_a_sound_coco_file_comes_out_byte_for_byte(tmp_path: Path) -> None:
    fields = coco_fields(tmp_path / "mine")
    del fields["annotations"][1:]
    put(tmp_path / "mine/annotations/instances_train.json", json.dumps(fields, indent=3) + "\n")
    changes = mend(report_of(tmp_path / "mine"), tmp_path / "copy")
    assert without_changes(tmp_path / "copy") == contents(tmp_path / "mine")
    assert len(changes) == 1


def test_annotations_of_an_image_that_goes_go_with_it(tmp_path: Path) -> None:
    fields = coco_fields(tmp_path / "mine")
    (tmp_path / "mine/images/sub/0.jpg").write_bytes(b"no image")
    put(tmp_path / "mine/annotations/instances_train.json", json.dumps(fields))
    mend(report_of(tmp_path / "mine"), tmp_path / "copy")
    written = json.loads((tmp_path / "copy/annotations/instances_train.json").read_text())
    assert [one["id"] for one in written["images"]] == [1, 2]
    assert [one["id"] for one in written["annotations"]] == [7]


def test_absolute_file_names_are_written_anew_and_said(tmp_path: Path) -> None:
    image = put_picture(tmp_path / "mine/images/a.jpg", 1)
    images: list[dict[str, object]] = [{"id": 7, "file_name": str(image)}]
    boxes: list[dict[str, object]] = [
        {"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 1, 9, 9]}
    ]
    place = tmp_path / "mine/annotations/train.json"
    put(place, coco(images=images, annotations=boxes))
    changes = mend(report_of(place), tmp_path / "copy")
    copy = report_of(tmp_path / "copy/annotations/train.json").description
    assert [r.path for r in copy.splits["train"]] == [tmp_path / "copy/images/a.jpg"]
    told = f"{place}: changed: 1 file_name of another folder begins in the copy: a.jpg"
    assert told in changes


def test_an_image_listed_twice_with_other_objects_stays_as_it_is(tmp_path: Path) -> None:
    put_picture(tmp_path / "mine/a.png", 1)
    images: list[dict[str, object]] = [
        {"id": number, "file_name": "a.png", "width": 160, "height": 120} for number in (1, 2)
    ]
    boxes: list[dict[str, object]] = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [10 * n, 10, 40, 40]} for n in (1, 2)
    ]
    place = put(tmp_path / "mine/train.json", coco(images=images, annotations=boxes))
    mend(report_of(place), tmp_path / "copy")
    assert (tmp_path / "copy/train.json").read_text() == place.read_text()


NO_SIZE: list[dict[str, object]] = [{"id": 7, "file_name": "a.png"}]


def without_size(tmp_path: Path, *boxes: list[float]) -> Path:
    """A COCO file that states no size, of a picture of 160 x 120."""
    put_picture(tmp_path / "mine/a.png", 1)
    fields: dict[str, object] = {"image_id": 7, "category_id": 1}
    annotations = [{"id": n, "bbox": box, **fields} for n, box in enumerate(boxes, start=1)]
    text = coco(images=NO_SIZE, annotations=annotations)
    return put(tmp_path / "mine/train.json", text)


def test_where_no_size_is_stated_boxes_are_judged_by_the_image(tmp_path: Path) -> None:
    place = without_size(tmp_path, [500, 500, 40, 40], [100, 100, 400, 10], [10, 10, 40, 40])
    report = report_of(place)
    outside, reaching = of_kind(report.findings, "box-outside")
    assert (outside.severity, outside.line) == ("error", 10)
    assert outside.cause == "annotation 1 of a.png: the box lies outside the image of 160 x 120"
    assert (reaching.severity, reaching.line) == ("warning", 11)
    assert reaching.cause == (
        "annotation 2 of a.png: the box reaches 340 pixels out of the image of 160 x 120; "
        "it is cut there"
    )
    changes = mend(report, tmp_path / "copy")
    assert changes[:-1] == [
        f"{place}:10: left out: {outside.cause}",
        f"{place}:11: changed: {reaching.cause}",
    ]
    written = json.loads((tmp_path / "copy/train.json").read_text())
    assert [one["bbox"] for one in written["annotations"]] == [[100, 100, 60, 10], [10, 10, 40, 40]]
    assert written["images"] == NO_SIZE


# --- VOC


def voc_set(tmp_path: Path, objects: str, **options: str) -> Path:
    """Two images; the second one's file holds what no detector needs."""
    head = "<folder>f</folder><source><database>q</database></source><segmented>1</segmented>"
    part = "<part><name>head</name><bndbox><xmin>3</xmin></bndbox></part><pose>Left</pose>"
    extra = voc_object("dog", 5, 5, 50, 50, extra=f"<truncated>1</truncated>{part}")
    size = "<width>160</width><height>120</height>"
    for name, seed in (("a", 1), ("b", 2)):
        put_picture(tmp_path / f"mine/JPEGImages/{name}.png", seed)
    put(tmp_path / "mine/Annotations/a.xml", voc(objects, **{"size": size, **options}))
    text = voc(extra, size=size).replace("<annotation>", f"<annotation verified='yes'>{head}")
    put(tmp_path / "mine/Annotations/b.xml", text)
    return tmp_path / "mine"


def test_a_voc_copy_keeps_every_element_that_stays(tmp_path: Path) -> None:
    kept = voc_object("cat", 5, 5, 30, 30)
    reaching = voc_object("cat", 140, 5, 190, 60, extra="<pose>Left</pose>")
    place = voc_set(tmp_path, f"{kept}\n\t{voc_object('cat', 9, 9, 9, 20)}\n\t{reaching}")
    mend(report_of(place), tmp_path / "copy")
    before, after = contents(place), without_changes(tmp_path / "copy")
    text = before["Annotations/a.xml"].decode()
    text = text.replace(f"\n\t{voc_object('cat', 9, 9, 9, 20)}", "").replace("190", "160")
    assert after.pop("Annotations/a.xml").decode() == text
    del before["Annotations/a.xml"]
    assert after == before


def test_a_list_of_voc_loses_only_the_lines_of_images_that_go(tmp_path: Path) -> None:
    place = voc_set(tmp_path, voc_object("cat", 5, 5, 30, 30))
    put(place / "ImageSets/Main/train.txt", "a\n\n")
    put(place / "ImageSets/Main/val.txt", "b")
    put(place / "ImageSets/Main/trainval.txt", "a\nb\nc\n")
    put(place / "ImageSets/Main/cat_train.txt", "a 1\n")
    (place / "JPEGImages/b.png").write_bytes(b"no image")
    changes = mend(report_of(place), tmp_path / "copy")
    lists = {path.name: path.read_text() for path in (tmp_path / "copy").rglob("*.txt")}
    del lists[CHANGES_FILE]
    assert lists == {"train.txt": "a\n\n", "val.txt": "", "trainval.txt": "a\n"}
    assert f"{place}: not copied: 1 other file: ImageSets/Main/cat_train.txt" in changes


def test_a_voc_file_in_another_encoding_keeps_it(tmp_path: Path) -> None:
    place = voc_set(tmp_path, "")
    text = voc(voc_object("猫", 5, 5, 30, 30) + "\n" + voc_object("猫", 9, 9, 9, 20))
    text = f'<?xml version="1.0" encoding="gbk"?>\n{text}'.replace("<width>100", "<width>160")
    text = text.replace("<height>50", "<height>120")
    (place / "Annotations/a.xml").write_bytes(text.encode("gbk"))
    report = report_of(place)
    assert "猫" in report.description.classes.names
    mend(report, tmp_path / "copy")
    expected = text.replace("\n" + voc_object("猫", 9, 9, 9, 20), "").encode("gbk")
    assert (tmp_path / "copy/Annotations/a.xml").read_bytes() == expected


def test_a_voc_file_without_a_size_is_judged_by_the_image(tmp_path: Path) -> None:
    objects = voc_object("cat", 500, 5, 530, 30) + voc_object("cat", 5, 5, 30, 30)
    place = voc_set(tmp_path, objects, size="<width>0</width><height>0</height>")
    report = report_of(place)
    (found,) = of_kind(report.findings, "box-outside")
    assert (found.severity, found.line) == ("error", 4)
    assert found.cause == "a.png: the box lies outside the image of 160 x 120"
    changes = mend(report, tmp_path / "copy")
    assert f"{place / 'Annotations/a.xml'}:4: left out: {found.cause}" in changes
    assert "500" not in (tmp_path / "copy/Annotations/a.xml").read_text()


# --- where the copy may stand


@pytest.mark.parametrize("inside", ["fixed", "images/fixed", "images/train/deep/fixed"])
def test_a_copy_inside_the_data_set_is_refused(tmp_path: Path, inside: str) -> None:
    data = YoloSet(tmp_path / "mine")
    with pytest.raises(ConfigError, match=r"lies in the data set, in .*; choose a place"):
        require_place(open_dataset(data.place), data.root / inside)
    require_place(open_dataset(data.place), tmp_path / "fixed")
    assert not (tmp_path / "fixed").exists()


def test_a_copy_that_cannot_be_made_is_refused_before_any_work(tmp_path: Path) -> None:
    description = open_dataset(YoloSet(tmp_path / "mine").place)
    file = put(tmp_path / "file.txt")
    for place in (file / "x", Path("/proc/x/y")):
        with pytest.raises(ConfigError, match=r"cannot be made: .*; choose another place"):
            require_place(description, place)


def test_what_a_killed_run_left_does_not_stand_in_the_way(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine")
    for name in ("copy.unfinished", ".copy.unfinished"):
        (tmp_path / name).mkdir()
    mend(report_of(data.place), tmp_path / "copy")
    assert (tmp_path / "copy/data.yaml").exists()


def test_names_that_are_no_text_are_written_down(tmp_path: Path) -> None:
    data = YoloSet(tmp_path / "mine")
    label = data.label("train", "\udce9")  # the byte E9 alone, which is no UTF-8
    try:
        data.image("train", "t1").rename(data.image("train", "\udce9"))
    except (OSError, ValueError):
        pytest.skip("this file system has no such names")
    data.label("train", "t1").rename(label)
    label.write_text(f"{CLEAN_ROWS[0]}\n9 .5 .5 .1 .1\n")
    changes = mend(report_of(data.place), tmp_path / "copy")
    assert "\\udce9.txt:2: left out: class 9" in (tmp_path / "copy" / CHANGES_FILE).read_text()
    assert label.name in [path.name for path in (tmp_path / "copy/labels/train").iterdir()]
    assert len(changes) == 2
