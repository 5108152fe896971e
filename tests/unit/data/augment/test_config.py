from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from gelan.config import from_mapping, to_mapping
from gelan.data.augment.config import AugmentConfig, none, published
from gelan.data.augment.pipeline import augmented
from gelan.errors import ConfigError
from gelan.geometry.letterbox import Preprocessing
from tests.unit.data.augment.painted import Painted

ALL_STEPS = AugmentConfig(
    mosaic=0.7,
    mixup=0.8,
    copy_paste=0.8,
    scale=0.5,
    degrees=10.0,
    shear=5.0,
    perspective=0.0002,
    flip_up_down=0.3,
)
OTHER: dict[str, Any] = {
    "mosaic": 0.1,
    "mosaic_spread": 0.1,
    "partners": 5,
    "mixup": 0.2,
    "mixup_concentration": 1.0,
    "copy_paste": 0.2,
    "copy_paste_cover": 0.0,
    "scale": 0.1,
    "translate": 0.4,
    "degrees": 90.0,
    "shear": 30.0,
    "perspective": 0.0006,
    "hue": 0.4,
    "saturation": 0.1,
    "value": 0.9,
    "flip_left_right": 0.1,
    "flip_up_down": 0.9,
    "min_side": 30.0,
    "max_aspect": 1.2,
    "min_seen_box": 0.95,
    "min_seen_outline": 0.95,
}


def traces(config: AugmentConfig) -> list[object]:
    """Everything that samples consist of, of outlined objects and of boxes."""
    preprocessing = Preprocessing(size=64)
    sources = (Painted(9, "outlines", 64), Painted(9, "boxes", 64))
    samples = [
        augmented(source, index, config=config, preprocessing=preprocessing)
        for source in sources
        for index in range(9)
    ]
    return [(s.image.tobytes(), s.annotations.boxes.tobytes()) for s in samples]


@pytest.mark.parametrize("name", OTHER)
def test_every_number_matters(name: str) -> None:
    assert traces(ALL_STEPS) != traces(replace(ALL_STEPS, **{name: OTHER[name]}))


def test_no_number_is_without_such_a_test() -> None:
    assert {field.name for field in fields(AugmentConfig)} == {*OTHER, "close_mosaic"}


def test_the_last_epochs_rest_from_mosaics() -> None:
    config = published()
    assert config.at_epoch(484, epochs=500) == config
    closing = config.at_epoch(485, epochs=500)
    assert (closing.mosaic, closing.mixup, closing.copy_paste) == (0, 0, 0)
    assert (closing.scale, closing.hue, closing.flip_left_right) == (0.9, 0.015, 0.5)
    assert replace(config, close_mosaic=0).at_epoch(499, epochs=500).mosaic == 1
    assert [config.at_epoch(epoch, epochs=16).mosaic for epoch in (0, 1)] == [1, 0]
    assert config.at_epoch(0, epochs=15).mosaic == 0


def test_the_published_numbers_are_the_defaults() -> None:
    config = published()
    assert (config.mosaic, config.mixup, config.copy_paste, config.close_mosaic) == (
        1,
        0.15,
        0.3,
        15,
    )
    assert (config.hue, config.saturation, config.value) == (0.015, 0.7, 0.4)
    assert (config.scale, config.translate) == (0.9, 0.1)
    assert (config.degrees, config.shear, config.perspective) == (0, 0, 0)
    assert (config.flip_left_right, config.flip_up_down) == (0.5, 0)


def test_none_leaves_nothing_to_chance() -> None:
    assert none().is_none
    assert not published().is_none
    assert not replace(none(), flip_up_down=0.1).is_none


@pytest.mark.parametrize(
    ("name", "value"), [("mixup", 0.1), ("copy_paste", 0.1), ("close_mosaic", 1)]
)
def test_what_builds_on_mosaics_is_refused_without_them(name: str, value: float) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(none(), **{name: value})  # type: ignore[arg-type]
    assert str(caught.value) == f"augment: {name} needs mosaics, and mosaic is 0; set {name}=0"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scale", 1.0, "augment: scale is 1.0, outside 0..0.99"),
        ("mosaic", -0.1, "augment: mosaic is -0.1, outside 0..1"),
        ("hue", float("nan"), "augment: hue is nan, outside 0..0.5"),
        ("partners", 0, "augment: partners is 0, outside 1..100000"),
    ],
)
def test_numbers_out_of_range_are_refused(name: str, value: float, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(published(), **{name: value})  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_plain_values_go_there_and_back_and_unknown_ones_are_refused() -> None:
    assert from_mapping(AugmentConfig, to_mapping(published()), where="run.yaml") == published()
    with pytest.raises(ConfigError, match=r"unknown key 'mosiac'; did you mean 'mosaic'\?"):
        from_mapping(AugmentConfig, {"mosiac": 0.5}, where="run.yaml")
