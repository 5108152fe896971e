"""The page: one file with everything in it, whatever is in the data, and alive in a browser."""

from __future__ import annotations

import html
import html.parser
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gelan.data.images import Image
from gelan.errors import ImageError
from gelan.evaluate.evaluator import evaluate
from gelan.evaluate.results import ImageResult
from gelan.evaluate.settings import EvaluationSettings
from gelan.predict.postprocess import PostprocessSettings
from gelan.report.html import SECTIONS, About, as_html, evaluation_page
from gelan.structures.classes import ClassTable
from gelan.structures.findings import Finding, Severity
from tests.unit.evaluate.made_up import image

HOSTILE = '<script>alert("1")</script>'
QUOTES = "it's \"so\" & 'so' →行人"
ABOUT = About(title="w.pt on data", subtitle="", command="gelan val", data="", findings=())


def grey(_: str) -> Image:
    return np.full((100, 100, 3), 90, np.uint8)


def some_results(names: tuple[str, ...]) -> list[ImageResult]:
    """Two images: one right, one wrong class, one missed, one of nothing."""
    first = image(
        [((0, 0, 40, 40), 0), ((50, 50, 90, 90), 1)],
        [((0, 0, 40, 40), 0, 0.9), ((50, 50, 90, 91), 0, 0.8), ((5, 60, 20, 80), 1, 0.5)],
        source="a.jpg",
        names=names,
    )
    second = image([((10, 10, 30, 60), 1)], [], source=f"{HOSTILE}.jpg", names=names)
    return [first, second]


def page_of(
    results: list[ImageResult],
    names: tuple[str, ...],
    *,
    about: About = ABOUT,
    settings: EvaluationSettings | None = None,
) -> str:
    table = ClassTable(names)
    settings = settings or EvaluationSettings(replicas=20)
    report = evaluate(results, classes=table, settings=settings, facts={"weights": names[0]})
    return as_html(report, results, about=about, read=grey)


