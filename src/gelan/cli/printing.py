"""What is shown on a terminal: text from outside, which must not act there, and progress."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

USUAL_SIZE = (80, 24)
"""Columns and rows of a terminal that does not tell."""
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls of a terminal, ends of lines, changes of the writing direction, halves of pairs."""


def printable(text: str, *, at_most: int | None = None) -> str:
    r"""The text in one line that only shows; with `at_most`, the beginning of a longer one.

    >>> printable("red \x1b[31m\n"), printable("a very long name", at_most=9)
    ('red \\x1b[31m\\n', 'a very...')
    """
    if at_most is not None and len(text) > at_most:
        text = f"{text[: at_most - 3]}..."
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class NamedOutput:
    """A text stream of the process whose errors bear a name, which the system does not give."""

    def __init__(self, stream: io.TextIOBase, name: str) -> None:
        self._stream, self._name = stream, name

    def write(self, text: str, /) -> int:
        """Add to it."""
        with self._naming():
            return self._stream.write(text)

    def flush(self) -> None:
        """Let others see what was added."""
        with self._naming():
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno is None or error.filename is not None:
                raise
            raise OSError(error.errno, error.strerror, self._name) from error


class OneLineFormatter(logging.Formatter):
    """Each message of the log in one printable line."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, without anything else."""
        return printable(record.getMessage())


def progress_bar(items: Iterable[Item], *, total: int, hidden: bool) -> Iterable[Item]:
    """The items, counted as images by a bar on standard error; none where that is no terminal."""
    hidden = hidden or not sys.stderr.isatty()
    columns, rows = (None, None) if hidden else _terminal_size()
    return tqdm(
        items,
        total=total,
        unit="image",
        disable=hidden,
        file=sys.stderr,
        ncols=columns,
        nrows=rows,
    )


def _terminal_size() -> tuple[int | None, int | None]:
    """None leaves it to tqdm, which would show nothing on a terminal that says 0 x 0."""
    try:
        size = os.get_terminal_size(sys.stderr.fileno())
    except OSError:  # it is no file, or does not tell
        return USUAL_SIZE
    return USUAL_SIZE if 0 in size else (None, None)
