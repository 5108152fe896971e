"""The figures of a run for TensorBoard, which is optional."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from types import TracebackType
from typing import Protocol

from gelan.optional import require
from gelan.structures.history import EpochRow

_GROUPS = {
    "loss": ("box", "classification", "distribution"),
    "auxiliary_loss": ("auxiliary_box", "auxiliary_classification", "auxiliary_distribution"),
    "validation_loss": ("validation_box", "validation_classification", "validation_distribution"),
    "ap": ("ap", "ap50", "ap75"),
    "run": (
        "learning_rate",
        "gradient_norm",
        "images_per_second",
        "memory_mb",
        "seconds",
        "iterations",
        "mosaic",
        "pgi",
    ),
}
TAGS = {name: f"{group}/{name}" for group, names in _GROUPS.items() for name in names}
"""Field of `EpochRow` -> what TensorBoard calls it: `ap50` -> `ap/ap50`."""


class _Writer(Protocol):
    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class TensorboardLog:
    """Writes each epoch into event files in a folder; to be closed at the end of the run.

    `resumed_in` is the first epoch (from 1) of a run that is taken up again: what was logged from
    there on before it broke off is no longer shown.

    Raises:
        MissingDependencyError: tensorboard is not installed.
    """

    def __init__(self, folder: Path, *, resumed_in: int | None = None) -> None:
        purpose = "to log for TensorBoard"
        require("tensorboard", extra="tensorboard", purpose=purpose)
        module = require("torch.utils.tensorboard", extra="tensorboard", purpose=purpose)
        self._writer: _Writer = module.SummaryWriter(log_dir=str(folder), purge_step=resumed_in)

    def write(self, row: EpochRow) -> None:
        """Log one epoch, at once; what was not measured, or is no finite number, is not logged."""
        for field in dataclasses.fields(row):
            value = getattr(row, field.name)
            if field.name in TAGS and value is not None and math.isfinite(value):
                self._writer.add_scalar(TAGS[field.name], float(value), row.epoch)
        self._writer.flush()

    def close(self) -> None:
        """Finish the files."""
        self._writer.close()

    def __enter__(self) -> TensorboardLog:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the files, after an error too."""
        self.close()
