"""Images as RGB arrays: from files, bytes, arrays and PIL images.

Every image comes out as contiguous uint8 (height, width, 3), RGB, the right way up:

* Orientation is applied: EXIF (JPEG, PNG, WebP), TIFF's own tag, AVIF's rotation.
* Transparent pixels are shown on white, as on a page.
* 16 bits become 8 by value / 257, rounded; other ranges (10-bit AVIF, PGM up to 1023) likewise.
* Of an animation or several pages, the first counts. Colour profiles and gamma are not applied.

OpenCV decodes, an ordinary JPEG or PNG once. Orientation, transparency and completeness are read
by `containers`, because OpenCV 4 and 5 differ in them or pass over them. What cannot be read in
full is an `ImageError`, never half a picture; only some damage inside the data of a JPEG goes
unnoticed (see `read_image`).
"""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from gelan.data.containers import (
    AGAIN,
    ORIENTATION,
    RESAVE,
    SIGNATURES,
    avif_header,
    kind_of,
    parse_jpeg,
    parse_png,
    pnm_header,
    refuse_huge_bitmap,
    tiff_has_alpha,
    webp_orientation,
)
from gelan.errors import ImageError

Image: TypeAlias = UInt8[np.ndarray, "height width 3"]
Pixels: TypeAlias = NDArray[Any]  # grey, RGB or RGBA of 8 or 16 bits, on the way to an `Image`

IMAGE_SUFFIX = re.compile(r"(?i)\.(jpe?g|jpe|jfif|png|webp|gif|bmp|dib|tiff?|avif|p[bgnp]m)")
COLOUR_FLAGS = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
"""For `decoded_pixels`: RGB as it is stored."""
_log_level_lock = threading.Lock()


@runtime_checkable
class PillowImage(Protocol):
    """What is used of a PIL image; Pillow itself is not imported."""

    mode: str
    info: dict[Any, Any]

    def convert(self, mode: str) -> object:
        """The same picture in another mode."""

    def getexif(self) -> Mapping[int, Any]:
        """EXIF values by tag."""


