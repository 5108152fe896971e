"""COCO files that are nearly right, or that nobody would write by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gelan.data.formats.coco import read_coco_file
from gelan.data.formats.records import DatasetDescription
from gelan.errors import ConfigError
from gelan.structures.findings import Finding
from tests.unit.data.formats.small_sets import coco, of_kind, put, put_image

HUGE = 10**400
BOX: dict[str, object] = {"id": 2, "image_id": 7, "category_id": 1, "bbox": [2, 2, 9, 9]}


def read(
    tmp_path: Path, *, fields: dict[str, object] | None = None, **parts: object
) -> DatasetDescription:
    """One image `a` of 100 x 50 with a sound annotation and another."""
    put_image(tmp_path / "a.png")
    annotations = [{**BOX, "id": 1, "bbox": [30, 5, 9, 9]}, {**BOX, **(fields or {})}]
    content = json.loads(coco(annotations=annotations)) | parts
    return read_coco_file(put(tmp_path / "train.json", json.dumps(content)))


def told(found: DatasetDescription) -> list[Finding]:
    return [finding for finding in found.findings if finding.severity != "note"]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"bbox": [HUGE, 1, 2, 3]}, "row-number"),
        ({"bbox": [1e308, 1, 1e308, 3]}, "row-number"),
        ({"area": HUGE}, "row-number"),
        ({"segmentation": [[HUGE, 1, 2, 3, 4, 5]]}, "outline-broken"),
        ({"image_id": HUGE}, "id-unknown"),
        ({"category_id": HUGE}, "class-unknown"),
        ({"category_id": [1]}, "class-unknown"),
        ({"iscrowd": HUGE}, "row-number"),
    ],
)
def test_numbers_without_measure_are_findings(
    tmp_path: Path, fields: dict[str, object], kind: str
) -> None:
    (finding,) = told(read(tmp_path, fields=fields))
    assert finding.kind == kind
    assert len(finding.cause) < 200


@pytest.mark.parametrize(
    "name", ["\0.png", "a\0/b.png", "\ud800.png", "\ud800/b.png", "..", "a" * 5000]
)
def test_names_that_no_file_can_have_are_missing_images(tmp_path: Path, name: str) -> None:
    images = [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": name}]
    found = read(tmp_path, images=images)
    assert [finding.kind for finding in told(found)] == ["image-missing"]
    assert len(found.splits["train"]) == 1


@pytest.mark.parametrize(
    ("width", "height", "size", "kinds"),
    [
        (100.0, 50.0, (50, 100), []),
        ("100", 50, (50, 100), ["row-number"]),
        (100.5, 50, None, ["row-number"]),
        (0, 50, None, ["row-number"]),
        (HUGE, 50, None, ["row-number"]),
        (True, 50, None, ["row-number"]),
        ("9" * 5000, 50, None, ["row-number"]),
        (None, 50, None, []),
    ],
)
def test_sizes_are_read_as_they_are_written_or_it_is_said(
    tmp_path: Path, width: object, height: object, size: tuple[int, int] | None, kinds: list[str]
) -> None:
    image = {"id": 7, "file_name": "a.png", "width": width, "height": height}
    found = read(tmp_path, images=[image])
    assert found.splits["train"][0].stated_hw == size
    assert [finding.kind for finding in told(found)] == kinds
    assert len(of_kind(found.findings, "size-unknown")) == (size is None)


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ({"image_id": "7"}, "write 7: it is text here and a whole number there"),
        ({"image_id": 7.0}, "write 7: it is a number with a point here and a whole number there"),
        ({"category_id": "1"}, "write 1: it is text here and a whole number there"),
        ({"category_id": True}, "add the category, or correct the number"),
        ({"image_id": 8}, "add the image, or take the annotation out"),
    ],
)
def test_an_id_of_another_type_is_told_with_the_right_one(
    tmp_path: Path, fields: dict[str, object], remedy: str
) -> None:
    (finding,) = told(read(tmp_path, fields=fields))
    assert finding.remedy == remedy


def test_true_is_no_id(tmp_path: Path) -> None:
    put_image(tmp_path / "b.png")
    images = [{"id": 7, "file_name": "a.png"}, {"id": True, "file_name": "b.png"}]
    found = read(tmp_path, images=images)
    assert [finding.kind for finding in told(found)] == ["row-fields"]


@pytest.mark.parametrize("crowd", [None, False, True, 0.0])
def test_iscrowd_may_be_null_or_a_truth_value(tmp_path: Path, crowd: object) -> None:
    found = read(tmp_path, fields={"iscrowd": crowd})
    assert found.splits["train"][0].labels.crowd.tolist() == [False, crowd is True]
    assert not told(found)


@pytest.mark.parametrize("fields", [{"bbox": None}, {"bbox": []}])
def test_without_a_bbox_that_of_the_outline_counts_and_it_is_said(
    tmp_path: Path, fields: dict[str, object]
) -> None:
    outline = {"segmentation": [[10, 10, 20, 10, 20, 30], [25, 5, 30, 5, 30, 9]]}
    found = read(tmp_path, fields={**fields, **outline})
    assert found.splits["train"][0].labels.values.tolist()[1] == [10, 5, 20, 25]
    (finding,) = told(found)
    assert finding.severity == "warning"
    assert finding.cause == "annotation 2 of a.png: there is no bbox; that of the outline counts"


def test_an_outline_that_encloses_nothing_is_not_used_and_it_is_said(tmp_path: Path) -> None:
    parts = [[2, 2, 5, 5, 9, 9], [2, 2, 9, 2, 9, 9]]
    found = read(tmp_path, fields={"segmentation": parts})
    (outlines,) = found.splits["train"][0].labels.polygons[1:]
    assert [part.tolist() for part in outlines] == [[[2, 2], [9, 2], [9, 9]]]
    (finding,) = told(found)
    assert "a part of the outline encloses nothing" in finding.cause


def test_a_category_that_stands_twice_in_a_file_is_refused_even_with_one_name(
    tmp_path: Path,
) -> None:
    categories = [{"id": 1, "name": "cat"}, {"id": 1, "name": "cat"}]
    with pytest.raises(ConfigError, match="category 1 is 'cat', and before 'cat'; give each"):
        read(tmp_path, categories=categories)


def test_a_category_id_in_quotes_is_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a whole 'id' and a 'name'; it has id '5', name"):
        read(tmp_path, categories=[{"id": "5", "name": "cat"}])
