"""What is wrong with a labelled data set, line by line; a corrected copy on request."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gelan.cli.folders import require_new
from gelan.cli.options import require_between, require_size
from gelan.cli.printing import printable, progress_bar
from gelan.config import option
from gelan.errors import ConfigError, GelanError

if TYPE_CHECKING:
    from gelan.data.health.report import HealthReport
    from gelan.data.health.scan import Seen

FEW = 50
"""More images than so many get a progress bar."""
MOST_SHOWN = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `gelan doctor`."""

    data: str = option("a data.yaml, a COCO JSON file, a VOC folder, or a folder with any of them")
    fix: Path | None = option(
        "write a corrected copy into this folder, which must not exist yet; "
        "nothing else is touched",
        default=None,
    )
    json: bool = option(
        "print everything as one JSON object, and nothing else, on standard output", default=False
    )
    strict: bool = option("warnings count like errors for the exit code", default=False)
    quick: bool = option("look at labels only; no image is opened", default=False)
    size: int = option("longer side of the network's input, for sizes of boxes", default=640)
    shown: int = option("so many findings of each kind are printed", default=3)


def run(options: Options) -> int:
    """Examine; 1 if there are errors (with --strict: or warnings)."""
    from gelan.data.description import open_dataset
    from gelan.data.health.mend import mend, require_place
    from gelan.data.health.report import examine, examine_labels

    _require_sensible(options)
    description = open_dataset(options.data)
    if options.fix is not None:
        require_place(description, options.fix)
    if options.quick:
        report = examine_labels(description, size=options.size)
    else:
        report = examine(description, size=options.size, progress=_progress)
    try:
        changes = None if options.fix is None else mend(report, options.fix)
    except (GelanError, OSError):
        _show(report, None, options)  # hours of looking must not be lost
        raise
    _show(report, changes, options)
    bad = report.number("error") + (report.number("warning") if options.strict else 0)
    return 1 if bad else 0


def _require_sensible(options: Options) -> None:
    require_between("shown", options.shown, 1, MOST_SHOWN)
    require_size(options.size)
    if options.fix is not None and options.quick:
        raise ConfigError("--fix needs to look at the images; leave --quick out")
    require_new(options.fix, "fix")


def _show(report: HealthReport, changes: list[str] | None, options: Options) -> None:
    from gelan.data.health.text import report_lines

    if options.json:
        content = {**report.as_plain(), "changes": changes}
        print(json_module.dumps(content, indent=2))  # ASCII, for any terminal
    else:
        lines = [*report_lines(report, shown=options.shown), *(["", *changes] if changes else [])]
        print("\n".join(map(printable, lines)))


def _progress(images: Iterator[Seen], number: int) -> Iterable[Seen]:
    """A progress bar for many images on a terminal; nothing in pipes."""
    return progress_bar(images, total=number, hidden=number <= FEW)
