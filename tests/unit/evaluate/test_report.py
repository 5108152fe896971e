"""The report as data, JSON and table."""

from __future__ import annotations

import json
from dataclasses import replace

from gelan.evaluate.evaluator import evaluate
from gelan.evaluate.report import Report, as_json, as_table
from gelan.evaluate.settings import EvaluationSettings
from gelan.structures.classes import ClassTable
from tests.unit.evaluate.made_up import CLASSES, image, random_images

CAT_BOX = (0.0, 0.0, 10.0, 10.0)
DOG_BOX = (0.0, 0.0, 100.0, 100.0)


def small_report() -> Report:
    first = image([(CAT_BOX, 0)], [(CAT_BOX, 0, 0.9)])
    second = image([(DOG_BOX, 1)], [(DOG_BOX, 0, 0.5)], source="b.jpg")
    settings = EvaluationSettings(max_detections=300)
    return evaluate([first, second], classes=CLASSES, settings=settings, facts={"weights": "w.pt"})


def test_the_table_of_a_small_report() -> None:
    lines = as_table(replace(small_report(), ap_interval=None, ap50_interval=None)).splitlines()
    assert lines == [
        "2 images, 2 objects, 2 detections",
        "",
        "AP    0.500",
        "AP50  0.500",
        "AP75  0.500",
        "",
        "size    objects     AP     AR",
        "small         1  1.000  1.000",
        "medium        0      -      -",
        "large         1  0.000  0.000",
        "AR by detections of a class in an image: 0.500 of 1, 0.500 of 10, 0.500 of 100, 0.500 of "
        "300",
        "",
        "class  images  objects     AP   AP50  confidence  precision  recall     F1",
        "all         2        2  0.500  0.500       0.700      1.000   0.500  0.667",
        "cat         1        1  1.000  1.000       0.700      1.000   1.000  1.000",
        "dog         1        1  0.000  0.000           -          -       -      -",
        "(confidence: that of the greatest F1)",
        "without objects: car",
        "",
        "error           at any score  above 0.25  AP50 cost",
        "classification             1           1      0.500",
        "localisation               0           0      0.000",
        "both                       0           0      0.000",
        "duplicate                  0           0      0.000",
        "background                 0           0      0.000",
        "missed                     0           0      0.000",
        "most often confused: dog as cat (1)",
        "",
        "weights: w.pt",
        "not comparable with published AP: AP counts 300 detections of a class in one image, where "
        "COCO counts 100",
        "note: fewer than 5 images have objects: how sure the figures are cannot be told, so there "
        "are no intervals",
        "note: classes without objects: 1 of 3; means leave them out",
        "note: classes with fewer than 10 objects: 2; the figures and the best confidence of each "
        "of them say little",
        "note: sizes are those of boxes, because no outlines are known; COCO takes the area of "
        "outlines, so AP by size differs a little",
    ]


def test_intervals_stand_beside_their_figures() -> None:
    results, classes = random_images(1, 20)
    ap, ap50, ap75 = as_table(evaluate(results, classes=classes)).splitlines()[2:5]
    for line in (ap, ap50):
        assert " (95 % interval 0." in line
    assert "interval" not in ap75


def test_the_table_of_nothing_says_so() -> None:
    table = as_table(evaluate([image([], [])], classes=CLASSES))
    assert "AP    -" in table
    assert "without objects: cat, dog, car" in table


def test_json_holds_everything_as_plain_values() -> None:
    results, classes = random_images(1, 20)
    report = evaluate(results, classes=classes, settings=EvaluationSettings(precision_floor=0.5))
    values = json.loads(as_json(report))
    assert values["headline"]["ap"] == report.headline.ap
    assert values["ap_interval"]["level"] == 0.95
    assert values["classes"][1]["name"] == "kind 1"
    assert len(values["curves"]["precision_recall"]) == len(values["curves"]["recalls"]) == 101
    assert values["confusion"]["counts"] == [list(row) for row in report.confusion.counts]
    assert values["errors"][0]["kind"] == "classification"
    assert values["worst"][0]["errors"][0]["kind"] == report.worst[0].errors[0].kind
    assert values["conditions"]["settings"]["postprocess"]["iou"] == 0.7
    assert set(values["conditions"]["versions"]) == {"gelan", "hotcoco", "numpy"}


def test_json_of_classes_without_objects_has_null() -> None:
    table = ClassTable(("cat", "dog", "car"), (1, 5, 90))
    values = json.loads(as_json(evaluate([image([], [])], classes=table)))
    assert values["headline"]["ap"] is None
    assert values["classes"][2] == {
        "name": "car",
        "category_id": 90,
        "num_images": 0,
        "num_objects": 0,
        "ap": None,
        "ap50": None,
        "best": None,
        "at_floor": None,
    }
    assert values["curves"]["classes"] == [None, None, None]
