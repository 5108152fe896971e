"""Typed dataclasses from and to plain data, single settings and command lines.

Data may come from anybody's file. A value is compared with the type that its field has, and
nothing else is done with it: no name in it is imported, no path in it is opened. Errors name the
place, what was found and expected, and for an unknown key the nearest of its level.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import yaml  # type: ignore[import-untyped]
from jsonargparse import ArgumentParser

from gelan.errors import ConfigError, nearest
from gelan.wording import WORDS, Place, dotted, fields_of, in_words, shown

T = TypeVar("T")

MAX_NESTING = 32  # levels of mappings and lists in data; ours have seven at most
MAX_SETTING_LENGTH = 4096  # characters of one `key=value`


def from_mapping(kind: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """The dataclass `kind`, nested ones included, made of plain values such as JSON gives.

    A whole number is taken where a float is asked for, a list where a tuple is, text where a path
    is; nothing else is converted. `where` begins the message: the file and place of the values.

    Raises:
        ConfigError: a key is unknown or missing, or a value has the wrong type or range.
    """
    try:
        return cast(T, _read(kind, values, place=()))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def to_mapping(value: object) -> dict[str, Any]:
    """A dataclass as plain values; tuples stay (JSON makes lists of them), a path becomes text.

    `from_mapping` makes an equal dataclass of it.
    """
    return cast("dict[str, Any]", _unread(value))


def with_settings(value: T, settings: Mapping[str, object], *, where: str) -> T:
    """The dataclass with some fields replaced, each by its dotted name; strict as `from_mapping`.

    `{"optimizer.learning_rate": 0.005}` changes that one field. All settings are made at once, so
    a check of two fields together sees both.

    Raises:
        ConfigError: a key is unknown, a value has the wrong type or range, or a field is set as a
            whole and in part.
    """
    values = to_mapping(value)
    for key, setting in settings.items():
        *outer, last = key.split(".")
        level = values
        for depth, name in enumerate(outer, start=1):
            if ".".join(outer[:depth]) in settings:
                raise ConfigError(f"{where}: {key} is set, and what it is part of: keep one")
            level[name] = {} if level.get(name) is None else level[name]
            if not isinstance(level[name], dict):
                raise ConfigError(f"{where}: unknown key {key!r:.80}: {name} holds one value")
            level = level[name]
        level[last] = _unread(setting)
    return from_mapping(type(value), values, where=where)


def parse_settings(words: Sequence[str], *, where: str) -> dict[str, object]:
    """Settings from `key=value` words, for `with_settings`.

    A value is a scalar of YAML 1.2 (null, true, false, a number, or else text), text in quotes,
    or a list of these in brackets.

    >>> parse_settings(["a.b=1e-3", "c=[1, x]", "d=null", "e='1'"], where="--set")
    {'a.b': 0.001, 'c': [1, 'x'], 'd': None, 'e': '1'}

    Raises:
        ConfigError: a word is no setting, a key is set twice, or a list is damaged.
    """
    settings: dict[str, object] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not key or not equals or len(word) > MAX_SETTING_LENGTH:
            raise ConfigError(f"{where}: {shown(word)} is no setting: write key=value")
        if key in settings:
            raise ConfigError(f"{where}: {key} is set twice: keep one of the two")
        settings[key] = _yaml_value(text.strip(), where=f"{where}: {key}")
    return settings


def option(text: str, *, default: object = dataclasses.MISSING, positional: bool = False) -> Any:  # noqa: ANN401
    """A field of an options dataclass, with its help text; required unless it has a default."""
    return dataclasses.field(default=default, metadata={"help": text, "positional": positional})


def parse_command_line(
    kind: type[T], arguments: Sequence[str], *, program: str, description: str
) -> T:
    """The options dataclass `kind` from a command line.

    Each field made by `option` is an option of its name (`max_detections`: `--max-detections`), or
    stands without a name if it is positional; a truth value is a switch, and a `tuple[str, ...]`
    takes one or more words each time that it is given. `--help` prints them and ends the program.
    No configuration file and no environment variable is read.

    Raises:
        ConfigError: an option is unknown, missing, of the wrong type, or given twice.
    """
    parser = ArgumentParser(prog=program, description=description, exit_on_error=False)
    parser.allow_abbrev, parser.formatter_class = False, argparse.HelpFormatter
    hints = get_type_hints(kind)
    fields = fields_of(kind)
    for field in fields.values():
        _add_option(parser, field, hint=hints[field.name])
    words = [_spelled(word[2:]) if word.startswith("--") else word for word in arguments]
    try:
        _require_plain(words, kind)
        given = vars(parser.parse_args(words, env=False))
        values = {
            name: _from_words(hints[name], given[name], place=(_shown_name(field),))
            for name, field in fields.items()
            if given[name] is not None
        }
    except (argparse.ArgumentError, ConfigError) as error:
        raise ConfigError(f"{program}: {_for_people(str(error), words, kind)}") from None
    return kind(**values)


class _WrongKindError(ConfigError):
    """A value is not of the type that its place asks for."""

    def __init__(self, place: Place, hint: object, *, value: object) -> None:
        super().__init__(f"{dotted(place)} should be {in_words(hint)}, not {shown(value)}")
        self.place = place


def _read(hint: Any, value: object, *, place: Place) -> object:  # noqa: ANN401
    """The value as the type `hint` asks for it."""
    if len(place) > MAX_NESTING:
        raise ConfigError(f"{dotted(place)} is nested deeper than {MAX_NESTING} levels")
    if dataclasses.is_dataclass(hint):
        return _read_dataclass(hint, value, place=place)
    hint = _ANYTHING if hint in (object, Any) else hint
    return _READERS.get(get_origin(hint), _read_simple)(hint, value, place=place)


def _read_dataclass(kind: Any, value: object, *, place: Place) -> object:  # noqa: ANN401
    if not isinstance(value, Mapping):
        raise _WrongKindError(place, kind, value=value)
    fields = fields_of(kind)
    _require_known(value, fields, place=place)
    required = [name for name, field in fields.items() if _is_required(field)]
    missing = [dotted((*place, name)) for name in required if name not in value]
    if missing:
        raise ConfigError(f"missing: {', '.join(missing)}")
    hints = get_type_hints(kind)
    arguments = {
        name: _read(hints[name], inner, place=(*place, name)) for name, inner in value.items()
    }
    return _made(lambda: kind(**arguments), place=place)


def _read_union(hint: object, value: object, *, place: Place) -> object:
    """As the first member that takes this kind of value; its own type first: 3 stays whole."""
    for member in sorted(get_args(hint), key=lambda member: member is not type(value)):
        try:
            return _read(member, value, place=place)
        except _WrongKindError as error:
            if error.place != place:
                raise
    raise _WrongKindError(place, hint, value=value)


def _read_choice(hint: object, value: object, *, place: Place) -> object:
    for choice in get_args(hint):
        if type(choice) is type(value) and choice == value:
            return choice
    raise _WrongKindError(place, hint, value=value)


def _read_sequence(hint: Any, value: object, *, place: Place) -> object:  # noqa: ANN401
    make, kinds = get_origin(hint), get_args(hint)
    if not isinstance(value, (list if make is list else (list, tuple))):
        raise _WrongKindError(place, hint, value=value)
    kinds = kinds if make is tuple and ... not in kinds else kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise _WrongKindError(place, hint, value=value)
    pairs = enumerate(zip(kinds, value, strict=True))
    return make(_read(kind, inner, place=(*place, f"[{n}]")) for n, (kind, inner) in pairs)


def _read_mapping(hint: object, value: object, *, place: Place) -> object:
    if not isinstance(value, Mapping):
        raise _WrongKindError(place, hint, value=value)
    kind = get_args(hint)[1]
    for key in value:
        if not isinstance(key, str):
            raise ConfigError(f"{dotted(place)} has the key {shown(key)}, which is no text")
    return {key: _read(kind, inner, place=(*place, key)) for key, inner in value.items()}


def _read_simple(hint: object, value: object, *, place: Place) -> object:
    if hint not in WORDS:
        raise TypeError(f"{dotted(place)}: fields of type {hint} cannot be read from plain data")
    if hint is float and type(value) is int and abs(value) < 2**1023:
        return float(value)
    if hint is Path and isinstance(value, str | Path) and "\0" not in str(value):
        return Path(value)
    if type(value) is not hint or (isinstance(value, float) and not math.isfinite(value)):
        raise _WrongKindError(place, hint, value=value)
    return value


_READERS: dict[object, Callable[..., object]] = {
    **dict.fromkeys((Union, UnionType), _read_union),
    **dict.fromkeys((tuple, list), _read_sequence),
    **dict.fromkeys((dict, Mapping), _read_mapping),
    Literal: _read_choice,
}
_ANYTHING = None | bool | int | float | str | list[object] | tuple[object, ...] | dict[str, object]


def _made(make: Callable[[], object], *, place: Place) -> object:
    """What `make` makes; its complaint begins with the place, unless it names the place itself."""
    try:
        return make()
    except (ConfigError, ValueError) as error:
        text, name = str(error), dotted(place)
        named = not place or text.startswith((f"{name}.", f"{name}: ", f"{name} "))
        raise ConfigError(text if named else f"{name}: {text}") from None


def _require_known(keys: Iterable[object], known: Collection[str], *, place: Place) -> None:
    for key in keys:
        if key not in known:
            word = key[:60] if isinstance(key, str) else shown(key)
            raise ConfigError(f"unknown key {dotted((*place, word))!r}{nearest(word, known)}")


def _unread(value: object) -> object:
    """Dataclasses as dicts and paths as text, all the way down."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _unread(getattr(value, name)) for name in fields_of(value)}
    if isinstance(value, Mapping):
        return {key: _unread(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        inner = [_unread(each) for each in value]
        return inner if isinstance(value, list) else tuple(inner)
    return str(value) if isinstance(value, Path) else value


def _yaml_value(text: str, *, where: str) -> object:
    """A scalar or a list in brackets, from the parser's events: no object is ever constructed."""
    if not text.startswith(("[", '"', "'")):
        return _scalar(text)
    try:
        events: list[Any] = []
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            events.append(event)
            if len(events) > 3 and isinstance(event, yaml.CollectionStartEvent):
                break  # a list in a list: refused below, before a bomb of them is read
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise ConfigError(f"{where}: {shown(text)} is no YAML value ({problem:.100})") from None
    scalars = [event for event in events if isinstance(event, yaml.ScalarEvent)]
    is_list = isinstance(events[2], yaml.SequenceStartEvent)
    named = any(event.anchor or event.tag for event in (events[2], *scalars))
    if named or len(events) != len(scalars) + (6 if is_list else 4):
        raise ConfigError(f"{where}: {shown(text)} is neither one value nor one list of values")
    values = [event.value if event.style else _scalar(event.value) for event in scalars]
    return values if is_list else values[0]


def _scalar(text: str) -> object:
    """What a word without quotes stands for in YAML 1.2, which knows no "yes" and no dates."""
    constants = {"": None, "~": None, "null": None, "true": True, "false": False}
    if text.lower() in constants:
        return constants[text.lower()]
    if re.fullmatch(r"[-+]?[0-9]{1,1000}", text):
        return int(text)
    if re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", text):
        return float(text)
    return text


def _add_option(parser: ArgumentParser, field: dataclasses.Field[Any], *, hint: object) -> None:
    """Words only: what they mean is decided here, and not by the library."""
    text = field.metadata["help"]
    if field.metadata["positional"]:
        parser.add_argument(field.name, help=text)
    elif hint is bool:
        parser.add_argument(_spelled(field.name), action="store_true", help=text)
    else:
        settings: dict[str, Any] = {"metavar": _metavar(hint), "required": _is_required(field)}
        if get_origin(hint) is tuple:
            settings |= {"action": "extend", "nargs": "+"}
        if not settings["required"] and field.default not in (None, "", ()):
            text += f" (default: {field.default})"
        parser.add_argument(_spelled(field.name), help=text, **settings)


def _from_words(hint: Any, given: str | bool | list[str], *, place: Place) -> object:  # noqa: ANN401
    """The value of an option from the words that were given for it."""
    if isinstance(given, bool):
        return given
    if isinstance(given, list):
        return tuple(_from_words(get_args(hint)[0], word, place=place) for word in given)
    kinds = (hint, *get_args(hint))
    is_text = given == "" or str in kinds or Path in kinds or given in kinds
    return _read(hint, given if is_text else _scalar(given), place=place)


def _shown_name(field: dataclasses.Field[Any]) -> str:
    return field.name if field.metadata["positional"] else _spelled(field.name)


def _spelled(name: str) -> str:
    """`max_detections` or `max_detections=3` -> `--max-detections...`; the value is left alone."""
    option_name, equals, value = name.partition("=")
    return f"--{option_name.replace('_', '-')}{equals}{value}"


def _metavar(hint: object) -> str:
    """What stands for the value in the help."""
    if get_origin(hint) is Literal:
        return "{" + ",".join(map(str, get_args(hint))) + "}"
    kinds = {int: "N", float: "X", Path: "PATH"}
    return next((kinds[kind] for kind in (hint, *get_args(hint)) if kind in kinds), "TEXT")


def _require_plain(words: Sequence[str], kind: Any) -> None:  # noqa: ANN401
    """Refuse what the library would pass over: the first of two values, and `.x` of `--out.x`."""
    hints = get_type_hints(kind)
    single = [name for name in fields_of(kind) if hints[name] is not bool]
    single = [_spelled(name) for name in single if get_origin(hints[name]) is not tuple]
    for option_name, count in Counter(_option_names(words)).items():
        if "." in option_name:
            raise ConfigError(f"unrecognized arguments: {option_name}")
        if count > 1 and option_name in single:
            raise ConfigError(f"{option_name} is given twice: keep one of the two")


def _option_names(words: Sequence[str]) -> list[str]:
    """The options that are given, without their values."""
    before_the_end = takewhile(lambda word: word != "--", words)
    return [word.partition("=")[0] for word in before_the_end if word.startswith("--")]


def _for_people(message: str, words: Sequence[str], kind: Any) -> str:  # noqa: ANN401
    """A message of the library in one plain sentence, with the nearest known option."""
    known = {_shown_name(field): field for field in fields_of(kind).values()}
    message = re.sub(r"\s+", " ", message)
    unknown = re.search(r"Unrecognized arguments: (\S+)", message, re.IGNORECASE)
    if unknown and not unknown[1].startswith("-"):
        given = _option_names(words)
        required = (name for name in known if _is_required(known[name]) and name.startswith("--"))
        likely = next((name for name in required if name not in given), None)
        hint = "if a shell made several words of one, put it in quotes"
        hint = hint if likely is None else f"did you mean {likely} {unknown[1][:60]}?"
        return f"{unknown[1][:60]!r} belongs to no option; {hint}"
    if unknown:
        word = unknown[1].partition("=")[0][:60]
        return f"unknown option {word}{nearest(word, known)}"
    missing = re.search(r"arguments are required: (.*)", message)
    if missing:
        names = [_spelled(n) if _spelled(n) in known else n for n in missing[1].split(", ")]
        return f"missing: {', '.join(names)}"
    return message


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
