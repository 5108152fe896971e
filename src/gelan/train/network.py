"""The network that a run begins with: fresh or from a file, with or without PGI."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace

import torch

from gelan.config import to_mapping
from gelan.geometry.letterbox import Preprocessing
from gelan.model.auxiliary import attach_auxiliary, detach_auxiliary
from gelan.model.detector import Detector
from gelan.model.specs import AuxiliaryKind
from gelan.model.variants import VARIANTS, build, name_of
from gelan.structures.classes import ClassTable
from gelan.train.config import TrainConfig, pgi_epochs
from gelan.weights.changes import with_classes
from gelan.weights.checkpoint import Metadata
from gelan.weights.loading import LoadedWeights, load_weights

_OWN = "not stated: that of whoever trained it"


def starting_weights(
    config: TrainConfig, classes: ClassTable
) -> tuple[LoadedWeights, tuple[str, ...]]:
    """The network to begin with, for these classes, and what is to be said about it."""
    if config.weights is None:
        return _fresh(config, classes), ()
    loaded = load_weights(config.weights)
    preprocessing = replace(loaded.preprocessing, size=config.size)
    notes = (*loaded.notes, *loaded.training_notes)
    if loaded.classes.names != classes.names:
        loaded = with_classes(loaded, classes, seed=config.seed)
        notes = (*notes, *loaded.notes[len(notes) - len(loaded.training_notes) :])
    known = loaded.metadata.provenance
    origin = {key: known[key] for key in ("file", "sha256", "family") if key in known}
    metadata = replace(
        loaded.metadata,
        provenance={"family": "gelan", "began_with": origin},
        code_version=importlib.metadata.version("gelan"),
    )
    loaded = replace(
        loaded, classes=classes, preprocessing=preprocessing, metadata=metadata, notes=()
    )
    return loaded, notes


def _fresh(config: TrainConfig, classes: ClassTable) -> LoadedWeights:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        detector = build(config.model, num_classes=len(classes))
    assert detector.spec is not None
    preprocessing = Preprocessing(size=config.size)
    metadata = Metadata(
        architecture=to_mapping(detector.spec),
        names=classes.names,
        category_ids=classes.category_ids,
        preprocessing=to_mapping(preprocessing),
        training={},
        metrics={},
        licence=_OWN,
        provenance={"family": "gelan", "began_with": "fresh weights"},
        code_version=importlib.metadata.version("gelan"),
    )
    return LoadedWeights(
        detector=detector,
        classes=classes,
        preprocessing=preprocessing,
        metadata=metadata,
        notes=(),
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
