"""What a network is made of: frozen dataclasses in which every width is written out.

Nothing is rounded, scaled or looked up behind the reader's back. `model.variants` holds the
published networks in this form, `model.detector.build_detector` turns a spec into modules, and a
weights file keeps its spec, so that any network of this form can be stored and read again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Downsampling = Literal["average", "split"]
"""How a map is halved: AConv ("average": t, s, m) or ADown ("split": c, e) of the paper."""

AuxiliaryKind = Literal["pfh", "fpn", "pan", "icn"]
"""Kinds of PGI branch in the paper's Table 4.

- `pfh`: prediction heads right on the backbone's maps (deep supervision).
- `fpn`: a top-down path of its own on the backbone's pyramid (published for t, s and e).
- `pan`: a top-down and a bottom-up path of its own.
- `icn`: a reversible second backbone, fed by the image and by the pyramid (published for m and c).
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ElanSpec:
    """One GELAN block (Sec. 4.2, Fig. 4c): split, a chain of branches, aggregation of all."""

    out: int
    """Channels that leave the block."""
    split: int
    """Channels after the first 1x1 convolution; half of them pass by, half enter the chain."""
    branch: int
    """Channels of each computational branch."""
    branches: int = 2
    """Length of the chain: the ELAN depth of Table 3."""
    block: str = "csp"
    """Computational block of a branch: a name in `blocks.BLOCKS` (Table 2), or "none"."""
    depth: int = 1
    """Repetitions inside one computational block: the CSP depth of Table 3."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageSpec:
    """Halve the map, then compute on it."""

    enter: int
    """Channels after the halving."""
    elan: ElanSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneSpec:
    """Image -> maps at strides 2, 4, 8, 16, 32."""

    stem: int
    """Channels of the first convolution, at stride 2."""
    stage1: StageSpec
    """Stride 4; entered through a plain strided convolution."""
    stage2: StageSpec
    """Stride 8, the pyramid's P3; this and the later ones are entered by `downsampling`."""
    stage3: StageSpec
    """Stride 16, P4."""
    stage4: StageSpec
    """Stride 32, P5."""
    downsampling: Downsampling


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolSpec:
    """Spatial pyramid pooling in ELAN form (SPPELAN)."""

    out: int
    hidden: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TopDownSpec:
    """The half of the neck that carries meaning from coarse to fine maps."""

    pool: PoolSpec
    merge4: ElanSpec
    merge3: ElanSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class BottomUpSpec:
    """The half of the neck that carries position from fine to coarse maps."""

    down4: int
    """Channels of the halved N3."""
    merge4: ElanSpec
    down5: int
    """Channels of the halved N4."""
    merge5: ElanSpec
    downsampling: Downsampling


@dataclass(frozen=True, kw_only=True, slots=True)
class NeckSpec:
    """Path aggregation: top-down, then bottom-up."""

    top_down: TopDownSpec
    bottom_up: BottomUpSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadSpec:
    """Two towers of convolutions on each map: boxes and classes."""

    box_width: int
    class_width: int
    box_groups: int = 4
    """Groups of the box tower's later convolutions; 4 as published, 1 in some files."""
    bins: int = 16
    """Distances 0 .. bins - 1, in strides, that a side of a box is a mixture of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuxiliarySpec:
    """The training-only part of PGI: what it is, and the widths of its branch and head.

    Of the three branch fields only the one of its kind is set; `pfh` needs none.
    """

    kind: AuxiliaryKind
    head: HeadSpec
    top_down: TopDownSpec | None = None
    """For `fpn`."""
    neck: NeckSpec | None = None
    """For `pan`."""
    backbone: BackboneSpec | None = None
    """For `icn`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorSpec:
    """A whole network."""

    backbone: BackboneSpec
    composite: bool = False
    """Two backbones of the same spec, the second fed by every stage of the first (DHLC, e)."""
    neck: NeckSpec
    head: HeadSpec
    auxiliary: AuxiliarySpec | None = None
    num_classes: int = 80
