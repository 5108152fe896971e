"""What a published file says of itself beside its tensors: classes, training, metrics, licence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gelan.errors import CheckpointError
from gelan.structures.classes import ClassTable
from gelan.structures.coco import COCO
from gelan.weights.archive import FoundState
from gelan.weights.checkpoint import sha256_of
from gelan.weights.foreign import Converted
from gelan.weights.registry import proven

NAMELESS = "the file has no class names"
"""How a note about missing class names begins."""

_TRAINING = ("hyp", "args", "opt", "train_args")
"""Entries with arguments of the training run; a later one holds over an earlier one."""
_METRICS = ("train_metrics", "best_fitness")
"""Entries with results of the training run."""
_ORIGINS = {
    "multimediatechlab": ("MIT", "MultimediaTechLab"),
    "models": ("GPL-3.0", "WongKinYiu"),
    "ultralytics": ("AGPL-3.0", "ultralytics"),
}
"""Licence and owner of each program that publishes weights, by its layout or its classes."""


def classes_of(
    found: FoundState, num_classes: int, path: Path
) -> tuple[ClassTable, tuple[str, ...]]:
    """The classes of a published file, and a note where it has no names for them.

    Raises:
        CheckpointError: it has more or fewer names than class outputs.
    """
    if found.names is not None and len(found.names) != num_classes:
        raise CheckpointError(
            f"{path}: {len(found.names)} class names for {num_classes} class outputs"
        )
    if found.names is not None:
        known = tuple(found.names) == COCO.names
        return (COCO if known else ClassTable(found.names)), ()
    if num_classes == len(COCO):
        return COCO, (f"{NAMELESS}; its 80 classes are taken for those of COCO",)
    unnamed = ClassTable.unnamed(num_classes)
    return unnamed, (f"{NAMELESS}; they are called {_first(unnamed.names)}",)


def training_of(found: FoundState) -> dict[str, object]:
    """The arguments of the training run that the file tells; empty where it tells none."""
    told = [found.attributes.get(key) for key in _TRAINING]
    return {name: value for part in told if isinstance(part, dict) for name, value in part.items()}


def metrics_of(found: FoundState) -> dict[str, object]:
    """The metrics that the file tells; "best_fitness" stands beside those of `train_metrics`.

    A fitness that is no plain number (a pickled numpy array) stays among the attributes.
    """
    told = found.attributes.get("train_metrics")
    metrics = dict(told) if isinstance(told, dict) else {}
    fitness = found.attributes.get("best_fitness")
    return {**metrics, "best_fitness": fitness} if isinstance(fitness, (int, float)) else metrics


def licence_of(found: FoundState, family: str, sha256: str) -> str:
    """The licence that the file states or its sha256 proves, else in words what is known.

    The layout and the classes of a file only tell which program wrote it: a fine-tune looks alike.
    """
    entry = proven(sha256)
    if entry is not None:
        return f"{entry.licence} ({entry.origin})"
    if found.licence is not None:
        return found.licence
    program = str(found.attributes.get("class", "")).partition(".")[0]
    origin = _ORIGINS.get(program) or _ORIGINS.get(family)
    if origin is None:
        return "unknown: ask where the file came from"
    licence, owner = origin
    return (
        f"not stated in the file: {licence} if it is {owner}'s own file; "
        "a fine-tune's licence is its author's"
    )


def provenance_of(found: FoundState, converted: Converted, path: Path) -> dict[str, object]:
    """Where the network comes from; without training and metrics, which have fields of their own.

    The notes are added when the network is saved.
    """
    moved = {
        key
        for key in (*_TRAINING, *_METRICS)
        if isinstance(found.attributes.get(key), (dict, int, float))
    }
    return {
        "file": path.name,
        "sha256": sha256_of(path),
        "size_bytes": path.stat().st_size,
        "family": converted.recognised.layout.family,
        "entry": found.where,
        "attributes": {key: value for key, value in found.attributes.items() if key not in moved},
    }


def _first(names: Sequence[str]) -> str:
    return f"{names[0]!r}" if len(names) == 1 else f"{names[0]!r}, {names[1]!r}, ..."
