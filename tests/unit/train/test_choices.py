from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gelan.config import to_mapping
from gelan.errors import ConfigError
from gelan.train.choices import Facts, Settled, asked_for, settle
from gelan.train.config import TrainConfig

FACTS = Facts(
    images=1000,
    network="yolov9-s",
    has_auxiliary=True,
    is_fine_tuning=False,
    device="cpu",
    cores=8,
    has_bf16=False,
)
TUNING = replace(FACTS, is_fine_tuning=True, network="gelan-s", has_auxiliary=False)


def flat(value: object, prefix: str = "") -> dict[str, object]:
    """Every leaf by its dotted name."""
    leaves: dict[str, object] = {}
    for field in fields(value):  # type: ignore[arg-type]
        inner = getattr(value, field.name)
        name = f"{prefix}{field.name}"
        leaves |= flat(inner, f"{name}.") if is_dataclass(inner) else {name: inner}
    return leaves


def chosen(settings: dict[str, Any], facts: Facts = FACTS) -> dict[str, object]:
    return {choice.name: choice.value for choice in settle(settings, facts).choices}


def test_the_recipe_stands_where_it_was_made_for() -> None:
    facts = replace(FACTS, images=118_000, device="cuda", cores=0, batch_that_fits=16)
    settled = settle({"data": "coco", "precision": "fp32"}, facts)
    assert settled.choices == ()
    assert settled.config == TrainConfig(data="coco")


@pytest.mark.parametrize("images", [1, 8, 100, 1_000_000])
@pytest.mark.parametrize("tuning", [False, True])
@pytest.mark.parametrize("epochs", [None, 1, 2, 30, 500])
def test_every_departure_from_the_recipe_is_reported_and_sensible(
    images: int, tuning: bool, epochs: int | None
) -> None:
    settings: dict[str, Any] = {"data": "some"}
    if tuning:
        settings["weights"] = "start.safetensors"
    if epochs is not None:
        settings["epochs"] = epochs
    settled = settle(settings, replace(TUNING if tuning else FACTS, images=images))
    recipe, now = flat(TrainConfig(data="")), flat(settled.config)
    departed = {name for name, value in now.items() if value != recipe[name]}
    reported = {choice.name: choice.value for choice in settled.choices}
    assert departed - set(settings) <= reported.keys()
    assert all(now[name] == value for name, value in reported.items())
    assert all(choice.reason for choice in settled.choices)
    config = settled.config
    assert 1 <= config.batch <= max(1, images)
    assert config.augment.close_mosaic < config.epochs
    assert config.schedule.warmup_epochs <= max(0.1, config.epochs / 10)
    assert config.ema.ramp >= 10


def test_few_images_make_small_batches_and_each_of_them_a_step() -> None:
    # 100 images: at least 8 batches an epoch, the next power of two below 100 / 8.
    settings = chosen({"data": "some", "epochs": 50}, replace(FACTS, images=100))
    assert settings["batch"] == 8
    assert settings["nominal_batch"] == 8
    # 50 epochs x 100 images / 8 = 625 steps and 650 batches.
    assert settings["schedule.warmup_least_iterations"] == 65


def test_what_a_gpu_cannot_hold_is_made_smaller_and_what_it_can_larger() -> None:
    gpu = replace(FACTS, device="cuda", has_bf16=True)
    assert chosen({}, replace(gpu, batch_that_fits=4))["batch"] == 4
    assert "batch" not in chosen({}, replace(gpu, batch_that_fits=16))
    # 1000 images / 8 = 125 would be of use, but more than 64 is never taken.
    assert chosen({}, replace(gpu, batch_that_fits=256))["batch"] == 64
    assert "batch" not in chosen({"batch": 3}, replace(gpu, batch_that_fits=256))


