"""From a weights file to a predictor."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from gelan.errors import ConfigError
from gelan.geometry.letterbox import require_size
from gelan.optional import require
from gelan.predict.predictor import Predictor
from gelan.structures.classes import ClassTable

Precision = Literal["fp32", "bf16", "fp16"]

logger = logging.getLogger(__name__)


class NamesError(ConfigError):
    """The class names that were given are more or fewer than the network has classes."""


def load(
    weights: str | Path,
    *,
    device: str = "auto",
    precision: Precision = "fp32",
    size: int | None = None,
    classes: ClassTable | Sequence[str] | None = None,
) -> Predictor:
    """A predictor with the network of a weights file, ours or any published one.

    `size` replaces the input size that the file asks for (pixels of the longer side, a multiple
    of 32); `classes` replaces its class names: all of them, in order. What a user should know about
    the file is logged.

    Raises:
        CheckpointError: the file is damaged, hostile, or holds no network that is known.
        MissingDependencyError: torch is not installed.
        ConfigError: a setting does not fit; found before the file is read where it can be.
    """
    _require_path(weights)
    _require_runtime(device, precision)
    if size is not None:
        require_size(size, name="size")
    names = None if classes is None else ClassTable.given(classes)
    require("torch", extra="train", purpose="to run a weights file")
    from gelan.predict.backends.pytorch import TorchModel
    from gelan.weights.loading import load_weights, renamed

    loaded = load_weights(Path(weights))
    if names is not None:
        try:
            loaded = renamed(loaded, names)
        except ConfigError as error:
            raise NamesError(str(error)) from None
    for note in loaded.notes:
        logger.warning("%s: %s", weights, note)
    preprocessing = loaded.preprocessing
    return Predictor(
        TorchModel(loaded.detector, device=device, precision=precision),
        classes=loaded.classes,
        preprocessing=preprocessing if size is None else replace(preprocessing, size=size),
        detector=loaded.detector,
    )


def _require_path(weights: object) -> None:
    wanted = "pass the path of a weights file, as a text or a Path"
    if not isinstance(weights, str | Path):
        raise ConfigError(f"weights is {weights!r:.100} ({type(weights).__name__}); {wanted}")
    if not str(weights).strip():
        raise ConfigError(f"weights is empty; {wanted}")


def _require_runtime(device: object, precision: object) -> None:
    if not isinstance(device, str):
        kind = type(device).__name__
        raise ConfigError(
            f"device is {device!r:.100} ({kind}); pass a text: 'auto', 'cpu', 'cuda:0' ..."
        )
    known = get_args(Precision)
    if precision not in known:
        raise ConfigError(
            f"precision is {precision!r:.100}; take {', '.join(known[:-1])} or {known[-1]}"
        )
