"""Small batches for the tests of the objective, and our assignment laid out over all anchors."""

from __future__ import annotations

import torch
from torch import Tensor

from gelan.geometry.anchors import anchor_points
from gelan.objective.assigner import Assignment, Guess, assign
from gelan.objective.candidates import candidates_of
from gelan.objective.config import AssignerConfig
from gelan.objective.grid import AnchorGrid, grid_of
from gelan.objective.targets import Targets
from tests.unit.objective.dense import Dense, dense_assignment

CPU = torch.device("cpu")


def targets(
    rows: list[tuple[int, int, list[float]]], *, num_images: int, size_hw: tuple[int, int]
) -> Targets:
    """Objects given as image, class and box."""
    return Targets(
        boxes=torch.tensor([box for _, _, box in rows], dtype=torch.float32).reshape(-1, 4),
        classes=torch.tensor([kind for _, kind, _ in rows], dtype=torch.int64),
        images=torch.tensor([image for image, _, _ in rows], dtype=torch.int64),
        num_images=num_images,
        size_hw=size_hw,
    )


def grid(size_hw: tuple[int, int], strides: tuple[int, ...] = (8, 16, 32)) -> AnchorGrid:
    """The anchors of a canvas."""
    points, widths = anchor_points(size_hw, strides)
    return grid_of(points, widths, size_hw=size_hw, device=CPU)


def guess_of(logits: Tensor, predicted: Tensor) -> Guess:
    """What a network thinks, from its boxes (batch, anchors, 4)."""
    return Guess(logits, predicted.flatten(0, 1).T.contiguous())


def padded(objects: Targets) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (batch, most, 4), classes and presence (batch, most) of the objects of each image."""
    counts = torch.bincount(objects.images, minlength=objects.num_images)
    most = int(counts.max()) if objects.num_images else 0
    present = torch.arange(most) < counts[:, None]
    boxes = torch.zeros(objects.num_images, most, 4)
    classes = torch.zeros(objects.num_images, most, dtype=torch.int64)
    boxes[present], classes[present] = objects.boxes, objects.classes
    return boxes, classes, present


def laid_out(assignment: Assignment, objects: Targets, anchors: int) -> Dense:
    """Our assignment in the form of the dense one."""
    counts = torch.bincount(objects.images, minlength=objects.num_images)
    rows = torch.arange(len(objects.images)) - (counts.cumsum(0) - counts)[objects.images]
    everywhere = torch.full((objects.num_images * anchors,), -1)
    weights = torch.zeros(objects.num_images * anchors)
    everywhere[assignment.anchors] = rows[assignment.objects]
    weights[assignment.anchors] = assignment.weights
    shape = (objects.num_images, anchors)
    return Dense(everywhere.view(shape), weights.view(shape))


def both(
    logits: Tensor,
    predicted: Tensor,
    objects: Targets,
    anchors: AnchorGrid,
    config: AssignerConfig | None = None,
) -> tuple[Dense, Dense]:
    """Our assignment and the dense one."""
    config = config or AssignerConfig()
    candidates = candidates_of(objects, anchors)
    ours = assign(guess_of(logits, predicted), objects, candidates, config=config)
    boxes, classes, present = padded(objects)
    theirs = dense_assignment(
        logits.sigmoid(),
        predicted,
        anchors.points,
        boxes=boxes,
        classes=classes,
        present=present,
        topk=config.topk,
        alpha=config.alpha,
        beta=config.beta,
    )
    return laid_out(ours, objects, len(anchors)), theirs
