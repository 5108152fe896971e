"""Any readable weights file -> a network with everything that is known about it, and back."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gelan.config import from_mapping, to_mapping
from gelan.errors import CheckpointError, ConfigError
from gelan.geometry.letterbox import Preprocessing
from gelan.model.blocks import NORM_EPSILON
from gelan.model.detector import Detector, build_detector
from gelan.model.specs import DetectorSpec
from gelan.structures.classes import ClassTable
from gelan.structures.coco import COCO
from gelan.weights.archive import FoundState, find_state, read_archive
from gelan.weights.checkpoint import (
    Container,
    Metadata,
    container_of,
    in_single_precision,
    is_own_format,
    read_checkpoint,
    read_tensors,
    require_same_tensors,
    save_checkpoint,
    sha256_of,
)
from gelan.weights.foreign import Converted, convert

_NAMELESS = "the file has no class names"
_LICENCES = {
    "multimediatechlab": "MIT (MultimediaTechLab/YOLO)",
    "AGPL-3.0": "AGPL-3.0 (ultralytics)",
    "GPL-3.0": "GPL-3.0 (WongKinYiu/yolov9)",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedWeights:
    """A network read from a file, on the CPU, in float32 and evaluation mode."""

    detector: Detector
    """With its auxiliary part if the file holds one."""
    classes: ClassTable
    preprocessing: Preprocessing
    metadata: Metadata
    notes: tuple[str, ...]
    """What a user should know about this file, a sentence each."""
    training_notes: tuple[str, ...] = ()
    """What matters only to one who trains the network on."""


def load_weights(path: Path) -> LoadedWeights:
    """The network in a weights file of ours or of any published family, recognised by content.

    Raises:
        CheckpointError: the file is damaged, hostile, or holds no network that is known.
    """
    if is_own_format(path):
        return _own(path)
    found = _found(path)
    converted = convert(found.tensors, source=str(path))
    classes, notes = _classes(found, converted.recognised.spec.num_classes, path)
    metadata = Metadata(
        architecture=to_mapping(converted.recognised.spec),
        names=classes.names,
        category_ids=classes.category_ids,
        preprocessing=to_mapping(Preprocessing()),
        training={},
        metrics={},
        licence=_licence(found, converted),
        provenance=_provenance(found, converted, path),
        code_version=importlib.metadata.version("gelan"),
    )
    return LoadedWeights(
        detector=converted.detector,
        classes=classes,
        preprocessing=Preprocessing(),
        metadata=metadata,
        notes=(*found.notes, *converted.notes, *notes),
        training_notes=converted.training_notes,
    )


def save_weights(path: Path, weights: LoadedWeights, *, overwrite: bool = False) -> None:
    """Write a network in our own format; with its auxiliary part if that is attached.

    Raises:
        ConfigError: its backbone is not ours, so the file could not be read again.
        CheckpointError: the file exists, or cannot be written.
    """
    spec = weights.detector.spec
    if spec is None:
        raise ConfigError("a network on a foreign backbone has no spec to store: save its tensors")
    metadata = replace(
        weights.metadata,
        architecture=to_mapping(spec),
        names=weights.classes.names,
        category_ids=weights.classes.category_ids,
        preprocessing=to_mapping(weights.preprocessing),
    )
    save_checkpoint(path, weights.detector.state_dict(), metadata=metadata, overwrite=overwrite)


def with_classes(weights: LoadedWeights, classes: ClassTable) -> LoadedWeights:
    """The network for other classes, to be trained on: all but the class outputs is taken over.

    The last convolution of each class tower is new (its bias the published prior); the notes
    name these tensors. Nothing is taken over by class name, and nothing else is left.
    """
    old = weights.detector.spec
    if old is None:
        raise ConfigError("a network on a foreign backbone cannot be built anew for other classes")
    detector = build_detector(replace(old, num_classes=len(classes)))
    fresh, known = detector.state_dict(), weights.detector.state_dict()
    new = [name for name in fresh if _is_class_output(name)]
    detector.load_state_dict({**known, **{name: fresh[name] for name in new}}, strict=True)
    note = (
        f"{len(new)} of {len(fresh)} tensors were not taken over, for {len(classes)} classes "
        f"instead of {len(weights.classes)}: {', '.join(new)}"
    )
    return replace(weights, detector=detector.eval(), classes=classes, notes=(*weights.notes, note))


def renamed(weights: LoadedWeights, classes: ClassTable) -> LoadedWeights:
    """The same network with other names for its classes; notes about missing names are gone.

    Raises:
        ConfigError: there are more or fewer names than classes.
    """
    if len(classes) != len(weights.classes):
        raise ConfigError(
            f"{len(classes)} names were given for a network of {len(weights.classes)} classes"
        )
    notes = tuple(note for note in weights.notes if not note.startswith(_NAMELESS))
    return replace(weights, classes=classes, notes=notes)


def _is_class_output(name: str) -> bool:
    """Whether a tensor belongs to the last convolution of a class tower."""
    parts = name.removeprefix("auxiliary.").split(".")
    return parts[:2] == ["head", "classes"] and parts[3] == "2"


def _own(path: Path) -> LoadedWeights:
    tensors, metadata = read_checkpoint(path)
    try:
        where = f"{path}: architecture"
        spec = from_mapping(DetectorSpec, metadata.architecture, where=where)
        where = f"{path}: preprocessing"
        preprocessing = from_mapping(Preprocessing, metadata.preprocessing, where=where)
        classes = ClassTable(metadata.names, metadata.category_ids)
        with torch.device("meta"):
            detector = build_detector(spec)
    except ConfigError as error:
        raise CheckpointError(str(error)) from None
    if len(classes) != spec.num_classes:
        raise CheckpointError(
            f"{path}: {spec.num_classes} classes in its architecture, {len(classes)} names"
        )
    empty = detector.state_dict()
    shapes = {name: tensor.shape for name, tensor in empty.items()}
    require_same_tensors(shapes, tensors, path=path, looks_like="a file of ours, but damaged")
    state = in_single_precision(tensors, empty, path=path)
    detector.load_state_dict(state, strict=True, assign=True)
    return LoadedWeights(
        detector=detector.eval(),
        classes=classes,
        preprocessing=preprocessing,
        metadata=metadata,
        notes=(),
    )


def _found(path: Path) -> FoundState:
    """The tensors of a file that is not ours: a torch file, or bare safetensors."""
    if container_of(path) is Container.SAFETENSORS:
        tensors = read_tensors(path)
        return FoundState(
            tensors=tensors, where="", names=None, licence=None, attributes={}, notes=()
        )
    found = find_state(read_archive(path))
    epsilons = found.attributes.get("batch_norm_epsilons") or [NORM_EPSILON]
    if epsilons != [NORM_EPSILON]:
        raise CheckpointError(
            f"{path}: its BatchNorm layers have epsilon {epsilons}, where every published network "
            f"has {NORM_EPSILON}; it would give slightly wrong outputs here"
        )
    return found


def _classes(found: FoundState, num_classes: int, path: Path) -> tuple[ClassTable, tuple[str, ...]]:
    """The classes of a published file; its names where it has any."""
    if found.names is not None and len(found.names) != num_classes:
        raise CheckpointError(
            f"{path}: {len(found.names)} class names for {num_classes} class outputs"
        )
    if found.names is not None:
        known = tuple(found.names) == COCO.names
        return (COCO if known else ClassTable(found.names)), ()
    if num_classes == len(COCO):
        return COCO, (f"{_NAMELESS}; its 80 classes are taken for those of COCO",)
    unnamed = ClassTable.unnamed(num_classes)
    return unnamed, (f"{_NAMELESS}; they are called {_first(unnamed.names)}",)


def _first(names: Sequence[str]) -> str:
    return f"{names[0]!r}" if len(names) == 1 else f"{names[0]!r}, {names[1]!r}, ..."


def _licence(found: FoundState, converted: Converted) -> str:
    family = converted.recognised.layout.family
    if found.licence is not None:
        return _LICENCES.get(found.licence, found.licence)
    return _LICENCES.get(family, "unknown: ask where the file came from")


def _provenance(found: FoundState, converted: Converted, path: Path) -> dict[str, object]:
    return {
        "file": path.name,
        "sha256": sha256_of(path),
        "size_bytes": path.stat().st_size,
        "family": converted.recognised.layout.family,
        "entry": found.where,
        "attributes": found.attributes,
        "notes": [*found.notes, *converted.notes, *converted.training_notes],
    }