class Reader(html.parser.HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.places: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "link", "image", "br"):
            self.open.append(tag)
        self.places += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "action")]
        self.ids += [v or "" for k, v in attrs if k == "id"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and tag not in ("image",):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_is_one_file_that_asks_nobody() -> None:
    read = Reader(page_of(some_results(("cat", "dog")), ("cat", "dog")))
    outside = [place for place in read.places if not re.match(r"#|data:", place)]
    assert outside == []
    assert read.open == []  # every tag is closed


def test_every_link_in_the_page_leads_somewhere() -> None:
    read = Reader(page_of(some_results(("cat", "dog")), ("cat", "dog")))
    wanted = {place[1:] for place in read.places if place.startswith("#")}
    assert {name for name, _ in SECTIONS} <= wanted
    assert wanted <= set(read.ids)
    assert len(read.ids) == len(set(read.ids))


def test_hostile_names_are_shown_and_never_run() -> None:
    names = (HOSTILE, QUOTES)
    finding = Finding(
        kind="x", severity="error", file=HOSTILE, line=3, cause=HOSTILE, remedy=QUOTES
    )
    about = About(
        title=HOSTILE, subtitle=QUOTES, command=HOSTILE, data=HOSTILE, findings=(finding,)
    )
    page = page_of(some_results(names), names, about=about)
    assert "alert(" in page
    assert "<script>alert" not in page
    read = Reader(page)
    assert read.tags.count("script") == 1  # ours
    shown = "".join(read.words)
    assert HOSTILE in shown
    assert QUOTES in shown


def test_figures_errors_and_captions_are_those_of_the_report() -> None:
    page = page_of(some_results(("cat", "dog")), ("cat", "dog"))
    shown = "".join(Reader(page).words)
    assert "dog found as cat (score 0.80)" in shown
    assert "dog not found" in shown
    assert "dog where none is marked (score 0.50)" in shown
    assert page.count("data:image/jpeg;base64,") == 2  # one photo an image, used on both sides


def test_settings_that_nobody_publishes_with_are_said_at_the_top() -> None:
    strange = EvaluationSettings(replicas=0, postprocess=PostprocessSettings(multi_label=True))
    names = ("cat", "dog")
    page = page_of(some_results(names), names, settings=strange)
    assert page.index("Not comparable with published AP") < page.index("Headline figures")
    assert "Not comparable" not in page_of(some_results(names), names)


def test_a_precision_to_keep_to_adds_its_confidence_for_each_class() -> None:
    names = ("cat", "dog")
    page = page_of(
        some_results(names), names, settings=EvaluationSettings(replicas=0, precision_floor=0.9)
    )
    assert "Confidence for precision 0.9" in page
    assert "Confidence for precision" not in page_of(some_results(names), names)


def test_no_objects_and_no_detections_still_make_a_page() -> None:
    page = page_of([image([], [], names=("cat",))], ("cat",))
    assert "no objects are marked, so there is nothing that could be found" in page
    assert "so there are no curves" in page
    assert "No image has an error" in page
    Reader(page)


def test_nothing_found_at_all_is_said() -> None:
    page = page_of([image([((0, 0, 9, 9), 0)], [], names=("cat",))], ("cat",))
    assert "Not one object is found." in page


def test_a_photo_that_has_gone_leaves_its_errors_in_the_list() -> None:
    def gone(name: str) -> Image:
        raise ImageError(f"{name}: no such file")

    results = some_results(("cat", "dog"))
    report = evaluate(results, classes=ClassTable(("cat", "dog")))
    page = as_html(report, results, about=ABOUT, read=gone)
    assert "No picture: <bdi>a.jpg: no such file</bdi>" in page
    assert "<bdi>dog</bdi> found as <bdi>cat</bdi>" in page


def test_a_name_cannot_turn_the_sentence_around_it() -> None:
    names = ("\u202ecat", "\u05db\u05dc\u05d1")
    page = page_of(some_results(names), names)
    assert "<bdi>\u05db\u05dc\u05d1</bdi> found as <bdi>\u202ecat</bdi> (score 0.80)" in page
    assert '"><bdi>\u202ecat</bdi></th>' in page


def test_the_size_of_a_card_is_that_of_its_objects() -> None:
    names = ("cat",)
    boxes = [(0.0, 0.0, side, side) for side in (10.0, 50.0, 60.0, 97.0, 98.0, 99.0)]
    page = page_of([image([(box, 0) for box in boxes], [], names=names)], names)
    cards = re.findall(r'<span class="name">AP (\w+)</span>.*?<span class="about">(.*?)<', page)
    assert cards == [
        ("small", "1 object below 32² pixels"),
        ("medium", "2 objects of 32² to 96² pixels"),
        ("large", "3 objects above 96² pixels"),
    ]


def test_the_most_expensive_error_stands_first_with_the_longest_bar() -> None:
    """Of 5 cats one is found, one has a loose box, three are missed.

    Recall 1/5 now; 2/5 with a tight box; 1/2 if nobody asked for those that are missed.
    """
    names = ("cat",)
    tight = [((50.0 * n, 0.0, 50.0 * n + 40, 40.0), 0) for n in range(5)]
    found = [(tight[0][0], 0, 0.9), ((50.0, 0.0, 90.0, 15.0), 0, 0.8)]
    results = [image(tight, found, names=names)]
    report = evaluate(results, classes=ClassTable(names))
    rows = evaluation_page(report, results, about=ABOUT, read=grey).error_rows
    costs = [row.ap50_cost for row in rows]
    assert costs == sorted(costs, key=lambda cost: -(cost or 0.0))
    assert [row.kind for row in rows[:2]] == ["missed", "localisation"]
    assert costs[:3] == [pytest.approx(30 / 101), pytest.approx(20 / 101), 0]
    assert [row.share for row in rows] == [pytest.approx((c or 0) / (costs[0] or 1)) for c in costs]


@pytest.mark.parametrize(("severity", "said"), [("error", True), ("warning", False)])
def test_errors_in_the_data_are_said_at_the_top(severity: Severity, said: bool) -> None:
    finding = Finding(kind="x", severity=severity, file="a", line=None, cause="c", remedy="r")
    names = ("cat", "dog")
    page = page_of(some_results(names), names, about=replace(ABOUT, findings=(finding,)))
    assert ("<strong>1 error in the data.</strong>" in page) == said


def test_the_page_stays_small_with_many_classes() -> None:
    names = tuple(f"class of things {number}" for number in range(200))
    results = [
        image(
            [((0, 0, 40, 40), number)],
            [((0, 0, 40, 41), (number + number % 2) % 200, 0.9)],
            source=f"{number}.jpg",
            names=names,
        )
        for number in range(200)
    ]
    page = page_of(results, names, settings=EvaluationSettings(replicas=2))
    assert "(80 other classes)" in page
    assert len(page) < 2_000_000


def in_browser(page: Path, script: str, *, folder: Path) -> str:
    """The page as Chromium has it after running a script in it."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed")
    text = page.read_text()
    allowed = text.replace("</body>", f"<script>{{{script}}}</script></body>")
    page.write_text(allowed)
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    flags += " --disable-background-networking --disable-component-update --enable-logging=stderr"
    done = subprocess.run(
        [browser, *flags.split(), f"--user-data-dir={folder}", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []
    return done.stdout


def test_a_real_browser_sorts_and_singles_out_without_complaint(tmp_path: Path) -> None:
    names = (HOSTILE, "b10", "b9", "without objects")
    results = [
        image(
            [((0, 0, 40, 40), 0), ((50, 50, 90, 90), 1), ((0, 50, 40, 90), 2)],
            [((0, 0, 40, 40), 0, 0.9), ((50, 50, 90, 95), 1, 0.8)],
            names=names,
        )
    ]
    path = tmp_path / "report.html"
    path.write_text(page_of(results, names))
    script = """
      const order = () => [...document.querySelectorAll("table.sortable tbody th")]
        .map((cell) => cell.textContent).join("|");
      const buttons = document.querySelectorAll("table.sortable thead button");
      const said = [order()];
      buttons[0].click(); said.push(order());
      buttons[0].click(); said.push(order());
      buttons[3].click(); said.push(order());
      const choose = document.querySelector("#choose-class");
      choose.value = "1"; choose.dispatchEvent(new Event("change"));
      said.push(String(document.querySelectorAll("path.single").length));
      const broken = [...document.querySelectorAll("image")].length;
      said.push(String(broken), String(document.body.scrollWidth <= window.innerWidth));
      document.title = said.join("~");
    """
    seen = in_browser(path, script, folder=tmp_path / "profile")
    title = re.search("<title>(.*?)</title>", seen)
    assert title is not None
    said = html.unescape(title[1]).split("~")
    assert said[0] == f"{HOSTILE}|b10|b9|without objects"  # best AP first
    assert said[1] == f"{HOSTILE}|b9|b10|without objects"  # by name, numbers as numbers
    assert said[2] == f"without objects|b10|b9|{HOSTILE}"
    assert said[3] == f"{HOSTILE}|b10|b9|without objects"
    assert said[4:] == ["2", "1", "true"]  # both curves; one photo; nothing sticks out
