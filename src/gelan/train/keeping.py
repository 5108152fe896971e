"""The weights that a run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gelan.config import to_mapping
from gelan.model.detector import Detector
from gelan.structures.history import EpochRow
from gelan.train.run_folder import RunFolder
from gelan.train.start import Prepared
from gelan.weights.changes import without_auxiliary
from gelan.weights.loading import save_weights


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightsWriter:
    """Writes the averaged network after each epoch, with all that a user of it should know."""

    prepared: Prepared
    folder: RunFolder

    def __call__(self, detector: Detector, *, row: EpochRow, is_best: bool, is_last: bool) -> None:
        """`last`, `best` and a kept epoch, where it is one."""
        if is_last:
            self._write(self.folder.last, detector, row, with_auxiliary=True)
        every = self.prepared.config.keep_every
        is_kept = every > 0 and row.epoch % every == 0
        if is_best:
            self._write(self.folder.best, detector, row, with_auxiliary=False)
        if is_kept:
            self._write(self.folder.kept(row.epoch), detector, row, with_auxiliary=False)

    def _write(
        self, path: Path, detector: Detector, row: EpochRow, *, with_auxiliary: bool
    ) -> None:
        prepared, metadata = self.prepared, self.prepared.weights.metadata
        training = {
            "epoch": row.epoch,
            "settings": to_mapping(prepared.config),
            "classes": [
                {"source_id": entry.source_id, "index": entry.index, "name": entry.name}
                for entry in prepared.data.description.mapping()
            ],
            "data": prepared.data.description.headline,
            "fingerprint": prepared.data.fingerprint,
        }
        measured = {"ap": row.ap, "ap50": row.ap50, "ap75": row.ap75}
        found: dict[str, object] = {
            name: value for name, value in measured.items() if value is not None
        }
        if found:
            found["split"] = prepared.config.val_split
        weights = replace(
            prepared.weights,
            detector=detector,
            metadata=replace(metadata, training=training, metrics=found),
        )
        if not with_auxiliary:
            weights = without_auxiliary(weights)
        save_weights(path, weights, overwrite=True)
