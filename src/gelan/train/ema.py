"""The moving average of a network's weights, which is evaluated and kept instead of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gelan.errors import CheckpointError
from gelan.train.config import EmaConfig

Place = tuple[nn.Module, str]
"""The module that has a tensor, and the tensor's name there."""


_UPDATES = "updates"


class _Pairs(NamedTuple):
    """Tensors of the average, and where in the network each of them has its model."""

    ours: list[Tensor]
    theirs: list[Place]

    def now(self) -> tuple[list[Tensor], list[Tensor]]:
        """Both lists of tensors; the network's are looked up, since `to` may exchange them."""
        return self.ours, [getattr(owner, name) for owner, name in self.theirs]


class Ema:
    """An average over the steps of everything in a network that is a real number.

    After the n-th step, average = d * average + (1 - d) * weights, where d = decay * (1 -
    exp(-n / ramp)): early averages forget fast, since the first weights are worth little
    (published recipe). BatchNorm's statistics are averaged as parameters are; whole numbers are
    copied. The average is in float32 whatever the network is in, and what does not change in the
    network (frozen parts) stays bit-identical in it.
    """

    module: nn.Module
    """The averaged network: in evaluation mode, without gradients, to be called."""
    updates: int
    """How many steps it has seen."""

    def __init__(self, module: nn.Module, config: EmaConfig) -> None:
        self.config = config
        self.updates = 0
        self.module = copy.deepcopy(module).float().eval().requires_grad_(False)
        self._followed: nn.Module | None = None
        self._real = self._whole = _Pairs([], [])

    def decay_at(self, updates: int) -> float:
        """How much of the average remains at the n-th update; 0 before the first."""
        return self.config.decay * (1 - math.exp(-updates / self.config.ramp))

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take in the module's weights after a step.

        The first call pairs the tensors by name, which takes longer than the update itself. A
        module whose parts are exchanged afterwards must be paired again: see `drop`.

        Raises:
            ValueError: the names of the tensors differ from those of the average.
        """
        if module is not self._followed:
            self._pair_with(module)
        self.updates += 1
        ours, theirs = self._real.now()
        if ours:
            values = [value.to(average.dtype) for average, value in zip(ours, theirs, strict=True)]
            torch._foreach_lerp_(ours, values, 1 - self.decay_at(self.updates))
        ours, theirs = self._whole.now()
        if ours:
            torch._foreach_copy_(ours, theirs)

    def drop(self, prefix: str) -> None:
        """Forget a part, such as "auxiliary", that was taken off the network; its slot is None."""
        parent, _, name = prefix.rpartition(".")
        setattr(self.module.get_submodule(parent), name, None)
        self._followed = None

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors of the average under the network's names (not copies), and "updates"."""
        return {**self.module.state_dict(), _UPDATES: torch.tensor(self.updates)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a saved average, exactly.

        Raises:
            CheckpointError: tensors are missing, too many, or of other shapes.
        """
        tensors = dict(state)
        updates = tensors.pop(_UPDATES, None)
        ours = self.module.state_dict()
        odd = sorted(ours.keys() ^ tensors.keys())
        odd += sorted(
            key for key in ours if key not in odd and ours[key].shape != tensors[key].shape
        )
        if updates is None or odd:
            first = _UPDATES if updates is None else odd[0]
            raise CheckpointError(
                f"the saved average is not of this network: {first!r} is missing, unknown or of "
                "another shape; was the run made with other settings?"
            )
        self.module.load_state_dict(tensors)
        self.updates = int(updates)

    def _pair_with(self, module: nn.Module) -> None:
        ours, theirs = self.module.state_dict(), _places(module)
        odd = sorted(ours.keys() ^ theirs.keys())
        if odd:
            raise ValueError(
                f"{len(odd)} tensors are in the average or in the network alone, first {odd[0]!r}; "
                "drop a part from the average when it is taken off the network"
            )
        real = [path for path in ours if ours[path].is_floating_point()]
        whole = [path for path in ours if not ours[path].is_floating_point()]
        self._real, self._whole = (
            _Pairs([ours[path] for path in paths], [theirs[path] for path in paths])
            for paths in (real, whole)
        )
        self._followed = module


def _places(module: nn.Module) -> dict[str, Place]:
    """The owner of every tensor in a module's state, by the name in that state."""
    places: dict[str, Place] = {}
    for path in module.state_dict():
        owner, _, name = path.rpartition(".")
        places[path] = (module.get_submodule(owner), name)
    return places
