"""The device draws what OpenCV draws, of the same plans."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import UInt8
from numpy.typing import NDArray

from gelan.data.augment import photometric
from gelan.data.augment.compose import Plan
from gelan.data.augment.config import AugmentConfig, published
from gelan.data.augment.device import recoloured, render
from gelan.data.augment.draw import drawn
from gelan.data.augment.photometric import Gains
from gelan.data.augment.pipeline import Decoded, Recipe, plan
from gelan.geometry.letterbox import Preprocessing
from gelan.structures.samples import Sample
from tests.unit.data.augment.painted import Painted

CPU = torch.device("cpu")
SIZE = 64
PLAIN = replace(published(), hue=0.0, saturation=0.0, value=0.0)
UPRIGHT = replace(PLAIN, mixup=0.5, copy_paste=1.0, flip_up_down=0.5)
TURNED = replace(UPRIGHT, degrees=180.0, shear=10.0, perspective=0.0005)


class Smooth(Painted):
    """The painted images, so blurred that half a pixel makes no great difference."""

    def load(self, index: int, *, at_most: int) -> Sample:
        sample = super().load(index, at_most=at_most)
        y, x = np.mgrid[: sample.image.shape[0], : sample.image.shape[1]]
        waves = [100 + 50 * np.sin(x / 9 + index) + 50 * np.cos(y / (7 + c)) for c in range(3)]
        return replace(sample, image=np.stack(waves, axis=-1).astype(np.uint8))


def plans(config: AugmentConfig, count: int) -> tuple[list[Plan], Decoded]:
    source = Smooth(12, "outlines", 64)
    recipe = Recipe(config=config, preprocessing=Preprocessing(size=SIZE), seed=0, epoch=0)
    read = Decoded(source, at_most=SIZE)
    (group,) = recipe.groups(12)
    return [plan(group, place, recipe=recipe, read=read) for place in range(count)], read


def both(
    config: AugmentConfig, count: int = 12
) -> tuple[UInt8[np.ndarray, "batch 3 size size"], UInt8[np.ndarray, "batch 3 size size"]]:
    """What OpenCV draws and what the device does."""
    made, read = plans(config, count)
    indices = set[int]().union(*(each.indices for each in made))
    images = {index: read.image(index) for index in indices}
    by_cpu = np.stack([drawn(each, read).transpose(2, 0, 1) for each in made])
    return by_cpu, render(made, images, CPU).numpy()


def differences(config: AugmentConfig) -> NDArray[np.int64]:
    by_cpu, by_device = both(config)
    return np.asarray(np.abs(by_cpu.astype(np.int64) - by_device))


def test_upright_mosaics_blends_and_pasted_objects_agree_to_rounding() -> None:
    assert differences(UPRIGHT).max() <= 2


def test_single_images_agree_to_rounding() -> None:
    assert differences(PLAIN.without_mosaic()).max() <= 1


def test_turned_ones_agree_but_for_the_edges_of_tiles() -> None:
    found = differences(TURNED).max(axis=1)
    assert (found > 3).mean() < 0.03
    assert np.median(found) <= 1


def test_colours_agree_to_the_rounding_of_hsv() -> None:
    found = differences(replace(published(), flip_up_down=0.5))
    assert found.max() <= 8
    assert found.mean() < 0.6


@given(
    gains=st.tuples(st.floats(0.9, 1.1), st.floats(0.3, 1.7), st.floats(0.6, 1.4)),
    colour=st.tuples(*[st.integers(0, 255)] * 3),
)
def test_a_colour_becomes_the_same_on_both(
    gains: tuple[float, float, float], colour: tuple[int, int, int]
) -> None:
    image = np.array(colour, np.uint8).reshape(1, 1, 3)
    expected = photometric.recoloured(image, Gains(*gains)).reshape(3).astype(float)
    planes = torch.tensor(colour, dtype=torch.float32).reshape(1, 3, 1, 1)
    got = recoloured(planes, [Gains(*gains)]).reshape(3)
    # One step of hue, two degrees, is a thirtieth of the chroma.
    chroma = max(expected) - min(expected)
    assert np.abs(got.numpy() - expected).max() <= 2 + chroma / 30


def test_gains_of_one_change_nothing() -> None:
    colours = torch.randint(
        0, 256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(0)
    ).float()
    gains = [Gains(1.0, 1.0, 1.0), Gains(1.0, 1.0, 0.5)]
    assert torch.equal(recoloured(colours, gains)[0], colours[0])
    assert not torch.equal(recoloured(colours, gains)[1], colours[1])


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_is_its_samples(count: int) -> None:
    config = replace(published(), mixup=0.5)
    _, together = both(config, count)
    made, read = plans(config, count)
    for number, each in enumerate(made):
        images = {index: read.image(index) for index in each.indices}
        assert (render([each], images, CPU).numpy()[0] == together[number]).all()


def test_a_plan_that_shows_nothing_is_grey() -> None:
    (made,), _ = plans(PLAIN, 1)
    empty = replace(made.scenes[0], tiles=(), cutouts=())
    nothing = replace(made, scenes=(empty,))
    assert (render([nothing], {}, CPU) == 114).all()
