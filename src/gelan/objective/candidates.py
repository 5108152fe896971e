"""Which anchors may learn which object: those whose centre lies inside its box.

On each level these are the cells of a rectangle, whose first and last column and row follow from
the sides of the box. So the pairs are counted and listed without asking any other anchor.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from gelan.objective.grid import AnchorGrid
from gelan.objective.targets import Targets


class Candidates(NamedTuple):
    """Pairs of an object and an anchor inside its box, object by object, anchors ascending."""

    objects: Int64[Tensor, " pairs"]
    """Positions in `Targets`."""
    anchors: Int64[Tensor, " pairs"]
    """Positions among all anchors of the batch: image x anchors of an image + anchor."""
    counts: Int64[Tensor, " n"]
    """Pairs of each object."""


@torch.no_grad()
def candidates_of(targets: Targets, grid: AnchorGrid) -> Candidates:
    """All pairs of which the centre lies strictly inside the box.

    A box of which the four coordinates sum to 0 or less has none: it lies outside the canvas for
    its larger part (published recipe, where such rows stand for no object).
    """
    columns_rows = grid.level_sizes.to(torch.float32)
    # In cells from the centre of the first one, so that a cell is inside from the first whole
    # number above to the last one below. Strides are powers of two: the division is exact.
    sides = targets.boxes[:, None] / grid.level_strides[:, None] - 0.5
    first = (sides[..., :2].floor() + 1).clamp(min=0).minimum(columns_rows).long()
    end = sides[..., 2:].ceil().clamp(min=0).minimum(columns_rows).long()
    is_real = targets.boxes.sum(dim=1) > 0
    lengths = (end - first).clamp(min=0) * is_real[:, None, None]

    rectangles, rows = ranges(first[..., 1].flatten(), lengths[..., 1].flatten())
    levels = rectangles % len(grid.level_starts)
    objects = rectangles // len(grid.level_starts)
    row_starts = targets.images[objects] * len(grid) + grid.level_starts[levels]
    row_starts += rows * grid.level_sizes[levels, 0] + first[..., 0].flatten()[rectangles]
    row_of_pair, anchors = ranges(row_starts, lengths[..., 0].flatten()[rectangles])
    return Candidates(objects[row_of_pair], anchors, lengths.prod(dim=2).sum(dim=1))


def ranges(
    starts: Int64[Tensor, " n"], lengths: Int64[Tensor, " n"]
) -> tuple[Int64[Tensor, " total"], Int64[Tensor, " total"]]:
    """Whole numbers from each start on, so many each, and to which start they belong.

    >>> owners, numbers = ranges(torch.tensor([7, 3, 0]), torch.tensor([2, 0, 3]))
    >>> owners.tolist(), numbers.tolist()
    ([0, 0, 2, 2, 2], [7, 8, 0, 1, 2])
    """
    owners = torch.repeat_interleave(lengths)
    shifts = starts - (lengths.cumsum(0) - lengths)
    return owners, shifts[owners] + torch.arange(len(owners), device=owners.device)
