"""What the doctor can find, besides what reading a data set already tells.

`Finding.kind` is one of `HEALTH_KINDS`, or of `formats.collector.KINDS`. An error makes figures
wrong or loses data; a warning may; a note is worth knowing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gelan.data.formats.collector import KINDS
from gelan.structures.findings import Finding, Severity

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The worst first."""


class Kind(NamedTuple):
    """How bad it is, and what it means."""

    severity: Severity
    meaning: str


HEALTH_KINDS = {
    "leak": Kind("error", "the same image in two splits: evaluation on it proves nothing"),
    "leak-near": Kind("error", "nearly the same image in two splits: the same, re-encoded or cut"),
    "image-gone": Kind("error", "the file of an image is not there, or is empty"),
    "image-unreadable": Kind("error", "a file cannot be read in full"),
    "image-turned": Kind("error", "labels are for the image as stored, before EXIF turns it"),
    "image-size": Kind("error", "an image has another size than its labels say"),
    "duplicate": Kind("warning", "the same image twice in a split"),
    "duplicate-labels": Kind("warning", "the same image twice, with different labels"),
    "box-repeated": Kind("warning", "two nearly identical boxes of one class"),
    "box-two-classes": Kind("warning", "two nearly identical boxes of different classes"),
    "box-thin": Kind("warning", "a box is very much longer than wide, or wider than high"),
    "objects-many": Kind("warning", "an image has more objects than detections are kept"),
    "class-untrained": Kind("warning", "classes to be found that training never shows"),
    "class-unmeasured": Kind("note", "classes that evaluation cannot say anything about"),
    "class-rare": Kind("note", "classes with few objects to learn from"),
    "class-imbalance": Kind("note", "some classes are many times as frequent as others"),
    "split-absent": Kind("note", "there is no split to train on, or to choose the best network by"),
    "background-most": Kind("warning", "most images of a split show nothing"),
    "box-tiny": Kind("note", "a box is too small to be seen at the network's input size"),
    "boxes-small": Kind("note", "many boxes are smaller than the finest cell of the network"),
    "duplicate-near": Kind("note", "nearly the same image twice in a split"),
    "image-exif": Kind("note", "images that EXIF turns: some label programs do not turn them"),
}
"""In the order in which they are told."""


def finding(
    kind: str, file: Path | str, *, cause: str, remedy: str, line: int | None = None
) -> Finding:
    """A finding as bad as its kind."""
    severity = HEALTH_KINDS[kind].severity
    return Finding(
        kind=kind, severity=severity, file=str(file), line=line, cause=cause, remedy=remedy
    )


def meaning(kind: str) -> str:
    """What a kind of finding means, in one line.

    >>> meaning("duplicate"), meaning("row-number")
    ('the same image twice in a split', 'a field is no number')
    """
    return HEALTH_KINDS[kind].meaning if kind in HEALTH_KINDS else KINDS[kind]


def place_of(file: Path | str, line: int | None) -> str:
    """`file:line`, as editors and terminals open it.

    >>> place_of("a.txt", 3), place_of("a.txt", None)
    ('a.txt:3', 'a.txt')
    """
    return str(file) if line is None else f"{file}:{line}"


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The worst first; then by kind; within a kind as they were found."""
    ranks = {kind: rank for rank, kind in enumerate([*HEALTH_KINDS, *KINDS])}
    return tuple(
        sorted(findings, key=lambda found: (SEVERITIES.index(found.severity), ranks[found.kind]))
    )
