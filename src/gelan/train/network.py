"""The network that a run begins with: fresh or from a file, with or without PGI."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from gelan.geometry.letterbox import Preprocessing
from gelan.model.auxiliary import attach_auxiliary, detach_auxiliary
from gelan.model.detector import Detector
from gelan.model.specs import AuxiliaryKind
from gelan.model.variants import VARIANTS, build, name_of
from gelan.structures.classes import ClassTable
from gelan.train.config import TrainConfig, pgi_epochs
from gelan.weights.changes import with_classes
from gelan.weights.checkpoint import sha256_of
from gelan.weights.loading import LoadedWeights, load_weights, new_weights


def starting_weights(
    config: TrainConfig, classes: ClassTable
) -> tuple[LoadedWeights, tuple[str, ...]]:
    """The network to begin with, for these classes, and what is to be said about it."""
    if config.weights is None:
        return _fresh(config, classes), ()
    loaded = load_weights(config.weights)
    notes = (*loaded.notes, *loaded.training_notes)
    detector = loaded.detector
    if loaded.classes.names != classes.names:
        changed = with_classes(loaded, classes, seed=config.seed)
        notes = (*notes, *(note for note in changed.notes if note not in loaded.notes))
        detector = changed.detector
    weights = new_weights(
        detector,
        classes,
        training={},
        metrics={},
        preprocessing=Preprocessing(size=config.size),
        start=_named(loaded, config.weights),
    )
    return weights, notes


def _named(loaded: LoadedWeights, path: Path) -> LoadedWeights:
    """The weights with the file that they come from, for the file of those trained from them."""
    file = {"file": path.name, "sha256": sha256_of(path)}
    provenance = {**loaded.metadata.provenance, **file}
    return replace(loaded, metadata=replace(loaded.metadata, provenance=provenance))


def _fresh(config: TrainConfig, classes: ClassTable) -> LoadedWeights:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        detector = build(config.model, num_classes=len(classes))
    return new_weights(
        detector, classes, training={}, metrics={}, preprocessing=Preprocessing(size=config.size)
    )


def network_name(detector: Detector) -> str:
    """Its published name, or that it has none."""
    name = None if detector.spec is None else name_of(detector.spec)
    return name or "a network of your own"


def arrange_auxiliary(detector: Detector, config: TrainConfig) -> tuple[str, ...]:
    """Attach or detach PGI's part as the settings say; returns what is to be said about it."""
    if pgi_epochs(config) == 0:
        detach_auxiliary(detector)
        return ()
    wanted = published_kind(detector) if config.pgi_kind == "published" else config.pgi_kind
    present = detector.auxiliary
    if present is not None and present.spec.kind == wanted:
        return ()
    detach_auxiliary(detector)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed + 1)
        attach_auxiliary(detector, wanted)
    trained = "the weights come without one" if present is None else "they come with another kind"
    return (f"the auxiliary part ({wanted}) is new: {trained}",) if config.weights else ()


def published_kind(detector: Detector) -> AuxiliaryKind:
    """The kind of auxiliary branch that the published network of this size has; else a path."""
    size = network_name(detector).rpartition("-")[2]
    published = VARIANTS.get(f"yolov9-{size}")
    branch = None if published is None else published.auxiliary
    return "fpn" if branch is None else branch.kind
