"""What went wrong, as the one line that a user sees."""

from __future__ import annotations

import errno
import os

from gelan.cli.printing import printable
from gelan.errors import GelanError

REMEDIES = {
    errno.ENOSPC: "make room on the disk, or choose another place",
    errno.EDQUOT: "make room on the disk, or choose another place",
    errno.EACCES: "check who may read and write there, or choose another place",
    errno.EPERM: "check who may read and write there, or choose another place",
    errno.EROFS: "nothing can be written there; choose another place",
    errno.ENAMETOOLONG: "take a shorter name",
    errno.ENOTDIR: "a part of this path is a file, not a folder; check the path",
    errno.EISDIR: "name a file in it",
    errno.ENOENT: "check the path",
    errno.EMFILE: "let the system open more files at a time (ulimit -n)",
}
"""What to do about an error of the operating system."""


class PartlyDoneError(GelanError):
    """The work stopped after a part of it was done; what is done is kept."""


def in_one_line(error: GelanError | OSError | MemoryError) -> str:
    """What was found, where, and what to do.

    >>> in_one_line(OSError(errno.ENOSPC, "No space left on device", "out/a.jpg"))
    'out/a.jpg: No space left on device; make room on the disk, or choose another place'
    """
    if isinstance(error, MemoryError):
        return "the memory is full; take a smaller --batch or --size, or smaller images"
    if isinstance(error, GelanError) or error.errno is None:
        return printable(str(error))
    names = [printable(os.fsdecode(name)) for name in (error.filename,) if name is not None]
    reason = error.strerror or os.strerror(error.errno)
    remedy = REMEDIES.get(error.errno, "check the path and the disk")
    return ": ".join([*names, f"{reason}; {remedy}"])
