"""The files of a run: they may be written again, and each is complete by itself."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from gelan.evaluate.evaluator import evaluate
from gelan.evaluate.settings import EvaluationSettings
from gelan.report.figures import Part, figure
from gelan.report.run_folder import (
    write_curves,
    write_evaluation,
    write_labels,
    write_run_page,
    write_sheets,
)
from gelan.structures.classes import ClassTable
from gelan.visualize.labels import label_overview
from tests.unit.evaluate.made_up import image
from tests.unit.report.made_up_runs import realistic_rows, story
from tests.unit.report.test_html import HOSTILE, QUOTES, some_results

SVG = "{http://www.w3.org/2000/svg}"


def test_all_pictures_of_a_run_are_there_and_may_be_written_again(tmp_path: Path) -> None:
    names = (HOSTILE, QUOTES)
    overview = label_overview(np.array([0, 1]), np.full((2, 4), 0.5), names=names)
    report = evaluate(
        some_results(names), classes=ClassTable(names), settings=EvaluationSettings(replicas=0)
    )
    for page in ("first", "second"):
        write_run_page(tmp_path, page)
        write_curves(tmp_path, story(realistic_rows(5), title=HOSTILE))
        write_labels(tmp_path, overview, title=HOSTILE)
        write_evaluation(tmp_path, report, title=HOSTILE)
        write_sheets(tmp_path, "batch", [np.zeros((20, 30, 3), np.uint8)] * 2)
    drawings = {"curves.svg", "labels.svg", "precision_recall.svg", "confusion.svg"}
    assert {entry.name for entry in tmp_path.iterdir()} == (
        {"report.html", "batch1.jpg", "batch2.jpg"} | drawings
    )
    assert (tmp_path / "report.html").read_text() == "second"
    sheet = cv2.imread(str(tmp_path / "batch2.jpg"))
    assert sheet is not None
    assert sheet.shape == (20, 30, 3)
    for name in drawings:
        root = ElementTree.fromstring((tmp_path / name).read_text("utf-8"))
        assert root.get("aria-label") == HOSTILE
        assert not list(root.iter(f"{SVG}script"))


def test_a_page_with_bytes_that_are_no_text_is_written_with_escapes(tmp_path: Path) -> None:
    path = write_run_page(tmp_path, "caf\udce9.jpg")
    assert path.read_bytes() == b"caf\\udce9.jpg"


def test_what_cannot_be_drawn_makes_no_file(tmp_path: Path) -> None:
    write_curves(tmp_path, story([]))
    nothing = [image([], [], names=("cat",))]
    write_evaluation(tmp_path, evaluate(nothing, classes=ClassTable(("cat",))), title="")
    assert list(tmp_path.iterdir()) == []


def test_a_figure_has_its_own_background_for_light_and_dark() -> None:
    chart = '<svg class="chart" viewBox="0 0 100 50" xmlns="http://www.w3.org/2000/svg"></svg>'
    drawn = figure([[Part(heading="a", chart=chart), Part(heading="b", chart=chart)]], title="T")
    assert "prefers-color-scheme: dark" in drawn
    root = ElementTree.fromstring(drawn)
    inner = list(root.iter(f"{SVG}svg"))[1:]
    assert [each.get("x") for each in inner] == ["24", "152"]  # margin; margin + width + gap
    assert root.get("width") == "276"  # two margins, two charts and a gap
    assert [each.get("class") for each in root.iter(f"{SVG}rect")] == ["paper"]


def test_characters_without_a_place_in_xml_are_replaced() -> None:
    chart = '<svg viewBox="0 0 9 9" xmlns="http://www.w3.org/2000/svg"></svg>'
    drawn = figure([[Part(heading="a\x00b<c", chart=chart)]], title="\x1b[0m")
    words = [each.text for each in ElementTree.fromstring(drawn).iter(f"{SVG}text")]
    assert "a\N{REPLACEMENT CHARACTER}b<c" in words


def test_a_chart_without_a_view_box_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError, match="viewBox"):
        figure([[Part(heading="", chart="<svg></svg>")]], title="")
