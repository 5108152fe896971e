"""`results.csv` of a run: one line for each epoch, in columns named as the fields of `EpochRow`.

Numbers are written as Python writes them, so that the same come back; nothing is an empty cell;
yes and no are `true` and `false`.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import SupportsFloat, get_type_hints

from gelan.errors import ConfigError
from gelan.predict.files import appearing
from gelan.structures.history import EpochRow

COLUMNS = tuple(field.name for field in dataclasses.fields(EpochRow))
_KINDS = get_type_hints(EpochRow)
_BOOLS = {"true": True, "false": False}
_REMEDY = "it is written anew after each epoch; restore it, or take it away to begin another"


def write_history(path: Path, rows: Sequence[EpochRow]) -> None:
    """The file with these rows and no others; whoever reads it sees all of the old or the new."""
    with appearing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([_written(getattr(row, name), _KINDS[name]) for name in COLUMNS])


def _written(value: object, kind: object) -> str:
    if value is None:
        return ""
    if kind is bool:
        return "true" if value else "false"
    assert isinstance(value, SupportsFloat)
    return str(int(float(value))) if kind is int else repr(float(value))


def read_history(path: Path) -> tuple[EpochRow, ...]:
    """The rows that `write_history` wrote, to the last bit.

    Raises:
        ConfigError: the file cannot be read, has other columns, a cell is not what its column
            holds, or epochs do not rise; with the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            records = [(lines.line_num, cells) for cells in lines]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if not records:
        raise ConfigError(f"{path}: is empty; {_REMEDY}")
    if tuple(records[0][1]) != COLUMNS:
        raise ConfigError(f"{path}:1: {_wrong_header(records[0][1])}; {_REMEDY}")
    rows: list[EpochRow] = []
    for number, cells in records[1:]:
        row = _row(cells, where=f"{path}:{number}")
        if rows and row.epoch <= rows[-1].epoch:
            raise ConfigError(
                f"{path}:{number}: epoch {row.epoch} after {rows[-1].epoch}; {_REMEDY}"
            )
        rows.append(row)
    return tuple(rows)


def _wrong_header(header: Sequence[str]) -> str:
    missing = [name for name in COLUMNS if name not in header]
    strange = [name for name in header if name not in COLUMNS]
    if missing:
        return f"column {missing[0]!r} is missing"
    if strange:
        return f"there is no column {strange[0]!r} in this gelan"
    return "the columns are in another order"


def _row(cells: Sequence[str], *, where: str) -> EpochRow:
    if len(cells) != len(COLUMNS):
        raise ConfigError(f"{where}: {len(cells)} cells instead of {len(COLUMNS)}; {_REMEDY}")
    values = {
        name: _value(cell, name, where=where) for name, cell in zip(COLUMNS, cells, strict=True)
    }
    return EpochRow(**values)  # type: ignore[arg-type]  # _value has checked each


def _value(cell: str, name: str, *, where: str) -> object:
    kind = _KINDS[name]
    try:
        if kind is bool:
            return _BOOLS[cell]
        if kind is int:
            return int(cell)
        return None if not cell and kind is not float else float(cell)
    except (ValueError, KeyError):
        words = {bool: "true or false", int: "a whole number"}.get(kind, "a number")
        raise ConfigError(f"{where}: {name} is {cell!r}, not {words}; {_REMEDY}") from None
