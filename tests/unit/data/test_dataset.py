from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from gelan.data.cache import Cache, CacheKey, DiskCache, Held, MemoryCache
from gelan.data.dataset import Dataset, scaled
from gelan.data.formats.records import ImageRecord, Row, labels_of
from gelan.errors import ImageError
from gelan.structures.samples import Annotations
from tests.shared_files import shared


def data_set(tmp_path: Path, *, cache: Cache | None = None) -> Dataset:
    """A white image of 400 x 200 with a black box, as JPEG and as PNG."""
    image = np.full((200, 400, 3), 255, np.uint8)
    image[40:120, 80:240] = 0
    outline = np.array([[80.0, 40.0], [240.0, 40.0], [240.0, 120.0], [80.0, 120.0]])
    row = Row((80.0, 40.0, 160.0, 80.0), 3, polygons=(outline,), area=12800.0, line=1)
    records = []
    for name in ("a.jpg", "b.png"):
        if not (tmp_path / name).exists():
            assert cv2.imwrite(str(tmp_path / name), image)
        labels = labels_of([row], layout="corner-size")
        records.append(ImageRecord(path=tmp_path / name, labels=labels, label_file=None))
    return Dataset(records, cache=cache)


def test_a_sample_is_an_image_with_its_objects_in_its_pixels(tmp_path: Path) -> None:
    data = data_set(tmp_path)
    assert len(data) == 2
    sample = data[1]
    assert sample.image.shape == (200, 400, 3)
    assert sample.annotations.boxes.tolist() == [[80, 40, 240, 120]]
    assert sample.annotations.classes.tolist() == [3]
    assert sample.source == str(tmp_path / "b.png")
    with pytest.raises(IndexError):
        data[2]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("at_most", [300, 100, 50])
def test_a_smaller_sample_has_its_objects_in_the_smaller_pixels(
    tmp_path: Path, index: int, at_most: int
) -> None:
    sample = data_set(tmp_path).load(index, at_most=at_most)
    scale = at_most / 400
    assert sample.image.shape == (at_most // 2, at_most, 3)
    np.testing.assert_allclose(
        sample.annotations.boxes[0], np.array([80, 40, 240, 120]) * scale, rtol=1e-6
    )
    np.testing.assert_allclose(sample.annotations.areas, 12800 * scale**2, rtol=1e-6)
    np.testing.assert_allclose(
        sample.annotations.polygons[0][0][2], np.array([240, 120]) * scale, rtol=1e-6
    )
    dark = np.argwhere(sample.image[..., 0] < 128)
    np.testing.assert_allclose(dark.min(axis=0), np.array([40, 80]) * scale, atol=1)
    np.testing.assert_allclose(dark.max(axis=0) + 1, np.array([120, 240]) * scale, atol=1)


def test_an_image_that_is_small_enough_comes_as_it_is(tmp_path: Path) -> None:
    data = data_set(tmp_path)
    assert (data.load(0, at_most=400).image == data[0].image).all()
    assert (data.load(0, at_most=None).image == data[0].image).all()


class Counting(MemoryCache):
    """Counts what is found in it."""

    hits = 0

    def get(self, key: CacheKey) -> Held | None:
        found = super().get(key)
        self.hits += found is not None
        return found


def test_a_cache_changes_nothing_but_the_time(tmp_path: Path) -> None:
    plain = data_set(tmp_path)
    for cache in (MemoryCache(max_bytes=10**7), DiskCache(tmp_path / "cache", max_bytes=10**7)):
        cached = data_set(tmp_path, cache=cache)
        for at_most in (None, 100, None, 100):
            expected, found = plain.load(0, at_most=at_most), cached.load(0, at_most=at_most)
            assert (found.image == expected.image).all()
            assert found.annotations.boxes.tolist() == expected.annotations.boxes.tolist()


def test_an_image_is_decoded_once_for_each_size(tmp_path: Path) -> None:
    cache = Counting(max_bytes=10**7)
    data = data_set(tmp_path, cache=cache)
    for at_most in (None, None, 100, 100, 100):
        data.load(0, at_most=at_most)
    assert (cache.hits, len(cache)) == (3, 2)


def test_an_image_that_was_changed_is_decoded_again(tmp_path: Path) -> None:
    data = data_set(tmp_path, cache=MemoryCache(max_bytes=10**7))
    assert data[1].image.max() == 255
    assert cv2.imwrite(str(tmp_path / "b.png"), np.zeros((200, 401, 3), np.uint8))
    assert data[1].image.shape == (200, 401, 3)


@pytest.mark.parametrize("cached", [False, True])
def test_pixels_are_not_to_be_written_to_whether_cached_or_not(
    tmp_path: Path, cached: bool
) -> None:
    cache = MemoryCache(max_bytes=10**7) if cached else None
    for _ in range(2):
        with pytest.raises(ValueError, match="read-only"):
            data_set(tmp_path, cache=cache)[0].image[0, 0] = 5


@pytest.mark.parametrize("cached", [False, True])
def test_an_image_that_cannot_be_read_is_an_error_with_its_name(
    tmp_path: Path, cached: bool
) -> None:
    data = data_set(tmp_path, cache=MemoryCache(max_bytes=10**7) if cached else None)
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    with pytest.raises(ImageError, match=r"a\.jpg: no image"):
        data[0]
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(ImageError, match=r"a\.jpg: cannot be opened: No such file"):
        data[0]


def test_a_data_set_goes_to_another_process(tmp_path: Path) -> None:
    data = data_set(tmp_path, cache=MemoryCache(max_bytes=10**7))
    arrived = pickle.loads(pickle.dumps(data))
    assert (arrived[0].image == data[0].image).all()


@pytest.mark.parametrize("number", [1, 3, 6, 8])
def test_boxes_in_fractions_lie_right_in_turned_images(number: int) -> None:
    path = shared(f"data/bad-images/exif-orientation/Portrait_{number}.jpg")
    labels = labels_of([Row((0.5, 0.25, 1.0, 0.5), 0)], layout="centre-fractions")
    data = Dataset([ImageRecord(path=path, labels=labels, label_file=None)])
    for at_most in (None, 300):
        sample = data.load(0, at_most=at_most)
        height, width = sample.image.shape[:2]
        assert height > width
        expected = [[0, 0, width, height / 2]]
        np.testing.assert_allclose(sample.annotations.boxes, expected, atol=1e-3)


def test_scaling_nothing_gives_the_very_same_objects() -> None:
    none = Annotations.of_boxes([], [])
    assert scaled(none, (10, 10), (10, 10)) is none
    assert len(scaled(none, (10, 10), (5, 5))) == 0
