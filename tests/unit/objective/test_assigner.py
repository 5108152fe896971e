"""Task-aligned assignment, by hand and beside its dense form."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gelan.objective.assigner import Assignment, assign
from gelan.objective.candidates import candidates_of
from gelan.objective.config import AssignerConfig
from gelan.objective.grid import AnchorGrid
from gelan.objective.targets import Targets
from tests.unit.objective.batches import both, grid, guess_of, laid_out, targets
from tests.unit.objective.dense import complete_iou

HALF = 0.0  # the logit of a score of 0.5


def ours(
    logits: Tensor,
    predicted: Tensor,
    objects: Targets,
    anchors: AnchorGrid,
    config: AssignerConfig | None = None,
) -> Assignment:
    candidates = candidates_of(objects, anchors)
    guess = guess_of(logits, predicted)
    return assign(guess, objects, candidates, config=config or AssignerConfig())


def own_cells(anchors: AnchorGrid, num_images: int = 1) -> Tensor:
    """Predictions that each anchor's box is its cell."""
    half = anchors.strides[:, None] / 2
    cells = torch.cat([anchors.points - half, anchors.points + half], dim=1)
    return cells.expand(num_images, -1, -1).clone()


def random_case(seed: int, *, num_images: int, most: int, overlap: bool) -> tuple[Tensor, ...]:
    """Objects of 0 to `most` an image, and predictions near some of them: all from one seed."""
    random = torch.Generator().manual_seed(seed)
    counts = torch.randint(0, most + 1, (num_images,), generator=random)
    images = torch.arange(num_images).repeat_interleave(counts)
    total = len(images)
    sizes = 2 + torch.rand(total, 2, generator=random) * (60 if overlap else 20)
    centres = torch.rand(total, 2, generator=random) * torch.tensor([96.0, 64.0])
    boxes = torch.cat([centres - sizes / 2, centres + sizes / 2], dim=1)
    classes = torch.randint(0, 3, (total,), generator=random)
    anchors = 96 + 24 + 6
    logits = torch.randn(num_images, anchors, 3, generator=random) * 2
    corners = torch.rand(num_images, anchors, 4, generator=random) * 96
    predicted = torch.cat(
        [corners.view(-1, 2, 2).amin(1), corners.view(-1, 2, 2).amax(1)], dim=1
    ).view(num_images, anchors, 4)
    for image, box in zip(images.tolist(), boxes, strict=True):
        near = torch.rand(anchors, generator=random) < 0.2
        noise = torch.randn(int(near.sum()), 4, generator=random)
        predicted[image, near] = box + noise
    return boxes, classes, images, logits, predicted


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.integers(0, 12),
    st.booleans(),
    st.sampled_from([(10, 0.5, 6.0), (1, 1.0, 2.0), (3, 0.0, 1.0), (200, 2.0, 0.5)]),
)
def test_it_is_the_dense_form(
    seed: int, num_images: int, most: int, overlap: bool, settings_of: tuple[int, float, float]
) -> None:
    boxes, classes, images, logits, predicted = random_case(
        seed, num_images=num_images, most=most, overlap=overlap
    )
    objects = Targets(
        boxes=boxes, classes=classes, images=images, num_images=num_images, size_hw=(64, 96)
    )
    topk, alpha, beta = settings_of
    config = AssignerConfig(topk=topk, alpha=alpha, beta=beta)
    found, expected = both(logits, predicted, objects, grid((64, 96)), config)
    torch.testing.assert_close(found.weights, expected.weights, rtol=1e-4, atol=1e-7)
    learnt = expected.weights > 0
    assert torch.equal(found.objects[learnt], expected.objects[learnt])


def test_an_object_gets_the_anchors_inside_its_box_that_suit_best() -> None:
    """32 x 32 px at stride 8: four centres inside; one says the box exactly, others its cell."""
    anchors = grid((32, 32), (8,))
    objects = targets([(0, 1, [0, 0, 16, 16])], num_images=1, size_hw=(32, 32))
    predicted = own_cells(anchors)
    predicted[0, 5] = torch.tensor([0.0, 0, 16, 16])
    logits = torch.full((1, 16, 2), HALF)
    found = ours(logits, predicted, objects, anchors, AssignerConfig(topk=2))
    # Cell 5 has overlap 1. The others have IoU 1/4, their centres 4 px away on both axes (cell 0,
    # 1, 4 alike: the first is taken): overlap 1/4 - 32 / 512 = 3/16.
    assert found.anchors.tolist() == [5, 0]
    assert found.objects.tolist() == [0, 0]
    # Largest overlap 1, largest metric sqrt(0.5): the weight is metric / largest metric.
    torch.testing.assert_close(found.weights, torch.tensor([1.0, (3 / 16) ** 6]))


def test_the_score_counts_by_the_class_of_the_object() -> None:
    anchors = grid((32, 32), (8,))
    objects = targets([(0, 1, [0, 0, 16, 8])], num_images=1, size_hw=(32, 32))
    logits = torch.zeros(1, 16, 2)
    logits[0, 0, 0] = 9.0  # sure, of another class
    logits[0, 1, 1] = math.log(0.8 / 0.2)
    found = ours(logits, own_cells(anchors), objects, anchors, AssignerConfig(topk=1))
    assert found.anchors.tolist() == [1]


