"""Charts as SVG: well-formed, to scale, and harmless whatever the names are."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from gelan.visualize.axes import Axis
from gelan.visualize.charts import Line, Mark, Step, heat_map, line_chart

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


def texts(chart: str) -> list[tuple[str, float, float]]:
    """All that is written in a chart, with its place."""
    return [
        (each.text or "", float(each.get("x") or 0), float(each.get("y") or 0))
        for each in ElementTree.fromstring(chart).iter(f"{SVG}text")
    ]


def test_a_line_over_free_axes_ends_in_the_corners_of_the_field() -> None:
    axes = (
        Axis(title="epoch", low=1.0, high=5.0, ticks=(1.0, 5.0)),
        Axis(title="loss", low=2.0, high=4.0, ticks=(2.0, 4.0)),
    )
    line = Line(name="a", points=[(1.0, 2.0), (5.0, 4.0)], key=1)
    chart = line_chart([line], title="", axes=axes)
    assert 'd="M46 278L448 10"' in chart
    assert [text for text, _, _ in texts(chart)] == ["1", "5", "2", "4", "epoch", "loss"]


def test_a_value_alone_is_a_dot_and_what_is_no_number_is_a_gap() -> None:
    line = Line(name="a", points=[(0.0, 0.5), (0.5, float("nan")), (0.6, 1.0), (0.8, 1.0)])
    root = ElementTree.fromstring(line_chart([line], title="", axes=("", "")))
    assert len(list(root.iter(f"{SVG}circle"))) == 1
    drawn = [each.get("d") or "" for each in root.iter(f"{SVG}path")]
    assert [path.count("M") for path in drawn if "L" in path] == [2]


def test_names_at_the_ends_of_lines_keep_apart_and_inside() -> None:
    for heights in ((0.5, 0.5, 0.5), (0.0, 0.01, 0.0), (1.0, 0.99, 1.0), (0.0, 0.5, 1.0)):
        lines = [
            Line(name=f"series {number}", points=[(0.0, 0.0), (1.0, height)])
            for number, height in enumerate(heights)
        ]
        written = texts(line_chart(lines, title="", axes=("x", "y"), labelled=True))
        rows = sorted(y for text, _, y in written if text.startswith("series"))
        assert min(rows[1] - rows[0], rows[2] - rows[1]) >= 13.9
        assert rows[0] > 10
        assert rows[2] <= 282  # the base line of a text in the middle of the axis


def test_steps_that_are_close_stand_in_rows_and_none_covers_another() -> None:
    steps = [Step(at=at, text=f"change {at}") for at in (0.1, 0.12, 0.14, 0.9)]
    written = texts(line_chart([], title="", axes=("", ""), steps=steps))
    places = [(x, y) for text, x, y in written if text.startswith("change")]
    assert len({y for _, y in places}) == 3
    assert places[0][1] == places[3][1]  # far apart: the same row
    assert all(y > 0 for _, y in places)


def test_a_step_without_text_is_a_line_that_tells_when_pointed_at() -> None:
    chart = line_chart([], title="", axes=("", ""), steps=[Step(at=0.5, text="", about="x off")])
    assert "<title>x off</title>" in chart
    assert "x off" not in [text for text, _, _ in texts(chart)]


def test_a_low_mark_stands_on_the_axis_with_a_line_to_it() -> None:
    mark = Mark(point=(0.5, 0.9), text="best", low=True)
    chart = line_chart([], title="", axes=("x", "y"), marks=[mark])
    ((_, _, row),) = [each for each in texts(chart) if each[0] == "best"]
    assert 250 < row < 278
    assert re.search(r'd="M247 36.8V278"', chart)
