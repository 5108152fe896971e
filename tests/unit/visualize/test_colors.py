"""Colours of classes: apart from each other, as light as they should be, readable below text."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gelan.visualize.colors import Color, class_color, ink_color, outline_color


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


def cielab(color: Color) -> NDArray[np.float64]:
    """L*, a*, b* under D65 (CIE 15; a difference of about 2.3 is just noticeable)."""
    encoded = np.array(color) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    x, y, z = np.cbrt(to_xyz @ linear / (0.95047, 1.0, 1.08883))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distances(count: int) -> NDArray[np.float64]:
    colors = np.array([cielab(class_color(index)) for index in range(count)])
    distance: NDArray[np.float64] = np.linalg.norm(colors[:, None] - colors[None], axis=2)
    return distance + 999 * np.eye(count)


def test_lab_is_that_of_known_colours() -> None:
    assert cielab((255, 255, 255)) == pytest.approx([100, 0, 0], abs=0.02)
    assert cielab((255, 0, 0)) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)


def test_no_two_of_eighty_colours_are_near_each_other() -> None:
    assert distances(80).min() > 20


def test_colours_of_few_classes_are_farther_apart() -> None:
    assert distances(20).min() > 33


def test_colours_of_neighbouring_classes_keep_apart_also_where_they_begin_again() -> None:
    distance, first = distances(80), np.arange(80)
    for step in (1, 2, 3, 4):
        assert distance[first, (first + step) % 80].min() > 41


@pytest.mark.parametrize("index", range(80))
def test_no_colour_is_dark_pale_or_grey(index: int) -> None:
    lightness, *chroma = oklab(class_color(index))
    assert 0.52 < lightness < 0.90
    assert np.hypot(*chroma) > 0.085


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
