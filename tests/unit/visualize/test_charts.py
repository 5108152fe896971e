"""Charts as SVG: well-formed, to scale, and harmless whatever the names are."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from gelan.visualize.charts import Line, Mark, heat_map, line_chart

SVG = "{http://www.w3.org/2000/svg}"
names = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="￾￿"))


def test_a_line_runs_between_the_corners_and_breaks_where_nothing_is_known() -> None:
    line = Line(name="F1", points=[(0.0, 0.0), (0.5, None), (1.0, 1.0)], key=3)
    root = ElementTree.fromstring(line_chart([line], title="T", axes=("x", "y")))
    (path,) = [each for each in root.iter(f"{SVG}path") if each.get("data-class") == "3"]
    assert re.fullmatch(r"M46 278M448 10", path.get("d") or "")


def test_a_mark_keeps_inside_the_chart() -> None:
    for x in (0.0, 0.3, 1.0):
        for y in (0.0, 0.5, 1.0):
            chart = line_chart([], title="", axes=("", ""), marks=[Mark(point=(x, y), text="12")])
            text = list(ElementTree.fromstring(chart).iter(f"{SVG}text"))[-1]
            assert 0 < float(text.get("x") or 0) < 460
            assert 10 < float(text.get("y") or 0) < 310


@given(st.lists(names, min_size=1, max_size=4), names)
def test_any_name_gives_well_formed_pictures(words: list[str], title: str) -> None:
    counts = [[1] * len(words)] * len(words)
    drawn = heat_map(counts, names=(words, words), axes=("a", "b"), title=title)
    root = ElementTree.fromstring(drawn)
    assert root.get("aria-label") == title or not title.isprintable()
    line = Line(name=words[0], points=[(0.0, 1.0)])
    ElementTree.fromstring(line_chart([line], title=title, axes=(title, title)))


def test_a_cell_is_as_dark_as_its_share_of_the_row() -> None:
    drawn = heat_map([[3, 1], [0, 0]], names=("ab", "ab"), axes=("is", "seen"), title="")
    root = ElementTree.fromstring(drawn)
    cells = [each for each in root.iter(f"{SVG}rect") if each.get("fill-opacity")]
    assert [cell.get("fill-opacity") for cell in cells] == ["0.77", "0.31"]  # 0.08 + 0.92 share
    titles = [each.text for each in root.iter(f"{SVG}title")]
    assert titles == ["is a, seen a: 3 of 4", "is a, seen b: 1 of 4"]


def test_numbers_stand_in_small_tables_only() -> None:
    for size, expected in ((3, True), (60, False)):
        words = ["n"] * size
        counts = [[7] * size for _ in range(size)]
        drawn = heat_map(counts, names=(words, words), axes=("a", "b"), title="")
        assert (">7</text>" in drawn) is expected
