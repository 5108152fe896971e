"""Types, values and places of settings in words, for messages about them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

Place = tuple[str, ...]  # the keys that lead to a value; the third of a list is "[2]"

WORDS: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
    NoneType: "null",
}
"""The types of single values."""


def fields_of(kind: Any) -> dict[str, dataclasses.Field[Any]]:  # noqa: ANN401
    """The fields that the dataclass is made of, by name."""
    return {field.name: field for field in dataclasses.fields(kind) if field.init}


def dotted(place: Place) -> str:
    """A place as people write it: `neck.widths[2]`."""
    text = ".".join(part[:60] for part in place).replace(".[", "[")[:240] if place else "the whole"
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def in_words(hint: Any) -> str:  # noqa: ANN401
    """A type for people: `a whole number`."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return f"one of {', '.join(map(repr, inner))}"
    if origin in (Union, UnionType):
        return " or ".join(in_words(kind) for kind in inner if kind is not NoneType)
    if origin is tuple:
        return "a list" if ... in inner else f"a list of {len(inner)}"
    if dataclasses.is_dataclass(hint):
        return f"a mapping of {', '.join(fields_of(hint))}"
    return WORDS.get(hint, "a mapping" if origin else "plain data")


def shown(value: object) -> str:
    """A value of any size in a few words."""
    if isinstance(value, str):
        return repr(value) if len(value) <= 80 else f"{value[:60]!r}... ({len(value)} characters)"
    if isinstance(value, Mapping | list | tuple):
        return f"a {'mapping' if isinstance(value, Mapping) else 'list'} of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a whole number of {value.bit_length()} bits"
    if value is None or isinstance(value, int | float):
        return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))
    return f"a {type(value).__name__}"
