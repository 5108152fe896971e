from __future__ import annotations

from pathlib import Path

import pytest

from gelan.data.formats.records import DatasetDescription
from gelan.data.formats.voc import read_voc_folder, read_voc_list
from gelan.errors import SourceError
from gelan.structures.findings import Finding
from tests.unit.data.formats.small_sets import of_kind, put, put_image, voc, voc_object


def read(tmp_path: Path, objects: str, **options: str) -> DatasetDescription:
    """One image `a`, and `b` with a cat so that the data set is never empty."""
    for name, text in (("a", voc(objects, **options)), ("b", voc(voc_object("cat", 5, 5, 9, 9)))):
        put_image(tmp_path / "JPEGImages" / f"{name}.png")
        put(tmp_path / "Annotations" / f"{name}.xml", text)
    return read_voc_folder(tmp_path)


def worst(found: DatasetDescription) -> list[Finding]:
    return [finding for finding in found.findings if finding.severity != "note"]


def test_corners_count_pixels_from_1_with_the_last_included(tmp_path: Path) -> None:
    found = read(tmp_path, voc_object("dog", 1, 1, 100, 50) + voc_object("cat", 11, 21, 30, 40))
    record = found.splits["all"][0]
    assert record.stated_hw == (50, 100)
    annotations = record.annotations((50, 100))
    assert annotations.boxes.tolist() == [[0, 0, 100, 50], [10, 20, 30, 40]]
    assert annotations.areas.tolist() == [5000.0, 400.0]
    assert record.labels.lines.tolist() == [4, 4]
    assert not found.findings


def test_classes_are_the_names_that_occur_in_all_splits_sorted(tmp_path: Path) -> None:
    found = read(tmp_path, voc_object("dog", 1, 1, 9, 9) + voc_object("ant", 1, 1, 9, 9))
    assert found.classes.names == ("ant", "cat", "dog")
    assert found.classes.category_ids is None
    assert found.splits["all"][0].labels.classes.tolist() == [2, 0]


def test_coordinates_of_0_mean_that_the_whole_data_set_counts_from_0(tmp_path: Path) -> None:
    found = read(tmp_path, voc_object("dog", 0, 3, 10, 13) + voc_object("cat", 3, 0, 10, 13))
    assert [record.labels.layout for record in found.splits["all"]] == ["corners", "corners"]
    assert found.splits["all"][1].annotations((50, 100)).boxes.tolist() == [[5, 5, 9, 9]]
    (note,) = found.findings
    assert (note.kind, note.severity) == ("values-origin", "note")
    assert note.cause.startswith("2 left or upper edges of the data set at 0 and 0 at 1, so all")


@pytest.mark.parametrize(
    ("starts", "layout"),
    [
        ([(0, 5)], "corners-from-1"),
        ([(0, 5), (5, 0)], "corners"),
        ([(0, 5), (5, 0), (1, 1)], "corners"),
        ([(0, 5), (5, 0), (1, 1), (1, 2)], "corners-from-1"),
    ],
)
def test_one_stray_0_or_fewer_than_there_are_1s_shift_nothing_and_it_is_said(
    tmp_path: Path, starts: list[tuple[int, int]], layout: str
) -> None:
    found = read(tmp_path, "".join(voc_object("dog", x, y, 30, 40) for x, y in starts))
    assert {record.labels.layout for record in found.splits["all"]} == {layout}
    (told,) = of_kind(found.findings, "values-origin")
    assert told.severity == ("note" if layout == "corners" else "warning")


def test_a_list_counts_as_its_folder_does(tmp_path: Path) -> None:
    read(tmp_path, voc_object("dog", 0, 3, 10, 13) + voc_object("cat", 3, 0, 10, 13))
    place = put(tmp_path / "ImageSets/Main/train.txt", "b\n")
    found = read_voc_list(place)
    assert found.splits["train"][0].labels.layout == "corners"
    assert [finding.kind for finding in found.findings] == ["values-origin"]


