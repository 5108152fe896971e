"""From a weights file to a predictor."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gelan.optional import require
from gelan.predict.predictor import Predictor

if TYPE_CHECKING:
    from gelan.structures.classes import ClassTable

logger = logging.getLogger(__name__)


def load(
    weights: str | Path,
    *,
    device: str = "auto",
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    size: int | None = None,
    classes: ClassTable | None = None,
) -> Predictor:
    """A predictor with the network of a weights file, ours or any published one.

    `size` replaces the input size that the file asks for (pixels of the longer side, a multiple
    of 32); `classes` replaces its class names. What a user should know about the file is logged.

    Raises:
        CheckpointError: the file is damaged, hostile, or holds no network that is known.
        MissingDependencyError: torch is not installed.
        ConfigError: a setting does not fit.
    """
    require("torch", extra="train", purpose="to run a weights file")
    from gelan.predict.backends.pytorch import TorchModel
    from gelan.weights.loading import load_weights, renamed

    loaded = load_weights(Path(weights))
    if classes is not None:
        loaded = renamed(loaded, classes)
    for note in loaded.notes:
        logger.warning("%s: %s", weights, note)
    preprocessing = loaded.preprocessing
    return Predictor(
        TorchModel(loaded.detector, device=device, precision=precision),
        classes=loaded.classes,
        preprocessing=preprocessing if size is None else replace(preprocessing, size=size),
        detector=loaded.detector,
    )
