"""The command `gelan`: finds the verb, lets it do its work, turns errors into one line.

Exit codes: 0 all went well; 1 the work was done, but not on everything (an image could not be
read, the disk became full); 2 nothing was done, and the message says why; 130 it was interrupted;
141 the reader of its output went away (`gelan ... | head`), as a shell tells it of other programs.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields
from typing import TextIO, cast

from gelan.cli.failures import PartlyDoneError, in_one_line
from gelan.cli.printing import NamedOutput, OneLineFormatter, printable
from gelan.cli.spelling import published_spelling
from gelan.config import parse_command_line
from gelan.errors import ConfigError, GelanError, nearest

VERBS = {
    "demo": "see all of it in a few minutes: draw images, train on them, measure, find",
    "train": "train a detector on labelled images, or go on with a run that stopped",
    "predict": "find objects in images",
    "doctor": "what is wrong with a labelled data set, line by line",
    "val": "COCO figures on labelled images, and a report on what goes wrong",
    "compare": "whether one evaluated network is better than another, or nobody can tell",
    "augment": "what training makes of the images, as pictures to look at",
    "info": "what a network or a weights file is made of, costs, and where it comes from",
    "convert": "any readable weights file to ours",
    "pull": "download published weights (nothing is downloaded otherwise)",
}
"""Each lives in the module of its name beside this one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    _prepare_output()
    try:
        with _named_output():
            try:
                return _run(words)
            finally:
                sys.stdout.flush()  # here, where an error of it can be told
    except BrokenPipeError:
        _drop_output()
        return 141
    except (GelanError, OSError, MemoryError) as error:
        if debug:
            raise
        _drop_output()
        message = in_one_line(error)
        print(message if message.startswith("gelan ") else f"gelan: {message}", file=sys.stderr)
        return 1 if isinstance(error, PartlyDoneError) else 2
    except KeyboardInterrupt:
        print("gelan: interrupted", file=sys.stderr)
        return 130


def _prepare_output() -> None:
    """Characters that the terminal does not know become escapes; the log goes to the terminal."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as in `gelan ... >&-`
            nowhere = io.FileIO(os.devnull, "w")
            setattr(sys, name, io.TextIOWrapper(nowhere, encoding="utf-8", write_through=True))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLineFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


@contextmanager
def _named_output() -> Iterator[None]:
    """Inside, an error of standard output says that it is one."""
    stream = NamedOutput(cast(io.TextIOBase, sys.stdout), "standard output")
    with redirect_stdout(cast(TextIO, stream)):
        yield


def _drop_output() -> None:
    """What cannot be written to standard output is dropped, or Python would complain at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: list[str]) -> int:
    if not words or words[0] in {"-h", "--help", "help"}:
        print(_overview())
        return 0
    if words[0] in {"--version", "version"}:
        print(f"gelan {importlib.metadata.version('gelan')}")
        return 0
    name, rest = words[0], words[1:]
    if name not in VERBS:
        known = ", ".join(VERBS)
        raise ConfigError(
            f"no command is called {name[:100]!r}{nearest(name, VERBS)} (known: {known})"
        )
    module = importlib.import_module(f"gelan.cli.{name}")
    own = [f"--{field.name.replace('_', '-')}" for field in fields(module.Options)]
    rest, notices = published_spelling(rest, own=own)
    for notice in notices:
        if "--quiet" not in rest:
            print(f"gelan: {printable(notice)}", file=sys.stderr)
    options = parse_command_line(
        module.Options, rest, program=f"gelan {name}", description=module.__doc__ or ""
    )
    with _errors_only(quiet="--quiet" in own and options.quiet):
        code: int = module.run(options)
    return code


@contextmanager
def _errors_only(*, quiet: bool) -> Iterator[None]:
    """Inside, a quiet command logs errors and nothing else."""
    log = logging.getLogger("gelan")
    before = log.level
    if quiet:
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _overview() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:{width}}  {what}" for name, what in VERBS.items())
    return (
        "usage: gelan COMMAND [options]\n\n"
        "YOLOv9 and GELAN object detectors with programmable gradient information.\n\n"
        f"commands:\n{verbs}\n\n"
        "gelan COMMAND --help tells its options; --debug shows where an error came from."
    )
