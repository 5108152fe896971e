from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gelan.data.images import read_image
from gelan.errors import ConfigError
from gelan.geometry.letterbox import (
    Placement,
    Preprocessing,
    Shape,
    letterbox,
    place,
    to_network,
)

SHARED = Path(__file__).resolve().parents[3] / ".." / "shared"
SIDES = st.integers(1, 5000)
SHAPES: tuple[Shape, ...] = ("square", "rectangle")


def shared(path: str) -> Path:
    if not (SHARED / path).exists():
        pytest.skip(f"../shared/{path} is absent")
    return SHARED / path


def boxes_in(placement: Placement) -> NDArray[np.float32]:
    """The whole image, its corners as points, and a box inside."""
    height, width = placement.size_hw
    inside = (0.25 * width, 0.125 * height, 0.75 * width, 0.875 * height)
    corners = (0, 0, 0, 0), (width, height, width, height)
    return np.array([(0, 0, width, height), *corners, inside], np.float32)


# The canvas


def test_a_wide_image_is_centred_between_grey_rows() -> None:
    image = np.full((2, 4, 3), (10, 20, 30), np.uint8)
    canvas, placement = letterbox(image, Preprocessing(size=32))
    assert placement == Placement(scale=8.0, left=0, top=8, size_hw=(2, 4), canvas_hw=(32, 32))
    assert (canvas[:8] == 114).all()
    assert (canvas[24:] == 114).all()
    assert (canvas[8:24] == (10, 20, 30)).all()


def test_the_odd_pixel_of_padding_is_at_the_right_and_the_bottom() -> None:
    placement = place((401, 233), Preprocessing(size=160))
    assert placement.resized_hw == (160, 93)
    assert placement.left == 33  # of 67 columns
    assert place((93, 160), Preprocessing(size=160)).top == 33


def test_a_rectangle_ends_at_the_next_multiple_of_32() -> None:
    rectangle = Preprocessing(size=640, shape="rectangle")
    assert place((480, 640), rectangle).canvas_hw == (480, 640)
    assert place((481, 640), rectangle).canvas_hw == (512, 640)
    assert place((427, 640), rectangle).canvas_hw == (448, 640)
    assert place((640, 640), rectangle).canvas_hw == (640, 640)


def test_small_images_are_enlarged_only_if_asked() -> None:
    assert place((50, 100), Preprocessing(size=640)).scale == 6.4
    kept = Preprocessing(size=640, enlarge=False)
    assert place((50, 100), kept) == Placement(
        scale=1.0, left=270, top=295, size_hw=(50, 100), canvas_hw=(640, 640)
    )
    assert place((50, 1280), kept).scale == 0.5


def test_pad_value_colours_the_padding() -> None:
    canvas, _ = letterbox(np.zeros((1, 4, 3), np.uint8), Preprocessing(size=64, pad_value=7))
    assert canvas[0].tolist() == [[7, 7, 7]] * 64


def test_an_image_that_fits_is_copied_and_not_changed() -> None:
    image = np.arange(32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(32, 32, 3)
    before = image.copy()
    canvas, _ = letterbox(image, Preprocessing(size=32))
    np.testing.assert_array_equal(canvas, image)
    canvas[:] = 0
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 5000), (5000, 1), (3, 40000)])
@pytest.mark.parametrize("shape", SHAPES)
def test_extreme_shapes_keep_at_least_one_pixel(size_hw: tuple[int, int], shape: Shape) -> None:
    image = np.full((*size_hw, 3), 200, np.uint8)
    canvas, placement = letterbox(image, Preprocessing(size=64, shape=shape))
    assert min(placement.resized_hw) >= 1
    assert canvas.shape[:2] == placement.canvas_hw
    assert (canvas == 200).all(axis=2).sum() == np.prod(placement.resized_hw)


@settings(deadline=None, max_examples=200)
@given(
    height=SIDES,
    width=SIDES,
    size=st.sampled_from([32, 320, 640, 1280]),
    shape=st.sampled_from(SHAPES),
)
def test_every_canvas_has_legal_sides_and_holds_its_image(
    height: int, width: int, size: int, shape: Shape
) -> None:
    placement = place((height, width), Preprocessing(size=size, shape=shape))
    assert max(placement.resized_hw) == size
    for side, inside, before in zip(
        placement.canvas_hw, placement.resized_hw, (placement.top, placement.left), strict=True
    ):
        assert side % 32 == 0
        assert 0 < inside <= side <= size
        assert 0 <= side - inside - 2 * before <= 1


# Boxes


@settings(deadline=None, max_examples=300)
@given(height=SIDES, width=SIDES, shape=st.sampled_from(SHAPES))
def test_boxes_come_back_from_the_canvas(height: int, width: int, shape: Shape) -> None:
    placement = place((height, width), Preprocessing(shape=shape))
    boxes = boxes_in(placement)
    for clip in (True, False):
        back = placement.to_original(placement.to_canvas(boxes), clip=clip)
        np.testing.assert_allclose(back, boxes, rtol=0, atol=1e-3)


@settings(deadline=None, max_examples=100)
@given(height=SIDES, width=SIDES)
def test_the_whole_image_fills_its_place_on_the_canvas(height: int, width: int) -> None:
    placement = place((height, width), Preprocessing())
    rows, columns = placement.resized_hw
    left, top = placement.left, placement.top
    expected = (left, top, left + columns, top + rows)
    np.testing.assert_allclose(placement.to_canvas(boxes_in(placement)[:1])[0], expected, atol=1e-3)


