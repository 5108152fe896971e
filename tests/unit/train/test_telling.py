from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from gelan.cli.train import Options, settings_of
from gelan.config import parse_command_line
from gelan.data.drawn.dataset import draw_dataset
from gelan.train.keeping import WeightsWriter
from gelan.train.progress import Progress
from gelan.train.run import Outcome
from gelan.train.run_folder import RunFolder
from gelan.train.start import Prepared, prepare
from gelan.train.telling import command_of, overview_of, show_data, tell
from tests.unit.train.little import CPU
from tests.unit.train.test_keeping import ROW


def prepared_of(folder: Path, images: dict[str, int], **changes: Any) -> Prepared:  # noqa: ANN401
    data = draw_dataset(folder, images=images, size_hw=(64, 64))
    given = {"data": str(data), "model": "gelan-t", "size": 64, "epochs": 2, **changes}
    return prepare(given, choose=lambda _: CPU)


def outcome_of(prepared: Prepared, folder: Path, *, epochs: int, ap: float | None) -> Outcome:
    folder.mkdir()
    run, progress = RunFolder(folder), Progress()
    row = replace(ROW, epoch=1, ap=ap, ap50=ap, ap75=ap)
    if epochs:
        progress = progress.after_epoch(row, seconds=1.0)
        writer = WeightsWriter(prepared=prepared, folder=run)
        writer(prepared.weights.detector, row=row, is_best=True, is_last=True)
    return Outcome(folder=run, prepared=prepared, progress=progress, ending="it is over", cost=None)


@pytest.mark.parametrize(
    ("images", "epochs", "has_report"),
    [
        ({"train": 3, "val": 2}, 1, True),
        ({"train": 3, "val": 2}, 0, False),
        ({"train": 3}, 1, False),
        ({"train": 1}, 1, False),
        ({"train": 1, "val": 1}, 1, True),
    ],
)
def test_the_page_is_written_whatever_there_is_to_tell(
    tmp_path: Path, images: dict[str, int], epochs: int, has_report: bool
) -> None:
    prepared = prepared_of(tmp_path / "set", images)
    ap = 0.25 if has_report else None
    outcome = outcome_of(prepared, tmp_path / "run", epochs=epochs, ap=ap)
    report = tell(outcome, command="gelan train --data <set>")
    assert (report is not None) is has_report
    page = outcome.folder.report.read_text(encoding="utf-8")
    assert "gelan train --data &lt;set&gt;" in page
    assert "t is over" in page  # at the start of a sentence
    assert "starfish" in page
    assert (outcome.folder.path / "curves.svg").exists() is (epochs > 0)
    assert (outcome.folder.path / "confusion.svg").exists() is has_report
    tell(outcome, command="again")  # replaces what it wrote


def test_the_data_is_shown_as_it_is_learnt_first_and_last(tmp_path: Path) -> None:
    prepared = prepared_of(tmp_path / "set", {"train": 1}, **{"augment.close_mosaic": 1})
    (tmp_path / "run").mkdir()
    show_data(prepared, RunFolder(tmp_path / "run"))
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["batch1.jpg", "batch2.jpg", "labels.svg"]


def test_the_overview_counts_the_objects_of_the_training_split(tmp_path: Path) -> None:
    data = prepared_of(tmp_path / "set", {"train": 2, "val": 3}).data
    counted = sum(len(record.labels) for record in data.train)
    assert sum(overview_of(data).counts) == counted


def parsed(line: str) -> dict[str, object]:
    words = shlex.split(line)
    assert words[:2] == ["gelan", "train"]
    return settings_of(
        parse_command_line(Options, words[2:], program="gelan train", description="")
    )


TEXTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1)
SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "data": st.sampled_from(["set", "my data/it's.yaml", "100%", "ä b"]),
    "weights": st.sampled_from(["a.pt", "with space.pt"]),
    "epochs": st.integers(1, 999),
    "seed": st.integers(0, 9),
    "precision": st.sampled_from(["fp32", "bf16", "fp16"]),
    "pgi": st.sampled_from(["on", "off", "until:5"]),
    "val_split": TEXTS,
    "freeze": st.lists(TEXTS, min_size=1, max_size=3),
    "channels_last": st.booleans(),
    "optimizer.learning_rate": st.floats(1e-8, 1.0, allow_nan=False),
    "clip": st.integers(1, 99),
}


@profile(max_examples=60, deadline=None)
@given(settings=st.fixed_dictionaries({}, optional=SETTINGS))
def test_the_command_gives_the_same_settings(settings: dict[str, Any]) -> None:
    assert parsed(command_of(settings)) == settings


@pytest.mark.parametrize("text", ["1", "true", "null", "a, b", "[x]", "1e3", "it's", 'a"b', "~"])
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    settings: dict[str, object] = {"val_split": text, "freeze": [text, "neck"]}
    assert parsed(command_of(settings)) == settings


def test_a_command_for_people() -> None:
    settings = {"data": "set", "epochs": 3, "freeze": ["backbone"], "channels_last": False}
    assert command_of(settings) == (
        "gelan train --data set --epochs 3 --set 'freeze=[backbone]' channels_last=false"
    )
    assert command_of({}) == "gelan train"
