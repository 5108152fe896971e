"""Typed dataclasses from and to plain data and command lines, through jsonargparse.

Every key is checked: an unknown one is refused with the nearest known one, a value of the wrong
type with what was expected.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

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
    except argparse.ArgumentError as error:
        raise ConfigError(f"{where}: {_for_people(str(error), list(_keys(kind)))}") from None
    return cast(T, parser.instantiate(parsed).value)


def to_mapping(value: object) -> dict[str, Any]:
    """A dataclass as plain values that JSON can hold; tuples become lists there."""
    return dataclasses.asdict(cast(Any, value))


def option(text: str, *, default: object = dataclasses.MISSING, positional: bool = False) -> Any:  # noqa: ANN401
    """A field of an options dataclass, with its help text; required unless it has a default."""
    metadata = {"help": text, "positional": positional}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def parse_command_line(
    kind: type[T], arguments: Sequence[str], *, program: str, description: str
) -> T:
    """The options dataclass `kind` from a command line.

    Each field made by `option` is an option of its name (`max_detections`: `--max-detections`), or
    stands without a name if it is positional; a truth value is a switch. `--help` prints them and
    ends the program.

    Raises:
        ConfigError: an option is unknown, missing or of the wrong type.
    """
    parser = ArgumentParser(
        prog=program,
        description=description,
        exit_on_error=False,
        allow_abbrev=False,
        formatter_class=argparse.HelpFormatter,
    )
    hints = get_type_hints(kind)
    fields = dataclasses.fields(cast(Any, kind))
    for field in fields:
        _add_option(parser, field, hints[field.name])
    names = [_spelled(field.name) for field in fields if not field.metadata["positional"]]
    words = [_spelled(word[2:]) if word.startswith("--") else word for word in arguments]
    try:
        parsed = parser.parse_args(words)
    except argparse.ArgumentError as error:
        raise ConfigError(f"{program}: {_for_people(str(error), names)}") from None
    return kind(**vars(parser.instantiate(parsed)))


def _add_option(parser: ArgumentParser, field: dataclasses.Field[Any], hint: object) -> None:
    text = field.metadata["help"]
    if field.metadata["positional"]:
        parser.add_argument(field.name, type=hint, help=text)
    elif hint is bool:
        parser.add_argument(_spelled(field.name), action="store_true", help=text)
    elif field.default is dataclasses.MISSING:
        parser.add_argument(
            _spelled(field.name), type=hint, required=True, help=text, metavar=_metavar(hint)
        )
    else:
        shown = "" if field.default in (None, "") else f" (default: {field.default})"
        parser.add_argument(
            _spelled(field.name),
            type=hint,
            default=field.default,
            help=text + shown,
            metavar=_metavar(hint),
        )


def _spelled(name: str) -> str:
    """`max_detections` or `max_detections=3` -> `--max-detections...`; the value is left alone."""
    option_name, equals, value = name.partition("=")
    return f"--{option_name.replace('_', '-')}{equals}{value}"


def _metavar(hint: object) -> str:
    """What stands for the value in the help."""
    if get_origin(hint) is Literal:
        return "{" + ",".join(map(str, get_args(hint))) + "}"
    kinds = {int: "N", float: "X", Path: "PATH"}
    for candidate in (hint, *get_args(hint)):
        if candidate in kinds:
            return kinds[candidate]
    return "TEXT"


def _for_people(message: str, known: Sequence[str]) -> str:
    """A message of the library in one plain sentence, with the nearest known key."""
    message = re.sub(r"\s+", " ", message)
    unknown = re.search(r"does not accept option '([^']+)'", message)
    if unknown:
        return f"unknown key {unknown[1]!r}{nearest(unknown[1].rpartition('.')[2], known)}"
    unknown = re.search(r"Unrecognized arguments: (\S+)", message, re.IGNORECASE)
    if unknown:
        word = unknown[1].partition("=")[0]
        return f"unknown option {word}{nearest(word, known)}"
    mistyped = re.search(r'"([\w.-]+)":? Expected an? (.+?)\.? (?:Got|Given) value: (.*)', message)
    if mistyped:
        kind = _in_words(mistyped[2])
        return f"{_key(mistyped[1], known)} should be {kind}, not {mistyped[3]!r:.80}"
    subtypes = re.findall(r"- Expected an? (\S+ ?\S*?)(?= -| Given)", message)
    if subtypes and (value := re.search(r'"([\w.-]+)".* Given value: (.*)', message)):
        kinds = " or ".join(_in_words(kind) for kind in subtypes if "NoneType" not in kind)
        return f"{_key(value[1], known)} should be {kinds}, not {value[2]!r:.80}"
    missing = re.search(r"arguments are required: (.*)", message)
    if missing:
        return f"missing: {', '.join(_key(key, known) for key in missing[1].split(', '))}"
    return message.removeprefix("Parser key ").strip()


def _in_words(kind: str) -> str:
    """A type as the library prints it, for people.

    >>> _in_words("<class 'int'>"), _in_words("typing.Literal['a', 'b']")
    ('a whole number', "one of 'a', 'b'")
    """
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}
    name = re.sub(r"<class '(\w+)'>", r"\1", kind)
    choices = re.fullmatch(r"typing\.Literal\[(.*)\]", kind)
    return f"one of {choices[1]}" if choices else words.get(name, name)


def _key(name: str, known: Sequence[str]) -> str:
    """A key as the user writes it: an option, or a place in nested data."""
    return _spelled(name) if _spelled(name) in known else name.removeprefix("value.")


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
