"""What is wrong with a labelled data set, line by line; a corrected copy on request."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from gelan.config import option
from gelan.errors import ConfigError

if TYPE_CHECKING:
    from gelan.data.health.report import HealthReport
    from gelan.data.health.scan import Seen

FEW = 50
"""More images than so many get a progress bar."""


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
    from gelan.data.health.report import examine, examine_labels
    from gelan.data.health.text import report_lines

    _require_sensible(options)
    description = open_dataset(options.data)
    if options.quick:
        report = examine_labels(description, size=options.size)
    else:
        report = examine(description, size=options.size, progress=_progress)
    changes = None if options.fix is None else _fixed(report, options.fix)
    if options.json:
        content = {**report.as_plain(), "changes": changes}
        print(json_module.dumps(content, indent=2, ensure_ascii=False))
    else:
        print("\n".join(report_lines(report, shown=options.shown)))
        if changes is not None:
            print("\n".join(["", *changes]))
    bad = report.number("error") + (report.number("warning") if options.strict else 0)
    return 1 if bad else 0


def _require_sensible(options: Options) -> None:
    for name, value in (("size", options.size), ("shown", options.shown)):
        if value < 1:
            raise ConfigError(f"--{name} is {value}; it must be at least 1")
    if options.fix is not None:
        if options.quick:
            raise ConfigError("--fix needs to look at the images; leave --quick out")
        if options.fix.exists():
            raise ConfigError(f"--fix {options.fix}: exists already; choose another name")


def _fixed(report: HealthReport, out: Path) -> list[str]:
    from gelan.data.health.mend import mend

    return mend(report, out)


def _progress(images: Iterator[Seen], number: int) -> Iterable[Seen]:
    """A progress bar for many images on a terminal; nothing in pipes."""
    hidden = number <= FEW or not sys.stderr.isatty()
    return tqdm(images, total=number, unit="image", disable=hidden, file=sys.stderr, leave=False)
