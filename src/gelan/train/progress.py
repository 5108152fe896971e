"""How far a run has come, in numbers that its state file keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from gelan.objective.objective import LossTerms
from gelan.structures.history import EpochRow
from gelan.train.processes import Processes

_MAIN, _AUXILIARY = slice(0, 3), slice(3, 6)
_IMAGES, _NORMS, _STEPS, _SKIPPED = 6, 7, 8, 9


class Sums:
    """What is summed up over the batches of an epoch, on the device, so that nothing waits for it.

    A batch counts with its images: the means do not depend on the size of the last batch.
    """

    def __init__(self, values: Float64[Tensor, " 10"]) -> None:
        self._values = values

    @classmethod
    def none(cls, device: torch.device) -> Sums:
        """Of an epoch that has not begun."""
        kind = torch.float32 if device.type == "mps" else torch.float64
        return cls(torch.zeros(10, dtype=kind, device=device))

    @classmethod
    def of(cls, values: list[float], device: torch.device) -> Sums:
        """As `as_list` gave them."""
        sums = cls.none(device)
        sums._values += torch.tensor(values, device=device, dtype=sums._values.dtype)
        return sums

    def copy(self) -> Sums:
        """The sums as they are now."""
        return Sums(self._values.clone())

    def as_list(self) -> list[float]:
        """For a file."""
        return [float(value) for value in self._values.tolist()]

    def add_batch(self, terms: LossTerms, *, images: int, processes: Processes) -> None:
        """The loss terms of a batch of so many images, of which each process has a part."""
        parts = torch.stack([*terms.main, *(terms.auxiliary or ())])
        values = processes.summed(parts.detach()).to(self._values)
        self._values[: len(values)] += values * images
        self._values[_IMAGES] += images

    def add_step(self, norm: Tensor) -> None:
        """The gradient norm of a step."""
        norm = norm.detach().to(self._values)
        is_finite = torch.isfinite(norm)
        self._values[_NORMS] += torch.where(is_finite, norm, torch.zeros_like(norm))
        self._values[_STEPS] += is_finite
        self._values[_SKIPPED] += ~is_finite

    def means(self) -> dict[str, float | None]:
        """The loss terms and the gradient norm, as fields of `EpochRow`."""
        values = self.as_list()
        images, steps = max(values[_IMAGES], 1.0), max(values[_STEPS], 1.0)
        names = ("box", "classification", "distribution")
        main = {name: value / images for name, value in zip(names, values[_MAIN], strict=True)}
        has_auxiliary = any(values[_AUXILIARY])
        auxiliary = {
            f"auxiliary_{name}": value / images if has_auxiliary else None
            for name, value in zip(names, values[_AUXILIARY], strict=True)
        }
        return {**main, **auxiliary, "gradient_norm": values[_NORMS] / steps}

    @property
    def skipped_steps(self) -> int:
        """Steps that were left out because a gradient was not finite."""
        return int(self.as_list()[_SKIPPED])


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a run stands: right after a step, or between epochs."""

    epoch: int = 0
    """The epoch under way, counted from 0."""
    batches: int = 0
    """How many of its batches are done."""
    iteration: int = 0
    """Batches since the start of the run."""
    seconds: float = 0.0
    """Since the start of the run, pauses left out."""
    epoch_seconds: float = 0.0
    """Of them in training batches of the epoch under way."""
    best_ap: float | None = None
    best_epoch: int | None = None
    """Counted from 1."""
    rows: tuple[EpochRow, ...] = ()
    resumed_at: tuple[int, ...] = ()
    """Epochs, counted from 1, in which the run was taken up again."""

    def as_mapping(self) -> dict[str, Any]:
        """For a file."""
        return {
            **{entry.name: getattr(self, entry.name) for entry in fields(self)},
            "rows": [asdict(row) for row in self.rows],
            "resumed_at": list(self.resumed_at),
        }

    @classmethod
    def of_mapping(cls, values: Mapping[str, Any]) -> Progress:
        """From a file."""
        rows = tuple(EpochRow(**row) for row in values["rows"])
        return cls(**{**values, "rows": rows, "resumed_at": tuple(values["resumed_at"])})

    def after_batch(self, *, seconds: float) -> Progress:
        """One batch later."""
        return replace(
            self,
            batches=self.batches + 1,
            iteration=self.iteration + 1,
            seconds=self.seconds + seconds,
            epoch_seconds=self.epoch_seconds + seconds,
        )

    def after_epoch(self, row: EpochRow, *, seconds: float) -> Progress:
        """One epoch later, with its row; `seconds` went by since its last batch."""
        is_best = row.ap is not None and (self.best_ap is None or row.ap > self.best_ap)
        return replace(
            self,
            epoch=self.epoch + 1,
            batches=0,
            epoch_seconds=0.0,
            seconds=self.seconds + seconds,
            best_ap=row.ap if is_best else self.best_ap,
            best_epoch=row.epoch if is_best else self.best_epoch,
            rows=(*self.rows, row),
        )
