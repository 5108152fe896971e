"""Specs for parts that are not published: sized after what they are attached to.

Proportions are those of the published networks; widths are rounded to multiples of 8.
"""

from __future__ import annotations

from gelan.model.specs import (
    BackboneSpec,
    BottomUpSpec,
    ElanSpec,
    HeadSpec,
    NeckSpec,
    PoolSpec,
    StageSpec,
    TopDownSpec,
)

Widths = tuple[int, int, int]


def head_for(width: int) -> HeadSpec:
    """Towers for a finest map of `width` channels, by the published rule."""
    return HeadSpec(box_width=max(64, _eights(width / 4)), class_width=max(80, width))


def neck_for(widths: Widths) -> NeckSpec:
    """Path aggregation for a pyramid of these widths, in the proportions of t."""
    width3, width4, width5 = map(_eights, widths)
    return NeckSpec(
        top_down=TopDownSpec(
            pool=PoolSpec(out=width5, hidden=_eights(width5 / 2)),
            merge4=_elan(width4),
            merge3=_elan(width3),
        ),
        bottom_up=BottomUpSpec(
            down4=_eights(width4 / 2),
            merge4=_elan(width4),
            down5=_eights(width5 / 2),
            merge5=_elan(width5),
            downsampling="average",
        ),
    )


def backbone_like(widths: Widths) -> BackboneSpec:
    """A chain whose pyramid has these widths, for a reversible branch beside another backbone."""
    first = _eights(widths[0] / 2)
    stage2, stage3, stage4 = (
        StageSpec(enter=width, elan=_elan(width)) for width in map(_eights, widths)
    )
    return BackboneSpec(
        stem=_eights(widths[0] / 4),
        stage1=StageSpec(enter=first, elan=_elan(first, block="none")),
        stage2=stage2,
        stage3=stage3,
        stage4=stage4,
        downsampling="average",
    )


def _elan(width: int, block: str = "csp") -> ElanSpec:
    return ElanSpec(out=width, split=width, branch=width // 2, block=block)


def _eights(width: float | int) -> int:
    return max(8, 8 * round(width / 8))
