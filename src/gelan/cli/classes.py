"""Class names as a user writes them on a command line."""

from __future__ import annotations

import re
from pathlib import Path

from gelan.errors import ConfigError
from gelan.structures.classes import ClassTable
from gelan.structures.coco import COCO


def class_table(text: str) -> ClassTable:
    """The names in `coco`, in a text file with one a line, or in `a,b,c`.

    A file is what ends in .txt or .names, or in any other short ending if there is no comma. Empty
    lines at its end, and a byte order mark at its beginning, are no names.

    Raises:
        ConfigError: there is no name, one is empty or stands twice, or the file cannot be read.

    >>> class_table("cat, dog").names
    ('cat', 'dog')
    >>> class_table("st. bernard,poodle").names
    ('st. bernard', 'poodle')
    """
    if text.lower() == "coco":
        return COCO
    names = _lines(Path(text)) if _is_file_name(text) else text.split(",")
    names = [name.strip() for name in names]
    if not any(names):
        raise ConfigError(f"names {text!r:.200}: there are none")
    for number, name in enumerate(names):
        if not name:
            raise ConfigError(f"names {text!r:.200}: name {number} is empty")
        if name in names[:number]:
            raise ConfigError(f"names {text!r:.200}: {name!r} stands twice")
    return ClassTable(tuple(names))


def _is_file_name(text: str) -> bool:
    known = re.search(r"\.(txt|names)$", text, re.IGNORECASE) is not None
    return known or ("," not in text and re.search(r"\.[A-Za-z0-9]{1,8}$", text) is not None)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"names {path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # UnicodeDecodeError, or a path with a zero byte
        raise ConfigError(f"names {path}: is no UTF-8 text file ({error})") from None
    return text.rstrip().splitlines()