def test_precision_and_workers_follow_the_machine() -> None:
    assert "precision" not in chosen({})
    assert chosen({}, replace(FACTS, has_bf16=True))["precision"] == "bf16"
    assert chosen({}, replace(FACTS, device="cuda"))["precision"] == "fp16"
    assert chosen({})["workers"] == 3  # (8 - 2) / 2: the others compute
    assert chosen({}, replace(FACTS, device="cuda"))["workers"] == 8
    assert "workers" not in chosen({}, replace(FACTS, cores=2))
    assert "workers" not in chosen({}, replace(FACTS, images=8))


def test_fine_tuning_is_short_and_gentle_and_says_which_network_it_is() -> None:
    settings = chosen({"weights": "a.safetensors"}, TUNING)
    assert settings["epochs"] == 100
    assert settings["model"] == "gelan-s"
    assert settings["pgi"] == "off"
    rate = settings["optimizer.learning_rate"]
    assert isinstance(rate, float)
    assert rate < 0.01


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_optimizers_that_move_by_their_rate_get_a_small_one(kind: str) -> None:
    settings = chosen({"optimizer.kind": kind})
    assert settings["optimizer.learning_rate"] == 0.001
    assert settings["schedule.warmup_bias_rate"] == 0.0
    tuning = chosen({"optimizer.kind": kind, "weights": "a.pt"}, TUNING)
    assert tuning["optimizer.learning_rate"] == 0.0002
    without = chosen({"optimizer.kind": kind, "schedule.warmup_epochs": 0})
    assert "schedule.warmup_bias_rate" not in without


def test_a_short_run_closes_its_mosaics_also_where_their_share_was_set() -> None:
    settled = settle({"augment.mosaic": 0.5, "epochs": 10}, FACTS)
    assert settled.config.augment.close_mosaic < 10
    assert settled.config.augment.mosaic == 0.5


def test_without_mosaics_there_is_nothing_to_close() -> None:
    none = dict.fromkeys(("augment.mosaic", "augment.mixup", "augment.copy_paste"), 0.0)
    settings = chosen({**none, "augment.close_mosaic": 0, "epochs": 10})
    assert "augment.close_mosaic" not in settings


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "epochs": st.integers(16, 1000),
    "batch": st.integers(1, 64),
    "nominal_batch": st.integers(1, 256),
    "seed": st.integers(0, 9),
    "workers": st.integers(0, 4),
    "precision": st.sampled_from(["fp32", "bf16"]),
    "patience": st.integers(0, 300),
    "optimizer.kind": st.sampled_from(["sgd", "adam", "adamw"]),
    "optimizer.learning_rate": st.floats(1e-5, 1.0),
    "schedule.warmup_epochs": st.floats(0.5, 5.0),
    "schedule.warmup_bias_rate": st.floats(0.0, 0.2),
    "schedule.warmup_least_iterations": st.integers(0, 500),
    "ema.ramp": st.floats(1.0, 5000.0),
    "augment.close_mosaic": st.integers(0, 15),
    "augment.mixup": st.floats(0.01, 1.0),
}


