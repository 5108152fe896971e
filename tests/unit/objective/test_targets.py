from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from gelan.objective.targets import targets_of
from gelan.structures.batches import Batch
from gelan.structures.samples import Annotations
from tests.unit.objective.batches import CPU

NOTHING = Annotations.of_boxes([], [])


def batch_of(*annotations: Annotations) -> Batch:
    return Batch(
        images=torch.zeros(len(annotations), 3, 64, 96, dtype=torch.uint8),
        annotations=annotations,
        placements=(None,) * len(annotations),
        sources=("a.jpg",) * len(annotations),
    )


def test_objects_are_listed_image_after_image() -> None:
    first = Annotations.of_boxes([[0, 0, 8, 8], [4, 4, 9, 9]], [3, 1])
    last = Annotations.of_boxes([[-5, 2, 200, 30.5]], [0])
    targets = targets_of(batch_of(first, NOTHING, last), CPU)
    assert targets.boxes.tolist() == [[0, 0, 8, 8], [4, 4, 9, 9], [-5, 2, 200, 30.5]]
    assert targets.classes.tolist() == [3, 1, 0]
    assert targets.images.tolist() == [0, 0, 2]
    assert (targets.num_images, targets.size_hw) == (3, (64, 96))


def test_crowds_are_left_out() -> None:
    objects = Annotations.of_boxes([[0, 0, 8, 8], [1, 1, 50, 50], [4, 4, 9, 9]], [3, 3, 1])
    objects = replace(objects, crowd=np.array([False, True, False]))
    targets = targets_of(batch_of(objects), CPU)
    assert targets.boxes.tolist() == [[0, 0, 8, 8], [4, 4, 9, 9]]
    assert targets.classes.tolist() == [3, 1]


def test_images_without_objects_make_empty_lists_of_the_right_kind() -> None:
    for batch in (batch_of(NOTHING, NOTHING), batch_of()):
        targets = targets_of(batch, CPU)
        assert targets.boxes.shape == (0, 4)
        assert targets.classes.dtype == targets.images.dtype == torch.int64
        assert targets.num_images == len(batch)


def test_the_batch_is_not_shared() -> None:
    objects = Annotations.of_boxes([[0, 0, 8, 8]], [3])
    targets_of(batch_of(objects), CPU).boxes.zero_()
    assert objects.boxes.tolist() == [[0, 0, 8, 8]]