def test_a_box_may_begin_in_the_last_column_and_row_and_no_further(tmp_path: Path) -> None:
    last = voc_object("dog", 100, 50, 101, 51)  # of 100 x 50
    found = read(tmp_path, last + voc_object("dog", 101, 2, 110, 9))
    assert found.splits["all"][0].annotations((50, 100)).boxes.tolist() == [[99, 49, 100, 50]]
    assert [finding.kind for finding in worst(found)] == ["box-outside"]


def test_boxes_in_parts_of_the_size_are_told(tmp_path: Path) -> None:
    place = put(tmp_path / "set/a.xml", voc(voc_object("dog", 0.1, 0.1, 0.5, 0.9)))
    put_image(place.with_suffix(".png"))
    (told,) = of_kind(read_voc_folder(tmp_path / "set").findings, "value-range")
    assert told.cause == "all 1 boxes lie within one pixel: looks like parts of the image's size"


@pytest.mark.parametrize("side", ["9" * 5000, "\uff11\uff10", "-5", "1e3", ""])
def test_a_width_that_is_no_number_is_left_open_and_said(tmp_path: Path, side: str) -> None:
    size = f"<width>{side}</width><height>50</height>"
    found = read(tmp_path, voc_object("dog", 5, 5, 30, 40), size=size)
    assert found.splits["all"][0].stated_hw is None
    (told,) = of_kind(found.findings, "size-unknown")
    assert told.cause == "1 image of 2 in all without a usable <size>"


def test_encodings_that_only_python_knows_are_read_and_others_are_findings(tmp_path: Path) -> None:
    read(tmp_path, "")
    text = voc(voc_object("猫", 5, 5, 30, 40))
    xml = f'<?xml version="1.0" encoding="gbk"?>\n{text}'
    (tmp_path / "Annotations/a.xml").write_bytes(xml.encode("gbk"))
    assert read_voc_folder(tmp_path).classes.names == ("cat", "猫")
    put(tmp_path / "Annotations/a.xml", f'<?xml version="1.0" encoding="bogus"?>{text}')
    (told,) = worst(read_voc_folder(tmp_path))
    assert told.cause == "is in an unknown encoding, 'bogus'; save it as UTF-8"
    (tmp_path / "Annotations/a.xml").write_bytes(xml.encode("gbk")[:-20] + b"\xff\xff</annotation>")
    (told,) = worst(read_voc_folder(tmp_path))
    assert told.cause == "is not in the encoding that it names, 'gbk'"


@pytest.mark.parametrize(
    ("element", "kind", "cause"),
    [
        (
            voc_object("dog", 9, 9, 9, 20),
            "box-empty",
            "the box of dog is empty: xmin 9, ymin 9, xm",
        ),
        (voc_object("dog", 20, 9, 9, 20), "box-swapped", "the corners of dog are swapped: xmin 20"),
        (voc_object("", 1, 2, 9, 9), "row-fields", "an object has no name"),
        ("<object><name>dog</name></object>", "row-fields", "dog has no <bndbox>"),
        (
            "<object><name>dog</name><bndbox><xmin>1</xmin><ymin>x</ymin></bndbox></object>",
            "row-number",
            "the box of dog is xmin 1 ymin x xmax absent ymax absent",
        ),
        (voc_object("dog", 1, 1, float("inf"), 9), "row-number", "the box of dog is xmin 1 ymin 1"),
        (voc_object("dog", 101, 1, 120, 9), "box-outside", "the box of dog, 101 1 120 9, lies out"),
    ],
)
def test_an_object_that_cannot_be_used_is_told_with_its_line(
    tmp_path: Path, element: str, kind: str, cause: str
) -> None:
    found = read(tmp_path, f"{voc_object('cat', 1, 1, 9, 9)}\n{element}")
    (finding,) = worst(found)
    assert (finding.kind, finding.severity, finding.line) == (kind, "error", 5)
    assert finding.cause.startswith(cause)
    assert finding.file == str(tmp_path / "Annotations/a.xml")
    assert len(found.splits["all"][0].labels) == 1


