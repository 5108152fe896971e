from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gelan.data.images import read_image
from gelan.data.reduced import image_size, read_reduced, shrunk
from gelan.errors import ImageError
from tests.shared_files import shared


def put_square(path: Path, *, width: int, height: int, box: tuple[int, int, int, int]) -> Path:
    """White, with a black rectangle."""
    image = np.full((height, width, 3), 255, np.uint8)
    left, top, right, bottom = box
    image[top:bottom, left:right] = 0
    assert cv2.imwrite(str(path), image)
    return path


@pytest.mark.parametrize(
    ("at_most", "expected"),
    [
        (None, (600, 800)),
        (800, (600, 800)),
        (799, (599, 799)),
        (400, (300, 400)),
        (300, (225, 300)),
        (100, (75, 100)),
        (60, (45, 60)),
        (2000, (600, 800)),
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_longer_side_is_at_most_what_was_asked_for(
    tmp_path: Path, suffix: str, at_most: int | None, expected: tuple[int, int]
) -> None:
    path = put_square(tmp_path / f"a{suffix}", width=800, height=600, box=(0, 0, 9, 9))
    image, size_hw = read_reduced(path, at_most=at_most)
    assert image.shape == (*expected, 3)
    assert size_hw == image_size(path) == (600, 800)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("at_most", [333, 160, 81, 20])
def test_what_is_in_the_image_keeps_its_place(tmp_path: Path, suffix: str, at_most: int) -> None:
    box = (403, 205, 611, 399)
    path = put_square(tmp_path / f"a{suffix}", width=659, height=483, box=box)
    image, (height, width) = read_reduced(path, at_most=at_most)
    rows, columns = np.nonzero(image[..., 0] < 128)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    scale = np.tile([image.shape[1] / width, image.shape[0] / height], 2)
    np.testing.assert_allclose(found, np.array(box) * scale, atol=1.0)


@pytest.mark.parametrize("at_most", [260, 130, 65, 499])
def test_a_reduced_jpeg_is_not_shifted_by_a_part_of_a_pixel(tmp_path: Path, at_most: int) -> None:
    y, x = np.mgrid[:700, :1000] + 0.5
    middle = np.array([423.0, 317.0])
    blob = 250 * np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / (2 * 50**2))
    assert cv2.imwrite(str(tmp_path / "a.jpg"), np.repeat(blob.astype(np.uint8)[..., None], 3, 2))
    reduced, _ = read_reduced(tmp_path / "a.jpg", at_most=at_most)
    weights = np.where(reduced[..., 1] > 20, reduced[..., 1].astype(float), 0)
    rows, columns = np.indices(weights.shape) + 0.5
    found = np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()
    scale = np.array(weights.shape[::-1]) / [1000, 700]
    np.testing.assert_allclose(found, middle * scale, atol=0.03)


def test_grey_and_progressive_jpegs_are_reduced_too(tmp_path: Path) -> None:
    image = np.tile(np.linspace(0, 255, 400).astype(np.uint8), (300, 1))
    for name, options in (("grey", []), ("progressive", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])):
        assert cv2.imwrite(str(tmp_path / f"{name}.jpg"), image, options)
        reduced, _ = read_reduced(tmp_path / f"{name}.jpg", at_most=100)
        assert reduced.shape == (75, 100, 3)
        assert abs(int(reduced[40, 50, 1]) - 128) < 4


def test_colours_are_in_the_order_of_a_full_image(tmp_path: Path) -> None:
    image = np.zeros((320, 320, 3), np.uint8)
    image[..., 2] = 200  # red, to OpenCV
    assert cv2.imwrite(str(tmp_path / "a.jpg"), image)
    reduced, _ = read_reduced(tmp_path / "a.jpg", at_most=100)
    assert reduced[50, 50, 0] > 190
    assert reduced[50, 50, 2] < 10


@pytest.mark.parametrize("number", range(9))
@pytest.mark.parametrize("shape", ["Landscape", "Portrait"])
def test_every_exif_orientation_comes_out_upright(shape: str, number: int) -> None:
    path = shared(f"data/bad-images/exif-orientation/{shape}_{number}.jpg")
    full = read_image(path)
    reduced, size_hw = read_reduced(path, at_most=200)
    assert size_hw == image_size(path) == full.shape[:2]
    assert max(reduced.shape[:2]) == 200
    expected = shrunk(full, at_most=200)
    assert reduced.shape == expected.shape
    assert np.abs(reduced.astype(np.int16) - expected).mean() < 5  # 40 if it were turned


@pytest.mark.parametrize("read", [image_size, lambda path: read_reduced(path, at_most=10)])
@pytest.mark.parametrize("kept", [0, 3, 30, 200, -100])
def test_a_jpeg_that_is_cut_short_is_refused(tmp_path: Path, kept: int, read: object) -> None:
    whole = put_square(tmp_path / "whole.jpg", width=100, height=80, box=(0, 0, 50, 50))
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:kept])
    assert callable(read)
    with pytest.raises(ImageError) as caught:
        read(cut)
    assert str(caught.value).startswith(f"{cut}: ")


@pytest.mark.parametrize("read", [image_size, lambda path: read_reduced(path, at_most=10)])
def test_what_is_not_there_or_no_image_is_an_error(tmp_path: Path, read: object) -> None:
    assert callable(read)
    with pytest.raises(ImageError, match=r"a\.jpg: cannot be opened: No such file"):
        read(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"a\.jpg: no image: starts with b'no image'"):
        read(tmp_path / "a.jpg")


def test_a_very_long_image_keeps_a_pixel(tmp_path: Path) -> None:
    assert shrunk(np.zeros((1, 500, 3), np.uint8), at_most=10).shape == (1, 10, 3)
