"""A corrected copy of a data set, in its own format: what can be decided without guessing.

Left out are rows that cannot be used, second rows for the same object, boxes that show nothing of
their image, images that cannot be decoded or are not of the size that their labels are for, and
copies of images (of two splits, the one that training would learn from). Where equal files have
different labels, nothing says which are right: within a split both stay, of two splits neither.
Boxes are cut at the border. Files, entries and rows that stay are those of the original, with
their folders, names, numbers and whatever else they hold; the original is not touched.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np

from gelan.data.formats.collector import count, listed
from gelan.data.formats.copy_coco import copy_coco
from gelan.data.formats.copy_voc import copy_voc
from gelan.data.formats.copy_yolo import copy_yolo
from gelan.data.formats.places import is_image_name
from gelan.data.formats.records import DatasetDescription, ImageRecord
from gelan.data.formats.tree import Correction, Tree, absolute, folders_of, home_of, root_of
from gelan.data.formats.writing import new_data_set
from gelan.data.health.copies import Copy
from gelan.data.health.fit import misfits
from gelan.data.health.kinds import place_of
from gelan.data.health.pictures import frame_differs
from gelan.data.health.report import HealthReport
from gelan.data.health.scan import Picture
from gelan.errors import ConfigError, SourceError

CHANGES_FILE = "changes.txt"
"""In the copy: one line for everything that differs from the original."""

_COPIERS = {"yolo": copy_yolo, "coco": copy_coco, "voc": copy_voc}
_CHANGED = ("value-rounding", "box-outside")
"""Kinds of warnings about rows that are used, but not as they are written."""
_GONE = ("label-orphan", "split-left-out")
"""Kinds of warnings about what a data set does not use."""
_UNKNOWN = "labels differ, and nothing says which are right"
_MOST_OTHERS = 1000


def require_place(description: DatasetDescription, out: Path) -> None:
    """Nothing, if a copy can be made at a place; for a look before any work is done.

    Raises:
        ConfigError: it lies in the data set, which would then hold its own copy, or nothing can be
            made there.
    """
    for folder in _own_folders(description):
        if _real(out).is_relative_to(_real(folder)):
            remedy = "choose a place outside"
            raise ConfigError(f"{out}: lies in the data set, in {folder}; {remedy}")
    above = absolute(out).parent
    while not os.path.lexists(above):
        above = above.parent
    probe = above / f".{secrets.token_hex(8)}"
    try:
        probe.mkdir()
        probe.rmdir()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        remedy = "choose another place"
        raise ConfigError(f"{out}: cannot be made: {reason} ({above}); {remedy}") from None


def _own_folders(description: DatasetDescription) -> set[Path]:
    """Folders that belong to the data set with everything in them."""
    folders = folders_of(description)
    content = Path(os.path.commonpath(folders))
    if content != Path(content.anchor):
        folders.add(content)
    if description.place.is_dir():
        folders.add(home_of(description.place))
    return folders


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def mend(report: HealthReport, out: Path) -> list[str]:
    """Write the corrected copy into a new folder; returns one line for every change.

    Raises:
        ConfigError: there is something at `out`, it lies in the data set, or the images have not
            been looked at.
        SourceError: no image would be left.
    """
    description = report.description
    if report.seen is None:
        raise ConfigError("a corrected copy needs the images looked at, not only the labels")
    require_place(description, out)
    choice = _Choice(report, list(_changes_of_reading(description)))
    splits = choice.splits()
    if not splits:
        raise SourceError(f"{description.place}: no image would be left; {choice.changes[0]}")
    correction = Correction(
        description=description,
        splits=splits,
        sizes={path: p.size_hw for path, p in report.seen.items() if isinstance(p, Picture)},
        cut_lines=frozenset(
            (found.file, found.line) for found in description.findings if found.kind in _CHANGED
        ),
    )
    with new_data_set(out) as building:
        tree = Tree(root_of(description), absolute(building), choice.changes)
        _COPIERS[description.kind](correction, tree)
        changes = [*tree.changes, *_not_copied(description, tree)]
        text = "".join(f"{line}\n" for line in changes)
        (building / CHANGES_FILE).write_text(text, "utf-8", errors="backslashreplace")
    images = count(sum(map(len, splits.values())), "image")
    return [*changes, f"{images} -> {out}; {count(len(changes), 'change')}, see {CHANGES_FILE}"]


def _changes_of_reading(description: DatasetDescription) -> Iterator[str]:
    for found in description.findings:
        place = place_of(found.file, found.line)
        if found.severity == "error" or found.kind in _GONE:
            yield f"{place}: left out: {found.cause}"
        elif found.kind in _CHANGED:
            yield f"{place}: changed: {found.cause}"
        elif found.kind == "row-repeated" and description.kind != "coco":  # there, both are read
            yield f"{place}: left out: {found.cause}"


@dataclass(slots=True)
class _Choice:
    """What stays; `changes` grow with what does not, and why."""

    report: HealthReport
    changes: list[str]
    _copies: dict[int, Copy] = field(default_factory=dict)
    """By the identity of the record: one image may be listed twice."""
    _contradicted: dict[int, Copy] = field(default_factory=dict)
    """Of images that are kept for others: copies in another split with other labels."""

    def splits(self) -> dict[str, tuple[ImageRecord, ...]]:
        for copy in self.report.copies:
            self._copies[id(copy.entry.record)] = copy
            if copy.leaks and copy.contradicts:
                self._contradicted[id(copy.of.record)] = copy
        description = self.report.description
        splits: dict[str, tuple[ImageRecord, ...]] = {}
        for split, records in description.splits.items():
            kept = [one for record in records if (one := self._kept(split, record)) is not None]
            if kept:
                splits[split] = tuple(kept)
            else:
                told = f"split {split!r} left out: no image is left"
                self.changes.append(f"{description.place}: {told}")
        return splits

    def _kept(self, split: str, record: ImageRecord) -> ImageRecord | None:
        why = self._why_left_out(record)
        if why is None:
            kept = self._without_repeated(self._without_misfits(record))
            if len(kept.labels) or not len(record.labels):
                return kept
            why = "no object of it can be used"
        self.changes.append(f"{record.path}: left out of {split}: {why}")
        return None

    def _why_left_out(self, record: ImageRecord) -> str | None:
        assert self.report.seen is not None
        picture = self.report.seen[record.path]
        if not isinstance(picture, Picture):
            return str(picture.error).removeprefix(f"{record.path}: ")
        if frame_differs(record, picture):
            return "its labels are for an image of another size"
        if id(record) in self._contradicted:
            other = self._contradicted[id(record)].entry
            return f"the same file as {other.record.path} in {other.split}; their {_UNKNOWN}"
        copy = self._copies.get(id(record))
        return None if copy is None or not copy.is_removed else self._why_not_twice(copy)

    def _why_not_twice(self, copy: Copy) -> str | None:
        """Why a copy goes; None, and a line, where it stays because its labels differ."""
        other = copy.of.record.path
        where = f" in {copy.of.split}" if copy.leaks else ""
        alike = "the same file as" if copy.turn is None else "nearly the same as"
        if not copy.contradicts:
            return f"{alike} {other}{where}"
        if copy.leaks:
            return f"{alike} {other}{where}; their {_UNKNOWN}"
        told = f"kept, although it is the same file as {other}: their {_UNKNOWN}"
        self.changes.append(f"{copy.entry.record.path}: {told}")
        return None

    def _without_misfits(self, record: ImageRecord) -> ImageRecord:
        """The record without boxes that show nothing of the image; tells what is cut, too."""
        picture = (self.report.seen or {})[record.path]
        assert isinstance(picture, Picture)
        for found in misfits(record, picture.size_hw):
            what = "left out" if found.severity == "error" else "changed"
            self.changes.append(f"{place_of(found.file, found.line)}: {what}: {found.cause}")
        return _with_objects(record, np.flatnonzero(~record.outside(picture.size_hw)))

    def _without_repeated(self, record: ImageRecord) -> ImageRecord:
        """The record without second objects of the same class, box and outline; says which."""
        seen = set[object]()
        firsts: list[int] = []
        for number in range(len(record.labels)):
            key = _everything(record, number)
            if key in seen:
                place = place_of(record.label_file or record.path, record.line(number))
                told = f"the same object of {record.path.name} stands before"
                self.changes.append(f"{place}: left out: {told}")
            else:
                firsts.append(number)
            seen.add(key)
        return _with_objects(record, np.array(firsts, np.int64))


def _everything(record: ImageRecord, number: int) -> object:
    """What two objects have in common that are the same."""
    labels = record.labels
    outlines = tuple(part.tobytes() for part in labels.polygons[number])
    values = (labels.values[number] + 0.0).tobytes()  # -0.0 is 0.0
    return int(labels.classes[number]), bool(labels.crowd[number]), values, outlines


def _with_objects(record: ImageRecord, numbers: np.ndarray) -> ImageRecord:
    if len(numbers) == len(record.labels):
        return record
    return replace(record, labels=record.labels.chosen(numbers))


def _not_copied(description: DatasetDescription, tree: Tree) -> Iterator[str]:
    """One line for all files beside those of the data set, which stay behind."""
    root = tree.root
    if root != home_of(description.place):
        return
    known = tree.sources | {absolute(Path(found.file)) for found in description.findings}
    for part in description.splits.values():
        for record in part:
            known |= {absolute(record.path), absolute(record.label_file or record.path)}
    told = " ".join(found.cause for found in description.findings if found.severity == "error")
    others = (
        path.relative_to(root).as_posix()
        for path in _files(root)
        if path not in known and not (is_image_name(path.name) and path.name in told)
    )
    names = list(islice(others, _MOST_OTHERS))
    if names:
        number = count(len(names), "other file")
        number = f"at least {number}" if len(names) == _MOST_OTHERS else number
        yield f"{root}: not copied: {number}: {listed(names)}"


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder but hidden ones, those in the folder itself first."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(place, name)
