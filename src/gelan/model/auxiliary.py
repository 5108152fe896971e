"""PGI: the part that exists only to give the main branch better gradients (Sec. 4.1).

While training, an auxiliary branch looks at the backbone's features (and, in its reversible
form, at the image again) and predicts the same objects with a head of its own. Its loss flows
back into the backbone through features that still know the whole input. For inference the part
is detached: the main output stays bit-identical, and nothing of it is computed, stored or
exported.

Nothing outside this file and one weight in the objective knows that it exists.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor, nn

from gelan.errors import ConfigError
from gelan.model.backbone import ReversibleBranch
from gelan.model.head import DetectionHead
from gelan.model.neck import Neck, TopDown
from gelan.model.sizing import backbone_like, head_for
from gelan.model.specs import (
    AuxiliaryKind,
    AuxiliarySpec,
    BackboneSpec,
)
from gelan.structures.predictions import HeadOutput, Pyramid

if TYPE_CHECKING:
    from gelan.model.detector import Detector

Images = Float[Tensor, "batch 3 height width"]
Widths = tuple[int, int, int]


class DeepSupervision(nn.Module):
    """No branch at all: heads right on the backbone's maps (PFH in Table 4)."""

    def forward(self, images: Images, source: Pyramid) -> Pyramid:
        """The backbone's own pyramid."""
        return source


class PathBranch(nn.Module):
    """A path of the neck's kind on the backbone's maps (FPN and PAN in Table 4)."""

    def __init__(self, path: TopDown | Neck) -> None:
        super().__init__()
        self.path = path

    def forward(self, images: Images, source: Pyramid) -> Pyramid:
        """The pyramid after the path."""
        out: Pyramid = self.path(source)
        return out


class IntegrationBranch(nn.Module):
    """A reversible backbone fed by the image and by every map of the pyramid (ICN in Table 4)."""

    def __init__(self, spec: BackboneSpec, source_widths: Widths) -> None:
        super().__init__()
        self.reversible = ReversibleBranch(spec, source_widths)

    def forward(self, images: Images, source: Pyramid) -> Pyramid:
        """The second backbone's pyramid."""
        return Pyramid(*self.reversible(images, source)[-3:])


class Auxiliary(nn.Module):
    """Branch and head of PGI: a second `HeadOutput` over the same anchor points."""

    def __init__(
        self, spec: AuxiliarySpec, source_widths: Widths, num_classes: int, bins: int
    ) -> None:
        super().__init__()
        self.spec = spec
        self.branch, widths = _make_branch(spec, source_widths)
        self.head = DetectionHead(replace(spec.head, bins=bins), widths, num_classes)

    def forward(self, images: Images, source: Pyramid) -> HeadOutput:
        """The auxiliary predictions of the images whose backbone features are `source`."""
        out: HeadOutput = self.head(self.branch(images, source))
        return out


def attach_auxiliary(detector: Detector, spec: AuxiliarySpec | AuxiliaryKind) -> None:
    """Give the detector an auxiliary part, with fresh weights, under `detector.auxiliary`.

    A kind alone is sized after the detector: the paths after its neck, the reversible branch
    after its backbone.

    Raises:
        ConfigError: one is attached already, or a spec lacks the field of its kind.
    """
    if detector.auxiliary is not None:
        raise ConfigError("an auxiliary part is attached already: detach it first")
    if isinstance(spec, str):
        spec = auxiliary_spec(detector, spec)
    head = detector.head
    detector.auxiliary = Auxiliary(
        spec, detector.backbone.source_widths, head.num_classes, head.bins
    )


def detach_auxiliary(detector: Detector) -> Auxiliary | None:
    """Take the auxiliary part off, for evaluation, export and publishing; returns it."""
    auxiliary = detector.auxiliary
    detector.auxiliary = None
    return auxiliary


def auxiliary_spec(detector: Detector, kind: AuxiliaryKind) -> AuxiliarySpec:
    """A branch of the given kind for this detector; that of the published size where one exists.

    Raises:
        ConfigError: no such kind.
    """
    source = detector.backbone.source_widths
    neck = detector.neck.spec
    if kind == "pfh":
        return AuxiliarySpec(kind=kind, head=head_for(source[0]))
    if kind == "fpn":
        path = neck.top_down
        return AuxiliarySpec(kind=kind, head=head_for(path.merge3.out), top_down=path)
    if kind == "pan":
        return AuxiliarySpec(kind=kind, head=head_for(neck.top_down.merge3.out), neck=neck)
    if kind == "icn":
        own = None if detector.spec is None else detector.spec.backbone
        backbone = backbone_like(source) if own is None else own
        return AuxiliarySpec(kind=kind, head=head_for(backbone.stage2.elan.out), backbone=backbone)
    raise ConfigError(f"no auxiliary branch is called {kind!r}: pfh, fpn, pan or icn")


def _make_branch(spec: AuxiliarySpec, source: Widths) -> tuple[nn.Module, Widths]:
    if spec.kind == "pfh":
        return DeepSupervision(), source
    path: TopDown | Neck
    if spec.kind == "fpn" and spec.top_down is not None:
        path = TopDown(spec.top_down, source)
        return PathBranch(path), path.widths
    if spec.kind == "pan" and spec.neck is not None:
        path = Neck(spec.neck, source)
        return PathBranch(path), path.widths
    if spec.kind == "icn" and spec.backbone is not None:
        stages = (spec.backbone.stage2, spec.backbone.stage3, spec.backbone.stage4)
        widths = (stages[0].elan.out, stages[1].elan.out, stages[2].elan.out)
        return IntegrationBranch(spec.backbone, source), widths
    raise ConfigError(f"an auxiliary branch of kind {spec.kind!r} lacks the spec of its branch")
