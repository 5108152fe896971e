"""Any names and shapes: a network, or one plain sentence."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gelan.errors import CheckpointError
from gelan.weights.foreign import convert
from gelan.weights.recognise import Shapes, recognise
from tests.shared_files import keys, shared

REFUSED = {
    "gelan": "gelan, the early network with ReLU",
    "yolov9": "yolov9, the early network with ReLU",
    "yolov9-cf": "yolov9-cf with its three heads",
    "yolov7-af": "yolov7-af",
    "yolov7-af-pan": "yolov7-af",
    "yolov7-af-seg": "yolov7-af",
    "ultralytics-yolov9t-dwhead": "a depthwise class tower (ultralytics 8.3.0)",
}
"""Published networks that are not read, and how each must be called."""


def shapes_of(name: str) -> dict[str, tuple[int, ...]]:
    """The shapes of a published file, without prefix."""
    return {key.removeprefix("model."): shape for key, shape, _ in keys(name)}


def refusal(shapes: Shapes) -> str:
    with pytest.raises(CheckpointError) as caught:
        recognise(shapes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def outcome(shapes: Shapes) -> str:
    """The name of the network, or the error; anything else gets out."""
    try:
        return recognise(shapes).name
    except CheckpointError as error:
        return str(error)


def head() -> dict[str, tuple[int, ...]]:
    """The names of a gelan-t that the recognition asks for, with plain shapes."""
    plain = {
        "22.cv2.0.0.conv.weight": (64, 64, 3, 3),
        "22.cv2.0.1.conv.weight": (64, 16, 3, 3),
        "22.cv2.0.2.weight": (64, 16, 1, 1),
        "22.cv3.0.0.conv.weight": (80, 64, 3, 3),
        "22.cv3.0.2.weight": (3, 80, 1, 1),
    }
    others = {f"22.cv{tower}.{level}.2.bias": (1,) for tower in (2, 3) for level in (1, 2)}
    return {"0.conv.weight": (16, 3, 3, 3), **plain, **others}


def test_the_head_is_read_from_its_shapes() -> None:
    found = recognise(head())
    assert (found.name, found.spec.num_classes) == ("gelan-t", 3)
    assert (found.spec.head.box_groups, found.spec.head.class_width) == (4, 80)


@pytest.mark.parametrize(
    "name", ["3d_conv.weight", "2nd.x", "²", "².x", "9" * 5_000 + ".x", "٣.x", "", ".", "0"]
)
def test_a_name_that_only_begins_like_a_layer_does_no_harm(name: str) -> None:
    assert recognise({**head(), name: (1,)}).name == "gelan-t"
    assert refusal({name: (1,)}).startswith("these are not the tensors of a YOLOv9 network")


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("22.cv2.0.1.conv.weight", (65, 20, 3, 3), "box tower has 65 channels in groups of 20"),
        ("22.cv2.0.1.conv.weight", (64, 0, 3, 3), "(64, 0, 3, 3), which no head has"),
        ("22.cv2.0.1.conv.weight", (64, 2**40, 3, 3), "which no head has"),
        ("22.cv2.0.1.conv.weight", (64,), "'22.cv2.0.1.conv.weight' has shape (64,), which no"),
        ("22.cv2.0.2.weight", (63, 16, 1, 1), "and 63 outputs"),
        ("22.cv2.0.2.weight", (0, 16, 1, 1), "which no head has"),
        ("22.cv3.0.0.conv.weight", (0, 64, 3, 3), "which no head has"),
        ("22.cv3.0.2.weight", (0, 80, 1, 1), "'22.cv3.0.2.weight' has shape (0, 80, 1, 1)"),
        ("0.conv.weight", (), "not the tensors of a YOLOv9 network"),
    ],
)
def test_a_head_that_cannot_be_is_told_plainly(
    name: str, shape: tuple[int, ...], message: str
) -> None:
    assert message in refusal({**head(), name: shape})


def test_a_head_without_a_tensor_is_told() -> None:
    shapes = head()
    del shapes["22.cv3.0.2.weight"]
    shapes["22.cv3.0.2.bias"] = (3,)
    assert refusal(shapes) == "tensor '22.cv3.0.2.weight' of the head is missing"


def test_the_second_layer_may_be_misshapen() -> None:
    shapes: dict[str, tuple[int, ...]] = {"0.conv.weight": (32, 3, 3, 3), "2.cv1.conv.weight": ()}
    assert "not the tensors of a YOLOv9 network" in refusal(shapes)


SIZES = st.integers(0, 600) | st.integers(0, 2**40)
NAMES = st.text(max_size=12) | st.sampled_from(
    ["0.conv.weight", "1.conv.weight", "2.cv1.conv.weight", *head(), "10.conv.weight"]
)


@given(shapes=st.dictionaries(NAMES, st.lists(SIZES, max_size=5).map(tuple), max_size=20))
def test_any_names_and_shapes_give_a_network_or_a_plain_error(
    shapes: dict[str, tuple[int, ...]],
) -> None:
    assert "\n" not in outcome(shapes)


MUTATED = ["yolov9-t", "gelan-e.fused", "mtl-v9-t", "yolov9-c-dseg", "ultralytics-yolov9t"]


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_mutated_published_file_gives_a_network_or_a_plain_error(data: st.DataObject) -> None:
    shared("spec/keys")
    shapes = shapes_of(data.draw(st.sampled_from(MUTATED)))
    towers = [name for name in shapes if name.partition(".")[0] in {"22", "29", "30", "42", "44"}]
    for name in data.draw(st.lists(st.sampled_from(["0.conv.weight", *towers]), max_size=4)):
        if data.draw(st.booleans()):
            shapes.pop(name, None)
        else:
            shapes[name] = tuple(data.draw(st.lists(SIZES, max_size=5)))
    assert "\n" not in outcome(shapes)


def published_lists() -> list[str]:
    """Names of all lists of ../shared; one that says so where they are absent."""
    folder = shared("spec/keys")
    return sorted(path.stem for path in folder.glob("*.json"))


def test_every_published_network_is_read_or_refused_by_its_name() -> None:
    for name in published_lists():
        what = REFUSED.get(name.removesuffix(".fused"))
        if what is None:
            assert recognise(shapes_of(name)).name[-2:] == f"-{size_in(name)}", name
        else:
            assert refusal(shapes_of(name)).startswith(f"it looks like {what}"), name


def size_in(name: str) -> str:
    """The letter of the size in the name of a list."""
    for start in ("ultralytics-yolov9", "mtl-v9-", "yolov9-", "gelan-"):
        name = name.removeprefix(start)
    return name[0]


def hollow(name: str) -> dict[str, Tensor]:
    """The tensors of a published file, with hardly any memory: constants, else a repeated 0."""
    tensors = {}
    for key, shape, dtype in keys(name):
        constants = torch.arange(16.0).reshape(shape) if "dfl" in key or "anc2vec" in key else None
        zero = torch.zeros((), dtype=getattr(torch, dtype)).expand(shape)
        tensors[key] = zero if constants is None else constants
    return tensors


@pytest.mark.parametrize(
    "name",
    [
        *("yolov9-t", "yolov9-t-converted-released", "gelan-s.fused", "yolov9-m.fused"),
        *("mtl-v9-t-cls80", "ultralytics-yolov9c", "gelan-c-pan", "yolov9-c-dseg"),
    ],
)
def test_every_tensor_of_a_published_file_has_a_place(name: str) -> None:
    converted = convert(hollow(name), source=name)
    assert converted.detector.spec == converted.recognised.spec


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("22.detect.heads.0.anchor_conv.0.conv.weight", "a segmentation network of MultimediaTech"),
        ("22.heads.0.mask_conv.0.conv.weight", "a segmentation network of MultimediaTechLab"),
        ("22.linear.weight", "a classification network"),
        ("4.dconv.conv.weight", "rd-9c of MultimediaTechLab"),
        ("105.implicit_a.0.implicit", "YOLOv7"),
        ("42.proto.upsample.weight", "yolov9e-seg of ultralytics"),
    ],
)
def test_neighbours_without_a_list_are_called_by_name(name: str, message: str) -> None:
    assert refusal({**head(), name: (1,)}).startswith(f"it looks like {message}")
