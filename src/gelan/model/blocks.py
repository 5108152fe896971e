"""The building blocks of GELAN (Sec. 4.2): plain convolutions only.

Maps are (batch, channels, height, width). Convolutions keep the size ("same" padding) unless they
halve it. A block that can be folded into fewer convolutions for inference is a `Fusable`: its
method `fused` returns the folded twin, and `model.reparameterize` calls it.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from gelan.errors import ConfigError, nearest
from gelan.model.specs import Downsampling, ElanSpec, PoolSpec, elans

Map = Float[Tensor, "batch _ _ _"]

NORM_EPSILON = 1e-3  # published networks; PyTorch's own default is 1e-5
NORM_MOMENTUM = 0.03  # published networks; PyTorch's own default is 0.1


class Fusable(nn.Module, ABC):
    """A block that has a folded twin for inference; a block of your own may be one, too."""

    @abstractmethod
    def fused(self) -> nn.Module:
        """The folded twin, in which nothing is left to fold; the block itself stays as it is."""


class ConvNormAct(Fusable):
    """Convolution, BatchNorm, SiLU."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False
        )
        self.norm = _norm(outputs)
        self.act: nn.Module = nn.SiLU()

    def forward(self, x: Map) -> Map:
        """The convolved, normalised and activated map."""
        out: Tensor = self.act(self.norm(self.conv(x)))
        return out

    def fused(self) -> nn.Sequential:
        """The same function as one convolution with bias, and the activation."""
        return nn.Sequential(fold_norm(self.conv, self.norm), _in_place(self.act))


class RepConv(Fusable):
    """A 3x3 and a 1x1 convolution side by side, each with BatchNorm, summed before one SiLU.

    There is no identity path. For inference the two become one 3x3 convolution.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv3 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm3 = _norm(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm1 = _norm(outputs)
        self.act: nn.Module = nn.SiLU()

    def forward(self, x: Map) -> Map:
        """The activated sum of both paths."""
        out: Tensor = self.act(self.norm3(self.conv3(x)) + self.norm1(self.conv1(x)))
        return out

    def fused(self) -> nn.Sequential:
        """The same function as one 3x3 convolution with bias, and the activation."""
        merged = fold_norm(self.conv3, self.norm3)
        small = fold_norm(self.conv1, self.norm1)
        assert merged.bias is not None
        assert small.bias is not None
        with torch.no_grad():
            merged.weight += functional.pad(small.weight, [1, 1, 1, 1])
            merged.bias += small.bias
        return nn.Sequential(merged, _in_place(self.act))


class Bottleneck(nn.Module):
    """Two 3x3 convolutions, the first re-parameterisable, around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rep = RepConv(width, width)
        self.conv = ConvNormAct(width, width, kernel=3)

    def forward(self, x: Map) -> Map:
        """`x` plus what two convolutions add to it."""
        out: Tensor = x + self.conv(self.rep(x))
        return out


class RepCSP(nn.Module):
    """Cross-stage partial block: half the width through `depth` bottlenecks, half passes by."""

    def __init__(self, inputs: int, outputs: int, *, depth: int) -> None:
        super().__init__()
        hidden = outputs // 2
        self.enter = ConvNormAct(inputs, hidden)
        self.bypass = ConvNormAct(inputs, hidden)
        self.bottlenecks = nn.Sequential(*(Bottleneck(hidden) for _ in range(depth)))
        self.leave = ConvNormAct(2 * hidden, outputs)

    def forward(self, x: Map) -> Map:
        """Both halves, aggregated by a 1x1 convolution."""
        deep = self.bottlenecks(self.enter(x))
        out: Tensor = self.leave(torch.cat([deep, self.bypass(x)], dim=1))
        return out


class ConvBlock(nn.Sequential):
    """`depth` plain 3x3 convolutions ("Conv" of Table 2)."""

    def __init__(self, inputs: int, outputs: int, *, depth: int) -> None:
        widths = [inputs] + [outputs] * depth
        super().__init__(*(ConvNormAct(a, b, kernel=3) for a, b in pairwise(widths)))


