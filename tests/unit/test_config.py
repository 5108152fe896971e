"""Options of a command line: typed, strict, and nothing in a word is ever opened or run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from gelan.config import option, parse_command_line
from gelan.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a test."""

    place: str = option("where", positional=True)
    weights: Path = option("which")
    max_detections: int = option("how many", default=300)
    json: bool = option("as JSON", default=False)
    size: int | None = option("how large", default=None)
    settings: tuple[str, ...] = option("key=value", default=())
    iou: float | None = option("how near", default=None)
    out: Path | None = option("where to", default=None)
    speed: Literal["fast", "true", 8] = option("how fast", default="fast")


def parse(*words: str) -> Options:
    return parse_command_line(Options, words, program="gelan test", description="A test.")


def test_options_take_dashes_or_underscores_and_values_either_way() -> None:
    expected = Options(place="here", weights=Path("w.pt"), max_detections=5, json=True, size=320)
    words = ["here", "--weights", "w.pt", "--json", "--size=320"]
    assert parse(*words, "--max-detections=5") == expected
    assert parse(*words, "--max_detections", "5") == expected


def test_defaults_hold_where_nothing_is_said() -> None:
    assert parse("here", "--weights=w.pt") == Options(place="here", weights=Path("w.pt"))


def test_an_option_of_many_words_can_be_given_again_and_again() -> None:
    words = ["here", "--weights=w", "--settings", "a_b=1", "b=-2", "--json", "--settings=c_d=3"]
    assert parse(*words).settings == ("a_b=1", "b=-2", "c_d=3")
    assert parse(*words).json
    assert parse("here", "--weights=w").settings == ()


def test_choices_may_look_like_other_values() -> None:
    assert parse("here", "--weights=w", "--speed=true").speed == "true"
    assert parse("here", "--weights=w", "--speed=8").speed == 8


def test_values_are_words_and_never_code_or_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSONARGPARSE_DEFAULT_ENV", "true")
    monkeypatch.setenv("GELAN TEST_MAX_DETECTIONS", "7")
    hostile = '{"class_path": "os.system"}'
    options = parse(hostile, "--weights", hostile, "--out=/etc/passwd")
    assert options == Options(place=hostile, weights=Path(hostile), out=Path("/etc/passwd"))
    for name in ("size", "iou", "max-detections", "speed"):
        for value in (hostile, "/etc/passwd", "@/etc/passwd", "!!python/name:os.system", ""):
            with pytest.raises(ConfigError, match=f"^gelan test: --{name} should be "):
                parse("here", "--weights=w", f"--{name}={value}")


def test_a_value_that_looks_like_an_option_keeps_its_underscores() -> None:
    assert parse("a_b", "--weights=--x_y.pt").weights == Path("--x_y.pt")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["here", "--weights=w", "--max-detection=3"], "unknown option --max-detection; did you"),
        (["here", "--wieghts=w"], "unknown option --wieghts; did you mean '--weights'?"),
        (["here", "--weights=w", "--size", "big"], "--size should be"),
        (["here", "--weights=w", "--max-detections", "3.5"], "should be a whole number, not 3.5"),
        (["here", "--weights=w", "--iou", "nan"], "--iou should be a number, not 'nan'"),
        (["here", "--weights=w", "--iou", "1e999"], "--iou should be a number, not inf"),
        (["here", "--weights=w", "--size", "9" * 5000], "--size should be a whole number, not"),
        (["here", "--weights=w", "--config=x"], "unknown option --config"),
        (["here", "--weights=w", "--print_config"], "unknown option --print-config"),
        (["here", "--weights=w", "--out.class_path=x"], "unknown option --out.class-path"),
        (["here", "--weights=w", "--speed.help"], "unknown option --speed.help"),
        (["here", "--weight=w"], "unknown option --weight; did you mean '--weights'?"),
        (["here", "there", "--weights=w"], "'there' belongs to no option; if a shell made several"),
        (["here", "w.pt"], "'w.pt' belongs to no option; did you mean --weights w.pt?"),
        (["here", "--weights=w", "--size=1", "--size", "2"], "--size is given twice: keep one"),
        (["here", "--weights=w", "--max-detections=1", "--max_detections=1"], "is given twice"),
        (["here", "--weights=w", "--speed=slow"], "should be one of 'fast', 'true', 8, not 'slow'"),
        (["--weights=w"], "missing: place"),
        (["here"], "missing: --weights"),
        (["--json"], "missing: place, --weights"),
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
    assert "key=value\n" in text
    assert "--settings TEXT [TEXT ...]" in text


def test_a_bare_word_is_taken_for_the_first_required_option_that_is_missing() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Two:
        weights: str = option("which")
        data: str = option("of what")

    def complaint(*words: str) -> str:
        with pytest.raises(ConfigError) as caught:
            parse_command_line(Two, words, program="gelan val", description="")
        return str(caught.value)

    start = "gelan val: 'data.yaml' belongs to no option; did you mean"
    assert complaint("data.yaml") == f"{start} --weights data.yaml?"
    assert complaint("--weights", "w.pt", "data.yaml") == f"{start} --data data.yaml?"
    assert complaint("data.yaml", "--weights=w.pt") == f"{start} --data data.yaml?"


def test_a_switch_may_be_given_twice_and_a_value_may_look_like_an_option() -> None:
    assert parse("here", "--weights=w", "--json", "--json").json
    assert parse("--weights=w", "--out=--weights", "here").out == Path("--weights")
    assert parse("--weights=w", "--", "--weights").place == "--weights"
