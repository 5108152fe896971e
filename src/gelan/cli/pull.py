"""Download published weights, verified; `gelan pull list` shows what there is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from gelan.cli.printing import printable
from gelan.config import option
from gelan.weights import registry


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `gelan pull`."""

    name: str = option("what to download, or list", positional=True)
    folder: Path = option("where to put the file", default=Path("weights"))
    sha256: str = option(
        "the checksum that the file must have; none is published beside these files", default=""
    )
    accept_unverified: bool = option(
        "take the file as it comes the first time; its checksum is noted and holds from then on",
        default=False,
    )


def run(options: Options) -> int:
    """Download one file, or list them all."""
    if options.name == "list":
        print("\n".join(_table()))
        return 0
    entry = registry.published(options.name)
    with tqdm(unit="B", unit_scale=True, disable=not sys.stderr.isatty(), leave=False) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        path = registry.pull(
            entry,
            options.folder,
            sha256=options.sha256 or None,
            progress=show,
            accept_unverified=options.accept_unverified,
        )
    print(printable(f"{entry.url} -> {path} (published under {entry.licence})"))
    print(printable(f"use it: gelan predict --weights {path} --source PHOTOS"))
    return 0


def _table() -> Iterator[str]:
    yield f"{'name':20}{'network':11}{'AP':>5}  {'licence':9}origin"
    for entry in registry.PUBLISHED:
        ap = "" if entry.ap is None else f"{entry.ap:.1f}"
        yield f"{entry.name:20}{entry.variant:11}{ap:>5}  {entry.licence:9}{entry.origin}"
