from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray

from gelan.errors import ConfigError
from gelan.geometry.anchors import anchor_points, distances_to_boxes, expected_distances

BOXMATH = Path(__file__).resolve().parents[3] / ".." / "shared" / "golden" / "boxmath.npz"


@pytest.fixture
def recorded() -> dict[str, NDArray[np.float32]]:
    if not BOXMATH.exists():
        pytest.skip("../shared/golden/boxmath.npz is absent")
    return dict(np.load(BOXMATH))


def test_points_are_cell_centres_row_by_row_finest_first() -> None:
    points, strides = anchor_points((32, 64))
    assert len(points) == 8 * 4 + 4 * 2 + 2
    assert points[:2].tolist() == [[4, 4], [12, 4]]
    assert points[8].tolist() == [4, 12]  # the second row of eight
    assert points[32:34].tolist() == [[8, 8], [24, 8]]
    assert points[40:].tolist() == [[16, 16], [48, 16]]
    assert strides.tolist() == [8] * 32 + [16] * 8 + [32] * 2


def test_there_are_8400_anchors_at_640_pixels() -> None:
    points, strides = anchor_points((640, 640))
    assert points.shape == (8400, 2)
    assert [np.count_nonzero(strides == stride) for stride in (8, 16, 32)] == [6400, 1600, 400]
    assert points[-1].tolist() == [624, 624]


def test_points_and_strides_are_float32() -> None:
    points, strides = anchor_points((32, 32))
    assert points.dtype == strides.dtype == np.float32


@pytest.mark.parametrize("size_hw", [(100, 640), (640, 100), (0, 64), (-32, 32)])
def test_a_size_that_does_not_divide_is_refused(size_hw: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="use positive multiples of 32"):
        anchor_points(size_hw)


def test_the_refusal_says_the_size_and_the_stride() -> None:
    with pytest.raises(ConfigError) as caught:
        anchor_points((640, 100))
    assert str(caught.value) == (
        "image size 640 x 100 (height x width) does not divide into cells of 8 pixels; "
        "use positive multiples of 32"
    )


def test_equal_logits_expect_the_middle_and_a_sure_bin_itself() -> None:
    logits = np.zeros((1, 4, 16), np.float32)
    logits[0, 1, 3] = 200.0
    assert expected_distances(logits).tolist() == [[7.5, 3.0, 7.5, 7.5]]


def test_expected_distance_by_hand() -> None:
    """Odds 1 : 3 between bins 0 and 1 make 0.75."""
    logits = np.array([[0, np.log(3)]] * 4, np.float32)
    np.testing.assert_allclose(expected_distances(logits), [0.75] * 4, rtol=1e-6)


@given(arrays_of.arrays(np.float32, (2, 4, 5), elements=st.floats(-(2.0**99), 2.0**99, width=32)))
def test_expected_distances_stay_within_the_bins(logits: NDArray[np.float32]) -> None:
    distances = expected_distances(logits)
    assert distances.shape == (2, 4)
    assert distances.dtype == np.float32
    assert ((distances >= 0) & (distances <= np.float32(4.00001))).all()


def test_a_common_shift_of_the_logits_changes_nothing() -> None:
    logits = np.arange(32, dtype=np.float32).reshape(4, 8) % 5
    np.testing.assert_array_equal(expected_distances(logits), expected_distances(logits + 96))


def test_distances_are_counted_in_strides_from_the_point() -> None:
    points = np.array([[4, 4], [16, 16]], np.float32)
    strides = np.array([8, 32], np.float32)
    distances = np.array([[0.5, 0.5, 1, 2], [0, 0.25, 0.5, 15]], np.float32)
    boxes = distances_to_boxes(points, strides, distances)
    assert boxes.tolist() == [[0, 0, 12, 20], [16, 8, 32, 496]]


def test_a_batch_gives_the_same_as_its_images() -> None:
    points, strides = anchor_points((32, 32))
    batch = np.arange(2 * 21 * 4, dtype=np.float32).reshape(2, 21, 4)
    boxes = distances_to_boxes(points, strides, batch)
    np.testing.assert_array_equal(boxes[1], distances_to_boxes(points, strides, batch[1]))


def test_no_anchors_give_no_boxes() -> None:
    nothing = np.zeros((0, 4), np.float32)
    assert distances_to_boxes(nothing[:, :2], nothing[:, 0], nothing).shape == (0, 4)
    assert expected_distances(np.zeros((0, 4, 16), np.float32)).shape == (0, 4)


def test_points_agree_with_the_recorded_grid(recorded: dict[str, NDArray[np.float32]]) -> None:
    """The record has grids of 4 x 6, 2 x 3 and 1 x 2 cells, in cells instead of pixels."""
    fine, fine_strides = anchor_points((32, 48), (8, 16))
    coarse, coarse_strides = anchor_points((32, 64), (32,))
    strides = np.concatenate([fine_strides, coarse_strides])
    in_cells = np.concatenate([fine, coarse]) / strides[:, None]
    np.testing.assert_array_equal(in_cells, recorded["anchors_4x6"])
    np.testing.assert_array_equal(strides, recorded["strides_4x6"][:, 0])


def test_boxes_agree_with_the_recorded_ones(recorded: dict[str, NDArray[np.float32]]) -> None:
    points, distances = recorded["anchors_4x6"], recorded["dist"].transpose(0, 2, 1)
    boxes = distances_to_boxes(points, np.ones(len(points), np.float32), distances)
    np.testing.assert_array_equal(boxes, recorded["dist2bbox_xyxy"])
