"""Published tensors become ours: names mapped, folded BatchNorm unfolded, nothing guessed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gelan.errors import CheckpointError, ConfigError
from gelan.model.blocks import NORM_EPSILON
from gelan.model.detector import Detector, build_detector
from gelan.weights.checkpoint import in_single_precision, require_same_tensors
from gelan.weights.recognise import Recognised, recognise

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Converted:
    """A published network in our form."""

    detector: Detector
    recognised: Recognised
    notes: tuple[str, ...]
    """What a user should know: tensors of another task that were left behind."""
    training_notes: tuple[str, ...]
    """What matters only to one who trains it on: statistics that were folded away."""


def convert(tensors: Tensors, *, source: str) -> Converted:
    """The detector of a published file's tensors, in float32 and evaluation mode.

    A file with BatchNorm folded into its convolutions, or with RepConv merged, becomes the
    ordinary network with statistics of 0 and 1: the same function, and it can be trained.

    Raises:
        CheckpointError: a tensor is missing, surplus or misshapen, or a constant is not what it
            must be; names the tensor and says what the file looks like.
    """
    theirs = _without_prefix(tensors)
    try:
        recognised = recognise({name: tuple(tensor.shape) for name, tensor in theirs.items()})
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from None
    detector = _on_meta(recognised, source=source)
    wanted = {recognised.layout.theirs(ours): ours for ours in detector.state_dict()}
    kept, notes = _leave_behind(theirs, recognised, source=source)
    training_notes = _unfold(kept, set(wanted))
    for name in wanted:
        if name.endswith(".num_batches_tracked"):
            kept.setdefault(name, torch.zeros((), dtype=torch.long))
    empty = detector.state_dict()
    shapes = {theirs: empty[ours].shape for theirs, ours in wanted.items()}
    require_same_tensors(shapes, kept, path=source, looks_like=_file_of(recognised.name))
    like = {theirs: empty[ours] for theirs, ours in wanted.items()}
    single = in_single_precision(kept, like, path=source)
    state = {ours: single[theirs] for theirs, ours in wanted.items()}
    detector.load_state_dict(state, strict=True, assign=True)
    return Converted(detector.eval(), recognised, tuple(notes), tuple(training_notes))


def _file_of(name: str) -> str:
    """What a file of that network is; without its auxiliary part, yolov9-c is as gelan-c."""
    converted = f" (or converted {name.replace('gelan-', 'yolov9-')})"
    return f"a {name}{converted if name.startswith('gelan-') else ''} file"


def _on_meta(recognised: Recognised, *, source: str) -> Detector:
    try:
        with torch.device("meta"):
            return build_detector(recognised.spec)
    except ConfigError as error:
        raise CheckpointError(f"{source}: looks like {recognised.name}, but {error}") from None


def _without_prefix(tensors: Tensors) -> dict[str, Tensor]:
    """Layer numbers first: "model.0.conv.weight" -> "0.conv.weight"."""
    prefix = "model."
    if all(name.startswith(prefix) for name in tensors):
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return dict(tensors)


def _leave_behind(
    tensors: dict[str, Tensor], recognised: Recognised, *, source: str
) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors that have a place here; constants are checked, other tasks' parts reported."""
    layout = recognised.layout
    bins = recognised.spec.head.bins
    kept, left = {}, []
    for name, tensor in tensors.items():
        if name in layout.constants:
            if tensor.numel() != bins or tensor.flatten().tolist() != list(range(bins)):
                raise CheckpointError(
                    f"{source}: tensor {name!r} should be the constants 0 .. {bins - 1}"
                )
        elif layout.has_no_place_for(name):
            left.append(name)
        else:
            kept[name] = tensor
    if not left:
        return kept, []
    note = (
        f"{len(left)} tensors of a mask branch were left behind, first {left[0]!r}: "
        "this network predicts boxes only"
    )
    return kept, [note]


def _unfold(tensors: dict[str, Tensor], wanted: set[str]) -> list[str]:
    """Give folded convolutions a BatchNorm that changes nothing, and merged ones two branches.

    Changes `tensors`; returns what to tell the user.
    """
    merged = 0
    for name in wanted:
        owner, found, _ = name.rpartition(".conv1.conv.weight")
        if found and f"{owner}.conv.weight" in tensors and f"{owner}.conv.bias" in tensors:
            _split_merged(tensors, owner)
            merged += 1
    folded = 0
    for name in wanted:
        owner, found, _ = name.rpartition(".bn.weight")
        if found and name not in tensors and f"{owner}.conv.bias" in tensors:
            _add_norm(tensors, owner, tensors.pop(f"{owner}.conv.bias"))
            folded += 1
    notes = []
    if folded:
        notes.append(
            f"BatchNorm was folded into {folded} convolutions: its statistics are lost, and the "
            "network starts training from means of 0 and variances of 1"
        )
    if merged:
        notes.append(f"{merged} re-parameterised convolutions were merged: their 1x1 paths are 0")
    return notes


def _split_merged(tensors: dict[str, Tensor], owner: str) -> None:
    weight = tensors.pop(f"{owner}.conv.weight")
    bias = tensors.pop(f"{owner}.conv.bias")
    tensors[f"{owner}.conv1.conv.weight"] = weight
    tensors[f"{owner}.conv1.conv.bias"] = bias
    tensors[f"{owner}.conv2.conv.weight"] = weight.new_zeros((*weight.shape[:2], 1, 1))
    tensors[f"{owner}.conv2.conv.bias"] = torch.zeros_like(bias)


def _add_norm(tensors: dict[str, Tensor], owner: str, bias: Tensor) -> None:
    norm = f"{owner}.bn"
    tensors[f"{norm}.weight"] = torch.full_like(bias.float(), math.sqrt(1 + NORM_EPSILON))
    tensors[f"{norm}.bias"] = bias
    tensors[f"{norm}.running_mean"] = torch.zeros_like(bias)
    tensors[f"{norm}.running_var"] = torch.ones_like(bias)
