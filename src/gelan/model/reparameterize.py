"""Re-parameterisation: the same function with fewer, plainer layers, for inference."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def reparameterize(network: Network) -> Network:
    """A new network in evaluation mode with every BatchNorm folded and every RepConv merged.

    Every module with a method `fused` is replaced by what that returns, a block of the user's
    own included. The network given is left as it is. Outputs agree to float rounding.
    """
    twin = copy.deepcopy(network).eval()
    _fuse_children(twin)
    for parameter in twin.parameters():
        parameter.requires_grad_(False)
    return twin


def _fuse_children(module: nn.Module) -> None:
    for name, child in module.named_children():
        fused: Callable[[], nn.Module] | None = getattr(child, "fused", None)
        if fused is None:
            _fuse_children(child)
        else:
            module.add_module(name, fused())
