"""The doctor's report: everything that was found in a data set, as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gelan.data.formats.records import DatasetDescription, MappingRow
from gelan.data.health.balance import SplitCounts, balance_findings, count_split
from gelan.data.health.boxes import box_findings, boxes_of
from gelan.data.health.copies import Copy, copy_findings, find_copies
from gelan.data.health.fit import misfits
from gelan.data.health.kinds import SEVERITIES, in_order, meaning
from gelan.data.health.pictures import gone_findings, picture_findings
from gelan.data.health.scan import Picture, Progress, Seen, scan
from gelan.structures.findings import Finding, Severity

INPUT_SIZE = 640
"""Longer side of the published networks' input."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthReport:
    """What a data set holds, and what is wrong with it."""

    description: DatasetDescription
    size: int
    """Longer side of the network's input that boxes were measured against."""
    seen: Mapping[Path, Seen] | None
    """Every image that was looked at; None where only labels were."""
    copies: tuple[Copy, ...]
    counts: Mapping[str, SplitCounts]
    mapping: tuple[MappingRow, ...]
    findings: tuple[Finding, ...]
    """The worst first."""

    def number(self, severity: Severity) -> int:
        """How many findings are that bad."""
        return sum(found.severity == severity for found in self.findings)

    def by_kind(self) -> dict[str, tuple[Finding, ...]]:
        """The findings of each kind, the worst kind first."""
        groups: dict[str, list[Finding]] = {}
        for found in self.findings:
            groups.setdefault(found.kind, []).append(found)
        return {kind: tuple(group) for kind, group in groups.items()}

    def as_plain(self) -> dict[str, object]:
        """Everything as values that JSON can hold."""
        description = self.description
        counts = {split: asdict(of) for split, of in self.counts.items()}
        classes = [
            {
                **asdict(row),
                "objects": {
                    split: of.class_objects[row.index] for split, of in self.counts.items()
                },
                "images": {split: of.class_images[row.index] for split, of in self.counts.items()},
            }
            for row in self.mapping
        ]
        kinds = Counter(found.kind for found in self.findings)
        return {
            "place": str(description.place),
            "format": description.kind,
            "quick": self.seen is None,
            "size": self.size,
            "splits": counts,
            "classes": classes,
            "totals": {severity: self.number(severity) for severity in SEVERITIES},
            "kinds": {
                kind: {"count": number, "meaning": meaning(kind)} for kind, number in kinds.items()
            },
            "findings": [asdict(found) for found in self.findings],
        }


def examine(
    description: DatasetDescription, *, size: int = INPUT_SIZE, progress: Progress | None = None
) -> HealthReport:
    """The whole examination: every image is decoded once."""
    paths = [record.path for records in description.splits.values() for record in records]
    seen = scan(paths, progress=progress)
    copies = find_copies(description, seen)
    found = [
        *picture_findings(description, seen),
        *copy_findings(copies),
        *_misfits(description, seen),
    ]
    return _report(description, found, size=size, seen=seen, copies=copies)


def examine_labels(description: DatasetDescription, *, size: int = INPUT_SIZE) -> HealthReport:
    """The quick part: labels, and whether image files are there; no image is opened."""
    paths = [record.path for records in description.splits.values() for record in records]
    return _report(description, list(gone_findings(paths)), size=size)


def _report(
    description: DatasetDescription,
    found: Sequence[Finding],
    *,
    size: int,
    seen: Mapping[Path, Seen] | None = None,
    copies: tuple[Copy, ...] = (),
) -> HealthReport:
    counts = dict[str, SplitCounts]()
    about_boxes = list[Finding]()
    for split, records in description.splits.items():
        images = [boxes_of(record, _size_of(record.path, seen)) for record in records]
        num_classes = len(description.classes)
        counts[split] = count_split(records, images, num_classes=num_classes, size=size)
        names = description.classes.names
        for image in images:
            about_boxes += box_findings(image, names=names, size=size)
    balance = balance_findings(description, counts, size=size)
    findings = in_order([*description.findings, *found, *about_boxes, *balance])
    return HealthReport(
        description=description,
        size=size,
        seen=seen,
        copies=copies,
        counts=counts,
        mapping=description.mapping(),
        findings=findings,
    )


def _misfits(description: DatasetDescription, seen: Mapping[Path, Seen]) -> Iterator[Finding]:
    for records in description.splits.values():
        for record in records:
            size_hw = _size_of(record.path, seen)
            if size_hw is not None:
                yield from misfits(record, size_hw)


def _size_of(path: Path, seen: Mapping[Path, Seen] | None) -> tuple[int, int] | None:
    picture = None if seen is None else seen[path]
    return picture.size_hw if isinstance(picture, Picture) else None
