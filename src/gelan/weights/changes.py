"""What can be changed about a network before it is stored: its classes, its auxiliary part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from gelan.errors import ConfigError
from gelan.model.detector import Detector, build_detector
from gelan.model.specs import DetectorSpec
from gelan.structures.classes import ClassTable
from gelan.weights.facts import NAMELESS
from gelan.weights.loading import LoadedWeights
from gelan.weights.naming import LEFT_OUT

_NO_SPEC = "a network without a spec (on a foreign backbone, re-parameterised) cannot be built anew"


def with_classes(weights: LoadedWeights, classes: ClassTable, *, seed: int = 0) -> LoadedWeights:
    """The network for other classes, to be trained on: all but the class outputs is taken over.

    The last convolution of each class tower is new: weights as PyTorch draws them, from a generator
    of `seed`, and the published prior as bias. The notes name these tensors. Nothing is taken over
    by class name, and nothing else is left; metrics of the old classes are gone.

    Raises:
        ConfigError: there is no class, or the network has no spec.
    """
    old = _spec_of(weights)
    if len(classes) < 1:
        raise ConfigError("a network needs at least 1 class")
    detector = _fresh(replace(old, num_classes=len(classes)), seed)
    fresh, known = detector.state_dict(), weights.detector.state_dict()
    new = [name for name in fresh if is_class_output(name)]
    detector.load_state_dict({**known, **{name: fresh[name] for name in new}}, strict=True)
    note = (
        f"{len(new)} of {len(fresh)} tensors were not taken over, for {len(classes)} classes "
        f"instead of {len(weights.classes)}: {', '.join(new)}; until they are trained, its "
        "detections mean nothing"
    )
    notes = tuple(note for note in weights.notes if not note.startswith(NAMELESS))
    return replace(
        weights,
        detector=detector.eval(),
        classes=classes,
        metadata=replace(weights.metadata, metrics={}),
        notes=(*notes, note),
    )


def without_auxiliary(weights: LoadedWeights) -> LoadedWeights:
    """The same network without its auxiliary part, which only training needs.

    A network that has none comes back as it is. The tensors are shared with the network given.

    Raises:
        ConfigError: the network has no spec.
    """
    spec = _spec_of(weights)
    if spec.auxiliary is None:
        return weights
    state = weights.detector.state_dict()
    main = {name: tensor for name, tensor in state.items() if not name.startswith("auxiliary.")}
    provenance = {**weights.metadata.provenance, "auxiliary": LEFT_OUT}
    return replace(
        weights,
        detector=_holding(replace(spec, auxiliary=None), main),
        metadata=replace(weights.metadata, provenance=provenance),
        training_notes=(*weights.training_notes, "the auxiliary part was left out"),
    )


def is_class_output(name: str) -> bool:
    """Whether a tensor of a detector belongs to the last convolution of a class tower."""
    parts = name.removeprefix("auxiliary.").split(".")
    return parts[:2] == ["head", "classes"] and parts[3] == "2"


def _spec_of(weights: LoadedWeights) -> DetectorSpec:
    spec = weights.detector.spec
    if spec is None:
        raise ConfigError(_NO_SPEC)
    return spec


def _fresh(spec: DetectorSpec, seed: int) -> Detector:
    """A new network whose class outputs follow from the seed; torch's own generator stays."""
    with torch.random.fork_rng(devices=[]):
        detector = build_detector(spec)
    generator = torch.Generator().manual_seed(seed)
    for name, module in detector.named_modules():
        if isinstance(module, nn.Conv2d) and is_class_output(f"{name}.weight"):
            # PyTorch's own rule for convolutions, which takes no generator there
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
    return detector


def _holding(spec: DetectorSpec, state: Mapping[str, Tensor]) -> Detector:
    """The network of a spec with exactly these tensors, which are shared."""
    with torch.device("meta"):
        detector = build_detector(spec)
    detector.load_state_dict(dict(state), strict=True, assign=True)
    return detector.eval()
