"""Any readable weights file -> a network with everything that is known about it, and back."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from gelan.config import from_mapping, to_mapping
from gelan.errors import CheckpointError, ConfigError
from gelan.geometry.letterbox import Preprocessing
from gelan.model.blocks import NORM_EPSILON
from gelan.model.detector import Detector, build_detector
from gelan.model.specs import DetectorSpec
from gelan.structures.classes import ClassTable
from gelan.weights.archive import FoundState, find_state, one_line_errors, read_archive
from gelan.weights.checkpoint import (
    Metadata,
    in_single_precision,
    is_own_format,
    read_checkpoint,
    read_tensors,
    require_same_tensors,
    save_checkpoint,
)
from gelan.weights.containers import Container, container_of
from gelan.weights.facts import (
    NAMELESS,
    classes_of,
    fault_of_names,
    licence_of,
    metrics_of,
    provenance_of,
    require_names,
    training_of,
)
from gelan.weights.foreign import convert
from gelan.weights.naming import network_in_words

_OWN_LICENCE = "not stated: whoever trained the network decides"
_NO_SPEC = (
    "this network has no spec: it is re-parameterised, or on a backbone from elsewhere. A weights "
    "file needs one: save the network from before reparameterize(), or its state_dict() alone"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedWeights:
    """A network and everything about it, as a weights file holds it.

    From a file it comes on the CPU, in float32 and evaluation mode.
    """

    detector: Detector
    """With its auxiliary part if the file holds one."""
    classes: ClassTable
    preprocessing: Preprocessing
    metadata: Metadata
    """`save_weights` brings architecture, classes, preprocessing and notes in it up to date."""
    notes: tuple[str, ...]
    """What a user should know about this network, a sentence each; kept in the file."""
    training_notes: tuple[str, ...] = ()
    """What matters only to one who trains the network on; kept in the file, too."""

    @property
    def description(self) -> str:
        """What the network is, as far as its file tells: "yolov9-c, auxiliary part left out"."""
        spec = self.detector.spec
        if spec is None:
            return "a network of its own"
        return network_in_words(spec, self.metadata.provenance)


def load_weights(path: Path) -> LoadedWeights:
    """The network in a weights file of ours or of any published family, recognised by content.

    Raises:
        CheckpointError: the file is damaged, hostile, or holds no network that is known.
    """
    with one_line_errors(path):
        return _own(path) if is_own_format(path) else _published(path)


def save_weights(path: Path, weights: LoadedWeights, *, overwrite: bool = False) -> None:
    """Write a network in our own format; with its auxiliary part if that is attached.

    The file appears whole or not at all, and replaces none unless `overwrite` is set.
    `new_weights` makes a `LoadedWeights` of a network that was just trained.

    Raises:
        ConfigError: the network has no spec, or is not as its spec says (re-parameterised, on a
            foreign backbone), or its class names are empty, equal or absurdly long, so the file
            could not be read again.
        CheckpointError: the file exists, cannot be written, or what is said about the network is
            nothing that JSON can hold.
    """
    spec = weights.detector.spec
    if spec is None:
        raise ConfigError(_NO_SPEC)
    _require_usable(weights.classes)
    state = weights.detector.state_dict()
    _require_as_specified(spec, state)
    notes = {"notes": [*weights.notes], "training_notes": [*weights.training_notes]}
    metadata = replace(
        weights.metadata,
        architecture=to_mapping(spec),
        names=weights.classes.names,
        category_ids=weights.classes.category_ids,
        preprocessing=to_mapping(weights.preprocessing),
        provenance={**weights.metadata.provenance, **notes},
        code_version=importlib.metadata.version("gelan"),
    )
    save_checkpoint(path, state, metadata=metadata, overwrite=overwrite)


def new_weights(
    detector: Detector,
    classes: ClassTable,
    *,
    training: Mapping[str, object],
    metrics: Mapping[str, object],
    preprocessing: Preprocessing | None = None,
    start: LoadedWeights | None = None,
    notes: tuple[str, ...] = (),
) -> LoadedWeights:
    """A network that was trained here, with what its file shall say.

    `training` holds the arguments of the run and `metrics` its results, as JSON can hold them.
    `start` is what the training began with: its licence holds on, and the file names it.
    `preprocessing` is the default where it is left out.

    Raises:
        ConfigError: the network has no spec, another number of classes, or class names that are
            empty, equal or absurdly long.
    """
    spec = detector.spec
    if spec is None:
        raise ConfigError(_NO_SPEC)
    if len(classes) != spec.num_classes:
        raise ConfigError(f"{len(classes)} names for a network of {spec.num_classes} classes")
    _require_usable(classes)
    used = Preprocessing() if preprocessing is None else preprocessing
    metadata = Metadata(
        architecture=to_mapping(spec),
        names=classes.names,
        category_ids=classes.category_ids,
        preprocessing=to_mapping(used),
        training=dict(training),
        metrics=dict(metrics),
        licence=_OWN_LICENCE if start is None else start.metadata.licence,
        provenance={} if start is None else {"started_from": start.metadata.provenance},
        code_version=importlib.metadata.version("gelan"),
    )
    return LoadedWeights(
        detector=detector, classes=classes, preprocessing=used, metadata=metadata, notes=notes
    )


def _published(path: Path) -> LoadedWeights:
    found = _found(path)
    converted = convert(found.tensors, source=str(path))
    recognised = converted.recognised
    classes, notes = classes_of(found, recognised.spec.num_classes, path)
    provenance = provenance_of(found, converted, path)
    metadata = Metadata(
        architecture=to_mapping(recognised.spec),
        names=classes.names,
        category_ids=classes.category_ids,
        preprocessing=to_mapping(Preprocessing()),
        training=training_of(found),
        metrics=metrics_of(found),
        licence=licence_of(found, str(provenance["family"])),
        provenance=provenance,
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
    activations = found.attributes.get("activations") or ["SiLU"]
    if activations != ["SiLU"]:
        raise CheckpointError(
            f"{path}: its activations are {activations}, where every network that is read here "
            "has SiLU; it would give wrong outputs"
        )
    return found


def _own(path: Path) -> LoadedWeights:
    tensors, metadata = read_checkpoint(path)
    try:
        where = f"{path}: architecture"
        spec = from_mapping(DetectorSpec, metadata.architecture, where=where)
        where = f"{path}: preprocessing"
        preprocessing = from_mapping(Preprocessing, metadata.preprocessing, where=where)
        require_names(metadata.names, path)
        classes = ClassTable(metadata.names, metadata.category_ids)
        if len(classes) != spec.num_classes:
            raise CheckpointError(
                f"{path}: {spec.num_classes} classes in its architecture, {len(classes)} names"
            )
        _require_enough(len(tensors), spec, path)
        detector = _empty(spec)
    except ConfigError as error:
        raise CheckpointError(_with_path(str(error), path)) from None
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
        notes=_notes(metadata, "notes", path),
        training_notes=_notes(metadata, "training_notes", path),
    )


def _require_usable(classes: ClassTable) -> None:
    fault = fault_of_names(classes.names)
    if fault:
        raise ConfigError(f"{fault}; give each class a name of its own")


def _empty(spec: DetectorSpec) -> Detector:
    """The network without any memory for its tensors."""
    with torch.device("meta"):
        return build_detector(spec)


def _with_path(message: str, path: Path) -> str:
    return message if message.startswith(f"{path}: ") else f"{path}: architecture: {message}"


def _require_enough(num_tensors: int, spec: DetectorSpec, path: Path) -> None:
    """Building takes time for each block, however many a damaged header announces."""
    blocks = _blocks(to_mapping(spec))
    if blocks > num_tensors:
        raise CheckpointError(
            f"{path}: its architecture has {blocks:,} blocks, the file only {num_tensors:,} "
            "tensors; it is damaged: get a new copy"
        )


def _blocks(node: object) -> int:
    """How many blocks an architecture has at least; each has a tensor or more."""
    if not isinstance(node, dict):
        return 0
    inner = sum(_blocks(value) for value in node.values())
    branches, depth = node.get("branches", 0), node.get("depth", 0)
    assert isinstance(branches, int)
    assert isinstance(depth, int)
    return branches * max(1, depth) + inner


def _notes(metadata: Metadata, key: str, path: Path) -> tuple[str, ...]:
    held = metadata.provenance.get(key, [])
    if not isinstance(held, list) or not all(isinstance(note, str) for note in held):
        raise CheckpointError(f"{path}: provenance {key!r} is no list of texts: {held!r:.80}")
    return tuple(held)


def _require_as_specified(spec: DetectorSpec, state: Mapping[str, Tensor]) -> None:
    expected = {name: tensor.shape for name, tensor in _empty(spec).state_dict().items()}
    if expected != {name: tensor.shape for name, tensor in state.items()}:
        raise ConfigError(
            "the network's tensors are not those of its spec (was it changed after it was built?), "
            "so the file could not be read again; save its state_dict() alone"
        )


def renamed(weights: LoadedWeights, classes: ClassTable) -> LoadedWeights:
    """The same network with other names for its classes; notes about missing names are gone.

    Raises:
        ConfigError: there are more or fewer names than classes.
    """
    if len(classes) != len(weights.classes):
        raise ConfigError(
            f"{len(classes)} names were given for a network of {len(weights.classes)} classes"
        )
    notes = tuple(note for note in weights.notes if not note.startswith(NAMELESS))
    return replace(weights, classes=classes, notes=notes)
