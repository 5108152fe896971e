"""Optional packages: imported where they are needed, or a sentence that says how to get them."""

from __future__ import annotations

import importlib
from types import ModuleType

from gelan.errors import MissingDependencyError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """The optional module `module`, imported now.

    Raises:
        MissingDependencyError: it is not installed; the message names the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name != module.partition(".")[0]:
            raise
        package = module.partition(".")[0]
        raise MissingDependencyError(
            f"{package} is needed {purpose}: pip install 'gelan[{extra}]'"
        ) from missing
