"""Letterbox: an image of any size on the canvas that the network sees, and boxes back again.

Coordinates are continuous: a pixel covers [i, i + 1], so an image `width` pixels wide spans 0 to
`width`. The original image and the canvas each have their origin in their top left corner.

The canvas is that of the published networks: bilinear, 114 grey, sizes rounded, the odd pixel of
padding at the right and bottom. The way back is exact here: the scale of each axis after rounding
and whole pixels of padding, where the published recipe takes the scale before rounding and half
pixels of padding. The two agree to one canvas pixel, and entirely where nothing was rounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8
from numpy.typing import NDArray

from gelan.errors import ConfigError

STRIDE = 32
"""The coarsest stride of the networks; both sides of a canvas are multiples of it."""

MAX_SIZE = 16384
"""Pixels of the longest side of a canvas; one of this size takes 3.2 GB as network input."""

Shape = Literal["square", "rectangle"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """Everything that turns an image into network input; plain JSON values, for weights files.

    The last three have one known value each. They stand in the file for programs of other makers,
    and so that a file which says otherwise is refused rather than misread.

    >>> Preprocessing(size=600)
    Traceback (most recent call last):
        ...
    gelan.errors.ConfigError: preprocessing: size 600 is not a multiple of 32; take 608
    """

    size: int = 640
    """Longer side of the canvas in pixels, a multiple of 32 (less in one case: a rectangle around
    a small image that is not enlarged)."""
    shape: Shape = "square"
    """A canvas of size x size, or one whose shorter side is the next multiple of 32."""
    enlarge: bool = True
    """Whether an image that is smaller than the canvas is scaled up to it."""
    pad_value: int = 114
    """Grey level of the padding, 0 to 255."""
    interpolation: Literal["bilinear"] = "bilinear"
    colour: Literal["rgb"] = "rgb"
    """Order of the channels."""
    divisor: Literal[255] = 255
    """Pixels are divided by it, so the network sees [0, 1]."""

    def __post_init__(self) -> None:
        require_size(self.size, name="preprocessing: size")
        if type(self.pad_value) is not int or not 0 <= self.pad_value <= 255:
            raise ConfigError(f"preprocessing: pad_value {self.pad_value!r:.40} is outside 0..255")
        if type(self.enlarge) is not bool:
            raise ConfigError(f"preprocessing: enlarge is {self.enlarge!r:.40}, not true or false")
        _refuse_other("shape", self.shape, get_args(Shape))
        _refuse_other("interpolation", self.interpolation, ("bilinear",))
        _refuse_other("colour", self.colour, ("rgb",))
        _refuse_other("divisor", self.divisor, (255,))


def require_size(size: int, *, name: str) -> None:
    """Refuse what cannot be the longer side of a canvas; the message begins with `name`.

    Raises:
        ConfigError: it is no whole number, no positive multiple of 32, or above `MAX_SIZE`.
    """
    if type(size) is not int:
        raise ConfigError(f"{name} {size!r:.40} is not a whole number of pixels")
    if size > MAX_SIZE:
        shown = size if size < 10**12 else "of more than 12 digits"
        raise ConfigError(f"{name} {shown} is above {MAX_SIZE}, the largest; take 640 or 1280")
    if size <= 0 or size % STRIDE:
        above = STRIDE * max(1, math.ceil(size / STRIDE))
        raise ConfigError(f"{name} {size} is not a multiple of {STRIDE}; take {above}")


def _refuse_other(name: str, value: object, known: Sequence[object]) -> None:
    if value not in known:
        choices = " or ".join(map(repr, known))
        raise ConfigError(f"preprocessing: {name} is {value!r:.40}; known is {choices}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where an image lies on its canvas.

    >>> half = Placement(scale=0.5, left=14, top=7, size_hw=(100, 200), canvas_hw=(64, 128))
    >>> half.to_canvas(np.array([[0, 0, 200, 100]], np.float32)).tolist()
    [[14.0, 7.0, 114.0, 57.0]]
    >>> half.to_original(np.array([[14, 7, 200, 200]], np.float32)).tolist()
    [[0.0, 0.0, 200.0, 100.0]]
    """

    scale: float
    """Canvas pixels per original pixel, before the sides are rounded."""
    left: int
    """Columns of padding before the image."""
    top: int
    """Rows of padding above it."""
    size_hw: tuple[int, int]
    """Height and width of the original image."""
    canvas_hw: tuple[int, int]

    @property
    def resized_hw(self) -> tuple[int, int]:
        """Height and width of the image on the canvas: rounded, but never 0."""
        height, width = self.size_hw
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    def to_canvas(self, boxes: Float[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        """Boxes (xyxy) of the original image in pixels of the canvas."""
        scale, offset = self._scale_and_offset()
        return (boxes * scale + offset).astype(np.float32)

    def to_original(
        self, boxes: Float[np.ndarray, "n 4"], *, clip: bool = True
    ) -> Float32[np.ndarray, "n 4"]:
        """Boxes (xyxy) of the canvas in pixels of the original image.

        With `clip` they end at the border of the image; a box in the padding becomes empty.
        """
        scale, offset = self._scale_and_offset()
        original = (boxes - offset) / scale
        if clip:
            height, width = self.size_hw
            original = original.clip(0.0, (width, height, width, height))
        return original.astype(np.float32)

    def _scale_and_offset(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """float64, because float32 would cost a thousandth of a pixel in images of 5000."""
        (height, width), (resized_height, resized_width) = self.size_hw, self.resized_hw
        scale = np.array((resized_width / width, resized_height / height) * 2)
        return scale, np.array((self.left, self.top) * 2, np.float64)


def letterbox(
    image: UInt8[np.ndarray, "height width 3"], preprocessing: Preprocessing
) -> tuple[UInt8[np.ndarray, "canvas_height canvas_width 3"], Placement]:
    """The image scaled to fit, centred on a canvas of its own memory, and its placement.

    >>> canvas, placement = letterbox(np.zeros((50, 100, 3), np.uint8), Preprocessing(size=64))
    >>> canvas.shape, placement.scale, placement.top
    ((64, 64, 3), 0.64, 16)
    """
    placement = place((image.shape[0], image.shape[1]), preprocessing)
    height, width = placement.resized_hw
    if placement.resized_hw != placement.size_hw:
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        image = np.asarray(resized, np.uint8)
    canvas = cv2.copyMakeBorder(
        image,
        top=placement.top,
        bottom=placement.canvas_hw[0] - height - placement.top,
        left=placement.left,
        right=placement.canvas_hw[1] - width - placement.left,
        borderType=cv2.BORDER_CONSTANT,
        value=(preprocessing.pad_value,) * 3,
    )
    return np.asarray(canvas, np.uint8), placement


def place(size_hw: tuple[int, int], preprocessing: Preprocessing) -> Placement:
    """The placement that an image of this height and width gets."""
    size, (height, width) = preprocessing.size, size_hw
    scale = min(size / height, size / width)
    if not preprocessing.enlarge:
        scale = min(scale, 1.0)
    inside = Placement(scale=scale, left=0, top=0, size_hw=size_hw, canvas_hw=(size, size))
    rows, columns = (size - side for side in inside.resized_hw)
    if preprocessing.shape == "rectangle":
        rows, columns = rows % STRIDE, columns % STRIDE
    canvas_hw = inside.resized_hw[0] + rows, inside.resized_hw[1] + columns
    # // 2 is the published round(half - 0.1) at the left and top
    return replace(inside, left=columns // 2, top=rows // 2, canvas_hw=canvas_hw)


def to_network(
    canvases: Sequence[UInt8[np.ndarray, "height width 3"]],
) -> Float32[np.ndarray, "batch 3 height width"]:
    """Canvases of one size as network input: RGB planes in [0, 1], contiguous.

    Raises:
        ValueError: no canvases, or canvases of different sizes.
    """
    sizes = {canvas.shape[:2] for canvas in canvases}
    if len(sizes) != 1:
        raise ValueError(f"one batch needs canvases of one size, got sizes {sorted(sizes)}")
    images = np.empty((len(canvases), 3, *sizes.pop()), np.float32)
    for planes, canvas in zip(images, canvases, strict=True):
        for plane, channel in zip(planes, cv2.split(canvas), strict=True):
            np.divide(channel, np.float32(255), out=plane)  # split first: 0.3 ms, strided 0.5 ms
    return images
