"""Class names as a user writes them on a command line."""

from __future__ import annotations

from pathlib import Path

from gelan.errors import ConfigError
from gelan.structures.classes import ClassTable
from gelan.structures.coco import COCO


def class_table(text: str) -> ClassTable:
    """The names in `coco`, in a text file with one a line, or in `a,b,c`.

    Raises:
        ConfigError: a name is empty or stands twice, or the file cannot be read.

    >>> class_table("cat, dog").names
    ('cat', 'dog')
    """
    if text.lower() == "coco":
        return COCO
    names = _lines(Path(text)) if Path(text).suffix else text.split(",")
    names = [name.strip() for name in names]
    for number, name in enumerate(names):
        if not name:
            raise ConfigError(f"names {text!r}: name {number} is empty")
        if name in names[:number]:
            raise ConfigError(f"names {text!r}: {name!r} stands twice")
    return ClassTable(tuple(names))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"names {path}: cannot be read as a text file ({error})") from None