def test_the_line_is_that_of_the_box(tmp_path: Path) -> None:
    element = "<object>\n<name>dog</name>\n<bndbox><xmin>2</xmin><ymin>2</ymin></bndbox>\n</object>"
    assert worst(read(tmp_path, element))[0].line == 6


def test_an_image_all_of_whose_objects_are_bad_does_not_pass_for_empty(tmp_path: Path) -> None:
    found = read(tmp_path, voc_object("dog", 9, 9, 9, 9))
    assert [record.path.name for record in found.splits["all"]] == ["b.png"]
    assert [finding.kind for finding in worst(found)] == ["box-empty", "image-left-out"]


def test_a_box_across_the_border_or_twice_is_told_and_used_once(tmp_path: Path) -> None:
    found = read(tmp_path, voc_object("dog", 90, 1, 110, 9) * 2)
    assert [finding.kind for finding in worst(found)] == ["box-outside", "row-repeated"]
    annotations = found.splits["all"][0].annotations((50, 100))
    assert annotations.boxes.tolist() == [[89, 0, 100, 9]]


def test_difficult_objects_are_kept_as_crowds(tmp_path: Path) -> None:
    objects = voc_object("dog", 2, 2, 9, 9, extra="<difficult>1</difficult>")
    found = read(
        tmp_path, objects + voc_object("dog", 3, 3, 9, 9, extra="<difficult>0</difficult>")
    )
    assert found.splits["all"][0].labels.crowd.tolist() == [True, False]
    assert of_kind(found.findings, "crowd")[0].cause == "1 of 3 objects in all are difficult"


def test_boxes_of_parts_of_an_object_do_not_count(tmp_path: Path) -> None:
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    found = read(tmp_path, voc_object("dog", 2, 2, 9, 9, extra=part))
    assert found.classes.names == ("cat", "dog")
    assert not found.findings


def test_an_image_without_objects_shows_nothing_and_is_counted(tmp_path: Path) -> None:
    found = read(tmp_path, "")
    assert [len(record.labels) for record in found.splits["all"]] == [0, 1]
    assert of_kind(found.findings, "background")[0].cause == "1 of 2 images in all have no object"


def test_a_size_that_is_not_stated_is_left_open(tmp_path: Path) -> None:
    found = read(tmp_path, voc_object("dog", 90, 1, 110, 9), size="<width>0</width>")
    assert found.splits["all"][0].stated_hw is None
    assert not worst(found)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("<annotation>", "is no complete XML"),
        ("<annotations/>", "begins with <annotations>, not <annotation>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "declares a document type"),
    ],
)
def test_a_file_that_cannot_be_read_leaves_its_image_out(
    tmp_path: Path, text: str, cause: str
) -> None:
    read(tmp_path, "")
    put(tmp_path / "Annotations" / "a.xml", text)
    found = read_voc_folder(tmp_path)
    (finding,) = worst(found)
    assert (finding.kind, len(found.splits["all"])) == ("label-unreadable", 1)
    assert finding.cause.startswith(cause)


def with_lists(tmp_path: Path, lists: dict[str, str]) -> Path:
    for name in "abcd":
        put_image(tmp_path / "JPEGImages" / f"{name}.png")
        put(tmp_path / "Annotations" / f"{name}.xml", voc(voc_object("cat", 5, 5, 9, 9)))
    for name, text in lists.items():
        put(tmp_path / "ImageSets" / "Main" / f"{name}.txt", text)
    return tmp_path


def test_lists_make_the_splits(tmp_path: Path) -> None:
    lists = {"train": "a\nb\n", "val": "c \n", "test": "d\n", "trainval": "a\nb\nc\n"}
    lists["cat_train"] = "a 1\nb -1\n"
    found = read_voc_folder(with_lists(tmp_path, lists))
    assert {split: len(records) for split, records in found.splits.items()} == {
        "train": 2,
        "val": 1,
        "test": 1,
    }
    assert not found.findings


