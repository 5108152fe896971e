"""The anchors of a canvas as tensors, and how they lie in rows and columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from gelan.geometry.anchors import anchor_points


@dataclass(frozen=True, kw_only=True, slots=True)
class AnchorGrid:
    """All anchors of a canvas, finest stride first, row by row within one of the levels."""

    points: Float32[Tensor, "anchors 2"]
    """Centre (x, y) of each anchor's cell in pixels of the canvas."""
    strides: Float32[Tensor, " anchors"]
    """Width of each anchor's cell in pixels."""
    level_strides: Float32[Tensor, " levels"]
    level_sizes: Int64[Tensor, "levels 2"]
    """Columns and rows of each level."""
    level_starts: Int64[Tensor, " levels"]
    """Position of each level's first anchor."""

    def __len__(self) -> int:
        return len(self.points)


@lru_cache(maxsize=64)  # more than the sizes of multi-scale training on a few devices
def anchor_grid(size_hw: tuple[int, int], device: torch.device) -> AnchorGrid:
    """The anchors of a network with strides 8, 16 and 32, made once per size and device.

    Raises:
        ConfigError: height or width is not a positive multiple of 32.
    """
    points, strides = anchor_points(size_hw)
    return grid_of(points, strides, size_hw=size_hw, device=device)


def grid_of(
    points: Float32[np.ndarray, "anchors 2"],
    strides: Float32[np.ndarray, " anchors"],
    *,
    size_hw: tuple[int, int],
    device: torch.device,
) -> AnchorGrid:
    """The grid of what `geometry.anchors.anchor_points` gives for a canvas of that size.

    >>> points, strides = anchor_points((32, 64), strides=(16, 32))
    >>> grid = grid_of(points, strides, size_hw=(32, 64), device=torch.device("cpu"))
    >>> grid.level_sizes.tolist(), grid.level_starts.tolist()
    ([[4, 2], [2, 1]], [0, 8])
    """
    height, width = size_hw
    level_strides, level_starts = np.unique(strides, return_index=True)  # finest is smallest
    sizes = [[width // int(stride), height // int(stride)] for stride in level_strides]
    with torch.inference_mode(mode=False):  # a grid made in validation must serve training too
        return AnchorGrid(
            points=torch.from_numpy(points).to(device),
            strides=torch.from_numpy(strides).to(device),
            level_strides=torch.from_numpy(level_strides).to(device),
            level_sizes=torch.tensor(sizes, device=device),
            level_starts=torch.from_numpy(level_starts).to(device),
        )
