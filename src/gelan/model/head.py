"""The detection head: a pyramid becomes class logits and box distances at every anchor point."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gelan.model.blocks import ConvNormAct
from gelan.model.specs import MAX_CLASSES, HeadSpec, require_whole
from gelan.structures.predictions import HeadOutput, Pyramid

STRIDES = (8, 16, 32)


class DetectionHead(nn.Module):
    """A box tower and a class tower on each of three maps.

    It returns raw numbers: `decode` makes boxes of them, the objective judges them, neither here.

    Raises:
        ConfigError: there is not one class, or absurdly many.
    """

    def __init__(self, spec: HeadSpec, widths: tuple[int, int, int], *, num_classes: int) -> None:
        require_whole("num_classes", num_classes, low=1, high=MAX_CLASSES)
        super().__init__()
        self.spec = spec
        self.num_classes = num_classes
        self.bins = spec.bins
        self.boxes = nn.ModuleList(
            _tower(width, spec.box_width, outputs=4 * spec.bins, groups=spec.box_groups)
            for width in widths
        )
        self.classes = nn.ModuleList(
            _tower(width, spec.class_width, outputs=num_classes) for width in widths
        )
        self._initialise_biases()

    def forward(self, pyramid: Pyramid) -> HeadOutput:
        """Logits and distances of all anchor points, finest stride first, row by row."""
        logits = [_rows(tower(level)) for tower, level in zip(self.classes, pyramid, strict=True)]
        sides = [_rows(tower(level)) for tower, level in zip(self.boxes, pyramid, strict=True)]
        distances = torch.cat(sides, dim=1)
        distances = distances.view(*distances.shape[:2], 4, self.bins)
        return HeadOutput(torch.cat(logits, dim=1), distances)

    def _initialise_biases(self) -> None:
        """Start from about 5 objects among the anchors of a 640 px image (published recipe)."""
        for boxes, classes, stride in zip(self.boxes, self.classes, STRIDES, strict=True):
            nn.init.constant_(last_bias(boxes), 1.0)
            prior = math.log(5 / self.num_classes / (640 / stride) ** 2)
            nn.init.constant_(last_bias(classes), prior)


def decode(
    output: HeadOutput, size_hw: tuple[int, int]
) -> tuple[Float[Tensor, "batch anchors 4"], Float[Tensor, "batch anchors classes"]]:
    """Boxes (x1, y1, x2, y2 in pixels of the network's input, not clipped) and scores (0 to 1).

    A side's distance is the expectation over its bins (Li et al. 2020), in strides from the
    centre of the anchor's cell. `size_hw` is the height and width of the input.
    """
    points, strides = anchor_points(size_hw, device=output.logits.device)
    distances = expected_distances(output.distances) * strides[:, None]
    boxes = torch.cat([points - distances[..., :2], points + distances[..., 2:]], dim=-1)
    return boxes, output.logits.float().sigmoid()


def expected_distances(
    logits: Float[Tensor, "batch anchors 4 bins"],
) -> Float[Tensor, "batch anchors 4"]:
    """Mean distance of each side in strides, 0 .. bins - 1, always in float32."""
    bins = torch.arange(logits.shape[-1], device=logits.device, dtype=torch.float32)
    return logits.float().softmax(dim=-1) @ bins


def anchor_points(
    size_hw: tuple[int, int], device: torch.device | None = None
) -> tuple[Float[Tensor, "anchors 2"], Float[Tensor, " anchors"]]:
    """Centres (x, y in pixels) and strides of all cells, in the order of `HeadOutput`."""
    height, width = size_hw
    points, strides = [], []
    for stride in STRIDES:
        rows = (torch.arange(height // stride, device=device, dtype=torch.float32) + 0.5) * stride
        columns = (torch.arange(width // stride, device=device, dtype=torch.float32) + 0.5) * stride
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        points.append(torch.stack([x.flatten(), y.flatten()], dim=1))
        strides.append(torch.full_like(points[-1][:, 0], float(stride)))
    return torch.cat(points), torch.cat(strides)


def last_bias(tower: nn.Module) -> Tensor:
    """The bias of a tower's last convolution."""
    last = tower.get_submodule("2")
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    return last.bias


def _tower(inputs: int, width: int, *, outputs: int, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        ConvNormAct(inputs, width, kernel=3),
        ConvNormAct(width, width, kernel=3, groups=groups),
        nn.Conv2d(width, outputs, 1, groups=groups),
    )


def _rows(
    level: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch cells channels"]:
    return level.flatten(2).transpose(1, 2)
