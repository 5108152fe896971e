"""Task-aligned assignment (Feng et al. 2021): which anchors learn which object, and how much.

An anchor suits an object by score^alpha x overlap^beta: the score it gives the object's class and
the complete IoU of its box. Each object gets the anchors inside its box that suit best. This is
the published recipe, step by step, but computed only for the pairs that can matter.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from gelan.objective.candidates import Candidates, ranges
from gelan.objective.ciou import complete_iou
from gelan.objective.config import AssignerConfig
from gelan.objective.targets import Targets

_EPSILON = 1e-9
_BLOCK = 1 << 20  # pairs compared at once where anchors are contested: some 100 MB at most


class Guess(NamedTuple):
    """What a network thinks of every anchor, without gradients."""

    logits: Float[Tensor, "batch anchors classes"]
    """Before the sigmoid."""
    sides: Float32[Tensor, "4 all_anchors"]
    """Left, top, right, bottom in pixels of the canvas, of all anchors of all images."""


class Assignment(NamedTuple):
    """Anchors that learn an object; all others learn that nothing is there."""

    anchors: Int64[Tensor, " positives"]
    """Positions among all anchors of the batch: image x anchors of an image + anchor; no two are
    the same."""
    objects: Int64[Tensor, " positives"]
    """Positions in `Targets`."""
    weights: Float32[Tensor, " positives"]
    """The score to learn for the object's class, 0 to 1."""


@torch.no_grad()
def assign(
    guess: Guess, targets: Targets, candidates: Candidates, *, config: AssignerConfig
) -> Assignment:
    """The `topk` best anchors of each object; each anchor learns one object at most.

    Candidates without any score or overlap are never taken; among equal ones the first anchor is.
    An anchor that several objects claim learns the one that its box overlaps most, of *all*
    objects of the image (the first of equal ones): not always one that claimed it or that it lies
    in. An object may so be left without anchors. The result for an image does not depend on the
    other images.
    """
    _, metric = _align(guess, targets, candidates.objects, candidates.anchors, config=config)
    best = _best(metric, candidates, config.topk)
    objects, anchors = candidates.objects[best], candidates.anchors[best]

    claims = torch.bincount(anchors, minlength=guess.sides.shape[1])
    contested = (claims > 1).nonzero().flatten()
    alone = claims[anchors] == 1
    anchors = torch.cat([anchors[alone], contested])
    objects = torch.cat([objects[alone], _most_overlapped(contested, guess, targets)])

    overlap, metric = _align(guess, targets, objects, anchors, config=config)
    weights = metric * _largest(overlap, objects, len(targets.boxes))[objects]
    weights /= _largest(metric, objects, len(targets.boxes))[objects] + _EPSILON
    return Assignment(anchors, objects, weights)


def _align(
    guess: Guess,
    targets: Targets,
    objects: Int64[Tensor, " pairs"],
    anchors: Int64[Tensor, " pairs"],
    *,
    config: AssignerConfig,
) -> tuple[Float32[Tensor, " pairs"], Float32[Tensor, " pairs"]]:
    """Overlap (0 to 1) and metric of pairs of an object and an anchor."""
    overlap = complete_iou(
        targets.boxes.T.contiguous().index_select(1, objects), guess.sides.index_select(1, anchors)
    ).clamp_(min=0)
    num_classes = guess.logits.shape[2]
    places = anchors * num_classes + targets.classes.index_select(0, objects)
    scores = guess.logits.flatten().index_select(0, places).float().sigmoid()
    return overlap, scores.pow(config.alpha) * overlap.pow(config.beta)


def _best(
    metric: Float32[Tensor, " pairs"], candidates: Candidates, topk: int
) -> Int64[Tensor, " best"]:
    """Positions of the `topk` largest metrics above 0 of each object, the first of equal ones."""
    # Bits of a float that is not negative are ordered as it is: with the object above them, one
    # stable sort of whole numbers (several times faster than floats) puts all in order.
    bits = metric.view(torch.int32) & 0x7FFFFFFF  # without a sign: -0.0 is 0
    keys = (candidates.objects << 31) + (0x7FFFFFFF - bits)
    order = keys.sort(stable=True).indices
    starts = candidates.counts.cumsum(0) - candidates.counts
    _, places = ranges(starts, candidates.counts.clamp(max=topk))
    best = order[places]
    return best[metric[best] > 0]


def _most_overlapped(
    anchors: Int64[Tensor, " contested"], guess: Guess, targets: Targets
) -> Int64[Tensor, " contested"]:
    """The object of its image that each anchor's box overlaps most."""
    if len(anchors) == 0:
        return anchors
    counts = torch.bincount(targets.images, minlength=targets.num_images)
    starts = counts.cumsum(0) - counts
    boxes = targets.boxes.T.contiguous()
    numbers = torch.arange(int(counts.max()), device=anchors.device)
    winners = []
    for block in anchors.split(max(1, _BLOCK // len(numbers))):
        images = block // guess.logits.shape[1]
        objects = (starts[images, None] + numbers).clamp(max=len(targets.boxes) - 1)
        overlap = complete_iou(boxes[:, objects], guess.sides[:, block, None])
        overlap.masked_fill_(numbers >= counts[images, None], -torch.inf)
        winners.append(starts[images] + overlap.argmax(dim=1))
    return torch.cat(winners)


def _largest(
    values: Float32[Tensor, " pairs"], objects: Int64[Tensor, " pairs"], num_objects: int
) -> Float32[Tensor, " n"]:
    """The largest value of each object; 0 for one without any."""
    return values.new_zeros(num_objects).scatter_reduce(0, objects, values, "amax")
