"""The doctor's report as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from gelan.data.formats.collector import count
from gelan.data.health.boxes import FINEST_STRIDE
from gelan.data.health.kinds import SEVERITIES, meaning, place_of
from gelan.data.health.report import HealthReport
from gelan.structures.findings import Finding


def report_lines(report: HealthReport, *, shown: int) -> Iterator[str]:
    """Tables of splits and classes, then the findings by kind: `shown` of each kind."""
    yield report.description.headline
    yield ""
    yield from _split_table(report)
    yield ""
    yield from _class_table(report)
    groups = groupby(report.findings, key=lambda found: (found.severity, found.kind))
    for (_, kind), group in groups:
        yield ""
        yield from _group(kind, tuple(group), shown=shown)
    yield ""
    yield verdict(report)


def verdict(report: HealthReport) -> str:
    """The last line: how many findings there are."""
    parts = [count(report.number(severity), severity) for severity in SEVERITIES]
    looked = "no image was opened" if report.seen is None else "every image was decoded"
    return f"{', '.join(parts)}; {looked}"


def _split_table(report: HealthReport) -> Iterator[str]:
    small = f"< {FINEST_STRIDE} px at {report.size}"
    rows = [("split", "images", "empty", "objects", "per image", "crowds", small)]
    for split, of in report.counts.items():
        share = of.small_share
        rows.append(
            (
                split,
                f"{of.images:,}",
                f"{of.empty:,}",
                f"{of.objects:,}",
                f"{of.objects / of.images:.1f}" if of.images else "-",
                f"{of.crowds:,}",
                "-" if share is None else f"{share:.1%}",
            )
        )
    yield from _table(rows, left=1)


def _class_table(report: HealthReport) -> Iterator[str]:
    splits = list(report.counts)
    rows = [("source id", "index", "class", *[f"{split} objects (images)" for split in splits])]
    for row in report.mapping:
        cells = [
            f"{of.class_objects[row.index]:,} ({of.class_images[row.index]:,})"
            for of in report.counts.values()
        ]
        rows.append((str(row.source_id), str(row.index), row.name, *cells))
    yield from _table(rows, left=3)


def _table(rows: Sequence[Sequence[str]], *, left: int) -> Iterator[str]:
    """Columns two spaces apart; the first `left` begin together, the others end together."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _group(kind: str, group: Sequence[Finding], *, shown: int) -> Iterator[str]:
    yield f"{group[0].severity.upper()} {kind} ({len(group)}): {meaning(kind)}"
    remedies = {found.remedy for found in group}
    for found in group[:shown]:
        yield f"  {place_of(found.file, found.line)}: {found.cause}"
        if len(remedies) > 1:
            yield f"    -> {found.remedy}"
    if len(group) > shown:
        yield f"  and {len(group) - shown} more"
    if len(remedies) == 1:
        yield f"  -> {group[0].remedy}"
