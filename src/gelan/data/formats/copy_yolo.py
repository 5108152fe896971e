"""The corrected copy of a YOLO data set: rows and lines that stay are not touched."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml  # type: ignore[import-untyped]

from gelan.data.formats.collector import count
from gelan.data.formats.places import listed_images, spellings, split_of
from gelan.data.formats.records import ImageRecord, Labels
from gelan.data.formats.tree import Correction, Tree, absolute
from gelan.data.formats.yolo_entries import Entries, Place, read_entries
from gelan.data.formats.yolo_places import NAME_FILES

_PLAIN = re.compile(r"(?=.*[A-Za-z])[\w./-]+")


def copy_yolo(correction: Correction, tree: Tree) -> None:
    """Images, label files and whatever describes them, into the tree."""
    for record in correction.records():
        tree.copy(record.path)
        if record.label_file is not None:
            _copy_labels(record, record.label_file, correction, tree)
    place = correction.description.place
    if place.is_dir():
        for folder in (place, place / "labels"):
            for file in filter(Path.is_file, (folder / name for name in NAME_FILES)):
                tree.copy(file)
    elif place.suffix == ".txt":
        (split,) = correction.splits
        _List(place, [place.parent]).copy(_paths(correction, split), tree)
        for file in filter(Path.is_file, (place.parent / name for name in NAME_FILES)):
            tree.copy(file)
    else:
        _Description(place, read_entries(place), correction, tree).copy()


def _copy_labels(record: ImageRecord, path: Path, correction: Correction, tree: Tree) -> None:
    """The label file without rows that go, and with those cut that reach out of the image."""
    text = _text(path)
    kept = {int(line): number for number, line in enumerate(record.labels.lines)}
    lines: list[str] = []
    for line, row in enumerate(text.splitlines(keepends=True), start=1):
        if (str(path), line) in correction.cut_lines and line in kept:
            end = row[len(row.rstrip("\r\n")) :]
            numbers = " ".join(f"{value:.8f}" for value in _cut(record.labels, kept[line]))
            lines.append(f"{row.split()[0]} {numbers}{end}")
        elif line in kept or not row.strip("\ufeff \t\r\n"):
            lines.append(row)
    tree.write(path, "".join(lines).encode())


def _cut(labels: Labels, number: int) -> Sequence[float]:
    """Numbers of a row of which nothing lies outside 0..1."""
    if labels.polygons[number]:
        return [float(value) for value in labels.polygons[number][0].ravel()]
    left, top, right, bottom = np.clip(labels.corners()[number], 0.0, 1.0).tolist()
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _paths(correction: Correction, split: str) -> set[Path]:
    return {absolute(record.path) for record in correction.splits.get(split, ())}


@dataclass(frozen=True, slots=True)
class _List:
    """A text file that names images."""

    path: Path
    roots: Sequence[Path]
    """From where names are looked for."""

    def images(self) -> set[Path]:
        return {
            absolute(one.path)
            for one in listed_images(self.path, roots=self.roots)
            if one.path is not None
        }

    def copy(self, kept: set[Path], tree: Tree) -> None:
        """The list without lines of images that go; other paths begin in the copy."""
        found = {one.line: one for one in listed_images(self.path, roots=self.roots)}
        lines: list[str] = []
        renamed = 0
        for line, text in enumerate(_text(self.path).splitlines(keepends=True), start=1):
            image = found[line].path if line in found else None
            if line not in found:
                lines.append(text)
            elif image is not None and absolute(image) in kept:
                name = found[line].name
                if not self._leads(name, image, tree):
                    text = text.replace(name, f"./{tree.relative(image, self.path)}")
                    renamed += 1
                lines.append(text)
        tree.write(self.path, "".join(lines).encode())
        if renamed:
            paths = count(renamed, "path")
            begin = "begins" if renamed == 1 else "begin"
            tree.changes.append(f"{self.path}: changed: {paths} {begin} in the folder of the list")

    def _leads(self, name: str, image: Path, tree: Tree) -> bool:
        """Whether a name leads from a place in the copy to the copy of the image."""
        bases = [tree.target(self.path).parent, *map(tree.target, self.roots)]
        return any(
            not Path(name).is_absolute() and absolute(base / spelled) == tree.target(image)
            for base in bases
            for spelled in spellings(name)
        )


@dataclass(frozen=True, slots=True)
class _Description:
    """A data.yaml, of which only places are changed, and only those that must be."""

    path: Path
    entries: Entries
    correction: Correction
    tree: Tree

    def copy(self) -> None:
        new = {key: self._value(key) for key in self.entries.splits}
        if self._path_goes():
            told = "'path' is taken out: places begin in the folder of this file"
            self.tree.changes.append(f"{self.path}: changed: {told}")
        for key, value in new.items():
            if value is not None:
                shown = ", ".join(map(repr, value)) or "empty: no image is left"
                self.tree.changes.append(f"{self.path}: changed: {key!r} is {shown}")
        texts = {key: _as_yaml(value) for key, value in new.items() if value is not None}
        edited = _edited(_text(self.path), texts, takes_out="path" if self._path_goes() else None)
        self.tree.write(self.path, edited.encode())

    def _value(self, key: str) -> list[str] | None:
        """New places of a split; None where they stay as they are."""
        split = split_of(key) or key
        kept = _paths(self.correction, split)
        if not kept:
            return []
        places = [place for place in self.entries.splits[key] if place.found is not None]
        shown = set[Path]().union(*(self._shown(place) for place in places))
        if shown != kept:
            return [self._written_list(split)]
        if len(places) == len(self.entries.splits[key]) and all(map(self._leads, places)):
            return None
        return [self.tree.relative(place.found, self.path) for place in places if place.found]

    def _shown(self, place: Place) -> set[Path]:
        """Images that a place has in the copy; a list is copied."""
        assert place.found is not None
        if place.found.is_dir():
            copied = {absolute(record.path) for record in self.correction.records()}
            return {path for path in copied if path.is_relative_to(absolute(place.found))}
        users = [
            k for k, part in self.entries.splits.items() if place.found in [p.found for p in part]
        ]
        kept = set[Path]().union(*(_paths(self.correction, split_of(k) or k) for k in users))
        listed = _List(place.found, self.entries.bases)
        listed.copy(kept, self.tree)
        return listed.images() & kept

    def _written_list(self, split: str) -> str:
        """A new list of the images of a split beside the description; its name."""
        place = self.path.with_name(f"{split}.txt")
        while self.tree.target(place).exists():
            place = place.with_name(f"{place.stem}_.txt")
        names = [
            f"./{self.tree.relative(r.path, self.path)}" for r in self.correction.splits[split]
        ]
        self.tree.write(place, "".join(f"{name}\n" for name in names).encode())
        return place.name

    def _leads(self, place: Place) -> bool:
        """Whether a place as it is written leads to the same place in the copy."""
        assert place.found is not None
        base = self.tree.target(self.path).parent
        if self.entries.path is not None and not self._path_goes():
            base = base / self.entries.path
        leads = absolute(base / place.text) == self.tree.target(place.found)
        return leads and not Path(place.text).is_absolute()

    def _path_goes(self) -> bool:
        """Whether `path` leads anywhere else than to where the places of the copy begin."""
        written = self.entries.path
        if written is None:
            return False
        begins = absolute(self.tree.target(self.path).parent / written)
        if Path(written).is_absolute() or not begins.is_relative_to(self.tree.building):
            return True
        here = self.path.parent / written
        places = [place for part in self.entries.splits.values() for place in part]
        return not all(
            p.found is None or absolute(here / p.text) == absolute(p.found) for p in places
        )


def _text(path: Path) -> str:
    """All characters, a byte order mark among them."""
    return path.read_bytes().decode("utf-8")


def _as_yaml(places: Sequence[str]) -> str:
    shown = [
        place if _PLAIN.fullmatch(place) else json.dumps(place, ensure_ascii=False)
        for place in places
    ]
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]" if shown else ""


def _edited(text: str, values: Mapping[str, str], *, takes_out: str | None) -> str:
    """The text of a YAML mapping with other values for some keys, and without the line of one."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for key, value in reversed(node.value):
        start = text.index(":", key.end_mark.index) + 1
        end = _end(value, text, start)
        if key.value in values:
            text = f"{text[:start]} {values[key.value]}".rstrip(" ") + text[end:]
        elif key.value == takes_out and node.flow_style:
            text = f"{text[:start]} .{text[end:]}"
        elif key.value == takes_out:
            newline = text.find("\n", end)
            text = text[: key.start_mark.index] + ("" if newline < 0 else text[newline + 1 :])
    return text


def _end(value: yaml.Node, text: str, start: int) -> int:
    """Where a value ends, comments behind it not counted."""
    if value.start_mark.index < start:  # an alias: its node stands elsewhere
        newline = text.find("\n", start)
        return len(text) if newline < 0 else newline
    while isinstance(value, yaml.SequenceNode) and not value.flow_style and value.value:
        value = value.value[-1]
    return int(value.end_mark.index)
