"""`results.csv`: the same numbers come back, and what is wrong in it is said with its line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gelan.errors import ConfigError
from gelan.report.history_file import COLUMNS, read_history, write_history
from tests.unit.report.made_up_runs import row

finite = st.floats(allow_nan=False)


@given(st.lists(st.tuples(finite, st.none() | finite, st.booleans()), max_size=4))
def test_what_is_written_comes_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[float, float | None, bool]]
) -> None:
    path = tmp_path_factory.mktemp("run") / "results.csv"
    rows = tuple(
        replace(row(epoch), box=box, ap=ap, mosaic=mosaic)
        for epoch, (box, ap, mosaic) in enumerate(values, start=1)
    )
    write_history(path, rows)
    assert read_history(path) == rows


def test_the_file_is_one_that_other_programs_read(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    write_history(path, [row(1, loss=1.5, validation=None, ap=None, pgi=False)])
    header, line = path.read_text().splitlines()
    assert header.startswith("epoch,iterations,seconds,images_per_second,memory_mb,learning_rate,")
    assert line == "1,15,10.0,35.5,2048.0,0.01,4.0,0.5,0.5,0.5,,,,,,,,,,true,false"


def test_numbers_of_numpy_are_written_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    write_history(path, [replace(row(1), box=np.float64(0.1), ap=np.float64(0.25))])
    assert read_history(path) == (replace(row(1), box=0.1, ap=0.25),)


def test_a_run_replaces_its_own_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    write_history(path, [row(1)])
    write_history(path, [row(1), row(2)])
    assert len(read_history(path)) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.csv"]


def test_every_column_is_a_number_or_yes_or_no(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    write_history(path, [row(1)])
    good = path.read_text().splitlines()
    for number, name in enumerate(COLUMNS):
        cells = good[1].split(",")
        cells[number] = "many"
        path.write_text(f"{good[0]}\n{','.join(cells)}\n")
        with pytest.raises(ConfigError, match=rf"results.csv:2: {name} is 'many', not "):
            read_history(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [], "results.csv: is empty; "),
        (lambda lines: [lines[0].replace(",box,", ",")], ":1: column 'box' is missing; "),
        (lambda lines: [lines[0] + ",recall"], ":1: there is no column 'recall' in this gelan; "),
        (lambda lines: [lines[0].replace("epoch,iterations", "iterations,epoch")], "another order"),
        (lambda lines: [*lines[:2], "1,2"], ":3: 2 cells instead of 21; "),
        (lambda lines: [lines[0], lines[2], lines[1]], ":3: epoch 1 after 2; "),
        (lambda lines: [lines[0], lines[1].replace("10.0", "", 1)], "seconds is '', not a number"),
        (lambda lines: [lines[0], lines[1].replace("true", "True")], "'True', not true or false"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(
    tmp_path: Path, change: object, said: str
) -> None:
    assert callable(change)
    path = tmp_path / "results.csv"
    write_history(path, [row(1), row(2)])
    path.write_text("".join(f"{line}\n" for line in change(path.read_text().splitlines())))
    with pytest.raises(ConfigError) as caught:
        read_history(path)
    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"results\.csv: cannot be read"):
        read_history(tmp_path / "results.csv")
