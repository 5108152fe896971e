from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gelan.data.description import open_dataset
from gelan.data.formats.records import DatasetDescription, ImageRecord, Layout, Row, labels_of
from gelan.data.formats.writers import write_coco, write_voc, write_yolo
from gelan.errors import ConfigError
from gelan.structures.classes import ClassTable
from gelan.structures.samples import Annotations
from tests.unit.data.formats.small_sets import put, put_image

WRITERS = {"yolo": write_yolo, "coco": write_coco, "voc": write_voc}
HEIGHT, WIDTH = 50, 100


def described(
    tmp_path: Path,
    rows: list[Row],
    *,
    layout: Layout = "corner-size",
    names: tuple[str, ...] = ("cat", "dog"),
    splits: tuple[str, ...] = ("train",),
) -> DatasetDescription:
    """The same rows in one image of each split, and an image that shows nothing."""
    parts = {}
    for split in splits:
        paths = [tmp_path / split / name for name in ("a.png", "empty.png")]
        for path in paths:
            if not path.exists():
                put_image(path, width=WIDTH, height=HEIGHT)
        parts[split] = tuple(
            ImageRecord(path=path, labels=labels_of(part, layout=layout), label_file=None)
            for path, part in zip(paths, (rows, []), strict=True)
        )
    return DatasetDescription(
        place=tmp_path, kind="coco", classes=ClassTable(names), splits=parts, findings=()
    )


def read_back(folder: Path, split: str = "train") -> Annotations:
    found = open_dataset(folder)
    (record,) = [record for record in found.splits[split] if record.path.stem == "a"]
    return record.annotations((HEIGHT, WIDTH))


def boxes_from(corners: tuple[int, int, int, int], shift: float) -> Row:
    left, top, right, bottom = corners
    return Row((left + shift, top + shift, right - left + 2.0, bottom - top + 2.0), 1)


EDGE = (
    st.tuples(st.integers(0, 40), st.integers(41, 90)),
    st.tuples(st.integers(0, 20), st.integers(21, 40)),
)


@pytest.mark.parametrize(("kind", "tolerance"), [("yolo", 1e-3), ("coco", 0.0), ("voc", 1e-3)])
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    corners=st.lists(st.tuples(*EDGE), min_size=1, max_size=4, unique=True),
    shift=st.floats(0, 7, allow_subnormal=False),
)
def test_boxes_and_classes_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    tolerance: float,
    corners: list[tuple[tuple[int, int], tuple[int, int]]],
    shift: float,
) -> None:
    tmp_path = tmp_path_factory.mktemp("round")
    rows = [boxes_from((x[0], y[0], x[1], y[1]), shift) for x, y in corners]
    before = described(tmp_path / "in", [Row((1.0, 1.0, 9.0, 9.0), 0), *rows])
    WRITERS[kind](before, tmp_path / "out")
    after = read_back(tmp_path / "out")
    expected = before.splits["train"][0].annotations((HEIGHT, WIDTH))
    np.testing.assert_allclose(after.boxes, expected.boxes, rtol=0, atol=tolerance)
    assert after.classes.tolist() == expected.classes.tolist()


@pytest.mark.parametrize("kind", WRITERS)
def test_splits_classes_and_images_without_objects_come_back(tmp_path: Path, kind: str) -> None:
    rows = [Row((1.0, 1.0, 9.0, 9.0), 0), Row((1.0, 1.0, 9.0, 9.0), 1)]
    before = described(tmp_path / "in", rows, splits=("train", "val"))
    assert not WRITERS[kind](before, tmp_path / "out")
    after = open_dataset(tmp_path / "out")
    assert after.kind == kind
    assert after.classes.names == ("cat", "dog")
    assert {name: [len(r.labels) for r in part] for name, part in after.splits.items()} == {
        "train": [2, 0],
        "val": [2, 0],
    }
    assert not [finding for finding in after.findings if finding.severity != "note"]


