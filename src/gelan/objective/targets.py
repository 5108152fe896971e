"""What a batch of images should have been seen as: all its objects in one list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from gelan.structures.batches import Batch


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """The objects of a batch, image after image."""

    boxes: Float32[Tensor, "n 4"]
    """x1, y1, x2, y2 in pixels of the canvases; they may reach beyond."""
    classes: Int64[Tensor, " n"]
    images: Int64[Tensor, " n"]
    """Position of each object's image in the batch, ascending."""
    num_images: int
    """Images in the batch, those without objects included."""
    size_hw: tuple[int, int]
    """Height and width of the canvases in pixels."""


def targets_of(batch: Batch, device: torch.device) -> Targets:
    """All objects of a batch on a device; crowds are left out, boxes stay as they are.

    >>> from gelan.structures.samples import Annotations
    >>> objects = Annotations.of_boxes([[0, 0, 8, 8], [8, 0, 32, 16]], [3, 5])
    >>> batch = Batch(
    ...     images=torch.zeros(2, 3, 32, 64, dtype=torch.uint8),
    ...     annotations=(objects[:0], objects),
    ...     placements=(None, None),
    ...     sources=("a.jpg", "b.jpg"),
    ... )
    >>> targets = targets_of(batch, torch.device("cpu"))
    >>> targets.classes.tolist(), targets.images.tolist(), targets.num_images, targets.size_hw
    ([3, 5], [1, 1], 2, (32, 64))
    """
    learnt = [annotations[~annotations.crowd] for annotations in batch.annotations]
    counts = [len(annotations) for annotations in learnt]
    boxes = [np.zeros((0, 4), np.float32), *(annotations.boxes for annotations in learnt)]
    classes = [np.zeros(0, np.int64), *(annotations.classes for annotations in learnt)]
    height, width = batch.images.shape[-2:]
    return Targets(
        boxes=torch.from_numpy(np.concatenate(boxes)).to(device, non_blocking=True),
        classes=torch.from_numpy(np.concatenate(classes)).to(device, non_blocking=True),
        images=torch.from_numpy(np.repeat(np.arange(len(learnt)), counts)).to(device),
        num_images=len(batch),
        size_hw=(height, width),
    )
