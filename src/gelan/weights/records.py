"""Reads inert records: the state dict of a recorded module, and what of an object is plain data.

A hostile file can make records that contain themselves, or each other a million times; every walk
here has a bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeGuard

from torch import Tensor

from gelan.errors import CheckpointError
from gelan.weights.pickles import MAX_NAME_LENGTH, Record, kind_of

MAX_MODULES = 20_000
MAX_TENSORS = 100_000
MAX_NAMES_LENGTH = 10_000_000
"""Characters of all names of tensors together."""
MAX_PLAIN_VALUES = 100_000
MAX_PLAIN_DEPTH = 20
MAX_PLAIN_TEXT = 300_000
"""Characters of all texts in one plain value."""
MAX_SHOWN_NUMBERS = 64

_ENDLESS = "its objects have parts without end, as no network has; nothing in the file was run"
_TALKATIVE = (
    f"it says more about itself than any weights file does: over {MAX_PLAIN_TEXT:,} characters, or "
    f"a key of over {MAX_NAME_LENGTH:,}, in one entry"
)


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
    length = 0
    for prefix, node in walk_modules(module):
        for name, tensor in _own_tensors(node, prefix):
            length += len(prefix) + len(name)
            if len(tensors) >= MAX_TENSORS or length > MAX_NAMES_LENGTH:
                raise CheckpointError(_ENDLESS)
            tensors[f"{prefix}{name}"] = tensor
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
        if len(visited) + len(pending) + len(children) > MAX_MODULES:
            raise CheckpointError(_ENDLESS)
        if any(len(prefix) + len(name) >= MAX_NAME_LENGTH for name, _ in children):
            raise CheckpointError(_ENDLESS)
        pending += [(f"{prefix}{name}.", child) for name, child in reversed(children)]
    return visited


def plain(value: object) -> object:
    """The value as JSON can hold it: what is not text, number, list or dictionary becomes text.

    Short tensors become lists, longer ones a phrase, as bytes do; keys become text; numbers that
    are not finite become text too; a recorded path its text, a recorded object with attributes a
    dictionary.

    Raises:
        CheckpointError: the value has parts without end, or texts of more than `MAX_PLAIN_TEXT`
            characters together.
    """
    return _Plainer().made(value, 0)


class _Plainer:
    """Makes one value plain, within its budgets."""

    def __init__(self) -> None:
        self._values = 0
        self._characters = 0

    def made(self, value: object, depth: int) -> object:
        self._values += 1
        if depth > MAX_PLAIN_DEPTH or self._values > MAX_PLAIN_VALUES:
            raise CheckpointError(_ENDLESS)
        if isinstance(value, (list, tuple, set)):
            return [self.made(entry, depth + 1) for entry in value]
        if isinstance(value, dict):
            return {self._key(key): self.made(entry, depth + 1) for key, entry in value.items()}
        if isinstance(value, Record):
            return self._record(value, depth)
        if isinstance(value, Tensor) and value.numel() <= MAX_SHOWN_NUMBERS:
            return self.made(value.tolist(), depth)
        is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
        return value if value is None or is_number else self._told(_in_words(value))

    def _record(self, record: Record, depth: int) -> object:
        parts = [part for part in record.arguments if isinstance(part, str)]
        if record.qualified_name.startswith("pathlib.") and len(parts) == len(record.arguments):
            for part in parts:
                self._told(part)
            return "/".join(parts).replace("//", "/", 1)
        if record.attributes and not is_module(record):
            return self.made(record.attributes, depth + 1)
        return self._told(repr(record))

    def _key(self, key: object) -> str:
        if isinstance(key, (str, bytes)) and len(key) > MAX_NAME_LENGTH:
            raise CheckpointError(_TALKATIVE)
        return self._told(str(key))

    def _told(self, text: str) -> str:
        self._characters += len(text)
        if self._characters > MAX_PLAIN_TEXT:
            raise CheckpointError(_TALKATIVE)
        return text


def _in_words(value: object) -> str:
    if isinstance(value, Tensor):
        return f"tensor of shape {tuple(value.shape)}"
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def _own_tensors(module: Record, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Parameters, then buffers, without those of its parts."""
    unkept = module.attributes.get("_non_persistent_buffers_set", set())
    buffers = [
        (name, tensor)
        for name, tensor in _entries(module, "_buffers")
        if not isinstance(unkept, set) or name not in unkept
    ]
    for name, tensor in _entries(module, "_parameters") + buffers:
        if isinstance(tensor, Tensor):
            yield name, tensor
        elif tensor is not None:
            raise CheckpointError(f"its {prefix + name!r:.80} is no tensor, but {kind_of(tensor)}")


def _entries(module: Record, part: str) -> list[tuple[str, object]]:
    entries = module.attributes[part]
    if not isinstance(entries, dict):
        return []
    for name in entries:
        if not isinstance(name, str):
            raise CheckpointError(f"a part of it has a name of type {kind_of(name)}")
    return list(entries.items())