def read_image(path: Path) -> Image:
    """The picture in a file.

    A JPEG whose data ends before its picture is refused, unless it is progressive or in several
    scans: of these, what the missing scans hold is blurred or grey if an end marker was put behind
    them. Other damage inside the data of a JPEG cannot be told from a picture: wrong colours from
    there on, which libjpeg at best announces on the terminal (OpenCV gives no way to ask).

    Raises:
        ImageError: the file cannot be opened, or as `decode_image`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the name
        raise ImageError(f"{str(path)!r:.200}: cannot be the name of a file: {error}") from error
    return decode_image(data, name=str(path))


def decode_image(data: bytes, *, name: str) -> Image:
    """The picture in the bytes of an image file; `name` stands first in an error message.

    Raises:
        ImageError: empty, no image, damaged, cut short, float pixels, more pixels than
            `containers.MAX_PIXELS`, more bytes of them than `MAX_BYTES`, or a kind that is not
            read.
    """
    try:
        kind = kind_of(data)
        return _DECODERS[kind](data)
    except struct.error as error:  # a field that the file promises lies behind its end
        raise ImageError(f"{name}: the {kind} is cut short; {AGAIN}") from error
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error.__cause__


def as_image(value: object, *, name: str = "image") -> Image:
    """An image that is already in memory.

    numpy: (height, width) and (height, width, 1) are grey, (height, width, 3) is RGB, *not* the BGR
    of `cv2.imread`, (height, width, 4) is RGBA; uint16 fills 0 to 65535. Contiguous uint8 RGB is
    returned itself, not copied. PIL: any mode but I and F; its EXIF orientation is applied.

    >>> as_image(np.array([[0, 255]], np.uint8)).tolist()
    [[[0, 0, 0], [255, 255, 255]]]

    Raises:
        ImageError: another type, shape or range; the message says what mends it.
    """
    try:
        if isinstance(value, np.ndarray):
            return _from_array(value)
        if isinstance(value, PillowImage):
            return _from_pillow(value)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error.__cause__
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise ImageError(f"{name}: {kind} is no image; pass a path, an RGB array or a PIL image")


def looks_like_image(data: bytes) -> bool:
    """Whether bytes begin like a format that is read; the first 100 are enough.

    >>> looks_like_image(b"GIF89a"), looks_like_image(b"photos/GIF89a.gif")
    (True, False)
    """
    return any(re.match(signature, data, re.DOTALL) for signature in SIGNATURES.values())


def _from_array(array: Pixels) -> Image:
    found = f"an array of {' x '.join(map(str, array.shape))}, {array.dtype}"
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        remedy = "pass height x width, x 1, x 3 (RGB) or x 4 (RGBA)"
        if array.ndim == 3 and array.shape[0] in (1, 3, 4):
            remedy = "channels come last: array.transpose(1, 2, 0)"
        raise ImageError(f"{found}, is no image; {remedy}")
    if array.size == 0:
        raise ImageError(f"{found}, has no pixels")
    if array.dtype.kind != "u" or array.dtype.itemsize > 2:
        remedy = "if it holds 0..255: array.astype(np.uint8)"
        if array.dtype.kind in "bf":
            remedy = "if it holds 0..1: (array * 255.0).round().astype(np.uint8)"
        raise ImageError(f"{found}, is no image; {remedy}")
    return _as_rgb(np.ascontiguousarray(array, np.uint8 if array.itemsize == 1 else np.uint16))


def _from_pillow(image: PillowImage) -> Image:
    if image.mode in ("I", "F"):
        remedy = "pass its path, or a uint8 array of it scaled to 0..255"
        raise ImageError(f"a PIL image of mode {image.mode} has no fixed range; {remedy}")
    key = image.info.get("transparency")
    try:
        if image.mode.startswith("I;16"):
            pixels = _with_white_key(np.asarray(image, np.uint16), key)
        elif image.mode.endswith("A") or key is not None:
            pixels = np.asarray(image.convert("RGBA"))
        else:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, ValueError) as error:
        raise ImageError(f"Pillow cannot turn it into RGB ({error}); {AGAIN}") from error
    return upright(_from_array(pixels), image.getexif().get(ORIENTATION, 1))


def _as_rgb(pixels: Pixels, *, largest: int | None = None) -> Image:
    """8-bit RGB of grey, RGB or RGBA whose values go up to `largest` (or as far as the type)."""
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"its pixels are {pixels.dtype}, which have no fixed range; {RESAVE}")
    largest = largest or int(np.iinfo(pixels.dtype).max)
    if largest != 255:
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / largest)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return _image(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB))
    if pixels.shape[2] == 3:
        return _image(pixels)
    return _on_white(pixels)


def _on_white(rgba: UInt8[np.ndarray, "height width 4"]) -> Image:
    """Strip by strip: at once, it would take 16 bytes a pixel, too many for a large picture."""
    image = np.empty((*rgba.shape[:2], 3), np.uint8)
    rows = max(1, 2**20 // rgba.shape[1])
    for top in range(0, len(rgba), rows):
        strip = rgba[top : top + rows]
        alpha = strip[..., 3:].astype(np.uint16)
        image[top : top + rows] = (strip[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return image


def _with_white_key(grey: Pixels, key: object) -> Pixels:
    """Grey pixels in which the one value that means "transparent", if any, has become white."""
    return np.where(grey == key, np.iinfo(grey.dtype).max, grey) if isinstance(key, int) else grey


def upright(pixels: Pixels, orientation: int) -> Image:
    """The RGB picture turned and mirrored by EXIF's number; numbers outside 1..8 count as 1."""
    if orientation in (5, 6, 7, 8):
        pixels = cv2.transpose(pixels)
    flip = {2: 1, 6: 1, 3: -1, 7: -1, 4: 0, 8: 0}.get(orientation)
    return _image(pixels if flip is None else cv2.flip(pixels, flip))


def _image(pixels: Pixels) -> Image:
    return np.ascontiguousarray(pixels, np.uint8)


