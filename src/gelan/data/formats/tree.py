"""The files of a data set on their way into a copy, where each keeps its place below the root."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gelan.data.formats.records import DatasetDescription, ImageRecord

SizeHW = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Correction:
    """What of a data set goes into its corrected copy."""

    description: DatasetDescription
    """The whole, as it was read."""
    splits: Mapping[str, tuple[ImageRecord, ...]]
    """Images that stay, with the objects that stay; splits of which nothing is left are absent."""
    sizes: Mapping[Path, SizeHW]
    """True height and width of each image that stays."""
    cut_lines: frozenset[tuple[str, int | None]]
    """Label file and line of each YOLO row that is to be cut at the border."""

    def records(self) -> Iterator[ImageRecord]:
        """All images that stay, of all splits."""
        for part in self.splits.values():
            yield from part


def absolute(path: Path) -> Path:
    """The path from the root of the file system, without `..`; links stay as they are."""
    return Path(os.path.normpath(path.absolute()))


def folders_of(description: DatasetDescription) -> set[Path]:
    """Every folder that holds an image or a label file of a data set."""
    records = [record for part in description.splits.values() for record in part]
    files = [record.path for record in records]
    files += [record.label_file for record in records if record.label_file is not None]
    return {absolute(folder) for folder in {file.parent for file in files}}


def home_of(place: Path) -> Path:
    """The folder that a description stands in or is."""
    return absolute(place if place.is_dir() else place.parent)


def root_of(description: DatasetDescription) -> Path:
    """The folder that all files of a data set are in.

    If its description lies neither above, nor in the folder of images and labels, it does not
    count.
    """
    content = Path(os.path.commonpath(folders_of(description)))
    home = home_of(description.place)
    return home if content.is_relative_to(home) else content


@dataclass(slots=True)
class Tree:
    """A copy that is being built."""

    root: Path
    building: Path
    changes: list[str] = field(default_factory=list)
    """One line for each, for the user."""
    _targets: dict[Path, Path] = field(default_factory=dict)

    @property
    def sources(self) -> set[Path]:
        """Everything that was given a place in the copy."""
        return set(self._targets)

    def target(self, source: Path) -> Path:
        """Where a file or folder goes: the same place below the root, else on top."""
        source = absolute(source)
        if source not in self._targets:
            inside = source.is_relative_to(self.root)
            below = source.relative_to(self.root) if inside else Path(source.name)
            self._targets[source] = self.building / below
        return self._targets[source]

    def copy(self, source: Path) -> None:
        """The file as it is."""
        target = self._room_for(source)
        if not target.exists():
            shutil.copyfile(source, target)

    def write(self, source: Path, data: bytes) -> None:
        """Other contents in the place of a file."""
        self._room_for(source).write_bytes(data)

    def relative(self, source: Path, start: Path) -> str:
        """How the copy of `source` is named from the folder of the copy of the file `start`."""
        return Path(os.path.relpath(self.target(source), self.target(start).parent)).as_posix()

    def _room_for(self, source: Path) -> Path:
        target = self.target(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target
