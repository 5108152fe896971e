from __future__ import annotations

from pathlib import Path

import numpy as np

from gelan.data.description import open_dataset
from gelan.data.health.copies import Copy, copy_findings, find_copies
from gelan.data.health.scan import scan
from gelan.structures.findings import Finding
from tests.unit.data.health.synthetic_sets import CLEAN_ROWS, YoloSet, encoded, picture


def copies_in(place: Path) -> tuple[Copy, ...]:
    description = open_dataset(place)
    paths = [record.path for records in description.splits.values() for record in records]
    return find_copies(description, scan(paths))


def findings_in(place: Path) -> list[Finding]:
    return list(copy_findings(copies_in(place)))


def test_different_pictures_are_no_copies(tmp_path: Path) -> None:
    assert copies_in(YoloSet(tmp_path).place) == ()


def test_an_equal_file_in_train_and_val_is_a_leak_of_train(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    leak = data.add("train", "zz", picture(102))  # v2
    (found,) = findings_in(data.place)
    kept = data.image("val", "v2")
    assert (found.kind, found.severity, found.file) == ("leak", "error", str(leak))
    assert found.cause == f"in train, the same file as {kept} in val"


def test_a_re_encoded_smaller_copy_across_splits_is_a_near_leak(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    small = np.ascontiguousarray(picture(102)[::2, ::2])
    leak = data.add("train", "zz", encoded(small, quality=60))
    (found,) = findings_in(data.place)
    assert (found.kind, found.severity, found.file) == ("leak-near", "error", str(leak))
    assert "shows nearly the same as" in found.cause


def test_a_mirrored_copy_across_splits_is_a_near_leak(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    data.add("train", "zz", np.ascontiguousarray(picture(102)[:, ::-1]))
    (found,) = findings_in(data.place)
    assert "mirrored, shows the same as" in found.cause


def test_equal_files_in_a_split_are_a_warning_about_the_second(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    second = data.add("train", "zz", picture(1))
    (found,) = findings_in(data.place)
    assert (found.kind, found.severity, found.file) == ("duplicate", "warning", str(second))


def test_equal_files_with_different_labels_are_told_at_the_label_file(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    data.add("train", "zz", picture(1), CLEAN_ROWS[:1])
    found = findings_in(data.place)
    assert [f.kind for f in found] == ["duplicate", "duplicate-labels"]
    assert found[1].file == str(data.label("train", "zz"))


def test_the_order_of_equal_rows_does_not_matter(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    data.add("train", "zz", picture(1), CLEAN_ROWS[::-1])
    assert [found.kind for found in findings_in(data.place)] == ["duplicate"]


def test_nearly_equal_pictures_in_a_split_are_a_note(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    data.add("train", "zz", encoded(picture(1), quality=50))
    (found,) = findings_in(data.place)
    assert (found.kind, found.severity) == ("duplicate-near", "note")


def test_of_three_splits_test_is_kept_before_val_before_train(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    with data.place.open("a") as file:
        file.write("test: images/test\n")
    kept = data.add("test", "x0", picture(200))
    data.add("val", "x1", picture(200))
    data.add("train", "x2", encoded(picture(200), quality=50))
    copies = copies_in(data.place)
    assert [(copy.entry.split, copy.of.record.path) for copy in copies] == [
        ("train", kept),
        ("val", kept),
    ]
    assert all(copy.is_removed for copy in copies)


def test_a_second_equal_file_in_train_leaks_like_the_first(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    for name in ("y1", "y2"):
        data.add("train", name, encoded(picture(103), quality=50))
    assert [found.kind for found in findings_in(data.place)] == ["leak-near", "leak-near"]
