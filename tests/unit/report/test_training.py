"""The page of a run: one file with everything in it, for runs of all kinds, read in a browser."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gelan.evaluate.evaluator import evaluate
from gelan.evaluate.report import Report
from gelan.evaluate.results import ImageResult
from gelan.evaluate.settings import EvaluationSettings
from gelan.report.learning import changes, learning_curves
from gelan.report.training import Image, training_page
from gelan.structures.classes import ClassTable
from gelan.structures.history import RunStory
from gelan.visualize.labels import label_overview
from tests.unit.evaluate.made_up import image
from tests.unit.report.made_up_runs import realistic_rows, row, story
from tests.unit.report.test_html import HOSTILE, QUOTES, Reader, grey, in_browser, some_results

NOISE = np.random.default_rng(0).integers(0, 256, (1200, 1500, 3), np.uint8)


def evaluated(names: tuple[str, ...]) -> tuple[Report, list[ImageResult]]:
    one = image([((0, 0, 9, 9), 0)], [((0, 0, 9, 9), 0, 0.9)], source="a.jpg", names=names)
    results = some_results(names) if len(names) > 1 else [one]
    # Enough for an interval:
    results += [replace(one, detections=replace(one.detections, source=f"{n}.jpg")) for n in "1234"]
    settings = EvaluationSettings(replicas=20)
    return evaluate(results, classes=ClassTable(names), settings=settings, facts={}), results


def page_of(
    run: RunStory,
    *,
    evaluation: bool = False,
    sheets: tuple[Image, ...] = (),
    folder: str = "",
) -> str:
    names = tuple(name for _, name, _ in run.classes)
    boxes = np.array([[0.5, 0.5, 0.2, 0.3]] * len(names))
    return training_page(
        run,
        evaluation=evaluated(names) if evaluation else None,
        read=grey,
        overview=label_overview(np.arange(len(names)), boxes, names=names),
        batches=sheets,
        validation=sheets,
        folder=folder,
    )


RUNS = {
    "fifty epochs with PGI for thirty": story(
        realistic_rows(50, pgi_until=30, mosaic_until=40), resumed_at=(18,)
    ),
    "one epoch, one class": story([row(1)], names=("cat",)),
    "no epoch": story([], ending="out of memory"),
    "interrupted, not validated, 80 classes": story(
        realistic_rows(12, validate_every=0),
        planned=50,
        ending="interrupted",
        names=[f"class {number}" for number in range(80)],
    ),
    "losses that exploded": story(
        [row(1), row(2, loss=float("nan"), validation=None, ap=None), row(3, loss=float("inf"))]
    ),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS.keys())
def test_a_run_of_any_kind_is_one_file_that_asks_nobody(run: RunStory) -> None:
    page = page_of(run, evaluation=bool(run.rows), sheets=(NOISE[:40, :60],))
    read = Reader(re.sub(r'(<img [^>]*")>', r"\1/>", page))
    assert [place for place in read.places if not re.match("#|data:", place)] == []
    assert read.open == []
    wanted = {place[1:] for place in read.places if place.startswith("#")}
    assert wanted <= set(read.ids)
    assert len(read.ids) == len(set(read.ids))
    assert not re.search(r'(?:NaN|nan|inf)[ "L]', "".join(re.findall('<path d="[^"]*"', page)))


def test_hostile_names_are_shown_and_never_run() -> None:
    run = story(realistic_rows(3), names=(HOSTILE, QUOTES), title=HOSTILE, ending=HOSTILE)
    run = replace(run, network=HOSTILE, data=HOSTILE, command=HOSTILE)
    run = replace(run, settings={HOSTILE: HOSTILE}, environment={HOSTILE: HOSTILE})
    page = page_of(run, evaluation=True, folder=HOSTILE)
    assert "<script>alert" not in page
    read = Reader(page)
    assert read.tags.count("script") == 1  # ours
    assert QUOTES in "".join(read.words)


def test_the_headline_is_that_of_the_evaluation_and_says_what_it_is_worth() -> None:
    names = ("cat", "dog")
    report, _ = evaluated(names)
    page = page_of(story(realistic_rows(20), names=names), evaluation=True)
    assert f'<span class="figure">{report.headline.ap:.3f}</span>' in page
    assert "95 % interval" in page
    assert "was chosen by its AP on the same images" in page
    without = page_of(story([row(1, ap=0.123)]))
    assert '<span class="figure">0.123</span>' in without
    assert "measured in training, after epoch 1" in without


def test_a_run_that_was_not_validated_shows_no_ap_and_no_empty_sections() -> None:
    page = page_of(RUNS["interrupted, not validated, 80 classes"])
    assert "Average precision" not in page
    assert 'id="curves"' not in page
    assert 'id="batches"' not in page
    assert "It was not validated" in page


def test_settings_are_yaml_and_commands_can_be_run() -> None:
    page = html.unescape(page_of(story([row(1)]), folder="runs/my run"))
    assert "optimizer:\n  kind: sgd\n  learning_rate: 0.01" in page
    assert "freeze:\n- backbone" in page
    weights = "'runs/my run/best.safetensors'"
    assert f"gelan predict --weights {weights} --source IMAGES" in page
    assert f"gelan val --weights {weights} --data pets/data.yaml --split val" in page
    assert "gelan export" not in page
    assert "In the folder of this page" in page_of(story([row(1)]))


def test_what_was_chosen_and_what_pgi_cost_is_told() -> None:
    page = page_of(story([row(1)]))
    assert "the largest that fits into 8 GB with PGI" in page
    assert "PGI costs +45% time" in page
    without = page_of(replace(story([row(1, pgi=False)]), choices=()))
    assert "Nothing: every setting was given" in without
    assert "What PGI costs" not in without


def test_an_overview_of_a_part_of_the_objects_is_told_as_that() -> None:
    run = story([row(1)], names=("cat",))  # 900 objects
    page = page_of(run)  # an overview of one
    assert "900 objects of 1 class in 240 images" in page
    assert "Of 1 object in images of known size: Half of the objects" in page
    nothing = label_overview(np.zeros(0, np.int64), np.zeros((0, 4)), names=("cat",))
    page = training_page(
        run, evaluation=None, read=grey, overview=nothing, batches=[], validation=[]
    )
    assert "the labels do not tell those of the images" in page
    assert "Nothing is marked" not in page


def test_changes_on_the_way_are_marked_where_they_happened() -> None:
    rows = [row(epoch, pgi=epoch < 3, mosaic=epoch < 5) for epoch in range(1, 7)]
    steps = changes(story(rows, resumed_at=(4,)))
    assert [(step.at, step.text) for step in steps] == [
        (3.0, "PGI off"),
        (4.0, "resumed"),
        (5.0, "mosaic off"),
    ]
    assert changes(story([row(1), row(2)])) == ()


def test_validation_every_fifth_epoch_is_one_line_through_what_is_known() -> None:
    curves = learning_curves(story(realistic_rows(20, validate_every=5)))
    assert curves is not None
    (path,) = re.findall(r'<path d="([^"]*)"[^>]*><title>AP</title>', curves.main[0].chart)
    assert path.count("M") == 1
    assert path.count("L") == 3  # epochs 5, 10, 15, 20


def test_losses_of_very_different_size_get_a_logarithmic_axis() -> None:
    wide = learning_curves(story([row(1, loss=100.0), row(2, loss=3.0)]))
    narrow = learning_curves(story([row(1, loss=30.0), row(2, loss=3.0)]))
    assert wide is not None
    assert narrow is not None
    assert "logarithmic" in wide.main[1].chart
    assert "logarithmic" not in narrow.main[1].chart


def test_the_page_stays_below_three_megabytes_with_long_runs_and_busy_pictures() -> None:
    run = story(
        realistic_rows(500, overfit_from=200), names=[f"class {number}" for number in range(80)]
    )
    assert len(page_of(run, evaluation=True, sheets=(NOISE[:600, :800],) * 5)) < 3_000_000


def test_a_real_browser_shows_the_page_without_complaint(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    run = RUNS["fifty epochs with PGI for thirty"]
    path.write_text(page_of(run, evaluation=True, sheets=(NOISE[:300, :400],)))
    script = """
      const said = [];
      said.push(document.querySelectorAll("svg.chart.lines").length);
      const images = [...document.querySelectorAll("img.sheet")];
      said.push(images.every((image) => image.complete && image.naturalWidth > 0));
      said.push(document.body.scrollWidth <= window.innerWidth);
      said.push(document.querySelectorAll("nav a").length);
      document.title = said.join("~");
    """
    seen = in_browser(path, script, folder=tmp_path / "profile")
    title = re.search("<title>(.*?)</title>", seen)
    assert title is not None
    assert title[1] == "11~true~true~12"  # 9 of the run, 2 of the evaluation
