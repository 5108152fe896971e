"""What a network costs: parameters and arithmetic, counted without memory for its weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gelan.model.detector import Detector, build_detector
from gelan.model.reparameterize import reparameterize
from gelan.model.specs import DetectorSpec


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one form of a network."""

    parameters: int
    gflops: float
    """10**9 operations for one image, two a multiply-add of convolutions."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Of the three forms that a network takes."""

    training: Cost
    """With its auxiliary part, if it has one."""
    inference: Cost
    """Without it."""
    folded: Cost
    """Without it, and re-parameterised: what is deployed."""


def costs(spec: DetectorSpec, *, size: int = 640) -> Costs:
    """What the network of a spec costs for square images of `size` pixels."""
    with torch.device("meta"):
        training = build_detector(spec).eval()
        inference = build_detector(replace(spec, auxiliary=None)).eval()
    return Costs(
        training=cost(training, size=size),
        inference=cost(inference, size=size),
        folded=cost(reparameterize(inference), size=size),
    )


def cost(network: Detector, *, size: int = 640) -> Cost:
    """What one network, in the form that it has now, costs for a square image."""
    device = next(network.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, size, size, device=device))
    return Cost(count_parameters(network), float(counter.get_total_flops()) / 1e9)


def count_parameters(network: nn.Module) -> int:
    """How many numbers are learnt; BatchNorm statistics are not."""
    return sum(parameter.numel() for parameter in network.parameters())
