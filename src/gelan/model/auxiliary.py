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
from typing import TYPE_CHECKING, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gelan.errors import ConfigError
from gelan.model.backbone import ReversibleBranch, pyramid_widths
from gelan.model.blocks import require_known_blocks
from gelan.model.head import DetectionHead
from gelan.model.neck import Neck, TopDown
from gelan.model.sizing import backbone_like, head_for
from gelan.model.specs import AuxiliaryKind, AuxiliarySpec, BackboneSpec, HeadSpec
from gelan.structures.predictions import HeadOutput, Pyramid

if TYPE_CHECKING:
    from gelan.model.detector import Detector

Images = Float[Tensor, "batch 3 height width"]
Widths = tuple[int, int, int]

_FOR_INFERENCE = (
    "this network is re-parameterised, for inference only, where an auxiliary part has no use; "
    "attach it to the network from before reparameterize()"
)


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
        self, spec: AuxiliarySpec, source_widths: Widths, *, num_classes: int, bins: int
    ) -> None:
        super().__init__()
        require_known_blocks(spec, place="auxiliary")
        self.spec = replace(spec, head=replace(spec.head, bins=bins))
        self.source_widths = source_widths
        self.branch, widths = _make_branch(spec, source_widths)
        self.head = DetectionHead(self.spec.head, widths, num_classes=num_classes)

    def forward(self, images: Images, source: Pyramid) -> HeadOutput:
        """The auxiliary predictions of the images whose backbone features are `source`."""
        out: HeadOutput = self.head(self.branch(images, source))
        return out


def attach_auxiliary(
    detector: Detector, part: Auxiliary | AuxiliarySpec | AuxiliaryKind | Literal["none"]
) -> None:
    """Give the detector an auxiliary part under `detector.auxiliary`.

    A kind or a spec makes one with fresh weights, a part that `detach_auxiliary` returned comes
    back as it was. It has the device and precision of the detector's head, and is in training or
    evaluation mode like the detector. A kind alone is sized after the detector: the paths after
    its neck, the reversible branch after its backbone. "none" leaves the detector as it is.

    Raises:
        ConfigError: one is attached already, there is no such kind, the part is of another
            detector, or the detector is re-parameterised.
    """
    if detector.auxiliary is not None:
        raise ConfigError("an auxiliary part is attached already: detach it first")
    if part == "none":
        return
    if detector.is_reparameterized:
        raise ConfigError(_FOR_INFERENCE)
    if not isinstance(part, Auxiliary):
        _require_spec_or_kind(part)
        spec = part if isinstance(part, AuxiliarySpec) else auxiliary_spec(detector, part)
        part = _new_auxiliary(detector, spec)
    _require_fit(detector, part)
    beside = next(detector.head.parameters())
    detector.auxiliary = part.to(beside.device, beside.dtype).train(detector.training)


def detach_auxiliary(detector: Detector) -> Auxiliary | None:
    """The auxiliary part, taken off for evaluation, export and publishing; None if there is none.

    `attach_auxiliary` puts it back.
    """
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
        return AuxiliarySpec(kind=kind, head=_head_beside(detector, source[0]))
    if kind in ("fpn", "pan"):
        head = _head_beside(detector, neck.top_down.merge3.out)
        if kind == "fpn":
            return AuxiliarySpec(kind=kind, head=head, top_down=neck.top_down)
        return AuxiliarySpec(kind=kind, head=head, neck=neck)
    if kind == "icn":
        own = None if detector.spec is None else detector.spec.backbone
        backbone = backbone_like(source) if own is None else own
        head = _head_beside(detector, backbone.stage2.elan.out)
        return AuxiliarySpec(kind=kind, head=head, backbone=backbone)
    raise ConfigError(f"no auxiliary branch is called {kind!r:.40}: pfh, fpn, pan, icn or none")


def _require_spec_or_kind(wanted: object) -> None:
    if not isinstance(wanted, AuxiliarySpec) and wanted not in get_args(AuxiliaryKind):
        raise ConfigError(
            f"no auxiliary part is {wanted!r:.40}: name its kind (pfh, fpn, pan, icn or none), or "
            "give an AuxiliarySpec, or what detach_auxiliary returned"
        )


def _new_auxiliary(detector: Detector, spec: AuxiliarySpec) -> Auxiliary:
    head, widths = detector.head, detector.backbone.source_widths
    with torch.device(next(head.parameters()).device):
        return Auxiliary(spec, widths, num_classes=head.num_classes, bins=head.bins)


def _require_fit(detector: Detector, part: Auxiliary) -> None:
    """A part that was detached from another detector may not read this one's maps."""
    head, widths = detector.head, tuple(detector.backbone.source_widths)
    if part.source_widths != widths:
        raise ConfigError(
            f"the part reads maps of {part.source_widths} channels, the detector's backbone gives "
            f"{widths}: attach a new one by its kind"
        )
    if part.head.num_classes != head.num_classes:
        raise ConfigError(
            f"the part has {part.head.num_classes} classes, the detector {head.num_classes}: "
            "attach a new one by its kind"
        )
    if part.head.bins != head.bins:
        raise ConfigError(
            f"the part has {part.head.bins} bins, the detector {head.bins}: "
            "attach a new one by its kind"
        )


def _head_beside(detector: Detector, width: int) -> HeadSpec:
    """The spec of a head on a finest map of `width` channels, beside the main head.

    As published: the main head's own where its finest map is as wide (t, s, m, e), one sized
    after its map where that is wider (c).
    """
    main = detector.head.spec
    if width == detector.neck.widths[0]:
        return main
    return replace(head_for(width), box_groups=main.box_groups, bins=main.bins)


def _make_branch(spec: AuxiliarySpec, source: Widths) -> tuple[nn.Module, Widths]:
    """The branch, and the widths of its pyramid; the spec has seen to it that one field is set."""
    if spec.backbone is not None:
        return IntegrationBranch(spec.backbone, source), pyramid_widths(spec.backbone)
    path: TopDown | Neck
    if spec.top_down is not None:
        path = TopDown(spec.top_down, source)
    elif spec.neck is not None:
        path = Neck(spec.neck, source)
    else:
        return DeepSupervision(), source
    return PathBranch(path), path.widths
