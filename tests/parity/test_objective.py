"""The objective against the reference numbers of the published one.

Losses and gradients to 1e-4 relative; assignments exactly, where the soft target is not zero.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from gelan.objective.assigner import assign
from gelan.objective.candidates import candidates_of
from gelan.objective.ciou import complete_iou
from gelan.objective.config import AssignerConfig, ObjectiveConfig
from gelan.objective.grid import AnchorGrid, anchor_grid
from gelan.objective.objective import Objective, true_distances
from gelan.objective.targets import Targets
from gelan.structures.predictions import HeadOutput, Predictions
from gelan.weights.foreign import convert
from tests.shared_files import golden, golden_weights, make_input, shared
from tests.unit.objective.batches import CPU, guess_of, laid_out

RELATIVE = 1e-4
ASSIGNER_CASES = [
    *("empty_batch", "one_target", "mixed_empty", "hundred", "outside", "coco80"),
    *("overlapping", "tiny", "nonsquare", "zero_scores"),
]
LOSS_CASES = [
    *("none", "one", "few", "few_untrained", "firstempty", "hundred"),
    *("outside", "tiny", "degenerate", "dup", "nc1"),
]


def case_of(name: str, case: str) -> dict[str, Tensor]:
    """The arrays of one case of a file, without its name."""
    with np.load(shared(f"golden/{name}.npz")) as arrays:
        keys = [key for key in arrays.files if key.startswith(f"{case}.")]
        return {key.removeprefix(f"{case}."): torch.tensor(arrays[key]) for key in keys}


def targets_of_rows(rows: Tensor, *, num_images: int, size_hw: tuple[int, int]) -> Targets:
    """From rows of image, class, and centre, width and height in sides of the canvas."""
    rows = rows[rows[:, 0].argsort(stable=True)]
    height, width = size_hw
    centres, sizes = (rows[:, 2:] * torch.tensor([width, height] * 2)).split(2, dim=1)
    return Targets(
        boxes=torch.cat([centres - sizes / 2, centres + sizes / 2], dim=1),
        classes=rows[:, 1].long(),
        images=rows[:, 0].long(),
        num_images=num_images,
        size_hw=size_hw,
    )


@pytest.mark.parametrize("case", ASSIGNER_CASES)
def test_the_assignment_is_the_recorded_one(case: str) -> None:
    arrays = case_of("tal", case)
    batch, _, height, width = map(int, arrays["meta"])
    filled = arrays["gt_bboxes"].abs().sum(2) > 0  # with the boxes that the recipe finds not real
    targets = Targets(
        boxes=arrays["gt_bboxes"][filled],
        classes=arrays["gt_labels"][..., 0].long()[filled],
        images=filled.nonzero()[:, 0],
        num_images=batch,
        size_hw=(height, width),
    )
    grid = anchor_grid((height, width), CPU)
    assert torch.equal(grid.points, arrays["anc_points"])
    guess = guess_of(arrays["pd_scores"].double().logit(), arrays["pd_bboxes"])
    assignment = assign(guess, targets, candidates_of(targets, grid), config=AssignerConfig())

    found = laid_out(assignment, targets, len(grid))
    learnt = arrays["target_score_max"] > 0
    assert torch.equal(found.weights > 0, learnt)
    if "target_gt_idx" in arrays:
        assert torch.equal(found.objects[learnt], arrays["target_gt_idx"][learnt].long())
    torch.testing.assert_close(found.weights, arrays["target_score_max"], rtol=RELATIVE, atol=1e-7)
    assert torch.equal(
        targets.classes[assignment.objects[assignment.weights > 0]].sort().values,
        arrays["target_score_argmax"][learnt].long().sort().values,
    )


def head_of(arrays: dict[str, Tensor], branch: int) -> tuple[Tensor, HeadOutput]:
    """Raw channels (batch, 64 + classes, anchors), and the same as a head returns it."""
    levels = [arrays[f"f{branch}.{level}"].flatten(2) for level in range(3)]
    raw = torch.cat(levels, dim=2).requires_grad_()
    rows = raw.transpose(1, 2)
    return raw, HeadOutput(rows[..., 64:], rows[..., :64].unflatten(2, (4, 16)))


def assert_gradient(raw: Tensor, arrays: dict[str, Tensor], name: str) -> None:
    """The gradient at every fifth anchor, and the sum of its sizes, are met."""
    expected = arrays[f"{name}_sub"]
    assert raw.grad is not None
    scale = float(expected.abs().max())
    torch.testing.assert_close(raw.grad[..., ::5], expected, rtol=0, atol=RELATIVE * scale)
    sizes = raw.grad.double().abs().sum().item()
    assert sizes == pytest.approx(arrays[f"{name}_stats"][1].item(), rel=RELATIVE)


@pytest.mark.parametrize("case", LOSS_CASES)
@pytest.mark.parametrize("variant", ["single", "dual", "dual_lh"])
def test_losses_and_gradients_are_the_recorded_ones(case: str, variant: str) -> None:
    arrays = case_of("loss", case)
    batch, _, height, width = map(int, arrays["meta"])
    targets = targets_of_rows(arrays["targets"], num_images=batch, size_hw=(height, width))
    (raw_first, first), (raw_second, second) = head_of(arrays, 1), head_of(arrays, 2)
    # "single" was recorded on the maps f2, though its gradient is named after the first branch:
    # that gradient is, to the last digit, the one of f2 in "dual".
    predictions = Predictions(second, None if variant == "single" else first)
    config = ObjectiveConfig(assignment="lead" if variant == "dual_lh" else "own")
    loss = Objective(config)(predictions, targets)

    expected = arrays[f"{variant}.total"]
    if not expected.isfinite():  # theirs divides by a sum of scores of 0, ours by 1 at least
        assert loss.total.isfinite()
        return
    scale = divisor_without_floor(second, targets) if variant == "dual_lh" else 1.0
    total = loss.total / scale
    torch.testing.assert_close(total.detach(), expected, rtol=RELATIVE, atol=0)
    items = torch.stack(loss.main)
    if loss.auxiliary is not None:
        items = items + 0.25 * torch.stack(loss.auxiliary)
    torch.testing.assert_close(items / scale, arrays[f"{variant}.items"], rtol=RELATIVE, atol=1e-6)
    torch.autograd.backward(total)
    if variant == "single":
        assert_gradient(raw_second, arrays, "single.grad1")
    else:
        assert_gradient(raw_first, arrays, f"{variant}.grad1")
        assert_gradient(raw_second, arrays, f"{variant}.grad2")


def divisor_without_floor(output: HeadOutput, targets: Targets) -> float:
    """The sum of the scores to learn if it is below 1, which the recorded loss divides by."""
    sums: list[Tensor] = []

    def remember(vector: Tensor) -> Tensor:
        sums.append(vector[1])
        return vector

    Objective(ObjectiveConfig(), shared_sum=remember)(Predictions(output, None), targets)
    return min(1.0, sums[0].item())


@pytest.mark.parametrize("case", ["none", "one", "few", "few_untrained", "degenerate", "nc1"])
def test_three_heads_are_three_times_the_one_path(case: str) -> None:
    """No network of ours has three; the recorded loss is 1/4, 1/4 and 1 of theirs."""
    arrays = case_of("loss", case)
    batch, _, height, width = map(int, arrays["meta"])
    targets = targets_of_rows(arrays["targets"], num_images=batch, size_hw=(height, width))
    total = torch.zeros(())
    for branch, weight in ((1, 0.25), (2, 0.25), (3, 1.0)):
        output = Predictions(head_of(arrays, branch)[1], None)
        total = total + weight * Objective(ObjectiveConfig())(output, targets).total
    torch.testing.assert_close(total.detach(), arrays["triple.total"], rtol=RELATIVE, atol=0)


def test_complete_iou_and_its_gradient_are_the_recorded_ones() -> None:
    arrays = {key: torch.tensor(array) for key, array in golden("boxmath").items()}
    boxes = arrays["b1"].requires_grad_()
    found = complete_iou(boxes.T, arrays["b2"].T)
    torch.testing.assert_close(found.detach(), arrays["CIoU"], rtol=RELATIVE, atol=1e-6)
    torch.autograd.backward((1 - found).sum())  # what was recorded is the gradient of the loss
    assert boxes.grad is not None
    torch.testing.assert_close(boxes.grad, arrays["ciou_grad_b1"], rtol=RELATIVE, atol=1e-7)


def test_distances_to_learn_are_the_recorded_ones() -> None:
    arrays = {key: torch.tensor(array) for key, array in golden("boxmath").items()}
    nothing = torch.zeros(0, dtype=torch.int64)
    in_strides = AnchorGrid(
        points=arrays["anchors_4x6"],
        strides=torch.ones(32),
        level_strides=torch.ones(0),
        level_sizes=nothing.view(0, 2),
        level_starts=nothing,
    )
    found = true_distances(arrays["dist2bbox_xyxy"][0], in_strides, torch.arange(32))
    torch.testing.assert_close(found.clamp(0, 14.99), arrays["bbox2dist_15"][0])


@pytest.mark.parametrize("name", ["gelan-t", "yolov9-t"])
def test_the_first_step_of_training_costs_what_was_recorded(name: str) -> None:
    """The network, its batch statistics and the objective together, and the gradient's norm."""
    arrays = golden(f"trainstep-{name}")
    detector = convert(golden_weights(name, name), source=name).detector.train()
    image = make_input(128, 160)
    images = torch.cat([image, image.flip(2, 3)])
    rows = torch.tensor(arrays["step0.targets"])
    targets = targets_of_rows(rows, num_images=2, size_hw=(128, 160))
    loss = Objective(ObjectiveConfig())(detector(images), targets)
    torch.autograd.backward(loss.total)
    items = torch.stack(loss.main)
    if loss.auxiliary is not None:
        items = items + 0.25 * torch.stack(loss.auxiliary)
    gradients = [p.grad for p in detector.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    found = np.array([loss.total.item(), *items.tolist(), norm.item()])
    np.testing.assert_allclose(found, arrays["rows_total_box_cls_dfl_gradnorm"][0], rtol=RELATIVE)
