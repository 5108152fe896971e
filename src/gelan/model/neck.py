"""Necks: the three maps of a pyramid tell each other what they know."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from gelan.model.blocks import GELAN, SPPELAN, make_down
from gelan.model.specs import BottomUpSpec, NeckSpec, TopDownSpec
from gelan.structures.predictions import Pyramid

Widths = tuple[int, int, int]


class TopDown(nn.Module):
    """Coarse to fine (FPN): half of the neck, and the auxiliary branch of t, s and e."""

    def __init__(self, spec: TopDownSpec, widths: Widths) -> None:
        super().__init__()
        width3, width4, width5 = widths
        self.pool = SPPELAN(width5, spec.pool)
        self.merge4 = GELAN(spec.pool.out + width4, spec.merge4)
        self.merge3 = GELAN(spec.merge4.out + width3, spec.merge3)
        self.widths: Widths = (spec.merge3.out, spec.merge4.out, spec.pool.out)

    def forward(self, pyramid: Pyramid) -> Pyramid:
        """The pyramid, each map informed by all coarser ones."""
        p5 = self.pool(pyramid.p5)
        p4 = self.merge4(torch.cat([_double(p5), pyramid.p4], dim=1))
        p3 = self.merge3(torch.cat([_double(p4), pyramid.p3], dim=1))
        return Pyramid(p3, p4, p5)


class BottomUp(nn.Module):
    """Fine to coarse: the other half of the neck."""

    def __init__(self, spec: BottomUpSpec, widths: Widths) -> None:
        super().__init__()
        width3, width4, width5 = widths
        self.down4 = make_down(spec.downsampling, inputs=width3, outputs=spec.down4)
        self.merge4 = GELAN(spec.down4 + width4, spec.merge4)
        self.down5 = make_down(spec.downsampling, inputs=spec.merge4.out, outputs=spec.down5)
        self.merge5 = GELAN(spec.down5 + width5, spec.merge5)
        self.widths: Widths = (width3, spec.merge4.out, spec.merge5.out)

    def forward(self, pyramid: Pyramid) -> Pyramid:
        """The pyramid, each map informed by all finer ones."""
        p4 = self.merge4(torch.cat([self.down4(pyramid.p3), pyramid.p4], dim=1))
        p5 = self.merge5(torch.cat([self.down5(p4), pyramid.p5], dim=1))
        return Pyramid(pyramid.p3, p4, p5)


class Neck(nn.Module):
    """Path aggregation (PAN): top-down, then bottom-up."""

    def __init__(self, spec: NeckSpec, widths: Widths) -> None:
        super().__init__()
        self.spec = spec
        self.top_down = TopDown(spec.top_down, widths)
        self.bottom_up = BottomUp(spec.bottom_up, self.top_down.widths)
        self.widths: Widths = self.bottom_up.widths

    def forward(self, pyramid: Pyramid) -> Pyramid:
        """The pyramid, each map informed by all others."""
        out: Pyramid = self.bottom_up(self.top_down(pyramid))
        return out


def _double(x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
