"""Colour: hue, saturation and value, each times a random gain."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from gelan.data.augment.config import AugmentConfig

HUES = 180
"""OpenCV counts the hue of 8-bit images in steps of two degrees."""


class Gains(NamedTuple):
    """Factors of one image; 1 leaves as it is."""

    hue: float
    saturation: float
    value: float


def random_gains(config: AugmentConfig, random: np.random.Generator) -> Gains:
    """Three factors, each even between 1 - range and 1 + range (published recipe)."""
    ranges = np.array([config.hue, config.saturation, config.value])
    hue, saturation, value = (1 + random.uniform(-1, 1, 3) * ranges).tolist()
    return Gains(hue, saturation, value)


def recoloured(
    image: UInt8[np.ndarray, "height width 3"], gains: Gains
) -> UInt8[np.ndarray, "height width 3"]:
    """An RGB image whose hue, saturation and value are multiplied; red stays red.

    Saturation and value end at 255, the hue is rounded and goes round in its circle.

    >>> recoloured(np.full((1, 1, 3), 100, np.uint8), Gains(1.0, 0.5, 1.5)).tolist()
    [[[150, 150, 150]]]
    """
    if gains == (1, 1, 1):
        return image
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    # Planes of our own: cv2.split takes as long again to ask the system for memory.
    planes = [np.empty(image.shape[:2], np.uint8) for _ in range(3)]
    hue, saturation, value = planes
    cv2.split(pixels, planes)
    cv2.LUT(hue, hue_table(gains.hue), dst=hue)
    cv2.convertScaleAbs(saturation, dst=saturation, alpha=gains.saturation)
    cv2.convertScaleAbs(value, dst=value, alpha=gains.value)
    cv2.merge(planes, dst=pixels)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_HSV2RGB, dst=pixels), np.uint8)


def hue_table(gain: float) -> UInt8[np.ndarray, " 256"]:
    """What each hue of OpenCV (0..179) becomes.

    >>> hue_table(1.5)[[0, 2, 119, 120, 179]].tolist()
    [0, 3, 178, 0, 88]
    """
    return np.asarray(np.rint(np.arange(256) * gain) % HUES, np.uint8)
