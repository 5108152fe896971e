"""Backbones: an image becomes maps at strides 2, 4, 8, 16 and 32.

Each of the three backbones here maps images to `Features` and says the channels of its pyramids
at strides 8, 16, 32 (`widths` for the neck, `source_widths` for the auxiliary branch): one chain
of stages, two of them with dense links from the first to the second (DHLC), and a wrapper for a
network from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from gelan.errors import ConfigError
from gelan.model.blocks import GELAN, ConvNormAct, make_down
from gelan.model.specs import MAX_WIDTH, BackboneSpec, Downsampling, StageSpec, require_whole
from gelan.structures.predictions import Pyramid

Images = Float[Tensor, "batch 3 height width"]
Map = Float[Tensor, "batch _ _ _"]


class Features(NamedTuple):
    """What a backbone gives to the rest of the detector."""

    main: Pyramid
    """Feeds the neck."""
    source: Pyramid
    """Feeds the auxiliary branch; the same as `main` where there is one backbone."""


class Stage(nn.Module):
    """Halve, add what comes in over routes from another backbone, compute."""

    def __init__(self, enter: nn.Module, elan: nn.Module) -> None:
        super().__init__()
        self.enter = enter
        self.elan = elan

    def forward(self, x: Map, routed: Sequence[Map] = ()) -> Map:
        """The map at the next stride; `routed` maps are brought to its size and added first."""
        x = self.enter(x)
        for other in routed:
            x = x + functional.interpolate(other, size=x.shape[-2:], mode="nearest")
        out: Tensor = self.elan(x)
        return out


class Chain(nn.Module):
    """Stem and four stages: the trunk that every backbone here is made of."""

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__()
        self.stem = Stage(ConvNormAct(3, spec.stem, kernel=3, stride=2), nn.Identity())
        enter = ConvNormAct(spec.stem, spec.stage1.enter, kernel=3, stride=2)
        self.stage1 = Stage(enter, GELAN(spec.stage1.enter, spec.stage1.elan))
        self.stage2 = _stage(spec.stage1.elan.out, spec.stage2, down=spec.downsampling)
        self.stage3 = _stage(spec.stage2.elan.out, spec.stage3, down=spec.downsampling)
        self.stage4 = _stage(spec.stage3.elan.out, spec.stage4, down=spec.downsampling)

    def forward(self, images: Images, routed: Sequence[Sequence[Map]] = ((),) * 5) -> list[Tensor]:
        """Five maps at strides 2 to 32; `routed[k]` is added on entry to the k-th of them."""
        maps: list[Tensor] = []
        stages = (self.stem, self.stage1, self.stage2, self.stage3, self.stage4)
        for stage, incoming in zip(stages, routed, strict=True):
            maps.append(stage(maps[-1] if maps else images, incoming))
        return maps


def _stage(inputs: int, spec: StageSpec, *, down: Downsampling) -> Stage:
    enter = make_down(down, inputs=inputs, outputs=spec.enter)
    return Stage(enter, GELAN(spec.enter, spec.elan))


class ReversibleBranch(nn.Module):
    """A chain of its own that starts from the image and is fed by maps of another backbone.

    Since it begins at the image and only adds to what flows in, nothing that the other backbone
    has lost is lost here (Sec. 4.1). It is the auxiliary branch of m and c, where the routes
    carry its gradients into the main backbone, and the second backbone of e.

    `sources` are the last 3 or all 5 maps of the other chain, finest first. Each has one route: a
    1x1 convolution with bias whose output is cut into a piece for every entry as fine as itself
    or finer, so that each entry hears of all coarser levels.
    """

    def __init__(self, spec: BackboneSpec, source_widths: Sequence[int]) -> None:
        super().__init__()
        self.chain = Chain(spec)
        entries = entry_widths(spec)[-len(source_widths) :]
        self.pieces = [entries[: level + 1] for level in range(len(source_widths))]
        self.routes = nn.ModuleList(
            nn.Conv2d(width, sum(pieces), 1)
            for width, pieces in zip(source_widths, self.pieces, strict=True)
        )

    def forward(self, images: Images, sources: Sequence[Map]) -> list[Tensor]:
        """Five maps at strides 2 to 32."""
        pieces = [
            route(source).split(widths, dim=1)
            for route, source, widths in zip(self.routes, sources, self.pieces, strict=True)
        ]
        routed = [
            [piece[entry] for piece in pieces if entry < len(piece)] for entry in range(len(pieces))
        ]
        out: list[Tensor] = self.chain(images, [[]] * (5 - len(routed)) + routed)
        return out


class Backbone(nn.Module):
    """One chain; its last three maps feed both the neck and the auxiliary branch (t, s, m, c)."""

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__()
        self.base = Chain(spec)
        self.widths = self.source_widths = pyramid_widths(spec)

    def forward(self, images: Images) -> Features:
        """The pyramid, for both."""
        pyramid = Pyramid(*self.base(images)[-3:])
        return Features(main=pyramid, source=pyramid)


class CompositeBackbone(nn.Module):
    """Two chains of the same spec, the lead fed by all five maps of the base (DHLC; e)."""

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__()
        self.base = Chain(spec)
        self.lead = ReversibleBranch(spec, stage_widths(spec))
        self.widths = self.source_widths = pyramid_widths(spec)

    def forward(self, images: Images) -> Features:
        """The lead's pyramid for the neck, the base's for the auxiliary branch."""
        base = self.base(images)
        lead = self.lead(images, base)
        return Features(main=Pyramid(*lead[-3:]), source=Pyramid(*base[-3:]))


class ForeignBackbone(nn.Module):
    """A network from elsewhere that returns maps at strides 8, 16 and 32, finest first.

    Raises:
        ConfigError: `widths` are not three possible numbers of channels.
    """

    def __init__(self, network: nn.Module, widths: tuple[int, int, int]) -> None:
        super().__init__()
        require_widths(widths)
        self.network = network
        self.widths = self.source_widths = widths

    def forward(self, images: Images) -> Features:
        """The network's maps, for the neck and the auxiliary branch.

        Raises:
            ConfigError: they are no sequence of three, or have other channels or strides than
                announced.
        """
        maps = self.network(images)
        if not isinstance(maps, list | tuple) or len(maps) != 3:
            found = f"{len(maps)} maps" if isinstance(maps, list | tuple) else type(maps).__name__
            raise ConfigError(
                f"the backbone gave {found} where a list or tuple of three maps is needed, at "
                "strides 8, 16 and 32"
            )
        pyramid = Pyramid(*maps)
        for level, width, stride in zip(pyramid, self.widths, (8, 16, 32), strict=True):
            wanted = (width, images.shape[-2] // stride, images.shape[-1] // stride)
            if not isinstance(level, Tensor):
                raise ConfigError(f"the backbone gave a {type(level).__name__} as one of its maps")
            if tuple(level.shape[1:]) != wanted:
                raise ConfigError(
                    f"the backbone gave a map of {tuple(level.shape[1:])} (channels, height, "
                    f"width) where {wanted} was announced for stride {stride}"
                )
        return Features(main=pyramid, source=pyramid)


def require_widths(widths: object) -> None:
    """Refuse what cannot be the channels of a pyramid.

    Raises:
        ConfigError: there are not three, or one is no whole number in the range of a spec.
    """
    if not isinstance(widths, tuple | list):
        raise ConfigError(
            f"widths is {widths!r:.40}; it should name the channels of three maps, for strides 8, "
            "16 and 32, as (64, 128, 256) does"
        )
    if len(widths) != 3:
        raise ConfigError(
            f"widths names the channels of {len(widths)} maps; it should name three, for strides "
            "8, 16 and 32"
        )
    for number, width in enumerate(widths):
        require_whole(f"widths[{number}]", width, low=1, high=MAX_WIDTH)


def stage_widths(spec: BackboneSpec) -> tuple[int, ...]:
    """Channels of the five maps that a chain returns."""
    stages = (spec.stage1, spec.stage2, spec.stage3, spec.stage4)
    return (spec.stem, *(stage.elan.out for stage in stages))


def entry_widths(spec: BackboneSpec) -> tuple[int, ...]:
    """Channels where routed maps are added: after each halving."""
    stages = (spec.stage1, spec.stage2, spec.stage3, spec.stage4)
    return (spec.stem, *(stage.enter for stage in stages))


def pyramid_widths(spec: BackboneSpec) -> tuple[int, int, int]:
    """Channels of the maps at strides 8, 16, 32."""
    return (spec.stage2.elan.out, spec.stage3.elan.out, spec.stage4.elan.out)
