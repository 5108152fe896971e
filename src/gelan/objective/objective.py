"""How far the predictions of a batch are from its objects: the number that training lowers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from gelan.objective.assigner import Assignment, Guess, assign
from gelan.objective.candidates import Candidates, candidates_of
from gelan.objective.config import ObjectiveConfig
from gelan.objective.grid import AnchorGrid, anchor_grid
from gelan.objective.losses import (
    box_loss,
    classification_loss,
    distribution_loss,
    expected_distances,
)
from gelan.objective.targets import Targets
from gelan.structures.predictions import HeadOutput, Predictions


class Terms(NamedTuple):
    """The parts of one head's loss, with their gains, without gradients."""

    box: Float32[Tensor, ""]
    classification: Float32[Tensor, ""]
    distribution: Float32[Tensor, ""]


class LossTerms(NamedTuple):
    """What a batch costs."""

    total: Float32[Tensor, ""]
    """To be lowered: (sum of `main` + weight of the auxiliary head x sum of `auxiliary`) x number
    of images. NaN where any prediction is not finite."""
    main: Terms
    auxiliary: Terms | None
    """Without the weight of the auxiliary head; None without PGI."""


class Objective:
    """Judges predictions by the objects that should have been seen; the same for both heads.

    Each head's losses are summed over its positives (classes: over all anchors) and divided by
    the sum of the scores to be learnt, S, but by 1 at least. All is float32, under autocast too.

    With several processes that hold parts of one batch, `shared_sum` sums a vector of float32 over
    them (an all-reduce; it is called once for each batch, also for one without objects). The
    number of images and S are then those of the whole batch, and the **sum** of the processes'
    totals, or gradients, is that of one process with the whole batch, however it is parted. Where
    gradients are averaged over N processes, `total` must be multiplied by N; nothing else.
    """

    def __init__(
        self,
        config: ObjectiveConfig,
        *,
        shared_sum: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self._config = config
        self._shared_sum = shared_sum

    def __call__(self, predictions: Predictions, targets: Targets) -> LossTerms:
        """The loss of a batch and its parts.

        Raises:
            ValueError: predictions and targets are of different batches, canvases or classes.
        """
        with torch.autocast(predictions.main.logits.device.type, enabled=False):
            return self._judge(predictions, targets)

    def _judge(self, predictions: Predictions, targets: Targets) -> LossTerms:
        heads = [output for output in predictions if output is not None]
        grid = anchor_grid(targets.size_hw, targets.boxes.device)
        _require_same_batch(predictions.main, targets, grid)
        candidates = candidates_of(targets, grid)
        guiding = heads if self._config.assignment == "own" else heads[:1]
        assignments = [self._assign(head, targets, grid, candidates) for head in guiding]
        num_images, *score_sums = self._sums(targets.num_images, assignments)

        if len(guiding) < len(heads):
            assignments, score_sums = assignments * 2, score_sums * 2
        terms = [
            self._gained(head, targets, grid, assignment) / score_sum.clamp(min=1)
            for head, assignment, score_sum in zip(heads, assignments, score_sums, strict=True)
        ]
        main, auxiliary = terms[0], terms[1] if len(terms) > 1 else None
        weighted = main if auxiliary is None else main + self._config.auxiliary * auxiliary
        return LossTerms(
            weighted.sum() * num_images * _one_if_finite(heads),
            Terms(*main.detach().unbind()),
            None if auxiliary is None else Terms(*auxiliary.detach().unbind()),
        )

    def _assign(
        self, head: HeadOutput, targets: Targets, grid: AnchorGrid, candidates: Candidates
    ) -> Assignment:
        guess = Guess(head.logits.detach(), predicted_sides(head.distances.detach(), grid))
        return assign(guess, targets, candidates, config=self._config.assigner)

    def _sums(self, num_images: int, assignments: list[Assignment]) -> list[Tensor]:
        """Images of the batch, and the sum of the scores to learn of each assignment."""
        sums = [assignment.weights.sum() for assignment in assignments]
        vector = torch.stack([torch.full_like(sums[0], num_images), *sums])
        return list((vector if self._shared_sum is None else self._shared_sum(vector)).unbind())

    def _gained(
        self, head: HeadOutput, targets: Targets, grid: AnchorGrid, assignment: Assignment
    ) -> Float32[Tensor, " terms"]:
        """Box, classification and distribution loss, summed over the batch, times their gains."""
        anchors, objects, weights = assignment
        distances = true_distances(targets.boxes[objects], grid, anchors % len(grid))
        bins = head.distances.flatten(0, 1).index_select(0, anchors).float()
        places = anchors * head.logits.shape[2] + targets.classes[objects]
        box = (box_loss(bins, distances) * weights).sum()
        classification = classification_loss(head.logits.float(), places, weights)
        distribution = (distribution_loss(bins, distances) * weights).sum()
        return torch.stack(
            [
                self._config.box * box,
                self._config.classification * classification,
                self._config.distribution * distribution,
            ]
        )


def predicted_sides(
    distances: Float[Tensor, "batch anchors 4 bins"], grid: AnchorGrid
) -> Float32[Tensor, "4 all_anchors"]:
    """Left, top, right, bottom of every anchor's expected box, in pixels of the canvas."""
    pixels = expected_distances(distances) * grid.strides[:, None]
    boxes = torch.cat([grid.points - pixels[..., :2], grid.points + pixels[..., 2:]], dim=-1)
    return boxes.flatten(0, 1).T.contiguous()


def true_distances(
    boxes: Float32[Tensor, "n 4"], grid: AnchorGrid, anchors: Int64[Tensor, " n"]
) -> Float32[Tensor, "n 4"]:
    """Left, top, right, bottom of boxes from one anchor each, in its strides.

    Negative where the anchor lies outside the box.
    """
    points = grid.points[anchors]
    pixels = torch.cat([points - boxes[:, :2], boxes[:, 2:] - points], dim=1)
    return pixels / grid.strides[anchors, None]


def _one_if_finite(heads: list[HeadOutput]) -> Float32[Tensor, ""]:
    """1, or NaN if any number is not finite: the anchors that learn nothing may hide it."""
    sums = [part.detach().sum(dtype=torch.float32) for head in heads for part in head]
    return torch.where(torch.stack(sums).isfinite().all(), 1.0, torch.nan)


def _require_same_batch(head: HeadOutput, targets: Targets, grid: AnchorGrid) -> None:
    batch, anchors, num_classes = head.logits.shape
    if (batch, anchors) != (targets.num_images, len(grid)):
        height, width = targets.size_hw
        raise ValueError(
            f"predictions of {batch} images with {anchors} anchors each, but targets of "
            f"{targets.num_images} images of {width} x {height} pixels with {len(grid)} anchors"
        )
    if len(targets.classes) == 0:
        return
    lowest, highest = torch.stack(targets.classes.aminmax()).tolist()
    if lowest < 0 or highest >= num_classes:
        raise ValueError(
            f"the targets' classes are {lowest}..{highest}, but the network knows "
            f"0..{num_classes - 1}"
        )
