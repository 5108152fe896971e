"""How published weights name their tensors, and what each is called here.

Published files number the layers of a list; a layer's tensors have names like `cv2.0.m.1.cv1`.
A `Layout` is the literal table of one kind of file: layer number -> our module and its kind, and a
`Vocabulary` says what the parts of each kind of module are called there. Everything here is
data and pure functions of strings: no tensors, no files. Source: `spec/yolov9.md` 1.5, 3.5, 4.2 and
`spec/layouts.md` 1.3, 2.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Family = Literal["official", "multimediatechlab"]
Kind = str
Part = tuple[str, str, Kind]
"""Our name of a part, theirs, and the kind of the part ("" for a plain convolution or norm)."""
Vocabulary = Mapping[Kind, tuple[Part, ...]]

OFFICIAL: Vocabulary = {
    "conv": (("conv", "conv", ""), ("norm", "bn", "")),
    "rep": (
        ("conv3", "conv1.conv", ""),
        ("norm3", "conv1.bn", ""),
        ("conv1", "conv2.conv", ""),
        ("norm1", "conv2.bn", ""),
    ),
    "bottleneck": (("rep", "cv1", "rep"), ("conv", "cv2", "conv")),
    "csp": (
        ("enter", "cv1", "conv"),
        ("bypass", "cv2", "conv"),
        ("leave", "cv3", "conv"),
        ("bottlenecks.0", "m.0", "bottleneck"),
        ("bottlenecks.1", "m.1", "bottleneck"),
        ("bottlenecks.2", "m.2", "bottleneck"),
    ),
    "gelan": (
        ("enter", "cv1", "conv"),
        ("branches.0.block", "cv2.0", "csp"),
        ("branches.0.conv", "cv2.1", "conv"),
        ("branches.1.block", "cv3.0", "csp"),
        ("branches.1.conv", "cv3.1", "conv"),
        ("leave", "cv4", "conv"),
    ),
    "elan": (
        ("enter", "cv1", "conv"),
        ("branches.0.conv", "cv2", "conv"),
        ("branches.1.conv", "cv3", "conv"),
        ("leave", "cv4", "conv"),
    ),
    "average": (("conv", "cv1", "conv"),),
    "split": (("conv", "cv1", "conv"), ("pooled", "cv2", "conv")),
    "pool": (("enter", "cv1", "conv"), ("leave", "cv5", "conv")),
    "route": (("", "conv", ""),),
    "tower": (("0", "0", "conv"), ("1", "1", "conv"), ("2", "2", "")),
}

MULTIMEDIATECHLAB: Vocabulary = {
    "conv": OFFICIAL["conv"],
    "rep": OFFICIAL["rep"],
    "bottleneck": (("rep", "conv1", "rep"), ("conv", "conv2", "conv")),
    "csp": (
        ("enter", "conv1", "conv"),
        ("bypass", "conv2", "conv"),
        ("leave", "conv3", "conv"),
        ("bottlenecks.0", "bottleneck.0", "bottleneck"),
        ("bottlenecks.1", "bottleneck.1", "bottleneck"),
        ("bottlenecks.2", "bottleneck.2", "bottleneck"),
    ),
    "gelan": (
        ("enter", "conv1", "conv"),
        ("branches.0.block", "conv2.0", "csp"),
        ("branches.0.conv", "conv2.1", "conv"),
        ("branches.1.block", "conv3.0", "csp"),
        ("branches.1.conv", "conv3.1", "conv"),
        ("leave", "conv4", "conv"),
    ),
    "elan": (
        ("enter", "conv1", "conv"),
        ("branches.0.conv", "conv2", "conv"),
        ("branches.1.conv", "conv3", "conv"),
        ("leave", "conv4", "conv"),
    ),
    "average": (("conv", "conv", "conv"),),
    "split": (("conv", "conv1", "conv"), ("pooled", "conv2", "conv")),
    "pool": (("enter", "conv1", "conv"), ("leave", "conv5", "conv")),
    "route": OFFICIAL["route"],
    "tower": OFFICIAL["tower"],
}

Layers = Mapping[int, tuple[str, Kind]]
"""Layer number in the file -> our module and its kind."""


def _chain(ours: str, numbers: tuple[int, ...], first: Kind, down: Kind) -> Layers:
    """Stem and four stages: nine layers, two of them the stem and the entry of stage 1."""
    modules = (
        ("stem.enter", "conv"),
        ("stage1.enter", "conv"),
        ("stage1.elan", first),
        ("stage2.enter", down),
        ("stage2.elan", "gelan"),
        ("stage3.enter", down),
        ("stage3.elan", "gelan"),
        ("stage4.enter", down),
        ("stage4.elan", "gelan"),
    )
    return {
        number: (f"{ours}.{module}", kind)
        for number, (module, kind) in zip(numbers, modules, strict=True)
    }


def _top_down(ours: str, pool: int) -> Layers:
    """Pool, (enlarge, join,) merge, (enlarge, join,) merge."""
    return {
        pool: (f"{ours}.pool", "pool"),
        pool + 3: (f"{ours}.merge4", "gelan"),
        pool + 6: (f"{ours}.merge3", "gelan"),
    }


def _bottom_up(down4: int, down: Kind) -> Layers:
    """Halve, (join,) merge, halve, (join,) merge."""
    ours = "neck.bottom_up"
    return {
        down4: (f"{ours}.down4", down),
        down4 + 2: (f"{ours}.merge4", "gelan"),
        down4 + 3: (f"{ours}.down5", down),
        down4 + 5: (f"{ours}.merge5", "gelan"),
    }


def _routes(ours: str, numbers: Iterable[int]) -> Layers:
    return {number: (f"{ours}.routes.{k}", "route") for k, number in enumerate(numbers)}


def _one_backbone(shift: int, first: Kind, down: Kind) -> Layers:
    """Everything of t, s, m, c that is needed for inference, but the head: layers 0 to 21."""
    return {
        **_chain("backbone.base", tuple(range(shift, shift + 9)), first, down),
        **_top_down("neck.top_down", shift + 9),
        **_bottom_up(shift + 16, down),
    }


def _reversible(first_number: int, down: Kind) -> Layers:
    """The auxiliary branch of m and c: three routes, then a chain with three sums in it."""
    ours = "auxiliary.branch.reversible"
    r = first_number
    numbers = (r + 3, r + 4, r + 5, r + 6, r + 8, r + 9, r + 11, r + 12, r + 14)
    return {
        **_routes(ours, range(r, r + 3)),
        **_chain(f"{ours}.chain", numbers, "gelan", down),
    }


_TWO_BACKBONES: Layers = {
    **_chain("backbone.base", tuple(range(1, 10)), "gelan", "split"),
    **_routes("backbone.lead", range(10, 15)),
    **_chain("backbone.lead.chain", (15, 17, 19, 20, 22, 23, 25, 26, 28), "gelan", "split"),
}
_FPN = "auxiliary.branch.path"


@dataclass(frozen=True, kw_only=True)
class Head:
    """Where a prediction head stands in the file."""

    ours: str
    """"head" or "auxiliary.head"."""
    number: int
    boxes: str
    """Their name of the box tower of a level, `{}` being the level."""
    classes: str
    fixed: str
    """Their name of the constant vector 0, 1, ... bins - 1, which is no weight."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One kind of file: whose, for which sizes, and what stands where."""

    family: Family
    sizes: str
    """Letters of the sizes that share this table."""
    layers: Layers
    heads: tuple[Head, ...]
    left_behind: tuple[str, ...] = ()
    """Beginnings of their names that belong to another task, such as masks."""

    @property
    def has_auxiliary(self) -> bool:
        """The file holds the training graph."""
        return len(self.heads) > 1

    @property
    def vocabulary(self) -> Vocabulary:
        """The family's words."""
        return OFFICIAL if self.family == "official" else MULTIMEDIATECHLAB

    @property
    def last(self) -> int:
        """The highest layer number."""
        return max(head.number for head in self.heads)

    @cached_property
    def modules(self) -> dict[str, tuple[str, Kind]]:
        """Our name of every module of the table -> their name, and its kind."""
        table = {ours: (str(number), kind) for number, (ours, kind) in self.layers.items()}
        for head in self.heads:
            for level in range(3):
                boxes = f"{head.number}.{head.boxes.format(level)}"
                classes = f"{head.number}.{head.classes.format(level)}"
                table[f"{head.ours}.boxes.{level}"] = (boxes, "tower")
                table[f"{head.ours}.classes.{level}"] = (classes, "tower")
        return table

    @cached_property
    def constants(self) -> frozenset[str]:
        """Their names of the vectors 0, 1, ... bins - 1."""
        return frozenset(
            f"{head.number}.{head.fixed.format(level)}" for head in self.heads for level in range(3)
        )

    def has_no_place_for(self, name: str) -> bool:
        """Whether one of their tensors is a constant or belongs to another task."""
        return name in self.constants or name.startswith(self.left_behind or ("\0",))

    def theirs(self, ours: str) -> str:
        """Their name of one of our tensors, without the file's prefix.

        Raises:
            KeyError: the table has no such tensor; tables and networks have drifted apart.
        """
        module = ours
        while module not in self.modules:
            module, dot, _ = module.rpartition(".")
            if not dot:
                raise KeyError(ours)
        theirs, kind = self.modules[module]
        return f"{theirs}.{_translate(ours.removeprefix(module + '.'), kind, self)}"


