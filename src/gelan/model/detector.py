"""The detector: backbone, neck, head and, while training, the auxiliary part."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gelan.errors import ConfigError
from gelan.model.auxiliary import Auxiliary
from gelan.model.backbone import Backbone, CompositeBackbone, ForeignBackbone
from gelan.model.blocks import require_known_blocks
from gelan.model.head import DetectionHead, last_bias
from gelan.model.neck import Neck
from gelan.model.sizing import head_for, neck_for
from gelan.model.specs import DetectorSpec
from gelan.structures.predictions import Predictions


class Detector(nn.Module):
    """Images -> `Predictions`; raw numbers only, see `head.decode` for boxes and scores.

    The images are RGB in [0, 1], (batch, 3, height, width); height and width are multiples of 32.
    """

    def __init__(
        self,
        backbone: Backbone | CompositeBackbone | ForeignBackbone,
        neck: Neck,
        *,
        head: DetectionHead,
        auxiliary: Auxiliary | None = None,
        spec: DetectorSpec | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = head
        self.auxiliary = auxiliary
        self._spec = spec
        self._is_reparameterized = False

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Predictions:
        """The main output and, while PGI is attached, the auxiliary one.

        Raises:
            ConfigError: the images are none that the network can take; says what they are.
        """
        require_images(images, like=last_bias(self.head.boxes[0]))
        features = self.backbone(images)
        main = self.head(self.neck(features.main))
        if self.auxiliary is None:
            return Predictions(main, None)
        return Predictions(main, self.auxiliary(images, features.source))

    @property
    def spec(self) -> DetectorSpec | None:
        """What the network is made of now.

        None if no spec can say it: the backbone is not ours, or the network is re-parameterised.
        """
        if self._spec is None:
            return None
        auxiliary = None if self.auxiliary is None else self.auxiliary.spec
        return replace(self._spec, auxiliary=auxiliary)

    @property
    def is_reparameterized(self) -> bool:
        """Whether it is a folded twin, which is for inference only."""
        return self._is_reparameterized

    def mark_reparameterized(self) -> None:
        """Say that the modules are folded: no spec describes them any more."""
        self._spec = None
        self._is_reparameterized = True


def build_detector(spec: DetectorSpec) -> Detector:
    """The network of a spec, with fresh weights (PyTorch's defaults, and the head's priors).

    Raises:
        ConfigError: the spec names a computational block that is not in `blocks.BLOCKS`.
    """
    require_known_blocks(spec)
    backbone: Backbone | CompositeBackbone
    backbone = CompositeBackbone(spec.backbone) if spec.composite else Backbone(spec.backbone)
    neck = Neck(spec.neck, backbone.widths)
    head = DetectionHead(spec.head, neck.widths, num_classes=spec.num_classes)
    auxiliary = None
    if spec.auxiliary is not None:
        auxiliary = Auxiliary(
            spec.auxiliary,
            backbone.source_widths,
            num_classes=spec.num_classes,
            bins=spec.head.bins,
        )
    return Detector(backbone, neck, head=head, auxiliary=auxiliary, spec=spec)


def detector_on(network: nn.Module, *, widths: tuple[int, int, int], num_classes: int) -> Detector:
    """A detector on a backbone from elsewhere, with a neck and a head sized after it.

    `network` maps images to maps at strides 8, 16, 32 with `widths` channels, finest first.

    Raises:
        ConfigError: `widths` or `num_classes` is impossible; what the network gives is looked at
            when it first runs.
    """
    backbone = ForeignBackbone(network, widths)
    neck = Neck(neck_for(widths), widths)
    head = DetectionHead(head_for(widths[0]), neck.widths, num_classes=num_classes)
    return Detector(backbone, neck, head=head)


def require_images(images: object, *, like: Tensor) -> None:
    """Refuse what is no batch of images for a network that computes as `like` does.

    Under autocast any floating-point type will do.

    Raises:
        ConfigError: no tensor, other dimensions, channels or type, or a size that is no multiple
            of 32.
    """
    wanted = f"the network takes a tensor (batch, 3, height, width) of {like.dtype}, RGB in [0, 1]"
    if not isinstance(images, Tensor):
        raise ConfigError(f"{wanted}; it got {type(images).__name__}")
    if images.ndim != 4 or images.shape[1] != 3:
        raise ConfigError(f"{wanted}; it got one of shape {tuple(images.shape)}")
    if images.dtype != like.dtype and not (images.is_floating_point() and _is_mixed(images.device)):
        scale = "" if images.is_floating_point() else ", then divide by 255 if they are bytes"
        raise ConfigError(
            f"{wanted}; it got one of {images.dtype}: convert it by .to({like.dtype}){scale}"
        )
    height, width = images.shape[-2:]
    if height % 32 or width % 32 or height < 32 or width < 32:
        raise ConfigError(
            f"the network's input is {width} x {height} pixels, but both must be multiples of 32: "
            f"{-(-max(width, 1) // 32) * 32} x {-(-max(height, 1) // 32) * 32} would do"
        )


def _is_mixed(device: torch.device) -> bool:
    """Whether autocast chooses the types of computations on that device."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)
