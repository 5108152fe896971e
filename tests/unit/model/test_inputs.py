"""What is given to a network by mistake gets one sentence: what was found, and what is wanted."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

from gelan.errors import ConfigError
from gelan.model.backbone import require_widths
from gelan.model.detector import require_images
from gelan.model.sizing import head_for, neck_for
from gelan.model.variants import build, variant

WANTED = "the network takes a tensor (batch, 3, height, width) of torch.float32, RGB in [0, 1]; it"
LIKE = torch.zeros(1)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(3, 64, 64), f"{WANTED} got one of shape (3, 64, 64)"),
        (torch.zeros(1, 1, 64, 64), f"{WANTED} got one of shape (1, 1, 64, 64)"),
        (torch.zeros(1, 64, 64, 3), f"{WANTED} got one of shape (1, 64, 64, 3)"),
        (np.zeros((1, 3, 64, 64), np.float32), f"{WANTED} got ndarray"),
        (None, f"{WANTED} got NoneType"),
        (
            torch.zeros(1, 3, 64, 64, dtype=torch.uint8),
            f"{WANTED} got one of torch.uint8: convert it by .to(torch.float32), then divide by "
            "255 if they are bytes",
        ),
        (
            torch.zeros(1, 3, 64, 64, dtype=torch.float64),
            f"{WANTED} got one of torch.float64: convert it by .to(torch.float32)",
        ),
        (
            torch.zeros(1, 3, 0, 0),
            "the network's input is 0 x 0 pixels, but both must be multiples of 32: 32 x 32 would "
            "do",
        ),
        (
            torch.zeros(1, 3, 64, 100),
            "the network's input is 100 x 64 pixels, but both must be multiples of 32: 128 x 64 "
            "would do",
        ),
    ],
)
def test_what_is_no_batch_of_images_is_told_so(images: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        require_images(images, like=LIKE)
    assert str(caught.value) == message


def test_a_detector_asks_for_the_precision_that_it_has() -> None:
    double = torch.zeros(1, 3, 32, 32, dtype=torch.float64)
    detector = build("gelan-t", num_classes=1).eval()
    with pytest.raises(ConfigError, match=r"got one of torch\.float64: convert it"):
        detector(double)
    assert detector.double()(double).main.logits.dtype == torch.float64


def test_under_autocast_any_floating_point_type_will_do() -> None:
    detector = build("gelan-t", num_classes=1).eval()
    images = torch.zeros(1, 3, 32, 32, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert detector(images).main.logits.dtype == torch.bfloat16
        with pytest.raises(ConfigError, match=r"got one of torch\.uint8"):
            require_images(images.to(torch.uint8), like=LIKE)


@pytest.mark.parametrize(("name", "shown"), [(5, "5"), (None, "None"), (["t"], r"\['t'\]")])
def test_a_name_that_is_no_text_is_no_network(name: object, shown: str) -> None:
    unchecked = inspect.unwrap(variant)  # the tests' own checks of types would come first
    with pytest.raises(ConfigError, match=rf"^no network is called {shown} \(known: yolov9-t, "):
        unchecked(name)


def test_a_name_in_capitals_gets_the_right_one() -> None:
    with pytest.raises(ConfigError, match=r"called 'YOLOv9-C'; did you mean 'yolov9-c'\? \(known"):
        build("YOLOv9-C")


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("3", "num_classes is '3'; it should be a whole number"),
        (True, "num_classes is True; it should be a whole number"),
        (None, "num_classes is None; it should be a whole number"),
        (-1, "num_classes is -1; it should be from 1 to 65536"),
    ],
)
def test_a_number_of_classes_that_is_none_is_refused(number: object, message: str) -> None:
    unchecked = inspect.unwrap(variant)
    with pytest.raises(ConfigError) as caught:
        unchecked("gelan-t", num_classes=number)
    assert str(caught.value) == message


@pytest.mark.parametrize(("widths", "shown"), [(8, "8"), (None, "None"), ("abc", "'abc'")])
def test_widths_that_are_no_three_numbers_are_refused(widths: object, shown: str) -> None:
    with pytest.raises(ConfigError) as caught:
        require_widths(widths)
    assert str(caught.value) == (
        f"widths is {shown}; it should name the channels of three maps, for strides 8, 16 and 32, "
        "as (64, 128, 256) does"
    )


def test_widths_are_rounded_to_the_nearest_multiple_of_8() -> None:
    neck = neck_for((62, 98, 131))  # 7.75, 12.25 and 16.4 eights
    assert neck.top_down.merge3.out == 64
    assert neck.top_down.merge4.out == 96
    assert neck.top_down.pool.out == 128
    assert head_for(375).box_width == 96  # 375 / 4 = 93.75: 11.7 eights
    assert neck_for((1, 1, 1)).top_down.merge3.out == 8


def test_the_checks_do_not_stand_in_the_way_of_an_export() -> None:
    detector, images = build("gelan-t", num_classes=1).eval(), torch.rand(1, 3, 32, 32)
    program = torch.export.export(detector, (images,)).module()
    assert torch.equal(program(images).main.logits, detector(images).main.logits)
