"""The exceptions of the project: each message says what was found, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GelanError(Exception):
    """A mistake that the user can mend; the command line prints it as one line."""


class ConfigError(GelanError):
    """A setting is unknown, of the wrong type, or has no effect."""


class ImageError(GelanError):
    """A file is no image that can be read in full."""


class SourceError(GelanError):
    """The place where images should come from does not exist or holds none."""


class CheckpointError(GelanError):
    """A weights file is damaged, hostile, or made for another network."""


class LoaderError(GelanError):
    """A process that makes samples has ended, or may not start."""


class TrainingError(GelanError):
    """A training run cannot go on; the message says what is saved and how to continue."""


class MissingDependencyError(GelanError):
    """An optional package is needed for what was asked."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that ends an error message: `; did you mean 'conf'?`, or nothing.

    >>> nearest("yolov9c", ["yolov9-c", "yolov9-e", "gelan-t"])
    "; did you mean 'yolov9-c'?"
    >>> nearest("qqq", ["yolov9-c"])
    ''
    """
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