def test_a_contested_anchor_learns_what_its_box_overlaps_most() -> None:
    """The centre (4, 4) lies in the two upper objects, but its box fits the third one."""
    anchors = grid((32, 32), (8,))
    rows = [(0, 0, [0.0, 0, 8, 8]), (0, 0, [0.0, 0, 9, 9]), (0, 0, [2.0, 4.5, 10, 12.5])]
    objects = targets(rows, num_images=1, size_hw=(32, 32))
    predicted = torch.full((1, 16, 4), 30.0)
    predicted[0, 0] = torch.tensor([2.0, 4.0, 10, 12])
    logits = torch.full((1, 16, 1), HALF)
    found = ours(logits, predicted, objects, anchors)
    assert (found.anchors.tolist(), found.objects.tolist()) == ([0], [2])
    overlap = complete_iou(objects.boxes[2], predicted[0, 0])
    torch.testing.assert_close(found.weights, overlap[None])


def test_of_two_equal_objects_the_first_wins_their_anchors() -> None:
    anchors = grid((32, 32), (8,))
    rows = [(0, 1, [1.0, 1, 30, 30]), (0, 0, [0.0, 0, 16, 16]), (0, 1, [0.0, 0, 16, 16])]
    objects = targets(rows, num_images=1, size_hw=(32, 32))
    predicted = torch.tensor([0.0, 0, 16, 16]).expand(1, 16, 4)
    found = ours(torch.zeros(1, 16, 2), predicted, objects, anchors)
    claimed_twice = found.objects[torch.isin(found.anchors, torch.tensor([0, 1, 4, 5]))]
    assert claimed_twice.tolist() == [1, 1, 1, 1]
    assert 2 not in found.objects


def test_of_equal_anchors_the_first_are_taken() -> None:
    anchors = grid((32, 32), (8,))
    objects = targets([(0, 0, [0, 0, 32, 32])], num_images=1, size_hw=(32, 32))
    predicted = torch.tensor([0.0, 0, 32, 32]).expand(1, 16, 4)
    found = ours(torch.zeros(1, 16, 1), predicted, objects, anchors, AssignerConfig(topk=3))
    assert found.anchors.tolist() == [0, 1, 2]


@pytest.mark.parametrize("logit", [-math.inf, -200.0])
def test_anchors_without_score_are_not_taken(logit: float) -> None:
    anchors = grid((32, 32), (8,))
    objects = targets([(0, 0, [0, 0, 16, 16])], num_images=1, size_hw=(32, 32))
    found = ours(torch.full((1, 16, 1), logit), own_cells(anchors), objects, anchors)
    assert len(found.anchors) == 0


def test_one_anchor_is_enough() -> None:
    anchors = grid((8, 8), (8,))
    objects = targets([(0, 0, [0, 0, 8, 8])], num_images=1, size_hw=(8, 8))
    found = ours(torch.zeros(1, 1, 1), own_cells(anchors), objects, anchors)
    assert found.anchors.tolist() == [0]
    torch.testing.assert_close(found.weights, torch.ones(1))


def test_without_objects_nothing_is_assigned() -> None:
    anchors = grid((32, 32))
    nothing = targets([], num_images=2, size_hw=(32, 32))
    found = ours(torch.zeros(2, 21, 3), own_cells(anchors, 2), nothing, anchors)
    assert [len(part) for part in found] == [0, 0, 0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_predictions_that_are_not_finite_do_not_stop_it(bad: float) -> None:
    anchors = grid((32, 32))
    objects = targets([(0, 0, [0, 0, 30, 30])], num_images=1, size_hw=(32, 32))
    for logits, predicted in (
        (torch.full((1, 21, 1), bad), own_cells(anchors)),
        (torch.zeros(1, 21, 1), torch.full((1, 21, 4), bad)),
    ):
        found = ours(logits, predicted, objects, anchors)
        assert len(found.anchors.unique()) == len(found.anchors)


def test_an_image_is_assigned_alike_in_any_batch() -> None:
    boxes, classes, images, logits, predicted = random_case(5, num_images=3, most=12, overlap=True)
    anchors = grid((64, 96))
    assert len(images.unique()) == 3
    together = laid_out(
        ours(
            logits,
            predicted,
            objects := Targets(
                boxes=boxes, classes=classes, images=images, num_images=3, size_hw=(64, 96)
            ),
            anchors,
        ),
        objects,
        len(anchors),
    )
    for image in range(3):
        mine = images == image
        alone = Targets(
            boxes=boxes[mine],
            classes=classes[mine],
            images=images[mine] * 0,
            num_images=1,
            size_hw=(64, 96),
        )
        assignment = ours(logits[[image]], predicted[[image]], alone, anchors)
        found = laid_out(assignment, alone, len(anchors))
        assert torch.equal(found.objects[0], together.objects[image])
        torch.testing.assert_close(found.weights[0], together.weights[image])


def test_contested_anchors_are_settled_alike_in_blocks_of_any_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    boxes, classes, images, logits, predicted = random_case(9, num_images=3, most=12, overlap=True)
    objects = Targets(boxes=boxes, classes=classes, images=images, num_images=3, size_hw=(64, 96))
    whole = ours(logits, predicted, objects, grid((64, 96)))
    monkeypatch.setattr("gelan.objective.assigner._BLOCK", 1)
    parted = ours(logits, predicted, objects, grid((64, 96)))
    assert all(torch.equal(a, b) for a, b in zip(whole, parted, strict=True))


def test_no_gradient_leaves_it() -> None:
    anchors = grid((32, 32), (8,))
    objects = targets([(0, 0, [0, 0, 16, 16])], num_images=1, size_hw=(32, 32))
    logits = torch.zeros(1, 16, 1, requires_grad=True)
    assert not ours(logits, own_cells(anchors), objects, anchors).weights.requires_grad