@hypothesis.settings(max_examples=40, deadline=None)
@given(
    settings=st.fixed_dictionaries({}, optional=VALUES),
    images=st.integers(1, 10**6),
    tuning=st.booleans(),
    fits=st.none() | st.integers(1, 512),
)
def test_nothing_that_the_user_set_is_changed(
    settings: dict[str, Any], images: int, tuning: bool, fits: int | None
) -> None:
    facts = replace(TUNING if tuning else FACTS, images=images, batch_that_fits=fits)
    settled = settle({**settings, "weights": "a.pt"} if tuning else settings, facts)
    now = flat(settled.config)
    assert {name: now[name] for name in settings} == settings
    assert not {choice.name for choice in settled.choices} & set(settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pgi": "off", "pgi_kind": "pan"}, "pgi_kind = pan has no effect: PGI is off"),
        (
            {"pgi": "off", "objective.auxiliary": 0.5},
            "objective.auxiliary = 0.5 has no effect: PGI is off",
        ),
        (
            {"optimizer.kind": "adamw", "optimizer.nesterov": False},
            "optimizer.nesterov = False has no effect: the optimizer is adamw",
        ),
        (
            {"schedule.kind": "constant", "schedule.final_factor": 0.1},
            "schedule.final_factor = 0.1 has no effect: the rate is constant",
        ),
        (
            {"schedule.warmup_epochs": 0, "schedule.warmup_momentum": 0.5},
            "schedule.warmup_momentum = 0.5 has no effect: there is no warm-up",
        ),
        ({"validate_every": 0, "patience": 5}, "patience = 5 has no effect: nothing is validated"),
        ({"cache_gb": 2.0}, "cache_gb = 2.0 has no effect: there is no cache"),
        (
            {"augment.mixup": 0.0, "augment.mixup_concentration": 2.0},
            "augment.mixup_concentration = 2.0 has no effect: augment.mixup is 0",
        ),
        (
            {"augment.copy_paste": 0.0, "augment.copy_paste_cover": 0.1},
            "augment.copy_paste_cover = 0.1 has no effect: augment.copy_paste is 0",
        ),
        (
            {"augment.mosaic": 0.5, "augment.close_mosaic": 20, "epochs": 20},
            "augment.mosaic = 0.5 has no effect: close_mosaic is 20 of 20 epochs",
        ),
    ],
)
def test_a_setting_without_effect_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settle(settings, FACTS)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["patience", "validate_every"])
def test_without_a_validation_split_nothing_can_be_set_about_it(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} = 7 has no effect: no validation split"):
        settle({name: 7}, replace(FACTS, has_validation=False))


def test_weights_say_which_network_it_is() -> None:
    settings = {"weights": "a.safetensors", "model": "yolov9-c"}
    with pytest.raises(ConfigError) as caught:
        settle(settings, TUNING)
    assert str(caught.value) == (
        "model = yolov9-c has no effect: a.safetensors holds gelan-s, which is what is trained; "
        "leave it out"
    )
    settled = settle({**settings, "model": "yolov9-s"}, TUNING)  # its part is attached or not
    assert settled.config.model == "yolov9-s"


def test_a_resolved_configuration_gives_itself() -> None:
    for facts, settings in ((FACTS, {"epochs": 20}), (TUNING, {"weights": "a.pt", "pgi": "on"})):
        first: Settled = settle({"data": "some", **settings}, facts)
        leaves = {
            name: str(value) if name == "weights" else value
            for name, value in flat(first.config).items()
            if value is not None
        }
        second = settle(leaves, facts)
        assert second.config == first.config
        assert second.choices == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "settings: unknown key 'epoch'; did you mean 'epochs'?"),
        ({"augment.mosiac": "auto"}, "unknown key 'augment.mosiac'; did you mean 'mosaic'?"),
        ({"augmnt.mosaic": 0.5}, "settings: unknown key 'augmnt'; did you mean 'augment'?"),
        ({"foo": None}, "settings: unknown key 'foo'"),
        ({"foo": {}}, "settings: unknown key 'foo'"),
        ({"epochs": None}, "settings: epochs should be a whole number, not null"),
        ({"epochs": 2.5}, "settings: epochs should be a whole number, not 2.5"),
        ({"channels_last": 1}, "settings: channels_last should be true or false, not 1"),
        ({"optimizer.kind": "sdg"}, "optimizer.kind should be one of 'sgd', 'adam', 'adamw'"),
        ({"batch": 0}, "settings: batch is 0; it should be from 1 to 65536"),
        ({"freeze": "backbone"}, "settings: freeze should be a list, not 'backbone'"),
    ],
)
def test_unknown_and_mistyped_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        asked_for(settings)
    assert message in str(caught.value)


def test_auto_is_what_the_recipe_says() -> None:
    settings: dict[str, Any] = {
        "augment.mosaic": "auto",
        "weights": None,
        "optimizer": {},
        "device": "auto",
    }
    assert to_mapping(asked_for(settings)) == to_mapping(TrainConfig(data=""))
    assert settle(settings, FACTS) == settle({}, FACTS)
