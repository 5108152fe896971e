from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from gelan.objective.losses import (
    box_loss,
    classification_loss,
    distribution_loss,
    expected_distances,
)


def certain(distance: int, *, bins: int = 16) -> torch.Tensor:
    """Logits of one anchor that is sure of one distance on all sides."""
    logits = torch.full((1, 4, bins), -100.0)
    logits[:, :, distance] = 0.0
    return logits


def test_the_expected_distance_is_the_mean_over_the_bins() -> None:
    logits = torch.zeros(1, 4, 3)
    logits[0, 1] = torch.tensor([0.25, 0.25, 0.5]).log()
    torch.testing.assert_close(expected_distances(logits), torch.tensor([[1.0, 1.25, 1.0, 1.0]]))


def test_a_right_box_costs_nothing() -> None:
    loss = box_loss(certain(3), torch.full((1, 4), 3.0))
    torch.testing.assert_close(loss, torch.zeros(1), atol=1e-6, rtol=0)


def test_a_box_may_lie_beside_its_anchor() -> None:
    """True: x from 1 to 3 beside the anchor, predicted 2 x 2 around it: 1 - (0 - 4 / (16 + 4))."""
    loss = box_loss(certain(1), torch.tensor([[-1.0, 1.0, 3.0, 1.0]]))
    torch.testing.assert_close(loss, torch.tensor([1 + 4 / 20]))


def test_both_nearest_bins_are_pulled_in_proportion() -> None:
    """Target 2.25 with probabilities 1/2, 1/4 of bins 2, 3: 0.75 log 2 + 0.25 log 4."""
    logits = torch.tensor([1 / 8, 1 / 8, 1 / 2, 1 / 4]).log().expand(1, 4, 4)
    loss = distribution_loss(logits, torch.full((1, 4), 2.25))
    torch.testing.assert_close(loss, torch.tensor([0.75 * math.log(2) + 0.25 * math.log(4)]))


def test_the_sides_are_averaged() -> None:
    """Certain of distance 1, which is wrong by 100 in logits on one side of four."""
    loss = distribution_loss(certain(1, bins=4), torch.tensor([[1.0, 1.0, 2.0, 1.0]]))
    torch.testing.assert_close(loss, torch.tensor([25.0]))


@pytest.mark.parametrize(("distance", "clamped"), [(-3.0, 0.0), (99.0, 14.99), (15.0, 14.99)])
def test_distances_out_of_reach_are_clamped(distance: float, clamped: float) -> None:
    logits = torch.randn(1, 4, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        distribution_loss(logits, torch.full((1, 4), distance)),
        distribution_loss(logits, torch.full((1, 4), clamped)),
    )


def test_classes_cost_binary_cross_entropy_with_its_gradient() -> None:
    random = torch.Generator().manual_seed(0)
    logits = (torch.randn(2, 5, 3, generator=random) * 8).requires_grad_()
    places, scores = torch.tensor([0, 7, 29]), torch.tensor([0.3, 1.0, 0.0])
    soft_targets = torch.zeros(30)
    soft_targets[places] = scores
    expected = functional.binary_cross_entropy_with_logits(
        logits, soft_targets.view(2, 5, 3), reduction="sum"
    )
    found = classification_loss(logits, places, scores)
    torch.testing.assert_close(found, expected)
    ours, theirs = (torch.autograd.grad(loss, logits)[0] for loss in (found, expected))
    torch.testing.assert_close(ours, theirs)


def test_no_positives_cost_nothing_but_the_background() -> None:
    none = torch.zeros(0, 4)
    assert box_loss(torch.zeros(0, 4, 16), none).shape == (0,)
    assert distribution_loss(torch.zeros(0, 4, 16), none).shape == (0,)
    loss = classification_loss(torch.zeros(2, 5, 3), torch.zeros(0, dtype=torch.long), none[:, 0])
    torch.testing.assert_close(loss, torch.tensor(30 * math.log(2)))