@pytest.mark.parametrize("kind", WRITERS)
def test_nothing_that_is_there_is_touched(tmp_path: Path, kind: str) -> None:
    before = described(tmp_path / "in", [])
    put(tmp_path / "out" / "mine.txt", "mine")
    with pytest.raises(ConfigError, match="out is there already and stays as it is; choose"):
        WRITERS[kind](before, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("kind", WRITERS)
def test_after_an_error_nothing_is_left(tmp_path: Path, kind: str) -> None:
    before = described(tmp_path / "in", [])
    before.splits["train"][1].path.unlink()
    with pytest.raises(FileNotFoundError):
        WRITERS[kind](before, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_images_are_copied_or_linked(tmp_path: Path) -> None:
    before = described(tmp_path / "in", [])
    write_yolo(before, tmp_path / "copied")
    write_yolo(before, tmp_path / "linked", link=True)
    source = before.splits["train"][0].path
    assert (tmp_path / "linked/images/train/a.png").samefile(source)
    copy = tmp_path / "copied/images/train/a.png"
    assert copy.read_bytes() == source.read_bytes()
    assert not copy.samefile(source)


@pytest.mark.parametrize("kind", WRITERS)
def test_images_of_the_same_name_get_numbers(tmp_path: Path, kind: str) -> None:
    before = described(tmp_path / "in", [Row((1.0, 1.0, 9.0, 9.0), 0)], splits=("train", "val"))
    both = (*before.splits["train"], *before.splits["val"])
    merged = DatasetDescription(
        place=tmp_path, kind="coco", classes=before.classes, splits={"all": both}, findings=()
    )
    WRITERS[kind](merged, tmp_path / "out")
    (records,) = open_dataset(tmp_path / "out").splits.values()
    assert sorted((record.path.name, len(record.labels)) for record in records) == [
        ("a.png", 1),
        ("a_2.png", 1),
        ("empty.png", 0),
        ("empty_2.png", 0),
    ]


def square(*, scale: float = 1.0) -> np.ndarray:
    return np.array([[10.0, 10.0], [30.0, 10.0], [30.0, 20.0]]) * scale


def test_yolo_keeps_one_polygon_and_says_what_it_cannot_hold(tmp_path: Path) -> None:
    box = (10.0, 10.0, 20.0, 10.0)
    rows = [
        Row(box, 0, polygons=(square(),), area=100.0),
        Row((10.0, 10.0, 50.0, 30.0), 1, polygons=(square(), square(scale=2.0))),
        Row((1.0, 1.0, 9.0, 9.0), 1, crowd=True),
    ]
    losses = write_yolo(described(tmp_path / "in", rows), tmp_path / "out")
    text = (tmp_path / "out/labels/train/a.txt").read_text()
    assert text.splitlines() == [
        "0 0.10000000 0.20000000 0.30000000 0.20000000 0.30000000 0.40000000",
        "1 0.35000000 0.50000000 0.50000000 0.60000000",
    ]
    assert [loss.cause for loss in losses] == [
        "of outlines that are not one polygon only the box is kept: 1 object",
        "crowds and difficult objects are left out: 1 object",
    ]
    assert {loss.kind for loss in losses} == {"format-limit"}


def test_coco_keeps_ids_areas_crowds_and_polygons(tmp_path: Path) -> None:
    rows = [
        Row((10.0, 10.0, 20.0, 10.0), 0, polygons=(square(),), area=99.5, id=17, line=1),
        Row((1.1, 2.2, 9.3, 9.4), 1, crowd=True, area=5.5, id=4, line=2),
    ]
    before = described(tmp_path / "in", rows)
    with_ids = DatasetDescription(
        place=tmp_path,
        kind="coco",
        classes=ClassTable(("cat", "dog"), (3, 44)),
        splits=before.splits,
        findings=(),
    )
    losses = write_coco(with_ids, tmp_path / "out")
    written = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())
    assert written["categories"] == [{"id": 3, "name": "cat"}, {"id": 44, "name": "dog"}]
    assert [(one["id"], one["category_id"], one["bbox"]) for one in written["annotations"]] == [
        (17, 3, [10.0, 10.0, 20.0, 10.0]),
        (4, 44, [1.1, 2.2, 9.3, 9.4]),
    ]
    after = read_back(tmp_path / "out")
    assert after.areas.tolist() == [99.5, 5.5]
    assert after.crowd.tolist() == [False, True]
    assert after.polygons[0][0].tolist() == square().tolist()
    assert [loss.cause for loss in losses] == [
        "masks as run lengths are not kept, only their areas: 1 object"
    ]


def test_the_area_of_an_outline_in_fractions_is_written_in_pixels(tmp_path: Path) -> None:
    outline = np.array([[0.1, 0.2], [0.3, 0.2], [0.3, 0.4]])
    rows = [Row((0.2, 0.3, 0.2, 0.2), 0, polygons=(outline,), area=0.02)]
    write_coco(described(tmp_path / "in", rows, layout="centre-fractions"), tmp_path / "out")
    written = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())
    (one,) = written["annotations"]
    assert one["area"] == pytest.approx(0.02 * WIDTH * HEIGHT)  # half of 20 x 10 pixels


