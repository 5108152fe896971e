"""The published family: t, s, m, c, e, with PGI ("yolov9-") and without ("gelan-").

Widths, repeats and auxiliary branches are those of the published networks; for m the
first bottom-up width is 184, where its description says 180 and its builder rounds up. T has a
class tower of 80 channels as in the released weights (2.0 M parameters, 7.7 GFLOPs);
`class_width=128` gives the one of the published training description.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import cast

from gelan.errors import ConfigError, nearest
from gelan.model.detector import Detector, build_detector
from gelan.model.specs import (
    MAX_CLASSES,
    AuxiliarySpec,
    BackboneSpec,
    BottomUpSpec,
    DetectorSpec,
    Downsampling,
    ElanSpec,
    HeadSpec,
    NeckSpec,
    PoolSpec,
    StageSpec,
    TopDownSpec,
    require_whole,
)


def _elan(out: int, split: int, *, branch: int, depth: int) -> ElanSpec:
    return ElanSpec(out=out, split=split, branch=branch, depth=depth)


def _small(*, stem: int, widths: tuple[int, int, int], down: tuple[int, int]) -> DetectorSpec:
    """T and s: one backbone of plain proportions, three bottlenecks a branch; FPN auxiliary."""
    first = 2 * stem
    p3, p4, p5 = (_elan(width, width, branch=width // 2, depth=3) for width in widths)
    top_down = TopDownSpec(
        pool=PoolSpec(out=widths[2], hidden=widths[2] // 2), merge4=p4, merge3=p3
    )
    head = HeadSpec(box_width=64, class_width=max(80, widths[0]))
    return DetectorSpec(
        backbone=BackboneSpec(
            stem=stem,
            stage1=StageSpec(
                enter=first, elan=ElanSpec(out=first, split=first, branch=stem, block="none")
            ),
            stage2=StageSpec(enter=widths[0], elan=p3),
            stage3=StageSpec(enter=widths[1], elan=p4),
            stage4=StageSpec(enter=widths[2], elan=p5),
            downsampling="average",
        ),
        neck=NeckSpec(
            top_down=top_down,
            bottom_up=BottomUpSpec(
                down4=down[0], merge4=p4, down5=down[1], merge5=p5, downsampling="average"
            ),
        ),
        head=head,
        auxiliary=AuxiliarySpec(kind="fpn", head=head, top_down=top_down),
    )


T = _small(stem=16, widths=(64, 96, 128), down=(48, 64))
S = _small(stem=32, widths=(128, 192, 256), down=(96, 128))


_M_BACKBONE = BackboneSpec(
    stem=32,
    stage1=StageSpec(enter=64, elan=_elan(128, 128, branch=64, depth=1)),
    stage2=StageSpec(enter=240, elan=_elan(240, 240, branch=120, depth=1)),
    stage3=StageSpec(enter=360, elan=_elan(360, 360, branch=180, depth=1)),
    stage4=StageSpec(enter=480, elan=_elan(480, 480, branch=240, depth=1)),
    downsampling="average",
)
_M_HEAD = HeadSpec(box_width=64, class_width=240)

M = DetectorSpec(
    backbone=_M_BACKBONE,
    neck=NeckSpec(
        top_down=TopDownSpec(
            pool=PoolSpec(out=480, hidden=240),
            merge4=_elan(360, 360, branch=180, depth=1),
            merge3=_elan(240, 240, branch=120, depth=1),
        ),
        bottom_up=BottomUpSpec(
            down4=184,
            merge4=_elan(360, 360, branch=180, depth=1),
            down5=240,
            merge5=_elan(480, 480, branch=240, depth=1),
            downsampling="average",
        ),
    ),
    head=_M_HEAD,
    auxiliary=AuxiliarySpec(kind="icn", head=_M_HEAD, backbone=_M_BACKBONE),
)


def _large_backbone(coarse: int, depth: int) -> BackboneSpec:
    """C and e: 512 channels at stride 8, `coarse` at 16 and 32."""
    downsampling: Downsampling = "split"
    return BackboneSpec(
        stem=64,
        stage1=StageSpec(enter=128, elan=_elan(256, 128, branch=64, depth=depth)),
        stage2=StageSpec(enter=256, elan=_elan(512, 256, branch=128, depth=depth)),
        stage3=StageSpec(enter=512, elan=_elan(coarse, 512, branch=256, depth=depth)),
        stage4=StageSpec(enter=coarse, elan=_elan(coarse, 512, branch=256, depth=depth)),
        downsampling=downsampling,
    )


def _large_neck(depth: int, last: ElanSpec) -> NeckSpec:
    return NeckSpec(
        top_down=TopDownSpec(
            pool=PoolSpec(out=512, hidden=256),
            merge4=_elan(512, 512, branch=256, depth=depth),
            merge3=_elan(256, 256, branch=128, depth=depth),
        ),
        bottom_up=BottomUpSpec(
            down4=256,
            merge4=_elan(512, 512, branch=256, depth=depth),
            down5=512,
            merge5=last,
            downsampling="split",
        ),
    )


_C_BACKBONE = _large_backbone(coarse=512, depth=1)

C = DetectorSpec(
    backbone=_C_BACKBONE,
    neck=_large_neck(depth=1, last=_elan(512, 512, branch=256, depth=1)),
    head=HeadSpec(box_width=64, class_width=256),
    auxiliary=AuxiliarySpec(
        kind="icn", head=HeadSpec(box_width=128, class_width=512), backbone=_C_BACKBONE
    ),
)

_E_NECK = _large_neck(depth=2, last=_elan(512, 1024, branch=512, depth=2))
_E_HEAD = HeadSpec(box_width=64, class_width=256)

E = DetectorSpec(
    backbone=_large_backbone(coarse=1024, depth=2),
    composite=True,
    neck=_E_NECK,
    head=_E_HEAD,
    auxiliary=AuxiliarySpec(kind="fpn", head=_E_HEAD, top_down=_E_NECK.top_down),
)

VARIANTS: dict[str, DetectorSpec] = {
    **{f"yolov9-{size}": spec for size, spec in zip("tsmce", (T, S, M, C, E), strict=True)},
    **{
        f"gelan-{size}": replace(spec, auxiliary=None)
        for size, spec in zip("tsmce", (T, S, M, C, E), strict=True)
    },
}
"""Every published network by name."""


def variant(name: str, *, num_classes: int = 80, class_width: int | None = None) -> DetectorSpec:
    """The spec of a published network, for `num_classes` classes.

    `class_width` replaces the width of the class towers, main and auxiliary.

    Raises:
        ConfigError: no such network, no class at all, or what is no whole number of them.
    """
    if not isinstance(name, str) or name not in VARIANTS:
        known = ", ".join(VARIANTS)
        hint = nearest(name.lower(), VARIANTS) if isinstance(name, str) else ""
        raise ConfigError(f"no network is called {name!r:.40}{hint} (known: {known})")
    require_whole("num_classes", num_classes, low=1, high=MAX_CLASSES)
    spec = replace(VARIANTS[name], num_classes=num_classes)
    return spec if class_width is None else with_class_width(spec, class_width)


def with_class_width(
    spec: DetectorSpec, main: int, *, auxiliary: int | None = None
) -> DetectorSpec:
    """The spec with other class towers; the auxiliary one is as wide as the main one if unsaid."""
    branch = spec.auxiliary
    if branch is not None:
        width = main if auxiliary is None else auxiliary
        branch = replace(branch, head=replace(branch.head, class_width=width))
    return replace(spec, head=replace(spec.head, class_width=main), auxiliary=branch)


def with_block(
    spec: DetectorSpec, block: str, *, branches: int = 2, depth: int = 1
) -> DetectorSpec:
    """The spec with another computational block, ELAN depth and block depth (Tables 2 and 3).

    Every GELAN block of backbone, neck and auxiliary branch changes, but those that have no
    computational block at all (the first of t and s).
    """

    def changed(node: object) -> object:
        if isinstance(node, ElanSpec):
            plain = node.block == "none"
            return node if plain else replace(node, block=block, branches=branches, depth=depth)
        if not is_dataclass(node) or isinstance(node, type):
            return node
        inner = {field.name: changed(getattr(node, field.name)) for field in fields(node)}
        return replace(node, **inner)

    return cast("DetectorSpec", changed(spec))


def build(name: str, *, num_classes: int = 80, class_width: int | None = None) -> Detector:
    """A published network with fresh weights, by name: "yolov9-c", "gelan-t", ..."""
    return build_detector(variant(name, num_classes=num_classes, class_width=class_width))


def name_of(spec: DetectorSpec) -> str | None:
    """The published name of a spec, whatever its classes, towers' widths and groups."""
    for name, published in VARIANTS.items():
        same_branch = (published.auxiliary is None) == (spec.auxiliary is None)
        if same_branch and _body(published) == _body(spec):
            return name
    return None


def _body(spec: DetectorSpec) -> tuple[object, ...]:
    branch = spec.auxiliary
    auxiliary = None if branch is None else (branch.kind, branch.top_down, branch.backbone)
    return (spec.backbone, spec.composite, spec.neck, auxiliary)
