from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from gelan.errors import CheckpointError
from gelan.weights.pickles import Record
from gelan.weights.records import is_module, plain, state_dict_of, walk_modules

ENDLESS = "parts without end, as no network has; nothing in the file was run"


def record(
    parts: Mapping[str, object] | None = None, *, parameters: Mapping[str, object] | None = None
) -> Record:
    """The record of a module."""
    attributes: dict[str, object] = {
        "_parameters": dict(parameters or {}),
        "_buffers": {},
        "_modules": dict(parts or {}),
    }
    return Record("models.common.Part", attributes=attributes)


def recorded(module: nn.Module) -> Record:
    """What the reader makes of a module."""
    attributes = dict(vars(module))
    attributes["_modules"] = {
        name: None if part is None else recorded(part) for name, part in module._modules.items()
    }
    return Record(f"{type(module).__module__}.{type(module).__name__}", attributes=attributes)


def test_names_and_order_are_those_of_torch() -> None:
    module = nn.ModuleDict(
        {
            "later": nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 1)),
            "a": nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.SiLU(), nn.BatchNorm2d(2)),
        }
    )
    module.register_buffer("grid", torch.zeros(4), persistent=False)
    module.register_buffer("kept", torch.zeros(4))
    module.register_parameter("scale", nn.Parameter(torch.ones(1)))
    module.register_module("nothing", None)
    found = state_dict_of(recorded(module))
    expected = module.state_dict()
    assert list(found) == list(expected)
    assert list(found)[:2] == ["scale", "kept"]
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_part_used_twice_is_there_twice() -> None:
    part = record(parameters={"weight": torch.ones(1)})
    assert list(state_dict_of(record({"a": part, "b": part}))) == ["a.weight", "b.weight"]


def test_an_empty_module_has_no_tensors() -> None:
    assert state_dict_of(record()) == {}


def test_a_record_of_something_else_is_no_module() -> None:
    assert not is_module(Record("models.yolo.Thing", attributes={"_parameters": {}}))
    assert not is_module({"_parameters": {}, "_buffers": {}, "_modules": {}})
    with pytest.raises(CheckpointError, match=r"its part 'a\.' is no module, but str"):
        state_dict_of(record({"a": "text"}))


def test_a_parameter_that_is_no_tensor_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"its 'a\.weight' is no tensor, but list"):
        state_dict_of(record({"a": record(parameters={"weight": []})}))


def test_a_module_that_contains_itself_has_no_end() -> None:
    module = record()
    module.attributes["_modules"] = {"self": module}
    with pytest.raises(CheckpointError, match=ENDLESS):
        state_dict_of(module)


def test_modules_that_double_at_every_level_have_no_end() -> None:
    module = record()
    for _ in range(60):
        module = record({"a": module, "b": module})
    with pytest.raises(CheckpointError, match=ENDLESS):
        walk_modules(module)


def test_too_many_tensors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gelan.weights.records.MAX_TENSORS", 3)
    part = record(parameters={"a": torch.ones(1), "b": torch.ones(1)})
    with pytest.raises(CheckpointError, match=ENDLESS):
        state_dict_of(record({"first": part, "second": part}))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (0.5, 0.5),
        (math.inf, "inf"),
        ("text", "text"),
        (b"ab", "2 bytes"),
        ((1, [2, {3}]), [1, [2, [3]]]),
        ({1: "a", None: "b"}, {"1": "a", "None": "b"}),
        (torch.tensor([8.0, 16.0]), [8.0, 16.0]),
        (torch.tensor(2), 2),
        (torch.tensor([math.nan]), ["nan"]),
        (torch.zeros(9, 9), "tensor of shape (9, 9)"),
        (torch.Size([1, 2]), [1, 2]),
        (Record("pathlib.PosixPath", ("runs", "train", "a")), "runs/train/a"),
        (Record("pathlib.PosixPath", ("/", "data")), "/data"),
        (Record("ultralytics.utils.Names", attributes={"lr": 0.1}), {"lr": 0.1}),
        (Record("numpy.dtype", ("f8", False, True)), "<record of numpy.dtype>"),
    ],
)
def test_plain_values_are_what_json_can_hold(value: object, expected: object) -> None:
    assert plain(value) == expected


def test_plain_values_have_an_end() -> None:
    endless: list[object] = []
    endless.append(endless)
    doubling: object = 0
    for _ in range(18):
        doubling = [doubling, doubling]
    for value in (endless, doubling):
        with pytest.raises(CheckpointError, match=ENDLESS):
            plain(value)


def test_a_tensor_is_one_value_however_it_is_typed() -> None:
    half = torch.tensor([8, 16, 32], dtype=torch.float16)
    assert isinstance(half, Tensor)
    assert plain(half) == [8.0, 16.0, 32.0]
