"""Typed dataclasses from and to plain data and command lines, through jsonargparse.

Every key is checked: an unknown one is refused with the nearest known one, a value of the wrong
type with what was expected.
"""

from __future__ import annotations

import dataclasses
import re
from argparse import ArgumentError
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast, get_args, get_type_hints

from jsonargparse import ArgumentParser

from gelan.errors import ConfigError, nearest

T = TypeVar("T")


def from_mapping(kind: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """The dataclass `kind`, nested ones included, made of plain values such as JSON gives.

    `where` begins the message: the file and place that the values come from.

    Raises:
        ConfigError: a key is unknown or missing, or a value has the wrong type.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=kind)
    try:
        parsed = parser.parse_object({"value": _plain(values)})
    except ArgumentError as error:
        raise ConfigError(f"{where}: {_for_people(str(error), list(_keys(kind)))}") from None
    return cast(T, parser.instantiate(parsed).value)


def to_mapping(value: object) -> dict[str, Any]:
    """A dataclass as plain values that JSON can hold; tuples become lists there."""
    return dataclasses.asdict(cast(Any, value))


def parse_command_line(
    kind: type[T], arguments: Sequence[str], *, program: str, description: str
) -> T:
    """The options dataclass `kind` from a command line; each field is a `--option`.

    `--help` prints the options and ends the program.

    Raises:
        ConfigError: an option is unknown, missing or of the wrong type.
    """
    options = [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(cast(Any, kind))]
    parser = ArgumentParser(
        prog=program, description=description, exit_on_error=False, allow_abbrev=False
    )
    parser.add_class_arguments(kind, as_positional=False)
    try:
        parsed = parser.parse_args(list(arguments))
    except ArgumentError as error:
        raise ConfigError(f"{program}: {_for_people(str(error), options)}") from None
    return kind(**vars(parser.instantiate(parsed)))


def _for_people(message: str, known: Sequence[str]) -> str:
    unknown = re.search(r"does not accept option '([^']+)'", message)
    if unknown:
        key = unknown[1].rpartition(".")[2]
        return f"unknown key {unknown[1]!r}{nearest(key, known)}"
    unrecognised = re.search(r"Unrecognized arguments: (\S+)", message, re.IGNORECASE)
    if unrecognised:
        option = unrecognised[1].partition("=")[0]
        return f"unknown option {option}{nearest(option, known)}"
    return re.sub(r"\s+", " ", message).removeprefix("Parser key ").strip()


def _keys(kind: type[Any]) -> Iterator[str]:
    """Names of all fields of a dataclass and of those inside it."""
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        yield field.name
        for inner in (hints[field.name], *get_args(hints[field.name])):
            if dataclasses.is_dataclass(inner):
                yield from _keys(cast("type[Any]", inner))


def _plain(value: object) -> object:
    """Mappings as dicts and tuples as lists, all the way down."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