def _translate(path: str, kind: Kind, layout: Layout) -> str:
    """The rest of a tensor's name in their words."""
    for ours, theirs, inner in layout.vocabulary[kind]:
        if not ours:
            return f"{theirs}.{path}"
        if path.startswith(ours + "."):
            rest = path.removeprefix(ours + ".")
            return f"{theirs}.{_translate(rest, inner, layout) if inner else rest}"
    raise KeyError(path)


def _single(number: int) -> tuple[Head, ...]:
    return (
        Head(ours="head", number=number, boxes="cv2.{}", classes="cv3.{}", fixed="dfl.conv.weight"),
    )


def _dual(number: int) -> tuple[Head, ...]:
    """The auxiliary head comes first in official training files."""
    main = Head(
        ours="head", number=number, boxes="cv4.{}", classes="cv5.{}", fixed="dfl2.conv.weight"
    )
    auxiliary = Head(
        ours="auxiliary.head",
        number=number,
        boxes="cv2.{}",
        classes="cv3.{}",
        fixed="dfl.conv.weight",
    )
    return (main, auxiliary)


def _listed(main: int, auxiliary: int | None = None) -> tuple[Head, ...]:
    """Heads of MultimediaTechLab's files."""
    numbers = [("head", main)]
    if auxiliary is not None:
        numbers.append(("auxiliary.head", auxiliary))
    return tuple(
        Head(
            ours=ours,
            number=number,
            boxes="heads.{}.anchor_conv",
            classes="heads.{}.class_conv",
            fixed="heads.{}.anc2vec.anc2vec.weight",
        )
        for ours, number in numbers
    )


