"""Colours of classes: apart from each other, as light as they should be, readable below text."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gelan.visualize.colors import LIGHTNESS, Color, class_color, ink_color, outline_color


def oklab(color: Color) -> NDArray[np.float64]:
    """Forward transform, written apart from the inverse one that is tested (Ottosson 2020)."""
    encoded = np.array(color) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    long, medium, short = np.cbrt(
        np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        )
        @ linear
    )
    return np.array(
        [
            0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
            1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
            0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
        ]
    )


def test_colours_of_neighbouring_classes_keep_apart() -> None:
    colors = np.array([oklab(class_color(index)) for index in range(200)])
    for step in (1, 2, 3, 4):
        distance = np.linalg.norm(colors[step:] - colors[:-step], axis=1)
        assert distance.min() > 0.1  # a difference of 0.02 is just noticeable


def test_eighty_classes_have_eighty_colours() -> None:
    colors = np.array([oklab(class_color(index)) for index in range(80)])
    distance = np.linalg.norm(colors[:, None] - colors[None], axis=2) + 9 * np.eye(80)
    assert distance.min() > 0.02


def test_the_lightness_of_a_colour_is_the_one_that_was_asked_for() -> None:
    measured = [oklab(class_color(index))[0] for index in range(5)]
    assert measured == pytest.approx(LIGHTNESS, abs=0.005)


@pytest.mark.parametrize("index", range(80))
def test_the_text_has_enough_contrast(index: int) -> None:
    def luminance(color: Color) -> float:
        encoded = np.array(color) / 255
        linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    color = class_color(index)
    low, high = sorted([luminance(color), luminance(ink_color(color))])
    assert (high + 0.05) / (low + 0.05) > 4.5  # WCAG 2.2, level AA


@pytest.mark.parametrize("index", range(80))
def test_the_line_around_a_colour_is_a_nearly_black_shade_of_it(index: int) -> None:
    color = class_color(index)
    assert oklab(outline_color(color))[0] < 0.4
    assert outline_color(color) == pytest.approx([0.16 * channel for channel in color], abs=0.5)
