"""Images read no larger than needed, and the size of an image without its pixels.

libjpeg decodes a JPEG at a half, a quarter or an eighth of its size in a fraction of the time.
Other formats are decoded in full. Both are then shrunk to the size that was asked for.
"""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from gelan.data.containers import AGAIN, jpeg_segments, kind_of, parse_jpeg
from gelan.data.images import (
    COLOUR_FLAGS,
    Image,
    Pixels,
    decode_image,
    decoded_pixels,
    upright,
)
from gelan.errors import ImageError

SizeHW = tuple[int, int]
_FLAGS = {
    2: COLOUR_FLAGS | cv2.IMREAD_REDUCED_GRAYSCALE_2,  # the flag of colour makes RGB of it
    4: COLOUR_FLAGS | cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: COLOUR_FLAGS | cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


def read_reduced(path: Path, *, at_most: int | None) -> tuple[Image, SizeHW]:
    """The picture in a file, its longer side at most so many pixels, and its own height and width.

    A smaller picture, or any if `at_most` is None, comes as it is.

    Raises:
        ImageError: as `images.read_image`.
    """
    data = _bytes(path)
    try:
        stored_hw = _stored_hw(data) if at_most is not None and kind_of(data) == "JPEG" else None
        if at_most is not None and stored_hw is not None and max(stored_hw) >= 2 * at_most:
            return _reduced_jpeg(data, stored_hw, at_most)
    except struct.error as error:  # a field that the file promises lies behind its end
        raise ImageError(f"{path}: the JPEG is cut short; {AGAIN}") from error
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error.__cause__
    image = decode_image(data, name=str(path))
    size_hw = image.shape[:2]
    return (image if at_most is None else shrunk(image, at_most=at_most)), size_hw


def image_size(path: Path) -> SizeHW:
    """Height and width of the picture in a file, the right way up; of a JPEG without decoding it.

    Raises:
        ImageError: as `images.read_image`.
    """
    data = _bytes(path)
    try:
        if kind_of(data) == "JPEG":
            height, width = _stored_hw(data)
            return (
                (width, height) if parse_jpeg(data).orientation in (5, 6, 7, 8) else (height, width)
            )
    except struct.error as error:
        raise ImageError(f"{path}: the JPEG is cut short; {AGAIN}") from error
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error.__cause__
    height, width = decode_image(data, name=str(path)).shape[:2]
    return height, width


def shrunk(image: Image, *, at_most: int) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """The image with its longer side at most so many pixels; the very image if it is so already.

    >>> shrunk(np.zeros((50, 200, 3), np.uint8), at_most=100).shape
    (25, 100, 3)
    """
    height, width = image.shape[:2]
    if max(height, width) <= at_most:
        return image
    size_wh = _shrunk_size((height, width), at_most)
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _reduced_jpeg(data: bytes, stored_hw: SizeHW, at_most: int) -> tuple[Image, SizeHW]:
    orientation, plain = parse_jpeg(data)
    factor = max(factor for factor in _FLAGS if max(stored_hw) >= factor * at_most)
    small = decoded_pixels(plain, _FLAGS[factor], kind="JPEG")
    image = upright(_fitted(small, stored_hw, factor, at_most), orientation)
    return image, stored_hw[::-1] if orientation in (5, 6, 7, 8) else stored_hw


def _fitted(small: Image, stored_hw: SizeHW, factor: int, at_most: int) -> Pixels:
    """A decoded part of the size as the whole picture at its final size.

    libjpeg rounds sizes up, so the last pixels of `small` may reach out of the picture: it cannot
    simply be resized. It is sampled at points less than two of its pixels apart, and if these are
    more than the final size has, they are averaged.
    """
    width, height = _shrunk_size(stored_hw, at_most)
    times = max(1, max(stored_hw) // factor // at_most)
    x, y = stored_hw[1] / factor / width / times, stored_hw[0] / factor / height / times
    to_small = np.array([[x, 0.0, 0.5 * x - 0.5], [0.0, y, 0.5 * y - 0.5]])  # middles of pixels
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sampled = cv2.warpAffine(
        small,
        to_small,
        (width * times, height * times),
        flags=flags,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.resize(sampled, (width, height), interpolation=cv2.INTER_AREA)


def _shrunk_size(size_hw: SizeHW, at_most: int) -> tuple[int, int]:
    """Width and height with the longer one `at_most`."""
    scale = at_most / max(size_hw)
    return max(1, round(size_hw[1] * scale)), max(1, round(size_hw[0] * scale))


def _stored_hw(data: bytes) -> SizeHW:
    """Height and width of a JPEG before EXIF turns it."""
    for marker, start, _ in jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            _, height, width = struct.unpack_from(">BHH", data, start)
            return height, width
    raise ImageError(f"the JPEG is damaged: nothing says its size; {AGAIN}")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened: {error.strerror or error}") from error
