"""What is painted in the images stays under its box and inside its outline."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gelan.data.augment.compose import Plan
from gelan.data.augment.config import AugmentConfig, published
from gelan.data.augment.draw import drawn
from gelan.data.augment.pipeline import Decoded, Recipe, augmented, plan
from gelan.geometry.letterbox import Preprocessing
from gelan.structures.samples import Annotations, Sample
from tests.unit.data.augment.painted import Painted, bounds, coverage, painted_in

SIZE = 96
UPRIGHT = AugmentConfig(
    mixup=0.0,
    copy_paste=0.0,
    hue=0.0,
    saturation=0.0,
    value=0.0,
    flip_up_down=0.5,
    min_seen_box=0.0,
    min_seen_outline=0.0,
)


def made(
    config: AugmentConfig,
    seed: int,
    *,
    kind: Literal["boxes", "outlines", "crowds"] = "boxes",
    count: int = 6,
) -> Sample:
    return augmented(
        Painted(count, kind),
        seed % count,
        seed=seed,
        config=config,
        preprocessing=Preprocessing(size=SIZE),
    )


def check_every_box_is_tight(sample: Sample, *, tolerance: float) -> None:
    found = sample.annotations
    for number in range(6):
        mask = painted_in(sample.image, number)
        boxes = found.boxes[found.classes == number]
        assert len(boxes) <= 1, "the images of a mosaic differ"
        if len(boxes):
            np.testing.assert_allclose(bounds(mask), boxes[0], atol=tolerance)
        elif mask.any():  # too little is seen of it to be worth learning
            x1, y1, x2, y2 = bounds(mask).tolist()
            assert min(x2 - x1, y2 - y1) <= 2 + 2 * tolerance


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_rectangles_fill_their_boxes_in_mosaics(seed: int) -> None:
    check_every_box_is_tight(made(UPRIGHT, seed), tolerance=1.0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), outlined=st.booleans())
def test_objects_fill_their_boxes_in_single_images(seed: int, outlined: bool) -> None:
    config = UPRIGHT.without_mosaic()
    sample = made(config, seed, kind="outlines" if outlined else "boxes")
    if outlined:
        check_outlines(sample)
    else:
        check_every_box_is_tight(sample, tolerance=1.0)


TURNED = AugmentConfig(
    mixup=0.0,
    copy_paste=0.0,
    hue=0.0,
    saturation=0.0,
    value=0.0,
    degrees=180.0,
    shear=20.0,
    perspective=0.0005,
    scale=0.5,
    flip_up_down=0.5,
    min_seen_outline=0.0,
)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), turned=st.booleans())
def test_outlines_follow_what_they_surround(seed: int, turned: bool) -> None:
    check_outlines(made(TURNED if turned else UPRIGHT, seed, kind="outlines"))


def check_outlines(sample: Sample) -> None:
    """Inside outlines is their colour, outside is not, but for a pixel at the edge."""
    found = sample.annotations
    shares = np.array([coverage(polygons, (SIZE, SIZE)) for polygons in found.polygons])
    for number in set(found.classes.tolist()):
        mask = painted_in(sample.image, number)
        outside = mask & (grown(shares[found.classes == number].max(axis=0)) == 0)
        if outside.any():  # of its other image, where too little is seen to be worth learning
            x1, y1, x2, y2 = bounds(outside).tolist()
            assert min(x2 - x1, y2 - y1) <= 3
        for place in np.flatnonzero(found.classes == number):
            others = np.delete(shares, place, axis=0).max(axis=0, initial=0)  # may lie over it
            assert not (~mask & (-grown(-shares[place]) == 1) & (grown(others) == 0)).any()
    for polygons, box in zip(found.polygons, found.boxes, strict=True):
        corners = np.concatenate(polygons)
        hull = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        np.testing.assert_allclose(hull, box, atol=0.01)


def grown(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest of each pixel and its eight neighbours; 0 beyond the border."""
    padded = np.pad(share, 1)
    return np.asarray(cv2.dilate(padded, np.ones((3, 3)))[1:-1, 1:-1])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_turned_boxes_without_outline_hold_their_objects(seed: int) -> None:
    sample = made(TURNED, seed)
    for number, box in zip(sample.annotations.classes, sample.annotations.boxes, strict=True):
        mask = painted_in(sample.image, number)
        if mask.any():
            assert (bounds(mask)[:2] >= box[:2] - 2).all()
            assert (bounds(mask)[2:] <= box[2:] + 2).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), turned=st.booleans())
def test_pasted_objects_follow_their_outlines_too(seed: int, turned: bool) -> None:
    check_outlines(
        made(replace(TURNED if turned else UPRIGHT, copy_paste=1.0), seed, kind="outlines")
    )