@pytest.mark.parametrize("kind", WRITERS)
def test_boxes_that_show_nothing_are_left_out_and_counted(tmp_path: Path, kind: str) -> None:
    rows = [
        Row((500.0, 5.0, 9.0, 9.0), 0),
        Row((1.0, 1.0, 9.0, 9.0), 0),
        Row((1.0, 1.0, 9.0, 9.0), 1),
    ]
    losses = WRITERS[kind](described(tmp_path / "in", rows), tmp_path / "out")
    assert [loss.cause for loss in losses] == [
        "boxes that show nothing of their image are left out: 1 object"
    ]
    assert len(read_back(tmp_path / "out")) == 2


def test_voc_leaves_out_boxes_of_one_pixel_and_says_that_the_order_of_classes_is_lost(
    tmp_path: Path,
) -> None:
    rows = [
        Row((10.0, 10.0, 1.0, 9.0), 0),
        Row((10.0, 10.0, 1.5, 9.0), 0),
        Row((1.0, 1.0, 9.0, 9.0), 1, crowd=True),
    ]
    before = described(tmp_path / "in", rows, names=("dog", "cat"))
    losses = write_voc(before, tmp_path / "out")
    assert [loss.cause.partition(":")[0] for loss in losses] == [
        "boxes of one pixel's width or height, or less, are left out",
        "VOC lists no classes",
    ]
    after = read_back(tmp_path / "out")
    assert after.boxes.tolist() == [[10, 10, 11.5, 19], [1, 1, 10, 10]]
    assert after.crowd.tolist() == [False, True]


@pytest.mark.parametrize("kind", WRITERS)
def test_hostile_names_of_classes_come_back(tmp_path: Path, kind: str) -> None:
    names = ("<b>&'\"", 'a: "#b\\', "été ☃", "no", "~")
    rows = [Row((1.0 + i, 1.0, 9.0, 9.0), i) for i in range(len(names))]
    WRITERS[kind](described(tmp_path / "in", rows, names=names), tmp_path / "out")
    after = open_dataset(tmp_path / "out")
    assert [row.name for row in after.mapping()] == (sorted(names) if kind == "voc" else [*names])


def test_boxes_across_the_border_are_cut(tmp_path: Path) -> None:
    before = described(tmp_path / "in", [Row((90.0, 10.0, 30.0, 10.0), 0)])
    for kind, write in WRITERS.items():
        write(before, tmp_path / kind)
        boxes = read_back(tmp_path / kind).boxes
        np.testing.assert_allclose(boxes, [[90, 10, 100, 20]], rtol=0, atol=1e-5)
