"""The detector: backbone, neck, head and, while training, the auxiliary part."""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor, nn

from gelan.errors import ConfigError
from gelan.model.auxiliary import Auxiliary
from gelan.model.backbone import Backbone, CompositeBackbone, ForeignBackbone
from gelan.model.blocks import require_known_blocks
from gelan.model.head import DetectionHead
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

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Predictions:
        """The main output and, while PGI is attached, the auxiliary one."""
        _require_whole_cells(images)
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

    def forget_spec(self) -> None:
        """Make `spec` None, because the modules are no longer what it says."""
        self._spec = None


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


def _require_whole_cells(images: Tensor) -> None:
    height, width = images.shape[-2:]
    if height % 32 or width % 32:
        raise ConfigError(
            f"the network's input is {width} x {height} pixels, but both must be multiples of 32: "
            f"{-(-width // 32) * 32} x {-(-height // 32) * 32} would do"
        )
