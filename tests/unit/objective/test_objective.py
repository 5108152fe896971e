"""The loss of a batch: values by hand, settings that matter, borders."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gelan.objective.config import AssignerConfig, ObjectiveConfig
from gelan.objective.objective import LossTerms, Objective
from gelan.objective.targets import Targets
from gelan.structures.predictions import HeadOutput, Predictions
from tests.unit.objective.batches import targets

SIZE = (64, 64)
ANCHORS = 64 + 16 + 4
OBJECTS = [
    (0, 2, [3.0, 5, 40, 44]),
    (0, 0, [20.0, 8, 60, 30]),
    (0, 1, [30.0, 30, 50, 62]),
    (2, 1, [-10.0, 6, 30, 70]),
]


def head(num_images: int, seed: int, *, classes: int = 3) -> HeadOutput:
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(num_images, ANCHORS, classes, generator=random)
    distances = torch.randn(num_images, ANCHORS, 4, 16, generator=random) * 2
    return HeadOutput(logits.requires_grad_(), distances.requires_grad_())


def predictions(num_images: int = 3) -> Predictions:
    return Predictions(head(num_images, 0), head(num_images, 1))


def objects() -> Targets:
    return targets(OBJECTS, num_images=3, size_hw=SIZE)


def judged(**settings: Any) -> LossTerms:  # noqa: ANN401
    return Objective(ObjectiveConfig(**settings))(predictions(), objects())


def test_without_objects_only_the_background_is_learnt() -> None:
    """Logits of 0 cost log 2 each, times 0.5; both heads, the second a quarter; two images."""
    output = HeadOutput(torch.zeros(2, ANCHORS, 3), torch.zeros(2, ANCHORS, 4, 16))
    nothing = targets([], num_images=2, size_hw=SIZE)
    loss = Objective(ObjectiveConfig())(Predictions(output, output), nothing)
    background = 0.5 * 2 * ANCHORS * 3 * math.log(2)
    assert loss.auxiliary is not None
    for terms in (loss.main, loss.auxiliary):
        assert [term.item() for term in terms] == pytest.approx([0, background, 0])
    assert loss.total.item() == pytest.approx(2 * 1.25 * background)


def test_one_object_by_hand() -> None:
    """A box of one cell, whose centre alone lies inside, seen as it is with a score of 1/2."""
    logits = torch.zeros(1, ANCHORS, 1)
    distances = torch.zeros(1, ANCHORS, 4, 16)
    distances[0, 9, :, 0] = distances[0, 9, :, 1] = 100.0  # half a stride to all sides
    cell = targets([(0, 0, [8, 8, 16, 16])], num_images=1, size_hw=SIZE)
    predicted = Predictions(HeadOutput(logits, distances), None)
    loss = Objective(ObjectiveConfig())(predicted, cell)
    # Overlap 1, so the score to learn, and S, is 1: box 0, distribution log 2.
    assert loss.auxiliary is None
    assert loss.main.box.item() == pytest.approx(0, abs=1e-5)
    assert loss.main.classification.item() == pytest.approx(0.5 * ANCHORS * math.log(2))
    assert loss.main.distribution.item() == pytest.approx(1.5 * math.log(2))
    assert loss.total.item() == pytest.approx(sum(term.item() for term in loss.main))


def test_the_total_is_main_and_a_quarter_of_auxiliary_times_the_images() -> None:
    loss = judged()
    assert loss.auxiliary is not None
    parts = sum(loss.main) + 0.25 * sum(loss.auxiliary)
    torch.testing.assert_close(loss.total.detach(), 3 * parts)
    assert not any(term.requires_grad for term in (*loss.main, *loss.auxiliary))


@pytest.mark.parametrize("name", ["box", "classification", "distribution"])
def test_a_gain_scales_its_term_alone(name: str) -> None:
    before = judged()
    after = judged(**{name: 2 * getattr(ObjectiveConfig(), name)})
    for terms, doubled in ((before.main, after.main), (before.auxiliary, after.auxiliary)):
        assert terms is not None
        assert doubled is not None
        expected = terms._replace(**{name: 2 * getattr(terms, name)})
        torch.testing.assert_close(torch.stack(doubled), torch.stack(expected))


def test_the_auxiliary_weight_scales_the_gradient_of_that_head_alone() -> None:
    gradients = []
    for weight in (0.25, 0.5):
        both = predictions()
        Objective(ObjectiveConfig(auxiliary=weight))(both, objects()).total.backward()
        assert both.auxiliary is not None
        gradients.append((both.main.logits.grad, both.auxiliary.distances.grad))
    (main, auxiliary), (same, doubled) = gradients
    assert auxiliary is not None
    torch.testing.assert_close(same, main, rtol=0, atol=0)
    torch.testing.assert_close(doubled, 2 * auxiliary)


@pytest.mark.parametrize(
    "assigner", [AssignerConfig(topk=2), AssignerConfig(alpha=2.0), AssignerConfig(beta=1.0)]
)
def test_each_setting_of_the_assigner_matters(assigner: AssignerConfig) -> None:
    assert judged(assigner=assigner).main.box != judged().main.box


def test_lead_takes_the_assignment_of_the_main_head() -> None:
    own, lead = judged(), judged(assignment="lead")
    assert torch.equal(torch.stack(lead.main), torch.stack(own.main))
    assert own.auxiliary is not None
    assert lead.auxiliary is not None
    assert lead.auxiliary.box != own.auxiliary.box
    main, _ = predictions()
    twice = Objective(ObjectiveConfig(assignment="lead"))(Predictions(main, main), objects())
    assert twice.auxiliary is not None
    assert torch.equal(torch.stack(twice.main), torch.stack(twice.auxiliary))


def test_the_main_head_is_judged_alike_without_an_auxiliary_one() -> None:
    main = predictions().main
    alone = Objective(ObjectiveConfig())(Predictions(main, None), objects())
    assert torch.equal(torch.stack(alone.main), torch.stack(judged().main))


def test_gradients_reach_what_is_learnt_and_nothing_else() -> None:
    """All logits; the distances of positives, none of which are in the second image."""
    both = predictions()
    Objective(ObjectiveConfig())(both, objects()).total.backward()
    for output in both:
        assert output is not None
        assert output.logits.grad is not None
        assert output.distances.grad is not None
        assert (output.logits.grad != 0).all()
        learnt = (output.distances.grad != 0).any(dim=(2, 3)).sum(dim=1)
        assert learnt[0] > 10
        assert learnt[1] == 0
        assert learnt[2] > 1


def part_of(both: Predictions, whole: Targets, images: slice) -> tuple[Predictions, Targets]:
    """Some images of a batch, as another process would have them."""
    numbers = torch.arange(whole.num_images)[images]
    mine = torch.isin(whole.images, numbers)
    part = replace(
        whole,
        boxes=whole.boxes[mine],
        classes=whole.classes[mine],
        images=whole.images[mine] - int(numbers[0]),
        num_images=len(numbers),
    )
    outputs = [HeadOutput(o.logits[images], o.distances[images]) for o in both if o is not None]
    return Predictions(*outputs), part


@pytest.mark.parametrize("assignment", ["own", "lead"])
@pytest.mark.parametrize("cut", [1, 2])
def test_the_totals_of_processes_sum_to_that_of_the_whole_batch(assignment: Any, cut: int) -> None:  # noqa: ANN401
    """Uneven parts too, one of them without any object."""
    config = ObjectiveConfig(assignment=assignment)
    both, whole = predictions(), objects()
    parts = [part_of(both, whole, images) for images in (slice(0, cut), slice(cut, 3))]
    given: list[Tensor] = []

    def remember(vector: Tensor) -> Tensor:
        given.append(vector)
        return vector

    for part in parts:
        Objective(config, shared_sum=remember)(*part)
    shared = Objective(config, shared_sum=lambda _: given[0] + given[1])
    losses = [shared(*part) for part in parts]
    expected = Objective(config)(both, whole)
    torch.testing.assert_close(losses[0].total + losses[1].total, expected.total)
    for term, other, sum_of_both in zip(losses[0].main, losses[1].main, expected.main, strict=True):
        torch.testing.assert_close(term + other, sum_of_both)
    assert len(given) == 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_judged_in_single(dtype: torch.dtype) -> None:
    both = predictions()
    halves = [HeadOutput(o.logits.to(dtype), o.distances.to(dtype)) for o in both if o is not None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = Objective(ObjectiveConfig())(Predictions(*halves), objects())
    singles = [HeadOutput(o.logits.float(), o.distances.float()) for o in halves]
    expected = Objective(ObjectiveConfig())(Predictions(*singles), objects())
    assert loss.total.dtype == torch.float32
    torch.testing.assert_close(loss.total, expected.total)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("part", ["logits", "distances"])
@pytest.mark.parametrize("is_auxiliary", [False, True])
@pytest.mark.parametrize("image", [0, 1])
def test_one_number_that_is_not_finite_makes_the_total_nan(
    bad: float, part: str, is_auxiliary: bool, image: int
) -> None:
    """Even in an image without objects, where no distance is learnt."""
    with torch.no_grad():
        both = predictions()
        getattr(both[int(is_auxiliary)], part)[image, 5, 1] = bad
    assert Objective(ObjectiveConfig())(both, objects()).total.isnan()


def test_the_loss_is_the_same_every_time_and_in_inference() -> None:
    first = judged().total
    assert torch.equal(first, judged().total)
    with torch.inference_mode():
        assert torch.equal(first, judged().total)


def test_predictions_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"3 images with 84 anchors each.* 3 images of 96 x 64"):
        Objective(ObjectiveConfig())(
            predictions(), targets(OBJECTS, num_images=3, size_hw=(64, 96))
        )


def test_predictions_of_another_batch_are_refused() -> None:
    with pytest.raises(ValueError, match=r"predictions of 2 images .* targets of 3 images"):
        Objective(ObjectiveConfig())(predictions(2), objects())


@pytest.mark.parametrize("kind", [-1, 3])
def test_classes_that_the_network_does_not_know_are_refused(kind: int) -> None:
    """They would fall on another class of a neighbour."""
    strange = targets([*OBJECTS, (2, kind, [0, 0, 9, 9])], num_images=3, size_hw=SIZE)
    low, high = min(kind, 0), max(kind, 2)
    with pytest.raises(ValueError, match=rf"classes are {low}\.\.{high}, .*knows 0\.\.2$"):
        Objective(ObjectiveConfig())(predictions(), strange)
