"""What training and evaluation run before they begin: a look at labels that opens no image."""

from __future__ import annotations

import logging

from gelan.data.formats.records import DatasetDescription, ImageRecord
from gelan.data.health.kinds import meaning
from gelan.data.health.report import examine_labels
from gelan.errors import SourceError
from gelan.structures.findings import Finding

logger = logging.getLogger(__name__)


def quick_check(description: DatasetDescription) -> tuple[Finding, ...]:
    """All findings that need no image: from reading, about boxes and classes; the worst first."""
    return examine_labels(description).findings


def require_usable(description: DatasetDescription, split: str) -> tuple[ImageRecord, ...]:
    """The images of a split that can be used; the log says what is left out of the data set.

    Images whose file is not there, or is empty, are left out.

    Raises:
        SourceError: there is no such split, or no image with an object is left in it.
    """
    records = description.split(split)
    report = examine_labels(description)
    gone = {found.file for found in report.findings if found.kind == "image-gone"}
    usable = tuple(record for record in records if str(record.path) not in gone)
    for kind, group in report.by_kind().items():
        if group[0].severity == "error":
            more = f" (and {len(group) - 1} more)" if len(group) > 1 else ""
            logger.warning("%s: %s%s", meaning(kind), group[0], more)
    if not any(len(record.labels) for record in usable):
        errors = [found for found in report.findings if found.severity == "error"]
        why = f"; the first of {len(errors)} errors: {errors[0]}" if errors else ""
        raise SourceError(
            f"{description.place}: no image of split {split!r} has an object that can be used "
            f"({len(usable)} of {len(records)} images are there, all of them empty){why}; "
            f"'gelan doctor --data {description.place}' tells more"
        )
    return usable
