from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import UInt8

from gelan.data.health import prints
from gelan.data.health.prints import TURNS, near_pairs, thumbnail, turned
from gelan.data.images import decode_image, read_image
from tests.shared_files import shared
from tests.unit.data.health.synthetic_sets import Image, encoded, picture

Edit = Callable[[Image], Image]


def as_array(image: object) -> Image:
    return np.ascontiguousarray(np.asarray(image), np.uint8)


EDITS: dict[str, Edit] = {
    "re-encoded": lambda image: decode_image(encoded(image, quality=40), name="copy"),
    "shrunk": lambda image: as_array(cv2.resize(image, None, fx=0.4, fy=0.4)),
    "enlarged": lambda image: as_array(cv2.resize(image, None, fx=1.7, fy=1.7)),
    "brightened": lambda image: as_array(cv2.convertScaleAbs(image, alpha=1.0, beta=30.0)),
    "blurred": lambda image: as_array(cv2.GaussianBlur(image, (0, 0), 2.0)),
    "grey": lambda image: as_array(
        cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    ),
}


def pairs_of(images: list[Image]) -> list[tuple[int, int, str]]:
    found = near_pairs(np.stack([thumbnail(image) for image in images]))
    columns = (found.first.tolist(), found.second.tolist(), found.turns.tolist())
    return [(first, second, TURNS[turn]) for first, second, turn in zip(*columns, strict=True)]


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edited_copy_is_found_among_other_pictures(edit: Edit) -> None:
    others = [picture(seed) for seed in range(20)]
    assert pairs_of([*others, edit(others[7])]) == [(7, 20, "")]


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edited_copy_of_a_photograph_is_found_among_others(edit: Edit) -> None:
    folder = shared("data/coco128/images/val2017")
    images = [read_image(path) for path in sorted(folder.glob("*.jpg"))[:40]]
    assert pairs_of([*images, edit(images[11])]) == [(11, 40, "")]


def test_no_two_photographs_of_different_things_are_alike() -> None:
    folder = shared("data/coco128/images")
    assert pairs_of([read_image(path) for path in sorted(folder.rglob("*.jpg"))]) == []


def test_blood_cells_on_one_slide_are_told_from_others_that_look_much_the_same() -> None:
    folder = shared("data/bccd/BCCD/JPEGImages")
    paths = sorted(folder.glob("*.jpg"))
    found = pairs_of([read_image(path) for path in paths])
    assert [(paths[i].stem, paths[j].stem) for i, j, _ in found] == [
        ("BloodImage_00037", "BloodImage_00038")
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda image: image[:, ::-1], "mirrored"),
        (lambda image: image[::-1], "flipped upside down"),
        (lambda image: image[::-1, ::-1], "turned by 180 degrees"),
        (lambda image: np.rot90(image), "turned by 90 degrees"),
        (lambda image: np.rot90(image, 3), "turned by 90 degrees"),
        (lambda image: image.swapaxes(0, 1), "mirrored and turned by 90 degrees"),
    ],
)
def test_a_turned_or_mirrored_copy_is_found_and_named(change: Edit, words: str) -> None:
    images = [picture(seed) for seed in range(5)]
    assert pairs_of([*images, as_array(change(images[2]))]) == [(2, 5, words)]


def test_pictures_of_one_colour_are_not_compared() -> None:
    assert pairs_of([np.full((20, 20, 3), 9, np.uint8)] * 3) == []


def test_no_picture_and_one_picture_have_no_pairs() -> None:
    assert len(near_pairs(np.zeros((0, 32, 32), np.uint8)).first) == 0
    assert pairs_of([picture(1)]) == []


def test_of_very_many_equal_pictures_each_still_has_an_earlier_partner() -> None:
    noise = np.random.default_rng(0).normal(0, 4, (150, 32, 32))
    scene = thumbnail(picture(3)).astype(np.float64)
    found = near_pairs(np.clip(scene + noise, 0, 255).astype(np.uint8))
    assert set(found.second.tolist()) == set(range(1, 150))


@pytest.mark.parametrize("turn", range(8))
def test_waves_of_a_turned_picture_follow_from_those_of_the_picture(turn: int) -> None:
    pictures = np.stack([thumbnail(picture(seed)) for seed in range(3)])
    expected = prints._lowest_waves(np.ascontiguousarray(turned(pictures, turn)))
    found = prints._turned_waves(prints._lowest_waves(pictures), turn)
    np.testing.assert_allclose(found, expected, atol=0.05)


def bits(data: bytes, count: int) -> UInt8[np.ndarray, "n 63"]:
    flat = np.unpackbits(np.frombuffer(data, np.uint8))[: count * 63]
    return flat.reshape(count, 63)


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=64, max_size=64), st.lists(st.integers(0, 15), min_size=4, max_size=4))
def test_quick_search_finds_what_comparing_all_finds(data: bytes, changed: list[int]) -> None:
    base = bits(data, 8).astype(bool)
    near = base[:4].copy()
    for row, number in enumerate(changed):  # so many of its signs differ, spread over the bands
        near[row, np.linspace(0, 62, number).astype(int)] ^= True
    signs = np.concatenate([base, near])
    first, second = prints._few_differences(signs, signs)
    distances = (signs[:, None] != signs[None]).sum(axis=2)
    close = np.argwhere(np.triu(distances <= prints.MOST_SIGNS, k=1)).tolist()
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == [tuple(p) for p in close]