def test_trainval_alone_is_train_and_what_no_list_names_is_told(tmp_path: Path) -> None:
    found = read_voc_folder(with_lists(tmp_path, {"trainval": "a\nb\n", "test": "c\n"}))
    assert list(found.splits) == ["train", "test"]
    (finding,) = worst(found)
    assert finding.cause == "1 image in neither train, val nor test: d"


def test_lines_of_a_list_without_annotations_or_image_are_told(tmp_path: Path) -> None:
    folder = with_lists(tmp_path, {"train": "a\ngone\nb\n", "val": "c\nd\n"})
    (folder / "JPEGImages" / "b.png").unlink()
    found = read_voc_folder(folder)
    assert [(f.kind, Path(f.file).name, f.line) for f in worst(found)] == [
        ("image-unlabelled", "train.txt", 2),
        ("image-missing", "b.xml", None),
    ]
    assert len(found.splits["train"]) == 1


def test_one_list_can_be_named_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = with_lists(tmp_path, {"train": "a\nb\n", "val": "c\n"})
    found = read_voc_list(folder / "ImageSets/Main/val.txt")
    assert {split: len(records) for split, records in found.splits.items()} == {"val": 1}
    monkeypatch.chdir(folder / "ImageSets" / "Main")
    assert len(read_voc_list(Path("train.txt")).splits["train"]) == 2
    with pytest.raises(SourceError, match="there is no folder 'Annotations' beside 'ImageSets'"):
        read_voc_list(put(tmp_path / "other/ImageSets/Main/val.txt", "a"))


@pytest.mark.parametrize(
    ("xml", "image", "split"),
    [
        ("Annotations/a.xml", "JPEGImages/a.jpg", "all"),
        ("annotations/a.xml", "images/a.png", "all"),
        ("Annotations/a.xml", "Annotations/a.png", "all"),
        ("a.xml", "a.png", "all"),
        ("valid/a.xml", "valid/a.jpg", "val"),
    ],
)
def test_annotations_and_images_are_found_where_they_usually_are(
    tmp_path: Path, xml: str, image: str, split: str
) -> None:
    put(tmp_path / "set" / xml, voc(voc_object("cat", 5, 5, 9, 9)))
    put_image(tmp_path / "set" / image)
    found = read_voc_folder(tmp_path / "set")
    assert {name: [r.path for r in part] for name, part in found.splits.items()} == {
        split: [tmp_path / "set" / image]
    }


def test_an_image_of_another_name_is_found_by_the_file_name_in_the_annotations(
    tmp_path: Path,
) -> None:
    put(tmp_path / "Annotations" / "0001.xml", voc(voc_object("cat", 5, 5, 9, 9)))
    put_image(tmp_path / "JPEGImages" / "a.png")
    assert read_voc_folder(tmp_path).splits["all"][0].path.name == "a.png"


def test_two_images_for_one_annotation_file_are_told(tmp_path: Path) -> None:
    put_image(tmp_path / "JPEGImages" / "a.jpg")
    found = read(tmp_path, voc_object("cat", 5, 5, 9, 9))
    assert found.splits["all"][0].path.name == "a.png"
    assert worst(found)[0].cause == "belongs to a.jpg and a.png; a.png is used"


def test_names_that_are_given_fix_the_order_and_what_is_known(tmp_path: Path) -> None:
    read(tmp_path, voc_object("dog", 5, 5, 9, 9) + voc_object("cow", 5, 5, 9, 9))
    found = read_voc_folder(tmp_path, names=["dog", "cat"])
    assert found.classes.names == ("dog", "cat")
    assert found.splits["all"][0].labels.classes.tolist() == [0]
    assert worst(found)[0].cause == "'cow' is none of the classes cat, dog"


def test_a_folder_without_annotations_is_no_voc_data_set(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no VOC annotations found; name a folder with 'Annot"):
        read_voc_folder(tmp_path)
