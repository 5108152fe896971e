"""What a network learns from at once: images of one size and the objects in them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gelan.geometry.letterbox import Placement
from gelan.structures.samples import Annotations


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Images on canvases of one size, with their objects.

    Pixels stay bytes until they are where they are needed: a quarter of the memory and of the way.
    """

    images: UInt8[Tensor, "batch 3 height width"]
    """RGB, 0 to 255."""
    annotations: tuple[Annotations, ...]
    """In pixels of the canvases."""
    placements: tuple[Placement | None, ...]
    """The way back to the original images; None where a sample is made of several, or moved."""
    sources: tuple[str, ...]
    """Path or name of each image (the first of several), for messages."""

    def __post_init__(self) -> None:
        lengths = {len(self.annotations), len(self.placements), len(self.sources), len(self)}
        if len(lengths) > 1:
            raise ValueError(f"the parts of a batch must be equally long, got {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.images)

    def network_input(
        self, device: torch.device | None = None, *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "batch 3 height width"]:
        """The images as a network sees them: in [0, 1], on a device."""
        return self.images.to(device, non_blocking=True).to(dtype) / 255