class ResidualUnit(nn.Module):
    """1x1 down to half, 3x3, 1x1 back, around a shortcut (He et al. 2016, bottleneck form)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce = ConvNormAct(width, width // 2)
        self.conv = ConvNormAct(width // 2, width // 2, kernel=3)
        self.expand = ConvNormAct(width // 2, width)

    def forward(self, x: Map) -> Map:
        """`x` plus the residual."""
        out: Tensor = x + self.expand(self.conv(self.reduce(x)))
        return out


class DarkUnit(nn.Module):
    """1x1 down to half, 3x3 back, around a shortcut (Darknet-53, Redmon and Farhadi 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce = ConvNormAct(width, width // 2)
        self.expand = ConvNormAct(width // 2, width, kernel=3)

    def forward(self, x: Map) -> Map:
        """`x` plus the residual."""
        out: Tensor = x + self.expand(self.reduce(x))
        return out


@runtime_checkable
class BlockMaker(Protocol):
    """Makes a module that keeps height and width; a class or a function with these arguments."""

    def __call__(self, inputs: int, outputs: int, /, *, depth: int) -> nn.Module:
        """The module for so many channels in and out."""
        ...


def _units(unit: Callable[[int], nn.Module]) -> BlockMaker:
    """A block of `depth` units that keep their width, after a 1x1 convolution where it changes."""

    def make(inputs: int, outputs: int, *, depth: int) -> nn.Sequential:
        adapt = [] if inputs == outputs else [ConvNormAct(inputs, outputs)]
        return nn.Sequential(*adapt, *(unit(outputs) for _ in range(depth)))

    return make


BLOCKS: dict[str, BlockMaker] = {
    "conv": ConvBlock,
    "residual": _units(ResidualUnit),
    "dark": _units(DarkUnit),
    "csp": RepCSP,
}
"""Computational blocks by name (Table 2). Add your own before a network is built:

    BLOCKS["mine"] = MyBlock  # called as MyBlock(inputs, outputs, depth=depth)

and name it in `ElanSpec(block="mine", ...)`; `docs/blocks.md` shows it end to end.
"""


def require_known_blocks(spec: object, *, place: str = "") -> None:
    """Refuse a spec, or a part of one at `place`, with a block that is not in `BLOCKS`.

    Raises:
        ConfigError: says where the block is named, and the nearest name; or that a block of the
            table is called "none".
    """
    if "none" in BLOCKS:
        raise ConfigError(
            "BLOCKS has a block called 'none', the word for no block at all: register it under "
            "another name"
        )
    for where, elan in elans(spec, place):
        if elan.block not in BLOCKS and elan.block != "none":
            name = elan.block[:60]
            known = ", ".join([*BLOCKS, "none"])
            raise ConfigError(
                f"{where + '.' if where else ''}block: no computational block is called "
                f"{name!r}{nearest(name, BLOCKS)} (known: {known}); a block of your own must be "
                "put into gelan.model.blocks.BLOCKS first"
            )


def _make_block(inputs: int, spec: ElanSpec) -> nn.Module:
    require_known_blocks(spec)
    return BLOCKS[spec.block](inputs, spec.branch, depth=spec.depth)


class Branch(nn.Module):
    """A computational block and a 3x3 convolution: one link in the chain of a GELAN block."""

    def __init__(self, inputs: int, spec: ElanSpec) -> None:
        super().__init__()
        plain = spec.block == "none"
        self.block = nn.Identity() if plain else _make_block(inputs, spec)
        self.conv = ConvNormAct(inputs if plain else spec.branch, spec.branch, kernel=3)

    def forward(self, x: Map) -> Map:
        """What this link adds to the aggregation."""
        out: Tensor = self.conv(self.block(x))
        return out


class GELAN(nn.Module):
    """Generalized efficient layer aggregation (Fig. 4c): every link of the chain is aggregated."""

    def __init__(self, inputs: int, spec: ElanSpec) -> None:
        super().__init__()
        self.enter = ConvNormAct(inputs, spec.split)
        self.branches = nn.ModuleList(
            Branch(spec.branch if index else spec.split // 2, spec)
            for index in range(spec.branches)
        )
        self.leave = ConvNormAct(spec.split + spec.branches * spec.branch, spec.out)

    def forward(self, x: Map) -> Map:
        """The split halves and the output of each link, aggregated by a 1x1 convolution."""
        paths = list(self.enter(x).chunk(2, dim=1))
        for branch in self.branches:
            paths.append(branch(paths[-1]))
        out: Tensor = self.leave(torch.cat(paths, dim=1))
        return out


class ConvDown(nn.Module):
    """Halves a map: 2x2 average at stride 1, then a strided 3x3 convolution (AConv)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvNormAct(inputs, outputs, kernel=3, stride=2)

    def forward(self, x: Map) -> Map:
        """The halved map."""
        out: Tensor = self.conv(functional.avg_pool2d(x, 2, stride=1))
        return out


class SplitDown(nn.Module):
    """Halves a map by two paths on half the channels each: convolved, and max-pooled (ADown)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvNormAct(inputs // 2, outputs // 2, kernel=3, stride=2)
        self.pooled = ConvNormAct(inputs // 2, outputs // 2)

    def forward(self, x: Map) -> Map:
        """The halved map: convolved channels first, pooled channels second."""
        convolved, pooled = functional.avg_pool2d(x, 2, stride=1).chunk(2, dim=1)
        pooled = functional.max_pool2d(pooled, 3, stride=2, padding=1)
        return torch.cat([self.conv(convolved), self.pooled(pooled)], dim=1)


def make_down(kind: Downsampling, *, inputs: int, outputs: int) -> nn.Module:
    """The downsampling block of a spec."""
    return ConvDown(inputs, outputs) if kind == "average" else SplitDown(inputs, outputs)


class SPPELAN(nn.Module):
    """Spatial pyramid pooling: three chained 5x5 maxima, aggregated as in ELAN."""

    def __init__(self, inputs: int, spec: PoolSpec) -> None:
        super().__init__()
        self.enter = ConvNormAct(inputs, spec.hidden)
        self.leave = ConvNormAct(4 * spec.hidden, spec.out)

    def forward(self, x: Map) -> Map:
        """The map seen through windows of 1, 5, 9 and 13 cells."""
        windows = [self.enter(x)]
        for _ in range(3):
            windows.append(functional.max_pool2d(windows[-1], 5, stride=1, padding=2))
        out: Tensor = self.leave(torch.cat(windows, dim=1))
        return out


def fold_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution with bias that does what `conv` and then `norm` do in evaluation.

    Computed in float64 and rounded once to the precision of `conv`.

    Raises:
        ConfigError: `norm` keeps no running statistics: it has no fixed function to fold.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ConfigError(
            "a BatchNorm has no running statistics, so it cannot be folded: make it with "
            "track_running_stats=True"
        )
    scale = 1 / torch.sqrt(norm.running_var.double() + norm.eps)
    if norm.weight is not None:  # made with affine=False
        scale = norm.weight.double() * scale
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = norm.bias.double() + shift
    if conv.bias is not None:
        shift = shift + conv.bias.double() * scale
    folded = copy.deepcopy(conv)
    with torch.no_grad():
        folded.weight.copy_(conv.weight.double() * scale[:, None, None, None])
        folded.bias = nn.Parameter(shift.to(conv.weight.dtype))
    return folded


def _in_place(act: nn.Module) -> nn.Module:
    return nn.SiLU(inplace=True) if isinstance(act, nn.SiLU) else act


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=NORM_EPSILON, momentum=NORM_MOMENTUM)
