"""The overview counts every object once, wherever its box lies, and draws what it counted."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gelan.visualize.labels import (
    BINS,
    MOST_BARS,
    centers_map,
    counts_chart,
    label_overview,
    overview_words,
    ranked_counts,
    sizes_map,
)

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>"


def boxes(
    *rows: tuple[float, float, float, float],
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array(rows, np.float64).reshape(-1, 4)


@given(
    st.lists(
        st.tuples(*[st.floats(-0.5, 1.5)] * 2, *[st.floats(0, 2)] * 2),
        max_size=20,
    )
)
def test_every_object_is_in_each_map_once(rows: list[tuple[float, float, float, float]]) -> None:
    found = label_overview(np.zeros(len(rows), np.int64), boxes(*rows), names=("a",))
    assert found.counts == (len(rows),)
    assert found.centers.sum() == len(rows)
    assert found.sizes.sum() == len(rows)


def test_places_and_sizes_are_counted_where_they_are() -> None:
    found = label_overview(
        np.array([1, 1]), boxes((0.99, 0.01, 1.0, 0.1), (0.99, 0.01, 1.0, 0.1)), names=("a", "b")
    )
    assert found.centers[0, BINS - 1] == 2  # top right
    assert found.smallest == 0.1
    assert found.sizes[0, BINS - 1] == 2  # as low as any, as wide as the image
    assert found.median_side == pytest.approx(np.sqrt(0.1))


def test_the_top_of_the_image_is_drawn_at_the_top() -> None:
    drawn = centers_map(label_overview(np.array([0]), boxes((0.01, 0.01, 0.1, 0.1)), names=("a",)))
    (square,) = list(ElementTree.fromstring(drawn).iter(f"{SVG}rect"))
    assert float(square.get("y") or 99) == pytest.approx(10.0)  # the upper edge of the field
    assert float(square.get("x") or 99) == pytest.approx(46.0, abs=1)
    assert square.get("fill-opacity") == "1.00"


def test_bars_are_as_long_as_their_counts_and_names_are_escaped() -> None:
    overview = label_overview(np.array([0, 1, 1]), np.full((3, 4), 0.5), names=("a", HOSTILE))
    drawn = counts_chart(overview)
    assert "<script" not in drawn
    lengths = [
        float(each.get("width") or 0) for each in ElementTree.fromstring(drawn).iter(f"{SVG}rect")
    ]
    assert lengths[1] == pytest.approx(lengths[0] / 2, abs=0.1)
    assert re.search(r"<title>&lt;script&gt;.*: 2</title>.*<title>a: 1</title>", drawn)


def test_of_many_classes_the_rarest_share_a_bar() -> None:
    names = tuple(str(number) for number in range(80))
    classes = np.repeat(np.arange(80), np.arange(80, 0, -1))
    rows = ranked_counts(label_overview(classes, np.full((len(classes), 4), 0.5), names=names))
    assert len(rows) == MOST_BARS
    assert rows[0] == ("0", 80)
    assert rows[-1] == ("(57 other classes)", sum(range(1, 58)))


def test_nothing_marked_still_draws() -> None:
    nothing = label_overview(np.zeros(0, np.int64), np.zeros((0, 4)), names=("a", "b"))
    for drawn in (centers_map(nothing), sizes_map(nothing), counts_chart(nothing)):
        ElementTree.fromstring(drawn)
    assert overview_words(nothing) == "Nothing is marked."


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ([0, 0, 0, 1, 1, 2], "the most frequent class has 3 times as many objects as the rarest."),
        ([0, 0, 1], "1 of 3 classes have no object."),
    ],
)
def test_balance_is_told(classes: list[int], words: str) -> None:
    array = np.array(classes)
    overview = label_overview(array, np.full((len(array), 4), 0.25), names=("a", "b", "c"))
    said = overview_words(overview)
    assert said.startswith("Half of the objects are smaller than 25 % of the image")
    assert said.endswith(words)


def test_impossible_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"class 1 is outside 0\.\.0"):
        label_overview(np.array([1]), np.full((1, 4), 0.5), names=("a",))
    with pytest.raises(ValueError, match="not finite"):
        label_overview(np.array([0]), np.full((1, 4), np.nan), names=("a",))
