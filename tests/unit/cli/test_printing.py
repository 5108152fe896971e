"""Text from outside on a terminal, and errors as one line."""

from __future__ import annotations

import errno
import logging

import pytest

from gelan.cli.failures import in_one_line
from gelan.cli.printing import OneLineFormatter, printable
from gelan.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dog", "dog"),
        ("piéton 行人 🐕", "piéton 行人 🐕"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("two\r\nlines\t\x7f\x9b", "two\\r\\nlines\\t\\x7f\\x9b"),
        ("\u2028a\u202eb\u2066", "\\u2028a\\u202eb\\u2066"),
        ("half \ud800, byte \udce9", "half \\ud800, byte \\udce9"),
    ],
)
def test_what_acts_on_a_terminal_is_shown_instead(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_long_text_is_cut_where_that_is_asked_for() -> None:
    assert printable("x" * 10**6, at_most=20) == "x" * 17 + "..."
    assert printable("x" * 20, at_most=20) == "x" * 20


def test_a_message_of_the_log_is_one_line_that_only_shows() -> None:
    record = logging.LogRecord("gelan", logging.WARNING, "", 0, "%s: bad", ("a\n\x1b.pt",), None)
    assert OneLineFormatter().format(record) == "a\\n\\x1b.pt: bad"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConfigError("a\nb"), "a\\nb"),
        (
            OSError(errno.EACCES, "Permission denied", "w\n.pt"),
            "w\\n.pt: Permission denied; check who may read and write there, or choose another "
            "place",
        ),
        (
            OSError(errno.EROFS, "Read-only file system"),
            "Read-only file system; nothing can be written there; choose another place",
        ),
        (OSError(errno.EIO, "Input/output error", b"a.jpg"), "a.jpg: Input/output error; check "),
        (OSError("odd"), "odd"),
        (MemoryError(), "the memory is full; take a smaller --batch or --size, or smaller images"),
    ],
)
def test_an_error_is_one_line_with_path_reason_and_remedy(
    error: ConfigError | OSError | MemoryError, line: str
) -> None:
    assert in_one_line(error).startswith(line)
    assert "\n" not in in_one_line(error)
