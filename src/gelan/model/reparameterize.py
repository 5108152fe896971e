"""Re-parameterisation: the same function with fewer, plainer layers, for inference."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

from gelan.model.blocks import Fusable
from gelan.model.detector import Detector

Network = TypeVar("Network", bound=nn.Module)


def reparameterize(network: Network) -> Network:
    """A new network in evaluation mode with every BatchNorm folded and every RepConv merged.

    Every module with a method `fused` is replaced by what that returns, a block of the user's
    own included. The network given is left as it is. Outputs agree to float rounding.

    The `spec` of a detector is None in its twin, whose modules and tensors are no longer those that
    a spec describes: it cannot be stored as weights and built again.
    """
    twin = copy.deepcopy(network).eval()
    for module in twin.modules():
        if isinstance(module, Detector):
            module.forget_spec()
    _fuse_children(twin)
    for parameter in twin.parameters():
        parameter.requires_grad_(False)
    return twin


def _fuse_children(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, Fusable):
            module.add_module(name, child.fused())
        else:
            _fuse_children(child)
