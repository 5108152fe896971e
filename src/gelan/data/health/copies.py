"""Images that stand twice in a data set: equal files, and pictures that show nearly the same.

Of two copies, the one that evaluation needs is kept: `test` before `val` before other splits before
`train`, and within a split the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gelan.data.formats.records import DatasetDescription, ImageRecord
from gelan.data.health.kinds import finding
from gelan.data.health.prints import TURNS, near_pairs
from gelan.data.health.scan import Picture, Seen
from gelan.structures.findings import Finding


@dataclass(frozen=True, slots=True)
class Entry:
    """An image in a split."""

    split: str
    record: ImageRecord
    picture: Picture


@dataclass(frozen=True, slots=True)
class Copy:
    """An image of which another shows the same."""

    entry: Entry
    of: Entry
    """The one to be kept."""
    turn: int | None
    """None for equal files; else what makes the one look like the other, see `prints.TURNS`."""

    @property
    def leaks(self) -> bool:
        """Whether the two are in different splits."""
        return self.entry.split != self.of.split

    @property
    def contradicts(self) -> bool:
        """Whether the two are equal files with different labels."""
        return self.turn is None and _labels_differ(self.entry.record, self.of.record)

    @property
    def is_removed(self) -> bool:
        """Whether a corrected data set does without it, if their labels agree."""
        return self.leaks or self.turn is None


def find_copies(description: DatasetDescription, seen: Mapping[Path, Seen]) -> tuple[Copy, ...]:
    """Every image that is a copy of one that is to be kept, in the order of the splits."""
    entries = list(_entries(description, seen))
    firsts: dict[bytes, int] = {}
    for place, entry in enumerate(entries):
        firsts.setdefault(entry.picture.digest, place)
    partners = _near_partners(entries, list(firsts.values()))
    copies: list[Copy] = []
    for place, entry in enumerate(entries):
        same = firsts[entry.picture.digest]
        near, turn = partners.get(same, (same, 0))
        near_leaks = entries[near].split != entry.split
        if same < place and (entries[same].split != entry.split or not near_leaks):
            copies.append(Copy(entry, entries[same], turn=None))
        elif near < same:
            copies.append(Copy(entry, entries[near], turn=turn))
    order = {split: rank for rank, split in enumerate(description.splits)}
    return tuple(sorted(copies, key=lambda copy: order[copy.entry.split]))


def copy_findings(copies: Sequence[Copy]) -> Iterator[Finding]:
    """A finding for every copy."""
    for copy in copies:
        ours, other = copy.entry, copy.of
        if copy.leaks:
            kind = "leak" if copy.turn is None else "leak-near"
            cause = f"in {ours.split}, {_alike(copy)} {other.record.path} in {other.split}"
            remedy = f"take it out of {ours.split}; figures on it would mislead"
        else:
            kind = "duplicate" if copy.turn is None else "duplicate-near"
            cause = f"{_alike(copy)} {other.record.path}"
            remedy = "keep one of them" if copy.turn is None else "nothing, if both are wanted"
        yield finding(kind, ours.record.path, cause=cause, remedy=remedy)
        if copy.contradicts:
            label_file = ours.record.label_file or ours.record.path
            cause = f"labels of {ours.record.path.name} differ from those of {other.record.path}, "
            cause += "which is the same image"
            remedy = "find out which are right before one of them goes"
            yield finding("duplicate-labels", label_file, cause=cause, remedy=remedy)


def _alike(copy: Copy) -> str:
    if copy.turn is None:
        return "the same file as"
    turn = TURNS[copy.turn]
    return f"{turn}, shows the same as" if turn else "shows nearly the same as"


def _entries(description: DatasetDescription, seen: Mapping[Path, Seen]) -> Iterator[Entry]:
    """All readable images, those first that are kept."""
    ranks = {"test": 0, "val": 1, "train": 3}
    for split in sorted(description.splits, key=lambda name: ranks.get(name, 2)):
        for record in description.splits[split]:
            picture = seen.get(record.path)
            if isinstance(picture, Picture):
                yield Entry(split, record, picture)


def _near_partners(
    entries: Sequence[Entry], different: Sequence[int]
) -> dict[int, tuple[int, int]]:
    """Of each entry that shows nearly the same as earlier ones: the first of these, and the turn.

    `different` are the places of entries of which no two are equal files.
    """
    thumbnails = [entries[place].picture.thumbnail for place in different]
    pairs = near_pairs(np.array(thumbnails, np.uint8).reshape(-1, 32, 32))
    partners: dict[int, tuple[int, int]] = {}
    columns = (pairs.first.tolist(), pairs.second.tolist(), pairs.turns.tolist())
    for first, second, turn in zip(*columns, strict=True):
        partners.setdefault(different[second], (different[first], turn))
    return partners


def _labels_differ(record: ImageRecord, other: ImageRecord) -> bool:
    ours, theirs = record.labels, other.labels
    if len(ours) != len(theirs):
        return True
    rows, others = (
        np.column_stack([labels.classes.astype(np.float64), labels.crowd, labels.values])
        for labels in (ours, theirs)
    )
    return not np.array_equal(rows[np.lexsort(rows.T)], others[np.lexsort(others.T)])
