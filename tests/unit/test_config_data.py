"""Dataclasses from plain data and settings: strict, with the nearest key, and nothing is run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gelan.config import from_mapping, parse_settings, to_mapping, with_settings
from gelan.errors import ConfigError
from gelan.model.specs import DetectorSpec
from gelan.model.variants import VARIANTS


@dataclass(frozen=True)
class Inner:
    width: int
    kind: Literal["average", "split"] = "average"


@dataclass(frozen=True)
class Outer:
    inner: Inner
    pairs: tuple[int, int] = (1, 2)
    other: Inner | None = None


@dataclass(frozen=True)
class Wide:
    """A field of every type that can be read."""

    rate: float = 0.1
    count: int | None = None
    size: Literal["auto"] | int = "auto"
    share: int | float = 1
    place: Path = Path("here")
    spare: Path | None = None
    on: bool = False
    sides: tuple[int, ...] = ()
    pairs: tuple[tuple[str, float], ...] = ()
    inner: Inner | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    extra: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rate > 1 and not self.on:
            raise ConfigError(f"rate {self.rate} is above 1, which needs on=true")
        if self.count == 13:
            raise ValueError("count is 13")


@dataclass(frozen=True)
class Deep:
    wide: Wide = field(default_factory=Wide)
    name: str = "x"


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


def refusal(values: Mapping[str, object], kind: type = Wide) -> str:
    with pytest.raises(ConfigError) as caught:
        from_mapping(kind, values, where="x.json")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": True}, "count should be a whole number, not true"),
        ({"count": "16"}, "count should be a whole number, not '16'"),
        ({"count": 16.0}, "count should be a whole number, not 16.0"),
        ({"size": "large"}, "size should be one of 'auto' or a whole number, not 'large'"),
        ({"rate": None}, "rate should be a number, not null"),
        ({"rate": float("nan")}, "rate should be a number, not nan"),
        ({"rate": float("inf")}, "rate should be a number, not inf"),
        ({"rate": 10**400}, "rate should be a number, not a whole number of 1329 bits"),
        ({"rate": True}, "rate should be a number, not true"),
        ({"count": "9" * 5000}, f"count should be a whole number, not '{'9' * 60}'... (5000 char"),
        ({"on": 1}, "on should be true or false, not 1"),
        ({"place": 3}, "place should be a path, not 3"),
        ({"place": "a\0b"}, "place should be a path, not 'a\\x00b'"),
        ({"sides": 3}, "sides should be a list, not 3"),
        ({"sides": "345"}, "sides should be a list, not '345'"),
        ({"sides": [1, 2, "3"]}, "sides[2] should be a whole number, not '3'"),
        ({"pairs": [["a", 1.0], ["b"]]}, "pairs[1] should be a list of 2, not a list of 1"),
        ({"inner": 3}, "inner should be a mapping of width, kind, not 3"),
        ({"inner": {"kind": "split"}}, "missing: inner.width"),
        ({"inner": {"width": 1, "rate": 1}}, "unknown key 'inner.rate'"),
        ({"weights": {"cat": "much"}}, "weights.cat should be a number, not 'much'"),
        ({"weights": {3: 1.0}}, "weights has the key 3, which is no text"),
        ({"extra": {"a": [{"b": {1, 2}}]}}, "extra.a[0].b should be true or false or a whole"),
        ({"inner": {3: 1.0}}, "unknown key 'inner.3'"),
        ({"a\nb" * 10**6: 1}, "unknown key"),
    ],
    ids=str,
)
def test_a_value_of_the_wrong_type_says_what_was_found(
    values: dict[str, object], message: str
) -> None:
    assert refusal(values).startswith(f"x.json: {message}")


def test_the_nearest_key_is_sought_at_its_own_level() -> None:
    architecture = to_mapping(VARIANTS["yolov9-t"])
    architecture["neck"]["top_down"]["merge4"]["spilt"] = 96
    assert refusal(architecture, DetectorSpec) == (
        "x.json: unknown key 'neck.top_down.merge4.spilt'; did you mean 'split'?"
    )
    architecture = {**to_mapping(VARIANTS["yolov9-t"]), "auxiliary": {"kind": "pfh"}}
    assert refusal(architecture, DetectorSpec) == "x.json: missing: auxiliary.head"
    architecture = to_mapping(VARIANTS["yolov9-t"])
    architecture["backbone"]["stem"] = "16"
    assert refusal(architecture, DetectorSpec) == (
        "x.json: backbone.stem should be a whole number, not '16'"
    )


def test_a_check_of_the_class_itself_comes_out_with_its_place() -> None:
    assert refusal({"rate": 2}) == "x.json: rate 2.0 is above 1, which needs on=true"
    inside = refusal({"wide": {"count": 13}}, Deep)
    assert inside == "x.json: wide: count is 13"


@pytest.mark.parametrize("opening", ['{"extra":', "["])
def test_deep_nesting_gets_one_line(opening: str) -> None:
    levels = 900
    closing = "}" if opening[0] == "{" else "]"
    data = json.loads(opening * levels + "1" + closing * levels)
    assert "is nested deeper than 32 levels" in refusal({"extra": {"a": data}})
    if isinstance(data, dict):
        assert "is nested deeper than 32 levels" in refusal(data)
    assert "should be a mapping of width, kind, not a" in refusal({"inner": [data]})


def test_wrong_leaves_deep_down_are_found_in_a_moment() -> None:
    data: object = {1, 2}
    for _ in range(25):
        data = [data]
    assert "[0][0][0]" in refusal({"extra": {"a": data}})


HOSTILE: list[object] = [
    {"class_path": "os.system", "init_args": {"command": "touch ran"}},
    {"class_path": "antigravity.geohash"},
    "antigravity.geohash",
    "antigravity",
    "/etc/passwd",
    "trap.yaml",
    "!!python/object/apply:os.system ['touch ran']",
    ["!!python/object:antigravity.x", {"__path__": "trap.yaml"}],
    {"__class__": "antigravity"},
    "pipe",
]
"""Each would make a reader that is too willing import, open or run something."""


@pytest.mark.parametrize("name", ["inner", "rate", "sides", "count", "size", "on", "weights"])
@pytest.mark.parametrize("value", HOSTILE, ids=str)
def test_hostile_values_are_refused_and_nothing_is_imported_opened_or_run(
    name: str, value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trap.yaml").write_text("width: 3")
    os.mkfifo("pipe")  # to open it would never return
    seen: list[str] = []
    watched = ("open", "import", "os.system", "subprocess.Popen")
    _WATCHERS.append(lambda event: seen.append(event) if event in watched else None)
    try:
        with pytest.raises(ConfigError) as caught:
            from_mapping(Wide, {name: value}, where="x.json")
        if isinstance(value, dict):
            with pytest.raises(ConfigError, match=r"^x\.json: unknown key"):
                from_mapping(Wide, value, where="x.json")
    finally:
        _WATCHERS.clear()
    assert seen == []
    assert f"x.json: {name}" in str(caught.value) or "unknown key" in str(caught.value)
    assert "antigravity" not in sys.modules
    assert not Path("ran").exists()


_WATCHERS: list[Callable[[str], None]] = []
"""Called with the name of each audit event of the interpreter while they stand here."""


def _watch(event: str, _: tuple[object, ...]) -> None:
    for watcher in _WATCHERS:
        watcher(event)


sys.addaudithook(_watch)


def test_a_path_is_taken_as_it_is_and_not_opened() -> None:
    wide = from_mapping(Wide, {"place": "/etc/passwd", "spare": "pipe"}, where="x")
    assert (wide.place, wide.spare) == (Path("/etc/passwd"), Path("pipe"))


_NUMBERS = st.integers(-(10**6), 10**6)
_RATES = st.floats(-1, 1)
_PLAIN = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _RATES | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
_WIDE = st.builds(
    Wide,
    rate=_RATES,
    count=st.none() | st.integers(14),
    size=st.just("auto") | _NUMBERS,
    share=_NUMBERS | _RATES,
    place=st.sampled_from([Path("a"), Path("/b/c.d"), Path()]),
    spare=st.none() | st.just(Path("x")),
    on=st.booleans(),
    sides=st.lists(_NUMBERS, max_size=3).map(tuple),
    pairs=st.lists(st.tuples(st.text(max_size=3), _RATES), max_size=2).map(tuple),
    inner=st.none() | st.builds(Inner, _NUMBERS, st.sampled_from(["average", "split"])),
    weights=st.dictionaries(st.text(max_size=3), _RATES, max_size=2),
    extra=st.dictionaries(st.text(max_size=3), _PLAIN, max_size=2),
)


@given(_WIDE)
def test_any_dataclass_survives_json(wide: Wide) -> None:
    plain = to_mapping(wide)
    again = from_mapping(Wide, plain, where="x")
    assert again == wide
    assert type(again.share) is type(wide.share)
    assert from_mapping(Wide, json.loads(json.dumps(plain)), where="x") == wide


@pytest.mark.parametrize("name", VARIANTS)
def test_every_published_spec_survives_json(name: str) -> None:
    plain = json.loads(json.dumps(to_mapping(VARIANTS[name])))
    assert from_mapping(DetectorSpec, plain, where="x") == VARIANTS[name]


def test_settings_replace_single_fields_by_their_dotted_names() -> None:
    before = Deep(Wide(rate=0.5, weights={"cat": 1.0}))
    after = with_settings(
        before,
        {"name": "y", "wide.count": 3, "wide.weights.dog": 2, "wide.inner.width": 8},
        where="--set",
    )
    expected = Wide(rate=0.5, count=3, weights={"cat": 1.0, "dog": 2.0}, inner=Inner(8))
    assert after == Deep(expected, "y")
    assert before == Deep(Wide(rate=0.5, weights={"cat": 1.0}))
    assert with_settings(before, {}, where="--set") == before


def test_settings_that_need_each_other_are_made_at_once() -> None:
    changed = with_settings(Wide(), {"rate": 2, "on": True}, where="--set")
    assert (changed.rate, changed.on) == (2.0, True)


def test_a_field_can_be_set_as_a_whole() -> None:
    for whole in (Inner(4), {"width": 4}):
        assert with_settings(Wide(), {"inner": whole}, where="x").inner == Inner(4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"wide.raet": 1}, "unknown key 'wide.raet'; did you mean 'rate'?"),
        ({"wied.rate": 1}, "unknown key 'wied'; did you mean 'wide'?"),
        ({"wide.rate": "fast"}, "wide.rate should be a number, not 'fast'"),
        ({"wide.rate.x": 1}, "unknown key 'wide.rate.x': rate holds one value"),
        ({"wide.rate": 3}, "wide: rate 3.0 is above 1, which needs on=true"),
        ({"wide.inner.kind": "split"}, "missing: wide.inner.width"),
        ({"wide": {}, "wide.rate": 1}, "wide.rate is set, and what it is part of: keep one"),
        ({"wide.rate": 1, "wide": {}}, "wide.rate is set, and what it is part of: keep one"),
        ({".".join("a" * 2000): 1}, "unknown key 'a'"),
        ({"wide.extra." + ".".join("a" * 2000): 1}, "wide.extra.a.a.a"),
        ({"": 1}, "unknown key ''"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_setting_says_what_is_wrong(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_settings(Deep(), settings, where="--set")
    assert str(caught.value).startswith(f"--set: {message}")


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("a=1", 1),
        ("a=010", 10),
        ("a=1e-3", 0.001),
        ("a=-.5", -0.5),
        ("a=true", True),
        ("a=False", False),
        ("a=no", "no"),
        ("a=null", None),
        ("a=", None),
        ("a='1'", "1"),
        ('a="b=c # d"', "b=c # d"),
        ("a=b=c # d", "b=c # d"),
        ("a=nan", "nan"),
        ("a=2024-01-02", "2024-01-02"),
        ("a=*.jpg", "*.jpg"),
        ("a=!!python/object/apply:os.getcwd []", "!!python/object/apply:os.getcwd []"),
        ("a=[]", []),
        ("a=[1, 2.5, x y, '3', null]", [1, 2.5, "x y", "3", None]),
    ],
)
def test_a_setting_is_a_scalar_or_a_list(word: str, value: object) -> None:
    found = parse_settings([word], where="--set")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rate"], "--set: 'rate' is no setting: write key=value"),
        (["=3"], "--set: '=3' is no setting: write key=value"),
        (["a=1", "b=2", "a=1"], "--set: a is set twice: keep one of the two"),
        (["a=" + "9" * 5000], "... (5002 characters) is no setting"),
        (["a=[1, 2"], "--set: a: '[1, 2' is no YAML value ("),
        (["a='x' y"], "--set: a: \"'x' y\" is no YAML value ("),
        (["a=[[1], 2]"], "--set: a: '[[1], 2]' is neither one value nor one list of values"),
        (["a=[{b: 1}]"], "is neither one value nor one list of values"),
        (["a=[&x 1, *x]"], "is neither one value nor one list of values"),
        (["a=[!!python/name:os.system x]"], "is neither one value nor one list of values"),
        (["a=[1]\n---\n[2]"], "is neither one value nor one list of values"),
        (["a=" + "[" * 4000], "is neither one value nor one list of values"),
        (["a=" + "[" * 2000 + "]" * 2000], "is neither one value nor one list of values"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_setting_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings(words, where="--set")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class Chosen:
    """A choice among numbers."""

    divisor: Literal[1, 255] = 255


@pytest.mark.parametrize(("value", "shown"), [(True, "true"), (255.0, "255.0"), ("1", "'1'")])
def test_a_choice_is_of_the_type_of_the_value(value: object, shown: str) -> None:
    assert from_mapping(Chosen, {"divisor": 1}, where="a.json") == Chosen(1)
    with pytest.raises(ConfigError) as caught:
        from_mapping(Chosen, {"divisor": value}, where="a.json")
    assert str(caught.value) == f"a.json: divisor should be one of 1, 255, not {shown}"
