"""COCO's figures at the edges; their values are shown beside pycocotools in tests/parity."""

from __future__ import annotations

import sys

import pytest

from gelan.errors import MissingDependencyError
from gelan.evaluate.coco import Headline, class_precision, coco_arrays, headline
from gelan.evaluate.results import ImageResult, pool
from tests.unit.evaluate.made_up import CLASSES, image

SMALL = (0.0, 0.0, 10.0, 10.0)
LARGE = (0.0, 0.0, 100.0, 100.0)


def figures(*results: ImageResult, limit: int = 100) -> Headline:
    pooled = pool(results, CLASSES)
    arrays = coco_arrays(pooled, max_detections=limit)
    return headline(arrays, pooled, max_detections=limit)


def test_a_perfect_network_has_1_everywhere() -> None:
    found = figures(image([(SMALL, 0), (LARGE, 1)], [(SMALL, 0, 0.9), (LARGE, 1, 0.8)]))
    assert (found.ap, found.ap50, found.ap75, found.ar_1, found.ar_300) == pytest.approx((1,) * 5)
    small, medium, large = found.sizes
    assert [size.size for size in found.sizes] == ["small", "medium", "large"]
    assert [size.num_objects for size in found.sizes] == [1, 0, 1]
    assert (small.ap, large.ap) == pytest.approx((1, 1))
    assert (medium.ap, medium.ar) == (None, None)


@pytest.mark.parametrize(
    ("side", "counts"), [(31.0, [1, 0, 0]), (32.0, [1, 1, 0]), (96.0, [0, 1, 1]), (97.0, [0, 0, 1])]
)
def test_an_object_on_the_border_of_two_sizes_is_of_both(side: float, counts: list[int]) -> None:
    box = (0.0, 0.0, side, side)
    sizes = figures(image([(box, 0)], [(box, 0, 0.9)])).sizes
    assert [size.num_objects for size in sizes] == counts
    known = [size.ap is not None for size in sizes]
    assert known == [count > 0 for count in counts]


def test_nothing_found_is_0() -> None:
    found = figures(image([(SMALL, 0)], []))
    assert (found.ap, found.ar_100) == (0.0, 0.0)


@pytest.mark.parametrize("detections", [[], [(SMALL, 0, 0.9)]])
def test_without_objects_there_are_no_figures(detections: list[tuple[object, int, float]]) -> None:
    found = figures(image([], detections))  # type: ignore[arg-type]
    assert (found.ap, found.ap50, found.ar_1) == (None, None, None)


def test_a_crowd_alone_is_no_object() -> None:
    assert figures(image([], [(SMALL, 0, 0.9)], crowds=[(LARGE, 0)])).ap is None


def test_ar_1_counts_the_best_detection_of_each_class_in_an_image() -> None:
    found = figures(image([(SMALL, 0), (LARGE, 0)], [(SMALL, 0, 0.9), (LARGE, 0, 0.8)]))
    assert (found.ar_1, found.ar_10) == (0.5, 1.0)


def test_ap_can_count_more_detections_than_coco_does() -> None:
    wrong = [((50.0, 50.0, 60.0, 60.0), 0, 0.9)] * 150
    result = image([(SMALL, 0)], [*wrong, (SMALL, 0, 0.1)])
    assert figures(result).ap == 0.0
    assert figures(result, limit=300).ap == pytest.approx(1 / 151)
    assert figures(result, limit=120).ap == 0.0


def test_ap_of_a_class_without_objects_is_not_known() -> None:
    pooled = pool([image([(SMALL, 1)], [(SMALL, 1, 0.9), (SMALL, 0, 0.8)])], CLASSES)
    arrays = coco_arrays(pooled, max_detections=100)
    assert class_precision(arrays, max_detections=100) == [None, pytest.approx(1), None]


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    with pytest.raises(MissingDependencyError, match=r"hotcoco is needed to compute COCO figures"):
        figures(image([(SMALL, 0)], []))


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    figures(image([(SMALL, 0)], [(SMALL, 0, 0.9)]), limit=50)
    assert capfd.readouterr() == ("", "")