_SMALL = _one_backbone(0, "elan", "average")
_SMALL_FPN: Layers = {**_SMALL, **_top_down(_FPN, 22)}
_LARGE_ROUTED = {
    (shift, down): {**_one_backbone(shift, "gelan", down), **_reversible(23, down)}
    for shift in (0, 1)
    for down in ("average", "split")
}
_E_NECK: Layers = {**_top_down("neck.top_down", 36), **_bottom_up(43, "split")}
_MASKS = ("cv4.", "proto.", "uconv.")

LAYOUTS: tuple[Layout, ...] = (
    # official, inference graph ("converted"), and ultralytics
    Layout(family="official", sizes="ts", layers=_SMALL, heads=_single(22)),
    Layout(
        family="official",
        sizes="m",
        layers=_one_backbone(0, "gelan", "average"),
        heads=_single(22),
    ),
    Layout(
        family="official",
        sizes="c",
        layers=_one_backbone(0, "gelan", "split"),
        heads=_single(22),
    ),
    Layout(
        family="official",
        sizes="e",
        layers={
            **_TWO_BACKBONES,
            **_top_down("neck.top_down", 29),
            **_bottom_up(36, "split"),
        },
        heads=_single(42),
    ),
    # official, training graph
    Layout(family="official", sizes="ts", layers=_SMALL_FPN, heads=_dual(29)),
    Layout(family="official", sizes="m", layers=_LARGE_ROUTED[1, "average"], heads=_dual(38)),
    Layout(family="official", sizes="c", layers=_LARGE_ROUTED[1, "split"], heads=_dual(38)),
    Layout(
        family="official",
        sizes="e",
        layers={**_TWO_BACKBONES, **_top_down(_FPN, 29), **_E_NECK},
        heads=_dual(49),
    ),
    # official, with masks: the detector in them is read
    Layout(
        family="official",
        sizes="c",
        layers=_one_backbone(0, "gelan", "split"),
        heads=_single(22),
        left_behind=tuple(f"22.{part}" for part in _MASKS),
    ),
    Layout(
        family="official",
        sizes="c",
        layers=_one_backbone(0, "gelan", "split"),
        heads=_single(25),
        left_behind=("22.", "24.", *(f"25.{part}" for part in _MASKS)),
    ),
    Layout(
        family="official",
        sizes="c",
        layers=_LARGE_ROUTED[1, "split"],
        heads=_dual(44),
        left_behind=(
            *(f"{number}." for number in (38, 40, 41, 43)),
            *(f"44.{part}" for part in ("cv6.", "cv7.", "proto.", "proto2.")),
        ),
    ),
    # MultimediaTechLab: as trained, and without the auxiliary part
    Layout(
        family="multimediatechlab",
        sizes="ts",
        layers={**_SMALL, **_top_down(_FPN, 23)},
        heads=_listed(22, 30),
    ),
    Layout(
        family="multimediatechlab",
        sizes="m",
        layers=_LARGE_ROUTED[0, "average"],
        heads=_listed(22, 38),
    ),
    Layout(
        family="multimediatechlab",
        sizes="c",
        layers=_LARGE_ROUTED[0, "split"],
        heads=_listed(22, 38),
    ),
    Layout(family="multimediatechlab", sizes="ts", layers=_SMALL, heads=_listed(22)),
    Layout(
        family="multimediatechlab",
        sizes="m",
        layers=_one_backbone(0, "gelan", "average"),
        heads=_listed(22),
    ),
    Layout(
        family="multimediatechlab",
        sizes="c",
        layers=_one_backbone(0, "gelan", "split"),
        heads=_listed(22),
    ),
)
"""Every kind of file that can be read."""
