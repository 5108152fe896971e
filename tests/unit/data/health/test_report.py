from __future__ import annotations

import json
from pathlib import Path

from gelan.data.description import open_dataset
from gelan.data.health.kinds import HEALTH_KINDS, finding, in_order, meaning
from gelan.data.health.report import HealthReport, examine, examine_labels
from gelan.data.health.text import report_lines
from tests.unit.data.formats.small_sets import coco
from tests.unit.data.health.synthetic_sets import (
    CLEAN_ROWS,
    YoloSet,
    above_note,
    encoded,
    picture,
)


def report_of(data: YoloSet) -> HealthReport:
    return examine(open_dataset(data.place))


def test_a_clean_set_has_no_finding_above_note(tmp_path: Path) -> None:
    assert above_note(report_of(YoloSet(tmp_path)).findings) == []


def test_the_report_as_json_holds_counts_mapping_and_findings(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    data.add("train", "t1", picture(1), [*CLEAN_ROWS, "7 0.5 0.5 0.1 0.1"])
    plain = json.loads(json.dumps(report_of(data).as_plain()))
    assert (plain["format"], plain["quick"], plain["size"]) == ("yolo", False, 640)
    assert plain["splits"]["train"]["objects"] == 12
    assert plain["classes"][1] == {
        "source_id": 1,
        "index": 1,
        "name": "dog",
        "boxes": 12,
        "objects": {"train": 6, "val": 6},
        "images": {"train": 6, "val": 6},
    }
    (error,) = [found for found in plain["findings"] if found["severity"] == "error"]
    assert (error["kind"], error["line"]) == ("class-unknown", 3)
    assert plain["totals"]["error"] == 1
    assert plain["kinds"]["class-unknown"]["count"] == 1


def test_the_report_in_words_shows_the_first_of_each_kind_and_how_many_more(tmp_path: Path) -> None:
    data = YoloSet(tmp_path)
    bad = [f"{number} 0.5 0.5 0.1 0.1" for number in range(3, 8)]
    data.add("train", "t1", picture(1), [*CLEAN_ROWS, *bad])
    lines = list(report_lines(report_of(data), shown=2))
    start = lines.index(
        "ERROR class-unknown (5): a class number or name is not in the list of classes"
    )
    label = data.label("train", "t1")
    assert lines[start + 1] == f"  {label}:3: class 3 is outside 0..1"
    assert lines[start + 3] == "  and 3 more"
    assert lines[start + 4].startswith("  -> correct it")
    assert lines[-1].startswith("5 errors, 0 warnings,")


def test_the_tables_line_up(tmp_path: Path) -> None:
    lines = list(report_lines(examine_labels(open_dataset(YoloSet(tmp_path).place)), shown=1))
    assert lines[2:5] == [
        "split  images  empty  objects  per image  crowds  < 8 px at 640",
        "train       6      0       12        2.0       0              -",
        "val         6      0       12        2.0       0              -",
    ]
    assert lines[6:9] == [
        "source id  index  class  train objects (images)  val objects (images)",
        "0          0      cat                     6 (6)                 6 (6)",
        "1          1      dog                     6 (6)                 6 (6)",
    ]
    assert lines[-1].endswith("no image was opened")


def test_leaks_are_told_before_everything_else() -> None:
    kinds = ["row-number", "box-tiny", "duplicate", "image-unreadable", "leak"]
    found = [finding(kind, "a", cause="c", remedy="r") for kind in kinds[1:]]
    assert [each.kind for each in in_order(found)] == [
        "leak",
        "image-unreadable",
        "duplicate",
        "box-tiny",
    ]


def test_errors_and_warnings_of_one_kind_are_told_apart(tmp_path: Path) -> None:
    place = tmp_path / "train.json"
    (tmp_path / "a.png").write_bytes(encoded(picture(1), ".png"))
    boxes = [[500, 5, 9, 9], [100, 5, 90, 9], [5, 5, 50, 50]]
    place.write_text(
        coco(
            images=[{"id": 7, "file_name": "a.png"}],
            annotations=[
                {"id": n, "image_id": 7, "category_id": 1, "bbox": box}
                for n, box in enumerate(boxes)
            ],
        )
    )
    lines = list(report_lines(examine(open_dataset(place)), shown=3))
    heads = [line.partition(":")[0] for line in lines if "box-outside" in line]
    assert heads == ["ERROR box-outside (1)", "WARNING box-outside (1)"]


def test_every_kind_has_a_meaning() -> None:
    assert all(meaning(kind) for kind in (*HEALTH_KINDS, "row-number"))
