"""Dataclasses from plain data and command lines: strict, with the nearest known key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from gelan.config import from_mapping, option, parse_command_line, to_mapping
from gelan.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    width: int
    kind: Literal["average", "split"] = "average"


@dataclass(frozen=True)
class Outer:
    inner: Inner
    pairs: tuple[int, int] = (1, 2)
    other: Inner | None = None


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a test."""

    place: str = option("where", positional=True)
    weights: Path = option("which")
    max_detections: int = option("how many", default=300)
    json: bool = option("as JSON", default=False)
    size: int | None = option("how large", default=None)


def parse(*words: str) -> Options:
    return parse_command_line(Options, words, program="gelan test", description="A test.")


def test_a_dataclass_survives_the_way_to_plain_data_and_back() -> None:
    for value in (Outer(Inner(3)), Outer(Inner(3, "split"), (4, 5), Inner(6))):
        assert from_mapping(Outer, to_mapping(value), where="x") == value


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"inner": {"widht": 3}}, "x.json: unknown key 'inner.widht'; did you mean 'width'?"),
        ({"inner": {"width": "wide"}}, "x.json: inner.width should be a whole number, not 'wide'"),
        (
            {"inner": {"width": 3, "kind": "max"}},
            "x.json: inner.kind should be one of 'average', 'split', not 'max'",
        ),
        ({"inner": {"kind": "split"}}, "x.json: missing: inner.width"),
    ],
)
def test_wrong_data_says_where_what_and_the_nearest(
    values: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        from_mapping(Outer, values, where="x.json")
    assert str(caught.value) == message


def test_options_take_dashes_or_underscores_and_values_either_way() -> None:
    expected = Options(place="here", weights=Path("w.pt"), max_detections=5, json=True, size=320)
    words = ["here", "--weights", "w.pt", "--json", "--size=320"]
    assert parse(*words, "--max-detections=5") == expected
    assert parse(*words, "--max_detections", "5") == expected


def test_defaults_hold_where_nothing_is_said() -> None:
    assert parse("here", "--weights=w.pt") == Options(place="here", weights=Path("w.pt"))


def test_a_value_that_looks_like_an_option_keeps_its_underscores() -> None:
    assert parse("a_b", "--weights=--x_y.pt").weights == Path("--x_y.pt")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["here", "--weights=w", "--max-detection=3"], "unknown option --max-detection; did you"),
        (["here", "--wieghts=w"], "unknown option --wieghts; did you mean '--weights'?"),
        (["here", "--weights=w", "--size", "big"], "--size should be"),
        (["here", "--weights=w", "--max-detections", "3.5"], "should be a whole number, not '3.5'"),
        (["--weights=w"], "missing: place"),
        (["here", "--weights"], "--weights: expected one argument"),
    ],
)
def test_a_wrong_command_line_says_what_to_do(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(*words)
    assert str(caught.value).startswith("gelan test: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_help_shows_texts_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "A test." in text
    assert "--max-detections N" in text
    assert "how many (default: 300)" in text
    assert "how large\n" in text