def test_boxes_end_at_the_border_of_the_image_unless_told_otherwise() -> None:
    placement = Placement(scale=0.5, left=0, top=10, size_hw=(40, 80), canvas_hw=(40, 40))
    boxes = np.array([[-4, 0, 60, 40], [4, 2, 8, 6]], np.float32)
    clipped = [[0, 0, 80, 40], [8, 0, 16, 0]]
    free = [[-8, -20, 120, 60], [8, -16, 16, -8]]
    assert placement.to_original(boxes).tolist() == clipped
    assert placement.to_original(boxes, clip=False).tolist() == free
    assert boxes[0].tolist() == [-4, 0, 60, 40]


def test_no_boxes_are_no_boxes_on_the_other_side() -> None:
    placement = place((30, 40), Preprocessing())
    nothing = np.zeros((0, 4), np.float32)
    assert placement.to_original(nothing).shape == (0, 4)
    assert placement.to_canvas(nothing).shape == (0, 4)


def test_each_axis_goes_back_by_its_own_rounded_scale() -> None:
    placement = place((1000, 3), Preprocessing(size=640))  # 1.92 columns became 2
    canvas = np.array([[placement.left, 0, placement.left + 2, 640]], np.float32)
    assert placement.to_original(canvas, clip=False).tolist() == [[0, 0, 3, 1000]]


# Network input


def test_network_input_is_planes_of_rgb_from_0_to_1() -> None:
    canvas = np.array([[[0, 51, 255], [102, 153, 204]]], np.uint8)
    images = to_network([canvas, canvas[:, ::-1]])
    expected = np.array([[[0.0, 0.4]], [[0.2, 0.6]], [[1.0, 0.8]]], np.float32)
    np.testing.assert_array_equal(images[0], expected)
    np.testing.assert_array_equal(images[1], expected[..., ::-1])
    assert images.flags.c_contiguous


def test_one_batch_takes_canvases_of_one_size() -> None:
    with pytest.raises(ValueError, match=r"one size, got sizes \[\]"):
        to_network([])
    with pytest.raises(ValueError, match=r"got sizes \[\(32, 32\), \(64, 32\)\]"):
        to_network([np.zeros((64, 32, 3), np.uint8), np.zeros((32, 32, 3), np.uint8)])


# Published numbers


@pytest.mark.parametrize("index", [0, 1, 4])
def test_the_canvas_equals_the_published_detection_letterbox(index: int) -> None:
    recorded = np.load(shared("golden/valpipe.npz"))
    image = recorded[f"img{index}"]
    canvas, placement = letterbox(image, Preprocessing(size=160, shape="rectangle"))
    np.testing.assert_array_equal(canvas, recorded[f"detect_lb{index}"])
    padding = np.subtract(placement.canvas_hw, placement.resized_hw)[::-1]
    assert (padding / 2).tolist() == recorded[f"detect_lb{index}.pad"].tolist()
    assert [placement.scale] * 2 == recorded[f"detect_lb{index}.ratio"].tolist()


def test_the_network_input_of_a_photograph_equals_the_recorded_one() -> None:
    recorded = np.load(shared("golden/yolov9t-ultralytics-val139.npz"))["x"]
    image = read_image(shared("data/coco128/images/val2017/000000000139.jpg"))
    canvas, _ = letterbox(image, Preprocessing(size=640))
    np.testing.assert_array_equal(to_network([canvas]), recorded)


def test_boxes_go_back_as_recorded_where_nothing_was_rounded() -> None:
    recorded = np.load(shared("golden/eval.npz"))
    placement = Placement(scale=0.64, left=16, top=0, size_hw=(1000, 700), canvas_hw=(640, 480))
    found = placement.to_original(recorded["scale.in"])
    np.testing.assert_allclose(found, recorded["scale.auto"], rtol=0, atol=1e-3)


# Settings


def test_settings_survive_json() -> None:
    chosen = Preprocessing(size=320, shape="rectangle", enlarge=False, pad_value=0)
    text = json.dumps(dataclasses.asdict(chosen))
    assert Preprocessing(**json.loads(text)) == chosen
    assert json.loads(text)["divisor"] == 255


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"size": 0}, "preprocessing: size 0 is not a multiple of 32; take 32"),
        ({"size": 650}, "preprocessing: size 650 is not a multiple of 32; take 672"),
        ({"size": -32}, "preprocessing: size -32 is not a multiple of 32; take 32"),
        ({"pad_value": 256}, "preprocessing: pad_value 256 is outside 0..255"),
        ({"shape": "rect"}, "preprocessing: shape is 'rect'; known is 'square' or 'rectangle'"),
        ({"colour": "bgr"}, "preprocessing: colour is 'bgr'; known is 'rgb'"),
        ({"divisor": 1}, "preprocessing: divisor is 1; known is 255"),
        ({"interpolation": "lanczos"}, "interpolation is 'lanczos'; known is 'bilinear'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    setting: dict[str, Any], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as outside of tests
    with pytest.raises(ConfigError) as caught:
        Preprocessing(**setting)
    assert text in str(caught.value)