def test_some_objects_are_pasted_once_more_and_mirrored() -> None:
    once, twice = (
        [
            len(made(replace(UPRIGHT, copy_paste=share), seed, kind="outlines").annotations)
            for seed in range(12)
        ]
        for share in (0.0, 1.0)
    )
    assert sum(once) < sum(twice) <= 2 * sum(once)


def test_boxes_without_outlines_are_not_pasted() -> None:
    for seed in range(6):
        plain, pasting = made(UPRIGHT, seed), made(replace(UPRIGHT, copy_paste=1.0), seed)
        assert plain.annotations.boxes.tolist() == pasting.annotations.boxes.tolist()


def test_crowds_stay_crowds() -> None:
    found = made(UPRIGHT, 3, kind="crowds").annotations
    assert len(found) > 0
    assert found.crowd.all()


def plan_of(config: AugmentConfig, seed: int = 0) -> tuple[Plan, Decoded]:
    recipe = Recipe(config=config, preprocessing=Preprocessing(size=SIZE), seed=seed, epoch=0)
    read = Decoded(Painted(9, "outlines"), at_most=SIZE)
    return plan(recipe.groups(9)[0], 0, recipe=recipe, read=read), read


def test_mixup_blends_two_mosaics_with_all_their_objects() -> None:
    both, read = plan_of(replace(UPRIGHT, mixup=1.0))
    first, second = (drawn(replace(both, scenes=(scene,)), read) for scene in both.scenes)
    expected = first.astype(float) * both.blend + second.astype(float) * (1 - both.blend)
    np.testing.assert_allclose(drawn(both, read), expected, atol=0.51)
    assert len(both.annotations) == sum(len(scene.annotations) for scene in both.scenes)


def test_the_blend_is_about_half() -> None:
    blends = [plan_of(replace(UPRIGHT, mixup=1.0), seed)[0].blend for seed in range(30)]
    assert 0.25 < min(blends) < 0.45
    assert 0.55 < max(blends) < 0.75


def test_a_mosaic_holds_four_different_images_and_its_own_is_one() -> None:
    whole = replace(UPRIGHT, scale=0.0, translate=0.0, mosaic_spread=0.0)
    recipe = Recipe(config=whole, preprocessing=Preprocessing(size=SIZE), seed=0, epoch=0)
    group = recipe.groups(9)[0]
    made = plan(group, 4, recipe=recipe, read=Decoded(Painted(9), at_most=SIZE))
    assert len(made.indices) == 4
    assert group[4] in made.indices


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images_are_partners_of_themselves(count: int) -> None:
    sample = augmented(
        Painted(count), 0, config=published(), preprocessing=Preprocessing(size=SIZE)
    )
    assert sample.image.shape == (SIZE, SIZE, 3)


class Thin:
    """Images of extreme shapes, with a box all over or none."""

    SIZES = ((1, 1), (1, 96), (96, 1), (2, 3), (96, 96))

    def __len__(self) -> int:
        return len(self.SIZES)

    def __getitem__(self, index: int) -> Sample:
        return self.load(index, at_most=SIZE)

    def load(self, index: int, *, at_most: int) -> Sample:
        height, width = self.SIZES[index]
        boxes = [[0.0, 0.0, float(width), float(height)]][: index % 2]
        return Sample(
            image=np.full((height, width, 3), 200, np.uint8),
            annotations=Annotations.of_boxes(boxes, [0] * len(boxes)),
            source=str(index),
        )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), turned=st.booleans())
def test_images_of_any_shape_and_without_objects_pass(seed: int, turned: bool) -> None:
    config = TURNED if turned else published()
    sample = augmented(
        Thin(), seed % 5, seed=seed, config=config, preprocessing=Preprocessing(size=SIZE)
    )
    found = sample.annotations
    assert found.boxes.dtype == found.areas.dtype == np.float32
    assert ((found.boxes >= 0) & (found.boxes <= SIZE)).all()
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()


def test_what_no_image_covers_is_grey() -> None:
    config = replace(UPRIGHT, scale=0.0, translate=0.0, mosaic=0.0, close_mosaic=0)
    sample = augmented(
        Thin(), 1, config=config, preprocessing=Preprocessing(size=SIZE, pad_value=7)
    )
    assert set(sample.image.ravel().tolist()) == {7, 200}


def test_a_small_image_is_not_enlarged_where_that_is_not_wanted() -> None:
    config = replace(UPRIGHT, scale=0.0, translate=0.0, mosaic=0.0, close_mosaic=0)
    preprocessing = Preprocessing(size=SIZE, enlarge=False)
    sample = augmented(Thin(), 3, config=config, preprocessing=preprocessing)
    assert (sample.image[..., 0] == 200).sum() == 6
