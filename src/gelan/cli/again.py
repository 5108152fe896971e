"""A command that does the same again."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import fields
from typing import Any


def command_line(verb: str, options: Any, *, without: Collection[str] = ()) -> str:  # noqa: ANN401
    """`gelan VERB` with every option that differs from its default.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Options:
    ...     data: str
    ...     max_detections: int = 300
    >>> command_line("val", Options(data="my data", max_detections=100))
    "gelan val --data 'my data' --max-detections 100"
    """
    words = ["gelan", verb]
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name in without or value == field.default:
            continue
        name = f"--{field.name.replace('_', '-')}"
        words += [name] if value is True else [name, str(value)]
    return shlex.join(words)
