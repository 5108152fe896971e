"""What is wrong with a file of the user's: where, why, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
"""Left out (error), used but suspicious (warning), worth knowing (note)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was found.

    >>> str(Finding(kind="class-range", severity="error", file="a.txt", line=3,
    ...             cause="class 80 is outside 0..79", remedy="check 'names' in data.yaml"))
    "a.txt:3: class 80 is outside 0..79; check 'names' in data.yaml"
    """

    kind: str
    """A short word for machines, the same for the same cause: "class-range"."""
    severity: Severity
    file: str
    line: int | None
    """Counted from 1; None where the whole file or its place in a list is meant."""
    cause: str
    remedy: str

    def __str__(self) -> str:
        """`file:line: cause; remedy`."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.cause}; {self.remedy}"
