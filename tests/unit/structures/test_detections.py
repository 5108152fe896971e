"""The objects of one image: chosen, walked through, told apart."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from gelan.structures.detections import Detections


def three(**changes: object) -> Detections:
    columns: dict[str, Any] = {
        "boxes": np.array([[10, 20, 50, 80], [0, 0, 9, 9], [1, 2, 3, 4]], np.float32),
        "scores": np.array([0.9, 0.5, 0.3], np.float32),
        "classes": np.array([0, 2, 1]),
        "names": ("person", "bicycle", "car"),
        "size_hw": (100, 200),
        "source": "a.jpg",
        **changes,
    }
    return Detections(**columns)


@pytest.mark.parametrize("position", [1, -2, np.int64(1), np.array(1)])
def test_a_position_gives_detections_of_one_object(
    position: int | np.int64 | NDArray[np.int64],
) -> None:
    found = three(track_ids=np.array([7, 8, 9]))[position]
    assert found.boxes.tolist() == [[0, 0, 9, 9]]
    assert (found.scores.tolist(), found.classes.tolist()) == ([0.5], [2])
    assert found.labels == ["car"]
    assert found.track_ids is not None
    assert found.track_ids.tolist() == [8]
    assert (found.source, found.size_hw) == ("a.jpg", (100, 200))


@pytest.mark.parametrize(("position", "count"), [(3, 3), (-4, 3), (0, 0)])
def test_a_position_that_is_not_there_is_an_index_error(position: int, count: int) -> None:
    with pytest.raises(IndexError) as caught:
        three()[:count][position]
    assert str(caught.value) == f"there is no detection {position} among {count}"


def test_a_truth_value_is_no_position() -> None:
    with pytest.raises(TypeError, match=r"^True is no position; pass a whole number, a slice or"):
        three()[True]


def test_walking_through_gives_one_object_at_a_time() -> None:
    assert [(one.labels, len(one)) for one in three()] == [
        (["person"], 1),
        (["car"], 1),
        (["bicycle"], 1),
    ]
    assert list(Detections.empty()) == []


def test_slices_masks_and_arrays_of_positions_give_several() -> None:
    found = three()
    assert found[1:].labels == ["car", "bicycle"]
    assert found[found.scores > 0.4].labels == ["person", "car"]
    assert found[np.array([2, 0])].labels == ["bicycle", "person"]
    assert len(found[found.scores > 1]) == 0


def test_detections_are_equal_to_themselves_alone_and_can_be_kept_in_a_set() -> None:
    found, same = three(), three()
    assert found == found
    assert found != same
    assert len({found, same}) == 2
    assert cast("object", found) != "a.jpg"
