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
from gelan.weights.naming import family_of
from gelan.weights.pickles import MAX_NAME_LENGTH

NAMELESS = "the file has no class names"
"""How a note about missing class names begins."""

_TRAINING = ("hyp", "args", "opt", "train_args")
"""Entries with arguments of the training run; a later one holds over an earlier one."""
_METRICS = ("train_metrics", "best_fitness")
"""Entries with results of the training run."""
_ORIGINS = {
    "multimediatechlab": ("MIT", "MultimediaTechLab"),
    "official": ("GPL-3.0", "WongKinYiu"),
    "ultralytics": ("AGPL-3.0", "ultralytics"),
}
"""Licence and owner of each program that publishes weights, by the family of its files."""


def classes_of(
    found: FoundState, num_classes: int, path: Path
) -> tuple[ClassTable, tuple[str, ...]]:
    """The classes of a published file, and a note where it has no names for them.

    Raises:
        CheckpointError: it has more or fewer names than class outputs, or names that do not tell
            the classes apart.
    """
    if found.names is not None and len(found.names) != num_classes:
        raise CheckpointError(
            f"{path}: {len(found.names)} class names for {num_classes} class outputs"
        )
    if found.names is not None:
        require_names(found.names, path)
        known = tuple(found.names) == COCO.names
        return (COCO if known else ClassTable(found.names)), ()
    if num_classes == len(COCO):
        return COCO, (f"{NAMELESS}; its 80 classes are taken for those of COCO",)
    unnamed = ClassTable.unnamed(num_classes)
    return unnamed, (f"{NAMELESS}; they are called {_first(unnamed.names)}",)


def require_names(names: Sequence[str], path: Path) -> None:
    """Refuse the names of a file where one is empty, stands twice or is absurdly long.

    Raises:
        CheckpointError: says which, in one line.
    """
    fault = fault_of_names(names)
    if fault:
        raise CheckpointError(f"{path}: {fault}; write the file with other names")


def fault_of_names(names: Sequence[str]) -> str:
    """Why these names do not tell classes apart, in words; "" if they do.

    >>> fault_of_names(("cat", "dog")), fault_of_names(("cat", "dog", "cat"))
    ('', "classes 0 and 2 are both called 'cat'")
    """
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if not name.strip():
            return f"the name of class {index} is empty"
        if len(name) > MAX_NAME_LENGTH:
            return (
                f"the name of class {index} has {len(name):,} characters, more than "
                f"{MAX_NAME_LENGTH:,}"
            )
        if name in first:
            return f"classes {first[name]} and {index} are both called {name!r:.80}"
        first[name] = index
    return ""


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


def licence_of(found: FoundState, family: str) -> str:
    """The licence that the file states, else in words what is known.

    The layout and the classes of a file only tell which program wrote it: a fine-tune looks alike.
    """
    if found.licence is not None:
        return found.licence
    if family not in _ORIGINS:
        return "unknown: ask where the file came from"
    licence, owner = _ORIGINS[family]
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
        "family": family_of(converted.recognised.layout.family, found.attributes),
        "entry": found.where,
        "attributes": {key: value for key, value in found.attributes.items() if key not in moved},
    }


def _first(names: Sequence[str]) -> str:
    return f"{names[0]!r}" if len(names) == 1 else f"{names[0]!r}, {names[1]!r}, ..."
