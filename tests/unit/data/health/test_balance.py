from __future__ import annotations

from pathlib import Path

from gelan.data.formats.records import DatasetDescription, ImageRecord, Row, labels_of
from gelan.data.health.balance import SplitCounts, balance_findings, count_split
from gelan.data.health.boxes import boxes_of
from gelan.structures.classes import ClassTable
from gelan.structures.findings import Finding

NAMES = ("cat", "dog", "cow")


def record(classes: list[int], *, side: float = 50.0, crowd: bool = False) -> ImageRecord:
    rows = [Row((0.0, 0.0, side, 60.0), index, crowd=crowd) for index in classes]
    labels = labels_of(rows, layout="corners")
    return ImageRecord(path=Path("a.jpg"), labels=labels, label_file=None, stated_hw=(100, 640))


def counts_of(records: list[ImageRecord]) -> SplitCounts:
    boxes = [boxes_of(each, None) for each in records]
    return count_split(records, boxes, num_classes=len(NAMES), size=640)


def findings(**splits: list[ImageRecord]) -> list[Finding]:
    description = DatasetDescription(
        place=Path("data.yaml"),
        kind="coco",
        classes=ClassTable(NAMES),
        splits={split: tuple(records) for split, records in splits.items()},
        findings=(),
    )
    counts = {split: counts_of(records) for split, records in splits.items()}
    return list(balance_findings(description, counts, size=640))


def kinds(**splits: list[ImageRecord]) -> list[str]:
    return [found.kind for found in findings(**splits)]


FULL = [record([0, 1, 2] * 10)]


def test_counts_of_a_split() -> None:
    counts = counts_of(
        [record([0, 0, 1]), record([]), record([2], crowd=True), record([0], side=5.0)]
    )
    assert (counts.images, counts.empty, counts.objects, counts.crowds) == (4, 1, 5, 1)
    assert counts.class_objects == (3, 1, 1)
    assert counts.class_images == (2, 1, 1)
    assert (counts.measured, counts.small, counts.small_share) == (4, 1, 0.25)


def test_counts_of_nothing() -> None:
    counts = counts_of([])
    assert (counts.images, counts.objects, counts.small_share) == (0, 0, None)


def test_a_balanced_data_set_has_no_findings() -> None:
    assert kinds(train=FULL, val=FULL) == []


def test_a_class_that_is_only_measured_is_a_warning_with_its_name() -> None:
    (found,) = findings(train=[record([0, 1] * 10)], val=FULL)
    assert (found.kind, found.severity) == ("class-untrained", "warning")
    assert found.cause == "1 class in val and not in train: cow"


def test_a_class_that_is_never_measured_is_a_note() -> None:
    (found,) = findings(train=FULL, val=[record([0, 1])])
    assert (found.kind, found.severity) == ("class-unmeasured", "note")
    assert found.cause == "1 class in train and not in val: cow"


def test_rare_and_uneven_classes_are_notes_with_numbers() -> None:
    rare, uneven = findings(train=[record([0] * 40 + [1] * 20 + [2] * 3)], val=FULL)
    assert rare.cause == "1 class with less than 10 objects in train: cow (3)"
    assert uneven.cause == "in train, cat has 40 objects and cow 3: 13 to 1"


def test_mostly_empty_images_are_a_warning() -> None:
    (found,) = findings(train=[*FULL, record([]), record([])], val=FULL)
    assert found.kind == "background-most"
    assert found.cause == "2 of 3 images in train show none of the classes"


def test_half_of_the_images_may_be_empty() -> None:
    assert kinds(train=[*FULL, record([])], val=FULL) == []


def test_many_small_boxes_are_a_note() -> None:
    (found,) = findings(train=[record([0, 1, 2] * 10, side=7.0)], val=FULL)
    assert found.kind == "boxes-small"
    assert found.cause == (
        "100% of the 30 boxes in train are less than 8 pixels wide or high in an input of 640"
    )


def test_a_missing_split_is_a_note_but_not_where_nothing_names_splits() -> None:
    assert kinds(train=FULL) == ["split-absent"]
    assert kinds(val=FULL) == ["split-absent"]
    assert kinds(all=FULL) == []
