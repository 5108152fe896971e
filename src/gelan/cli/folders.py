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
        try:
            return new_run_folder(Path("runs"), name)
        except ConfigError as error:
            raise ConfigError(f"{error}, with --out") from None
    try:
        out.mkdir(parents=True)
    except FileExistsError:
        raise _exists(out, "out") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"--out {out!s:.200}: cannot be made: {reason or error}; choose another place"
        ) from None
    return out


def require_new(path: Path | None, option: str = "out") -> None:
    """Nothing, if the path that an option names is free; for a look before any work is done.

    Raises:
        ConfigError: something has that name already, or nothing can have it.
    """
    try:
        if path is not None and (path.exists() or path.is_symlink()):
            raise _exists(path, option)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"--{option} {path!s:.200}: cannot be made: {reason}") from None


def _exists(path: Path, option: str) -> ConfigError:
    return ConfigError(f"--{option} {path}: exists already; choose another name")
