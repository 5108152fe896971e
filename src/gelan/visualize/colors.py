"""Colours for classes, in sRGB: one for each, the ink that is read on it and the line around it."""

from __future__ import annotations

import functools
import math

import numpy as np
from jaxtyping import Float

Color = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""
LIGHTNESS = (0.76, 0.60, 0.84, 0.68, 0.52)
"""OKLCH lightness of classes 0, 1, ... in turn; none too dark for a picture taken at night."""
FIRST_HUE, HUE_STEP = 225.0, 99.5016
"""Degrees; the step is 360 / (2 + golden ratio). Found by trying: it keeps 80 classes apart."""
MOST_CHROMA = 0.22


@functools.cache
def class_color(index: int) -> Color:
    """The colour of a class, the same in every picture and for every number of classes.

    Hue and lightness (OKLCH, Ottosson 2020) both turn with the index, so that near indices differ
    in both. The chroma is the largest that sRGB can show, at most `MOST_CHROMA`.

    >>> class_color(0), class_color(1)
    ((17, 195, 244), (189, 65, 199))
    """
    hue = math.radians(FIRST_HUE + HUE_STEP * index)
    for chroma in np.arange(MOST_CHROMA, 0, -0.002):
        a, b = chroma * math.cos(hue), chroma * math.sin(hue)
        linear = _linear_rgb(LIGHTNESS[index % len(LIGHTNESS)], a, b)
        if linear.min() >= 0 and linear.max() <= 1:
            break
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (round(255 * float(channel)) for channel in encoded)
    return (red, green, blue)


def _linear_rgb(lightness: float, a: float, b: float) -> Float[np.ndarray, " 3"]:
    """Linear sRGB of an OKLab colour; outside 0 to 1 where sRGB has no such colour."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short
    return np.array([red, green, blue])


def ink_color(background: Color) -> Color:
    """Black or white, whichever has more contrast with a background (WCAG 2.2).

    >>> ink_color((250, 240, 90)), ink_color((90, 20, 120))
    ((0, 0, 0), (255, 255, 255))
    """
    linear = [(channel / 255) ** 2.2 for channel in background]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (0, 0, 0) if (luminance + 0.05) ** 2 > 1.05 * 0.05 else (255, 255, 255)


def outline_color(color: Color) -> Color:
    """A nearly black shade of a colour: seen on a background of that colour, quiet elsewhere.

    >>> outline_color((200, 100, 0))
    (32, 16, 0)
    """
    red, green, blue = (round(0.16 * channel) for channel in color)
    return (red, green, blue)
