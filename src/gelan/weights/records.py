"""Reads inert records: the state dict of a recorded module, and what of an object is plain data.

A hostile file can make records that contain themselves, or each other a million times; every walk
here has a bound.
"""

from __future__ import annotations

import math
from itertools import count
from typing import TypeGuard

from torch import Tensor

from gelan.errors import CheckpointError
from gelan.weights.pickles import Record, kind_of

MAX_MODULES = 20_000
MAX_TENSORS = 100_000
MAX_NAME_LENGTH = 1_000
MAX_PLAIN_VALUES = 100_000
MAX_PLAIN_DEPTH = 20
MAX_SHOWN_NUMBERS = 64

_ENDLESS = "its objects have parts without end, as no network has; nothing in the file was run"


def is_module(node: object) -> TypeGuard[Record]:
    """Whether a value is the record of a `torch.nn.Module`."""
    parts = ("_parameters", "_buffers", "_modules")
    return isinstance(node, Record) and all(
        isinstance(node.attributes.get(part), dict) for part in parts
    )


def state_dict_of(module: Record) -> dict[str, Tensor]:
    """What `state_dict()` of the recorded module would give: same names, same order.

    Buffers that the module does not keep, and empty places, are left out as torch does.

    Raises:
        CheckpointError: the record is none of a module, or its parts have no end.
    """
    tensors: dict[str, Tensor] = {}
    for prefix, node in walk_modules(module):
        tensors.update(_own_tensors(node, prefix))
        if len(tensors) > MAX_TENSORS:
            raise CheckpointError(_ENDLESS)
    return tensors


def walk_modules(module: Record) -> list[tuple[str, Record]]:
    """The module and all modules in it, parents first, each with the prefix of its tensors.

    Raises:
        CheckpointError: the record is none of a module, or its parts have no end.
    """
    pending: list[tuple[str, object]] = [("", module)]
    visited: list[tuple[str, Record]] = []
    while pending:
        prefix, node = pending.pop()
        if not is_module(node):
            raise CheckpointError(f"its part {prefix[:80]!r} is no module, but {kind_of(node)}")
        visited.append((prefix, node))
        children = [entry for entry in _entries(node, "_modules") if entry[1] is not None]
        pending += [(f"{prefix}{name}.", child) for name, child in reversed(children)]
        if len(visited) + len(pending) > MAX_MODULES or len(prefix) > MAX_NAME_LENGTH:
            raise CheckpointError(_ENDLESS)
    return visited


def plain(value: object) -> object:
    """The value as JSON can hold it: what is not text, number, list or dictionary becomes text.

    Short tensors become lists, longer ones a phrase; keys become text; numbers that are not finite
    become text too; a recorded path its text, a recorded object with attributes a dictionary.

    Raises:
        CheckpointError: the value has parts without end.
    """
    return _plain(value, 0, count())


def _plain(value: object, depth: int, counter: count[int]) -> object:
    if depth > MAX_PLAIN_DEPTH or next(counter) > MAX_PLAIN_VALUES:
        raise CheckpointError(_ENDLESS)
    if isinstance(value, (list, tuple, set)):
        return [_plain(entry, depth + 1, counter) for entry in value]
    if isinstance(value, dict):
        return {str(key): _plain(entry, depth + 1, counter) for key, entry in value.items()}
    if isinstance(value, Tensor):
        return _plain_tensor(value, depth, counter)
    if isinstance(value, Record):
        return _plain_record(value, depth, counter)
    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return value if value is None or is_number else str(value)


def _plain_tensor(tensor: Tensor, depth: int, counter: count[int]) -> object:
    if tensor.numel() > MAX_SHOWN_NUMBERS:
        return f"tensor of shape {tuple(tensor.shape)}"
    return _plain(tensor.tolist(), depth, counter)


def _plain_record(record: Record, depth: int, counter: count[int]) -> object:
    parts = [part for part in record.arguments if isinstance(part, str)]
    if record.qualified_name.startswith("pathlib.") and len(parts) == len(record.arguments):
        return "/".join(parts).replace("//", "/", 1)
    if record.attributes and not is_module(record):
        return _plain(record.attributes, depth + 1, counter)
    return repr(record)


def _own_tensors(module: Record, prefix: str) -> dict[str, Tensor]:
    """Parameters, then buffers, without those of its parts."""
    unkept = module.attributes.get("_non_persistent_buffers_set", set())
    buffers = [
        (name, tensor)
        for name, tensor in _entries(module, "_buffers")
        if not isinstance(unkept, set) or name not in unkept
    ]
    tensors: dict[str, Tensor] = {}
    for name, tensor in _entries(module, "_parameters") + buffers:
        if isinstance(tensor, Tensor):
            tensors[f"{prefix}{name}"] = tensor
        elif tensor is not None:
            raise CheckpointError(f"its {prefix + name!r:.80} is no tensor, but {kind_of(tensor)}")
    return tensors


def _entries(module: Record, part: str) -> list[tuple[str, object]]:
    entries = module.attributes[part]
    if not isinstance(entries, dict):
        return []
    return [(str(name), value) for name, value in entries.items()]
