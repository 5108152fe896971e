"""The three losses of a detection head: pure functions of tensors, without gains.

Distances are left, top, right, bottom from an anchor's centre, in strides.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from gelan.objective.ciou import complete_iou

_MARGIN = 0.01


def box_loss(
    logits: Float[Tensor, "n 4 bins"], distances: Float[Tensor, "n 4"]
) -> Float[Tensor, " n"]:
    """1 - CIoU of the expected box with the true one, in [0, 2.5).

    >>> certain = torch.full((1, 4, 3), -100.0)
    >>> certain[:, :, 1] = 0.0  # a box of 2 x 2 around the anchor
    >>> box_loss(certain, torch.tensor([[0.0, 1.0, 2.0, 1.0]]))  # moved by 1: 1 - (1 / 3 - 1 / 13)
    tensor([0.7436])
    """
    expected = expected_distances(logits)
    return 1 - complete_iou(_around_anchor(expected), _around_anchor(distances))


def distribution_loss(
    logits: Float[Tensor, "n 4 bins"], distances: Float[Tensor, "n 4"]
) -> Float[Tensor, " n"]:
    """Distribution focal loss (Li et al. 2020, eq. 6), the mean of the four sides.

    The target lies between two whole distances; the bins of both are pulled up, each in proportion
    to its nearness. Targets are clamped to what the bins can express: 0 to bins - 1, less 0.01 as
    in the published recipe, so that there always is a bin above.

    >>> distribution_loss(torch.zeros(1, 4, 16), torch.full((1, 4), 2.25))  # log(16)
    tensor([2.7726])
    """
    target = distances.clamp(0, logits.shape[2] - 1 - _MARGIN)
    lower = target.floor()
    above = target - lower
    nearest = torch.stack([lower, lower + 1], dim=-1).long()
    log_lower, log_upper = logits.log_softmax(dim=-1).gather(2, nearest).unbind(dim=-1)
    return -(log_lower * (1 - above) + log_upper * above).mean(dim=-1)


def classification_loss(
    logits: Float[Tensor, "batch anchors classes"],
    places: Int64[Tensor, " n"],
    scores: Float[Tensor, " n"],
) -> Float[Tensor, ""]:
    """Binary cross-entropy summed over all anchors and classes.

    The target is `scores` at `places` (positions in the flattened logits) and 0 elsewhere, which
    is why it need not be laid out: -t log p - (1 - t) log(1 - p) = softplus(x) - t x.

    >>> logits = torch.zeros(1, 2, 3)  # six times log(2), less 0.5 x 0
    >>> classification_loss(logits, torch.tensor([4]), torch.tensor([0.5]))
    tensor(4.1589)
    """
    learnt = logits.flatten().index_select(0, places)
    return functional.softplus(logits).sum() - (scores * learnt).sum()


def expected_distances(
    logits: Float[Tensor, "*batch 4 bins"],
) -> Float[Tensor, "*batch 4"]:
    """Mean distance of each side, 0 to bins - 1, in float32."""
    bins = torch.arange(logits.shape[-1], device=logits.device, dtype=torch.float32)
    return logits.softmax(dim=-1, dtype=torch.float32) @ bins


def _around_anchor(distances: Float[Tensor, "n 4"]) -> Float[Tensor, "4 n"]:
    """Sides of boxes seen from their anchor."""
    left, top, right, bottom = distances.unbind(dim=1)
    return torch.stack([-left, -top, right, bottom])
