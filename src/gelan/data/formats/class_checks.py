"""What is odd about the classes of a data set, whatever its format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gelan.data.formats.collector import Collector, count, listed
from gelan.data.formats.records import ImageRecord
from gelan.structures.classes import ClassTable

BACKGROUND = {"background", "__background__", "_background_", "none", "n/a"}
"""Names, in small letters, of classes that mean nothing."""


def tell_classes(
    classes: ClassTable,
    splits: Mapping[str, Sequence[ImageRecord]],
    *,
    place: Path,
    collector: Collector,
) -> None:
    """Findings about classes that nothing belongs to, and about names that are nearly the same."""
    used = _used(record for records in splits.values() for record in records)
    unused = [name for index, name in enumerate(classes.names) if index not in used]
    if unused:
        cause = f"{count(len(unused), 'class')} without an object: {listed(unused)}"
        remedy = "nothing, if that is as it should be"
        collector.note("class-unused", place, cause=cause, remedy=remedy)
    for index, name in enumerate(classes.names):
        if index not in used and name.strip().lower() in BACKGROUND:
            cause = f"class {classes.category_id(index)} {name!r} has no box and means nothing"
            remedy = "nothing; or take it out and number the others anew, in names and rows"
            collector.note("class-placeholder", place, cause=cause, remedy=remedy)
    by_spelling: dict[str, list[str]] = {}
    for name in classes.names:
        by_spelling.setdefault(" ".join(name.casefold().split()), []).append(name)
    for names in by_spelling.values():
        if len(names) > 1:
            cause = f"classes have nearly the same name: {', '.join(map(repr, names))}"
            remedy = "if they are the same, give them one name and one number"
            collector.warning("class-alike", place, cause=cause, remedy=remedy)


def _used(records: Iterable[ImageRecord]) -> set[int]:
    return {index for record in records for index in record.labels.classes.tolist()}