def decoded_pixels(data: bytes, flags: int, *, kind: str) -> Pixels:
    """Grey, RGB or RGBA by OpenCV, neither turned nor shown on white; `kind` is for the message.

    Raises:
        ImageError: OpenCV gives no picture.
    """
    pixels: Pixels | None = None
    log = nullcontext() if kind in ("JPEG", "PNG") else _silent_opencv()  # checked before: quiet
    with log, suppress(cv2.error):
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        found = f"OpenCV {cv2.__version__} cannot decode this {kind}"
        raise ImageError(f"{found}: it is damaged, cut short or of a rare kind; {RESAVE}")
    if flags == cv2.IMREAD_UNCHANGED and pixels.ndim == 3:
        to_rgb = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
        return cv2.cvtColor(pixels, to_rgb)
    return pixels


@contextmanager
def _silent_opencv() -> Iterator[None]:
    """OpenCV's log, which goes to the terminal, switched off; one thread at a time."""
    log = vars(cv2.utils).get("logging", cv2)  # OpenCV 4.11 has these functions one floor higher
    with _log_level_lock:
        level = log.getLogLevel()
        log.setLogLevel(0)
        try:
            yield
        finally:
            log.setLogLevel(level)


def _decode_jpeg(data: bytes) -> Image:
    orientation, plain = parse_jpeg(data)
    return upright(decoded_pixels(plain, COLOUR_FLAGS, kind="JPEG"), orientation)


def _decode_png(data: bytes) -> Image:
    png = parse_png(data)
    if png.bits < 16 and png.colour < 4 and png.transparency is None:
        return upright(decoded_pixels(png.plain, COLOUR_FLAGS, kind="PNG"), png.orientation)
    pixels = decoded_pixels(png.plain, cv2.IMREAD_UNCHANGED, kind="PNG")
    if png.colour == 0 and png.transparency is not None:  # OpenCV passes over it
        (key,) = struct.unpack_from(">H", png.transparency)
        pixels = _with_white_key(pixels, key * (255 // (2**png.bits - 1) or 1))
    return upright(_as_rgb(pixels), png.orientation)


def _decode_tiff(data: bytes) -> Image:
    if not tiff_has_alpha(data):
        return _image(decoded_pixels(data, COLOUR_FLAGS, kind="TIFF"))
    rgba = decoded_pixels(
        data, cv2.IMREAD_UNCHANGED, kind="TIFF"
    )  # premultiplied, whatever the file
    return _image(cv2.add(rgba[..., :3], cv2.merge([255 - rgba[..., 3]] * 3)))


def _decode_webp(data: bytes) -> Image:
    orientation = webp_orientation(data)
    image = _as_rgb(decoded_pixels(data, cv2.IMREAD_UNCHANGED, kind="WebP"))
    return upright(image, orientation)


def _decode_avif(data: bytes) -> Image:
    orientation, largest = avif_header(data)
    pixels = decoded_pixels(data, cv2.IMREAD_UNCHANGED, kind="AVIF")
    return upright(_as_rgb(pixels, largest=largest), orientation)


def _decode_pnm(data: bytes) -> Image:
    kind, largest = pnm_header(data)
    if kind <= 4 and largest < 256:  # OpenCV scales these itself
        largest = 255
    return _as_rgb(decoded_pixels(data + b"\n", cv2.IMREAD_UNCHANGED, kind="PNM"), largest=largest)


def _decode_other(data: bytes, *, kind: str) -> Image:
    refuse_huge_bitmap(data, kind=kind)
    return _as_rgb(decoded_pixels(data, cv2.IMREAD_UNCHANGED, kind=kind))


_DECODERS: dict[str, Callable[[bytes], Image]] = {
    "JPEG": _decode_jpeg,
    "PNG": _decode_png,
    "WebP": _decode_webp,
    "GIF": partial(_decode_other, kind="GIF"),
    "BMP": partial(_decode_other, kind="BMP"),
    "TIFF": _decode_tiff,
    "AVIF": _decode_avif,
    "PNM": _decode_pnm,
}
