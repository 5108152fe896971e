"""A corrected copy of a data set, in its own format: what can be decided without guessing.

Left out are rows that cannot be used, second rows for the same object, images that cannot be
decoded or are not of the size that their labels are for, and copies of images (of two splits, the
one that training would learn from). Boxes are cut at the border. Everything else stays as it is;
the original is not touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from gelan.data.formats.collector import count
from gelan.data.formats.records import DatasetDescription, ImageRecord
from gelan.data.formats.writers import write_coco, write_voc, write_yolo
from gelan.data.health.copies import Copy
from gelan.data.health.kinds import place_of
from gelan.data.health.pictures import frame_differs
from gelan.data.health.report import HealthReport
from gelan.data.health.scan import Picture
from gelan.errors import ConfigError, SourceError

CHANGES_FILE = "changes.txt"
"""In the copy: one line for everything that differs from the original."""

_WRITERS = {"yolo": write_yolo, "coco": write_coco, "voc": write_voc}
_CHANGED = ("value-rounding", "box-outside")
"""Kinds of findings about rows that are used, but not as they are written."""


def mend(report: HealthReport, out: Path) -> list[str]:
    """Write the corrected copy into a new folder; returns one line for every change.

    Raises:
        ConfigError: there is something at `out`, or the images have not been looked at.
        SourceError: no image would be left.
    """
    if report.seen is None:
        raise ConfigError("a corrected copy needs the images looked at, not only the labels")
    description = report.description
    changes = list(_changes_of_reading(description))
    copies = {(copy.entry.split, copy.entry.record.path): copy for copy in report.copies}
    splits: dict[str, tuple[ImageRecord, ...]] = {}
    for split, records in description.splits.items():
        kept: list[ImageRecord] = []
        for record in records:
            why = _why_left_out(record, report, copies.get((split, record.path)))
            if why is None:
                kept.append(_without_repeated(record, changes))
            else:
                changes.append(f"{record.path}: left out of {split}: {why}")
        if kept:
            splits[split] = tuple(kept)
        else:
            changes.append(f"{description.place}: split {split!r} left out: no image is left")
    if not splits:
        raise SourceError(f"{description.place}: no image would be left; {changes[0]}")
    limits = _WRITERS[description.kind](replace(description, splits=splits, findings=()), out)
    changes += [f"{found.file}: {found.cause}" for found in limits]
    (out / CHANGES_FILE).write_text("".join(f"{line}\n" for line in changes), "utf-8")
    images = count(sum(map(len, splits.values())), "image")
    return [*changes, f"{images} -> {out}; {count(len(changes), 'change')}, see {CHANGES_FILE}"]


def _changes_of_reading(description: DatasetDescription) -> Iterator[str]:
    for found in description.findings:
        place = place_of(found.file, found.line)
        if found.severity == "error":
            yield f"{place}: left out: {found.cause}"
        elif found.kind in _CHANGED:
            yield f"{place}: changed: {found.cause}"
        elif found.kind == "row-repeated" and description.kind != "coco":  # there, both are read
            yield f"{place}: left out: {found.cause}"


def _without_repeated(record: ImageRecord, changes: list[str]) -> ImageRecord:
    """The record without second objects of the same class and box; says which."""
    labels = record.labels
    rows = np.column_stack([labels.classes, labels.crowd, labels.values])
    firsts = np.sort(np.unique(rows, axis=0, return_index=True)[1])
    if len(firsts) == len(labels):
        return record
    for number in sorted({*range(len(labels))} - {*firsts.tolist()}):
        place = place_of(record.label_file or record.path, record.line(number))
        changes.append(f"{place}: left out: the same object of {record.path.name} stands before")
    chosen = replace(
        labels,
        values=labels.values[firsts],
        classes=labels.classes[firsts],
        crowd=labels.crowd[firsts],
        areas=labels.areas[firsts],
        polygons=tuple([labels.polygons[number] for number in firsts]),
        lines=labels.lines[firsts],
        ids=labels.ids[firsts],
    )
    return replace(record, labels=chosen)


def _why_left_out(record: ImageRecord, report: HealthReport, copy: Copy | None) -> str | None:
    assert report.seen is not None
    picture = report.seen[record.path]
    if not isinstance(picture, Picture):
        return str(picture.error).removeprefix(f"{record.path}: ")
    if frame_differs(record, picture):
        return "its labels are for an image of another size"
    if copy is not None and copy.is_removed:
        where = f" in {copy.of.split}" if copy.leaks else ""
        alike = "the same file as" if copy.turn is None else "nearly the same as"
        return f"{alike} {copy.of.record.path}{where}"
    return None
