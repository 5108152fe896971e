from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gelan.errors import ConfigError
from gelan.geometry.anchors import anchor_points

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


def test_points_agree_with_the_recorded_grid(recorded: dict[str, NDArray[np.float32]]) -> None:
    """The record has grids of 4 x 6, 2 x 3 and 1 x 2 cells, in cells instead of pixels."""
    fine, fine_strides = anchor_points((32, 48), (8, 16))
    coarse, coarse_strides = anchor_points((32, 64), (32,))
    strides = np.concatenate([fine_strides, coarse_strides])
    in_cells = np.concatenate([fine, coarse]) / strides[:, None]
    np.testing.assert_array_equal(in_cells, recorded["anchors_4x6"])
    np.testing.assert_array_equal(strides, recorded["strides_4x6"][:, 0])
