"""What a network is made of: frozen dataclasses in which every width is written out.

Nothing is rounded, scaled or looked up behind the reader's back. `model.variants` holds the
published networks in this form, `model.detector.build_detector` turns a spec into modules, and a
weights file keeps its spec, so that any network of this form can be stored and read again.

Since a spec may come from anybody's file, each checks itself: widths, depths and counts have
limits far above every network that is known, within which building one takes seconds at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Literal, get_args

from gelan.errors import ConfigError

MAX_WIDTH = 2**16
"""Channels of one map; the widest published has 1024."""
MAX_DEPTH = 64
"""Links of a chain, and repetitions inside one; the deepest published has 3."""
MAX_UNITS = 2048
"""Repetitions in a whole network, over all its blocks; yolov9-e has 56."""
MAX_CLASSES = 2**16
MAX_BINS = 256

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

    def __post_init__(self) -> None:
        _require_widths(out=self.out, split=self.split)
        require_whole("branch", self.branch, low=2, high=MAX_WIDTH)  # blocks halve it
        require_whole("branches", self.branches, low=1, high=MAX_DEPTH)
        require_whole("depth", self.depth, low=1, high=MAX_DEPTH)
        _require_even("it is split into halves", split=self.split)
        if not isinstance(self.block, str):
            raise ConfigError(f"block is {self.block!r:.40}; it should be the name of a block")


@dataclass(frozen=True, kw_only=True, slots=True)
class StageSpec:
    """Halve the map, then compute on it."""

    enter: int
    """Channels after the halving."""
    elan: ElanSpec

    def __post_init__(self) -> None:
        _require_widths(enter=self.enter)


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

    def __post_init__(self) -> None:
        _require_widths(stem=self.stem)
        _require_known("downsampling", self.downsampling, known=get_args(Downsampling))
        if self.downsampling == "split":
            before = {f"stage{n}.elan.out": stage.elan.out for n, stage in self._numbered()[:-1]}
            after = {f"stage{n}.enter": stage.enter for n, stage in self._numbered()[1:]}
            _require_even("downsampling is 'split'", **before, **after)

    def _numbered(self) -> list[tuple[int, StageSpec]]:
        return list(enumerate((self.stage1, self.stage2, self.stage3, self.stage4), start=1))


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolSpec:
    """Spatial pyramid pooling in ELAN form (SPPELAN)."""

    out: int
    hidden: int

    def __post_init__(self) -> None:
        _require_widths(out=self.out, hidden=self.hidden)


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

    def __post_init__(self) -> None:
        _require_widths(down4=self.down4, down5=self.down5)
        _require_known("downsampling", self.downsampling, known=get_args(Downsampling))
        if self.downsampling == "split":
            widths = {"down4": self.down4, "merge4.out": self.merge4.out, "down5": self.down5}
            _require_even("downsampling is 'split'", **widths)


@dataclass(frozen=True, kw_only=True, slots=True)
class NeckSpec:
    """Path aggregation: top-down, then bottom-up."""

    top_down: TopDownSpec
    bottom_up: BottomUpSpec

    def __post_init__(self) -> None:
        if self.bottom_up.downsampling == "split":
            finest = {"top_down.merge3.out": self.top_down.merge3.out}
            _require_even("bottom_up.downsampling is 'split'", **finest)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadSpec:
    """Two towers of convolutions on each map: boxes and classes."""

    box_width: int
    class_width: int
    box_groups: int = 4
    """Groups of the box tower's later convolutions; 4 as published, 1 in some files."""
    bins: int = 16
    """Distances 0 .. bins - 1, in strides, that a side of a box is a mixture of."""

    def __post_init__(self) -> None:
        _require_widths(box_width=self.box_width, class_width=self.class_width)
        require_whole("box_groups", self.box_groups, low=1, high=MAX_WIDTH)
        require_whole("bins", self.bins, low=2, high=MAX_BINS)
        for name, width in (("box_width", self.box_width), ("4 x bins", 4 * self.bins)):
            if width % self.box_groups:
                raise ConfigError(
                    f"box_groups is {self.box_groups}; it must divide {name}: {width}"
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class AuxiliarySpec:
    """The training-only part of PGI: what it is, and the widths of its branch and head.

    Of the three branch fields only the one of its kind is set; `pfh` needs none.

    Raises:
        ConfigError: the field of its kind is missing, or another one is set.
    """

    kind: AuxiliaryKind
    head: HeadSpec
    top_down: TopDownSpec | None = None
    """For `fpn`."""
    neck: NeckSpec | None = None
    """For `pan`."""
    backbone: BackboneSpec | None = None
    """For `icn`."""

    def __post_init__(self) -> None:
        _require_known("kind", self.kind, known=get_args(AuxiliaryKind))
        branches = {"top_down": self.top_down, "neck": self.neck, "backbone": self.backbone}
        needed = {"fpn": "top_down", "pan": "neck", "icn": "backbone"}.get(self.kind)
        for name, branch in branches.items():
            if name == needed and branch is None:
                raise ConfigError(f"kind is {self.kind!r}, which needs {name}: give its spec")
            if name != needed and branch is not None:
                raise ConfigError(f"{name} is set, but kind is {self.kind!r}: leave it out")


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

    def __post_init__(self) -> None:
        require_whole("num_classes", self.num_classes, low=1, high=MAX_CLASSES)
        chains = 2 if self.composite else 1
        units = sum(
            elan.branches * elan.depth * (chains if place.startswith("backbone.") else 1)
            for place, elan in elans(self)
        )
        if units > MAX_UNITS:
            raise ConfigError(
                f"branches x depth of all blocks is {units} in sum, more than {MAX_UNITS}: "
                "make the network shallower"
            )


def elans(spec: object, place: str = "") -> Iterator[tuple[str, ElanSpec]]:
    """Every GELAN block of a spec with its place: `("neck.top_down.merge4", ElanSpec(...))`."""
    if isinstance(spec, ElanSpec):
        yield place, spec
    elif is_dataclass(spec) and not isinstance(spec, type):
        for field in fields(spec):
            inner = getattr(spec, field.name)
            yield from elans(inner, f"{place}.{field.name}" if place else field.name)


def require_whole(name: str, value: object, *, low: int, high: int) -> None:
    """Refuse what is no whole number from `low` to `high`.

    >>> require_whole("depth", 65, low=1, high=64)
    Traceback (most recent call last):
        ...
    gelan.errors.ConfigError: depth is 65; it should be from 1 to 64
    """
    if type(value) is not int:
        raise ConfigError(f"{name} is {value!r:.40}; it should be a whole number")
    if not low <= value <= high:
        shown = value if abs(value) < 10**12 else f"a number of {value.bit_length()} bits"
        raise ConfigError(f"{name} is {shown}; it should be from {low} to {high}")


def _require_widths(**widths: int) -> None:
    for name, width in widths.items():
        require_whole(name, width, low=1, high=MAX_WIDTH)


def _require_even(reason: str, **widths: int) -> None:
    for name, width in widths.items():
        if width % 2:
            raise ConfigError(f"{name} is {width}; it must be even, because {reason}")


def _require_known(name: str, value: str, *, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{name} is {value!r:.40}; it should be {' or '.join(known)}")
