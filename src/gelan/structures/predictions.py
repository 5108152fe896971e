"""What a network returns: raw numbers over all anchor points, judged elsewhere."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Pyramid(NamedTuple):
    """Three feature maps of the same images, at strides 8, 16 and 32."""

    p3: Float[Tensor, "batch width3 height8 width8"]
    p4: Float[Tensor, "batch width4 height16 width16"]
    p5: Float[Tensor, "batch width5 height32 width32"]


class HeadOutput(NamedTuple):
    """Raw output of one head over all anchor points.

    Anchor points come finest stride first, row by row within a stride. At 640 x 640 there are
    6400 + 1600 + 400 = 8400.
    """

    logits: Float[Tensor, "batch anchors classes"]
    """Before the sigmoid."""
    distances: Float[Tensor, "batch anchors 4 bins"]
    """Left, top, right, bottom, as logits over distances of 0, 1, ... bins - 1 strides."""


class Predictions(NamedTuple):
    """What a detector returns for a batch of images."""

    main: HeadOutput
    auxiliary: HeadOutput | None
    """Only while PGI is attached."""
