from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gelan.data.augment.config import AugmentConfig, none
from gelan.data.augment.photometric import Gains, random_gains, recoloured


def test_gains_of_one_change_nothing() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert recoloured(image, Gains(1.0, 1.0, 1.0)) is image


def test_the_argument_is_left_as_it_is() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    image.flags.writeable = False
    assert (recoloured(image, Gains(1.01, 0.5, 1.2)) != image).any()


@given(
    colour=st.tuples(*[st.integers(0, 255)] * 3),
    hue=st.floats(0.9, 1.1),
    saturation=st.floats(0.3, 1.7),
    value=st.floats(0.6, 1.4),
)
def test_a_colour_becomes_what_the_formulas_say(
    colour: tuple[int, int, int], hue: float, saturation: float, value: float
) -> None:
    image = np.array(colour, np.uint8).reshape(1, 1, 3)
    changed = recoloured(image, Gains(hue, saturation, value))[0, 0] / 255
    h, s, v = colorsys.rgb_to_hsv(*(level / 255 for level in colour))
    assume(h < 179 / 180)  # the last step is rounded to the end of the circle, which is its start
    expected = colorsys.hsv_to_rgb(h * hue % 1, min(1, s * saturation), min(1, v * value))
    # Hue is kept in steps of two degrees, so colours come out to within a thirtieth of the chroma.
    chroma = max(expected) - min(expected)
    np.testing.assert_allclose(changed, expected, atol=0.02 + chroma / 20)


def test_gains_lie_evenly_around_one() -> None:
    config, random = AugmentConfig(hue=0.1, saturation=0.7, value=0.4), np.random.default_rng(0)
    gains = np.array([random_gains(config, random) for _ in range(2000)])
    np.testing.assert_allclose(gains.min(axis=0), [0.9, 0.3, 0.6], atol=0.01)
    np.testing.assert_allclose(gains.max(axis=0), [1.1, 1.7, 1.4], atol=0.01)
    np.testing.assert_allclose(gains.mean(axis=0), 1, atol=0.03)
    assert random_gains(none(), random) == (1, 1, 1)


@pytest.mark.parametrize("level", [0, 114, 255])
def test_grey_stays_grey(level: int) -> None:
    image = np.full((2, 2, 3), level, np.uint8)
    assert np.ptp(recoloured(image, Gains(1.01, 1.7, 1.2)), axis=-1).max() == 0
