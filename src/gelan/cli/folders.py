"""The folder that a command writes into: always a new one."""

from __future__ import annotations

from pathlib import Path

from gelan.errors import ConfigError
from gelan.predict.sinks import new_run_folder


def result_folder(out: Path | None, name: str) -> Path:
    """The folder that the user named, or `runs/NAME`, `runs/NAME2` ...; made now.

    Raises:
        ConfigError: something has that name already, or it cannot be made.
    """
    if out is None:
        return new_run_folder(Path("runs"), name)
    try:
        out.mkdir(parents=True)
    except FileExistsError:
        raise ConfigError(f"--out {out}: exists already; choose another name") from None
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be made: {error.strerror or error}") from None
    return out
