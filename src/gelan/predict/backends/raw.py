"""What predicts: any runtime that turns a batch of images into boxes and scores, in numpy."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32


class RawOutput(NamedTuple):
    """Everything that a network says about a batch, before any selection."""

    boxes: Float32[np.ndarray, "batch anchors 4"]
    """x1, y1, x2, y2 in pixels of the canvas, not clipped."""
    scores: Float32[np.ndarray, "batch anchors classes"]
    """0 to 1."""


@runtime_checkable
class RawModel(Protocol):
    """A network on some runtime."""

    def __call__(self, images: Float32[np.ndarray, "batch 3 height width"]) -> RawOutput:
        """Boxes and scores of images in [0, 1] RGB, sides multiples of 32."""
        ...

    def __str__(self) -> str:
        """Runtime, device and precision, for people."""
        ...
