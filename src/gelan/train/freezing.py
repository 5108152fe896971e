"""Parts of a network that stay as they are while the rest learns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from torch import nn

from gelan.errors import ConfigError, nearest

Kind = TypeVar("Kind", bound=nn.Module)


class HeldStill(nn.Module):
    """A module that stays in evaluation mode, whatever `train` is told.

    A BatchNorm so held uses its running statistics and never changes them.
    """

    def train(self: Kind, mode: bool = True) -> Kind:
        """Itself, in evaluation mode."""
        return nn.Module.train(self, mode=False)


def freeze(detector: nn.Module, parts: Sequence[str]) -> tuple[str, ...]:
    """Hold parts of the network still for good; the names of all tensors that stand still now.

    Parts are modules by name: "backbone", "backbone.base.stage3", "neck.top_down". Their
    parameters get no gradient, and the normalisations in them stay in evaluation mode, so that
    running statistics stand still, too. Freeze before the optimizer is made, and after
    `synchronize_batch_norm`.

    Raises:
        ConfigError: no part of the network has one of the names.
    """
    known = [name for name, _ in detector.named_modules() if name]
    for part in parts:
        if part not in known:
            raise ConfigError(
                f"freeze: the network has no part {part!r}{nearest(part, known)} "
                f"(the largest: {', '.join(name for name, _ in detector.named_children())})"
            )
    for part in parts:
        module = detector.get_submodule(part).requires_grad_(False)
        for inner in module.modules():
            if isinstance(inner, nn.modules.batchnorm._NormBase):
                _hold_still(inner)
    prefixes = tuple(f"{part}." for part in parts)
    return tuple(name for name in detector.state_dict() if name.startswith(prefixes))


def _hold_still(module: nn.Module) -> None:
    if not isinstance(module, HeldStill):
        module.__class__ = _held_still(type(module))  # type: ignore[arg-type]  # it is hashable
    module.eval()


@cache
def _held_still(kind: type[nn.Module]) -> type[nn.Module]:
    """A kind of module that is `HeldStill`, otherwise the same.

    Made from the class itself, since a foreign backbone may have a normalisation with a forward
    pass of its own.
    """
    return type(f"HeldStill{kind.__name__}", (HeldStill, kind), {})
