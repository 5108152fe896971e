"""Re-parameterisation: the same function with fewer, plainer layers, for inference."""

from __future__ import annotations

import copy
from typing import TypeVar, overload

from torch import nn

from gelan.model.blocks import Fusable
from gelan.model.detector import Detector

Network = TypeVar("Network", bound=nn.Module)


@overload
def reparameterize(network: Fusable) -> nn.Module: ...
@overload
def reparameterize(network: Network) -> Network: ...
def reparameterize(network: nn.Module) -> nn.Module:
    """A new network in evaluation mode with every `ConvNormAct` folded and every `RepConv` merged.

    Every `blocks.Fusable` is replaced by what its `fused` returns, a block of the user's own and
    the network itself included; one that stands in several places has one twin in all of them. A
    BatchNorm elsewhere, as in a foreign backbone, stays. The network given is left as it is.
    Outputs agree to float rounding; no parameter takes gradients.

    The `spec` of a detector is None in its twin, whose modules and tensors are no longer those that
    a spec describes: it cannot be stored as weights and built again, nor given an auxiliary part.
    """
    twin = copy.deepcopy(network).eval()
    for module in twin.modules():
        if isinstance(module, Detector):
            module.mark_reparameterized()
    twin = _fused(twin, {})
    for parameter in twin.parameters():
        parameter.requires_grad_(False)
    return twin.eval()


def _fused(module: nn.Module, twins: dict[nn.Module, nn.Module]) -> nn.Module:
    """The module with its parts changed in place, or its twin; each once, and kept in `twins`."""
    if module in twins:
        return twins[module]
    twins[module] = module.fused() if isinstance(module, Fusable) else module
    if twins[module] is module:
        # not named_children(), which names a part only once, however often it stands there
        for name, part in module._modules.items():
            if part is not None:
                module.add_module(name, _fused(part, twins))
    return twins[module]
