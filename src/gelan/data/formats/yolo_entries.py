"""The places that a `data.yaml` names, and where they were found."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gelan.data.formats.collector import Collector
from gelan.data.formats.places import in_words, split_of
from gelan.data.formats.plain_yaml import Value, read_yaml
from gelan.errors import ConfigError

SPLIT_KEYS = ("train", "val", "valid", "test")
_KEYS = (*SPLIT_KEYS, "path", "names", "nc")
_OTHER_KEYS = {"minival", "download", "kpt_shape", "flip_idx", "roboflow", "channels", "license"}
"""Keys of other programs that are no misspelt ones of those that are read here."""
_MEANT = {"classes": "names", "num_classes": "nc", "root": "path"}


@dataclass(frozen=True, slots=True)
class Place:
    """A folder or list of a split."""

    text: str
    """As it is written, `\\` as `/`."""
    line: int
    found: Path | None
    """None where it is not there."""


@dataclass(frozen=True, slots=True)
class Entries:
    """What a `data.yaml` says of places."""

    file: Path
    root: dict[str, Value]
    """Everything in the file."""
    path: str | None
    """The value of `path`, as it is written."""
    bases: tuple[Path, ...]
    """Folders in which places are looked for."""
    splits: dict[str, list[Place]]
    """By key: also `valid`."""


def read_entries(path: Path) -> Entries:
    """The places in a `data.yaml`.

    Each is looked for from the yaml's folder joined with `path`, from `path`, from the yaml's
    folder and from the working directory; `../train/images`, as Roboflow writes it, also as
    `train/images` in each of them. `~` at the beginning of a place is the user's folder.

    Raises:
        ConfigError: the file is no such description.
    """
    root = read_yaml(path).content
    if not isinstance(root, dict):
        raise ConfigError(f"{path}: is no data set description: it has no keys such as 'train:'")
    values = {key: root[key] for key in SPLIT_KEYS if key in root and root[key].content}
    if not values:
        meant = [f"; {key!r} is not read, did you mean {near!r}?" for key, near in _misspelt(root)]
        remedy = "add 'train:' and 'val:', each with a folder"
        raise ConfigError(f"{path}: names no images; {remedy}{''.join(meant[:1])}")
    if {"val", "valid"} <= values.keys():
        raise ConfigError(f"{path}:{values['valid'].line}: 'val' and 'valid' mean the same")
    written = _path(path, root.get("path"))
    bases = _bases(path, written)
    splits = {
        key: [
            Place(text, line, _existing(text, bases))
            for text, line in _texts(value, path=path, key=key)
        ]
        for key, value in values.items()
    }
    return Entries(path, root, written, bases, splits)


def tell_entries(entries: Entries, collector: Collector) -> None:
    """Findings about places that are not there, a `path` that is not used, and unknown keys."""
    for key, near in _misspelt(entries.root):
        cause, remedy = f"{key!r} is no key that is read", f"did you mean {near!r}?"
        line = entries.root[key].line
        collector.warning("key-unknown", entries.file, line=line, cause=cause, remedy=remedy)
    for key, places in entries.splits.items():
        for place in places:
            if place.found is None:
                _tell_missing(entries, place, split=split_of(key) or key, collector=collector)
    _tell_unused_path(entries, collector)


def _misspelt(root: dict[str, Value]) -> Iterator[tuple[str, str]]:
    """Keys that are not read, with the one that may be meant and is not there."""
    free = [key for key in _KEYS if key not in root]
    for key in root:
        if key in _KEYS or key in _OTHER_KEYS:
            continue
        word = key.lower()
        close = difflib.get_close_matches(word, _KEYS, n=1, cutoff=0.7)
        near = split_of(word) or _MEANT.get(word) or (close[0] if close else None)
        if near in free and not (near == "val" and "valid" in root):
            yield key, near


def _path(file: Path, value: Value | None) -> str | None:
    if value is None or value.content is None:
        return None
    if not isinstance(value.content, str):
        raise ConfigError(f"{file}:{value.line}: 'path' must be one folder")
    return value.content.replace("\\", "/")


def _bases(file: Path, written: str | None) -> tuple[Path, ...]:
    """Folders from which the places in a yaml may be meant."""
    bases = [file.parent, Path()]
    if written is not None:
        spelled = Path(os.path.expanduser(written))  # noqa: PTH111 - leaves an unknown user as is
        bases = [file.parent / spelled, spelled, *bases]
    return tuple(dict.fromkeys(bases))


def _texts(value: Value, *, path: Path, key: str) -> Iterator[tuple[str, int]]:
    """One place, or each of a list, with its line."""
    items = value.content if isinstance(value.content, list) else [value]
    for item in items:
        if not isinstance(item.content, str):
            raise ConfigError(
                f"{path}:{item.line}: {key!r} must be a folder, a list file, or several"
            )
        yield item.content.replace("\\", "/"), item.line


def _existing(text: str, bases: Sequence[Path]) -> Path | None:
    choices = _choices(text, bases)
    return next((p for p in choices if p.is_dir() or (p.is_file() and p.suffix == ".txt")), None)


def _choices(text: str, bases: Sequence[Path]) -> list[Path]:
    spelled = os.path.expanduser(text)  # noqa: PTH111 - leaves an unknown user as it is
    choices = [base / spelled for base in bases]
    if text.startswith("../"):
        below = text.lstrip("./")
        choices += [base / below for base in bases]
    return choices


def _tell_missing(entries: Entries, place: Place, *, split: str, collector: Collector) -> None:
    tried = in_words(_choices(place.text, entries.bases))
    cause = f"split {split!r}: there is no folder or list {place.text}; tried {tried}"
    remedy = "correct it, or write 'path:' with the folder that it begins in"
    collector.error("split-missing", entries.file, line=place.line, cause=cause, remedy=remedy)


def _tell_unused_path(entries: Entries, collector: Collector) -> None:
    """Warn where `path` leads nowhere, or not to the places that are used."""
    if entries.path is None:
        return
    spelled = Path(os.path.expanduser(entries.path))  # noqa: PTH111 - leaves an unknown user as is
    meant = list(dict.fromkeys([entries.file.parent / spelled, spelled]))
    used = [place for places in entries.splits.values() for place in places]
    elsewhere = [
        place
        for place in used
        if place.found is not None
        and place.found not in [base / os.path.expanduser(place.text) for base in meant]  # noqa: PTH111
    ]
    if not elsewhere:
        return
    is_there = any(base.is_dir() for base in meant)
    why = "does not hold" if is_there else f"is not there (tried {in_words(meant)}):"
    names = ", ".join(f"{place.text} is read from {place.found}" for place in elsewhere)
    cause = (
        f"the folder {entries.path!r} of 'path' {why} {'all places: ' if is_there else ''}{names}"
    )
    remedy = "correct 'path', or take it out"
    line = entries.root["path"].line
    collector.warning("path-unused", entries.file, line=line, cause=cause, remedy=remedy)
