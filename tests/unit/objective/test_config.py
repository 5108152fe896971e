"""Settings of the objective: defaults and ranges. That each matters: test_objective.py."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gelan.config import from_mapping, to_mapping
from gelan.errors import ConfigError
from gelan.objective.config import AssignerConfig, ObjectiveConfig


def test_the_defaults_are_the_published_ones() -> None:
    assert to_mapping(ObjectiveConfig()) == {
        "box": 7.5,
        "classification": 0.5,
        "distribution": 1.5,
        "auxiliary": 0.25,
        "assignment": "own",
        "assigner": {"topk": 10, "alpha": 0.5, "beta": 6.0},
    }


@pytest.mark.parametrize("name", ["box", "classification", "distribution", "auxiliary"])
@pytest.mark.parametrize("value", [-0.1, 1000.1, math.nan, math.inf])
def test_a_gain_out_of_range_is_refused(name: str, value: float) -> None:
    chosen: dict[str, Any] = {name: value}
    with pytest.raises(ConfigError, match=f"^objective: {name} is .*, outside 0..1000$"):
        ObjectiveConfig(**chosen)


@pytest.mark.parametrize(("name", "value"), [("topk", 0), ("alpha", -1.0), ("beta", math.nan)])
def test_an_assigner_setting_out_of_range_is_refused(name: str, value: float) -> None:
    chosen: dict[str, Any] = {name: value}
    with pytest.raises(ConfigError, match=rf"^objective: assigner\.{name} is {value}, outside"):
        AssignerConfig(**chosen)


def test_an_unknown_assignment_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"assignment.*'own', 'lead'.*'both'"):
        from_mapping(ObjectiveConfig, {"assignment": "both"}, where="a.yaml")


def test_settings_come_back_from_plain_values() -> None:
    config = ObjectiveConfig(box=5.0, assignment="lead", assigner=AssignerConfig(topk=13))
    assert from_mapping(ObjectiveConfig, to_mapping(config), where="a.yaml") == config
