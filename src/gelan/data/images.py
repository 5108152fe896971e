"""Images as RGB arrays: from files, bytes, arrays and PIL images.

Every image comes out as contiguous uint8 (height, width, 3), RGB, the right way up:

* Orientation is applied: EXIF (JPEG, PNG, WebP), TIFF's own tag, AVIF's rotation.
* Transparent pixels are shown on white, as on a page.
* 16 bits become 8 by value / 257, rounded; other ranges (10-bit AVIF, PGM up to 1023) likewise.
* Of an animation or several pages, the first counts. Colour profiles and gamma are not applied.

OpenCV decodes, an ordinary JPEG or PNG once. Orientation, transparency and completeness are read
here, because OpenCV 4 and 5 differ in them or pass over them. What cannot be read in full is an
`ImageError`, never half a picture; only damage inside the data of a JPEG goes unnoticed.
"""

from __future__ import annotations

import re
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from gelan.errors import ImageError

Image: TypeAlias = UInt8[np.ndarray, "height width 3"]
Pixels: TypeAlias = NDArray[Any]  # grey, RGB or RGBA of 8 or 16 bits, on the way to an `Image`

IMAGE_SUFFIX = re.compile(r"(?i)\.(jpe?g|jpe|jfif|png|webp|gif|bmp|dib|tiff?|avif|p[bgnp]m)")
MAX_PIXELS = 2**28  # a header that announces more is refused before memory is spent on it

_NOT_READ = {
    "a PNG whose first bytes were changed (a transfer in text mode?)": rb".{9,16}IHDR",
    "HEIC": rb".{4}ftyp(?:hei|hev|mif|msf)",
    "a video": rb".{4}ftyp|\x1aE\xdf\xa3|RIFF....AVI ",
    "JPEG 2000": rb"\0\0\0\x0cjP|\xff\x4f\xff\x51",
    "an image with float pixels": rb"#\?R|v/1\x01|P[Ff]\s",
    "HTML, XML or SVG": rb"\s*<[!?A-Za-z]",
    "a Git LFS pointer ('git lfs pull' brings the file)": rb"version https://git-lfs",
}
_RESAVE = "open it in a viewer and save it as PNG or JPEG"
_AGAIN = "copy or download it again"
_ORIENTATION = 0x0112
_COLOUR = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
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

    Raises:
        ImageError: the file cannot be opened, or as `decode_image`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened: {error.strerror or error}") from error
    return decode_image(data, name=str(path))


def decode_image(data: bytes, *, name: str) -> Image:
    """The picture in the bytes of an image file; `name` stands first in an error message.

    Raises:
        ImageError: empty, no image, damaged, cut short, float pixels, more than `MAX_PIXELS`
            pixels, or a kind that is not read.
    """
    try:
        kind = _kind_of(data)
        _, decode = _FORMATS[kind]
        return decode(data)
    except struct.error as error:  # a field that the file promises lies behind its end
        raise ImageError(f"{name}: the {kind} is cut short; {_AGAIN}") from error
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
    return any(re.match(signature, data, re.DOTALL) for signature, _ in _FORMATS.values())


def _kind_of(data: bytes) -> str:
    if not data:
        raise ImageError(f"the file is empty; {_AGAIN}")
    for kind, (signature, _) in _FORMATS.items():
        if re.match(signature, data, re.DOTALL):
            return kind
    for what, signature in _NOT_READ.items():
        if re.match(signature, data, re.DOTALL):
            raise ImageError(f"{what} is not read (starts with {data[:12]!r}); {_RESAVE}")
    raise ImageError(f"no image: starts with {data[:12]!r}; pass one of {', '.join(_FORMATS)}")


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
        raise ImageError(f"Pillow cannot turn it into RGB ({error}); {_AGAIN}") from error
    return _upright(_from_array(pixels), image.getexif().get(_ORIENTATION, 1))


def _as_rgb(pixels: Pixels, *, largest: int | None = None) -> Image:
    """8-bit RGB of grey, RGB or RGBA whose values go up to `largest` (or as far as the type)."""
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"its pixels are {pixels.dtype}, which have no fixed range; {_RESAVE}")
    largest = largest or int(np.iinfo(pixels.dtype).max)
    if largest != 255:
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / largest)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return _image(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB))
    if pixels.shape[2] == 3:
        return _image(pixels)
    alpha = pixels[..., 3:].astype(np.uint16)
    on_white = (pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return _image(on_white.astype(np.uint8))


def _with_white_key(grey: Pixels, key: object) -> Pixels:
    """Grey pixels in which the one value that means "transparent", if any, has become white."""
    return np.where(grey == key, np.iinfo(grey.dtype).max, grey) if isinstance(key, int) else grey


def _upright(pixels: Pixels, orientation: int) -> Image:
    """RGB turned and mirrored by EXIF's number; numbers outside 1..8 count as 1."""
    if orientation in (5, 6, 7, 8):
        pixels = cv2.transpose(pixels)
    flip = {2: 1, 6: 1, 3: -1, 7: -1, 4: 0, 8: 0}.get(orientation)
    return _image(pixels if flip is None else cv2.flip(pixels, flip))


def _image(pixels: Pixels) -> Image:
    return np.ascontiguousarray(pixels, np.uint8)


def _decoded(data: bytes, flags: int, *, kind: str) -> Pixels:
    """Grey, RGB or RGBA by OpenCV."""
    pixels: Pixels | None = None
    log = nullcontext() if kind in ("JPEG", "PNG") else _silent_opencv()  # checked before: quiet
    with log, suppress(cv2.error):
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        found = f"OpenCV {cv2.__version__} cannot decode this {kind}"
        raise ImageError(f"{found}: it is damaged, cut short or of a rare kind; {_RESAVE}")
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


def _refuse_huge(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width} x {height} are more than {MAX_PIXELS} pixels; cut it into tiles")


def _decode_jpeg(data: bytes) -> Image:
    exif, scan = b"", 0
    for marker, start, end in _jpeg_segments(data):
        if marker == 0xE1 and data.startswith(b"Exif\0\0", start):
            exif = exif or data[start + 6 : end]
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, height, width = struct.unpack_from(">BHH", data, start)
            _refuse_huge(width, height)
            if bits != 8:
                raise ImageError(f"a JPEG of {bits} bits per sample is not read; {_RESAVE}")
        scan = start
    if data.rfind(b"\xff\xd9", scan) < 0:
        raise ImageError(f"the JPEG is cut short: it has no end marker; {_AGAIN}")
    pixels = _decoded(data, _COLOUR, kind="JPEG")
    return _upright(pixels, _tiff_tags(exif).get(_ORIENTATION, 1))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the segments up to the one that begins the first scan."""
    position, marker = 2, 0
    while marker != 0xDA:
        position = data.find(b"\xff", position)
        if position < 0:
            raise ImageError(f"the JPEG is cut short: it has no picture data; {_AGAIN}")
        marker, length = struct.unpack_from(">BH", data, position + 1)
        if marker in (0x00, 0xFF):  # padding
            position += 1
        else:
            yield marker, position + 4, position + 2 + length
            position += 2 + length


def _decode_png(data: bytes) -> Image:
    chunks, plain = _png_chunks(data)
    width, height, bits, colour = struct.unpack_from(">IIBB", chunks.get(b"IHDR", b""))
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    if bits not in depths.get(colour, ()):
        raise ImageError(f"the PNG is damaged: {bits} bits with colour type {colour}; {_AGAIN}")
    if b"IDAT" not in chunks:
        raise ImageError(f"the PNG is damaged: it has no picture data; {_AGAIN}")
    _refuse_huge(width, height)
    orientation = _tiff_tags(chunks.get(b"eXIf", b"")).get(_ORIENTATION, 1)
    if bits < 16 and colour < 4 and b"tRNS" not in chunks:
        return _upright(_decoded(plain, _COLOUR, kind="PNG"), orientation)
    pixels = _decoded(plain, cv2.IMREAD_UNCHANGED, kind="PNG")
    if colour == 0 and b"tRNS" in chunks:  # OpenCV passes over it
        (key,) = struct.unpack_from(">H", chunks[b"tRNS"])
        pixels = _with_white_key(pixels, key * (255 // (2**bits - 1) or 1))
    return _upright(_as_rgb(pixels), orientation)


def _png_chunks(data: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """The chunks that matter to the picture, by kind, and a PNG of nothing else.

    libpng prints warnings about the others (colour profiles, histograms) that OpenCV cannot stop.
    """
    kept = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND")
    chunks: dict[bytes, bytes] = {}
    parts, position = [data[:8]], 8
    while b"IEND" not in chunks:
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if kind in kept:
            if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != checksum:
                raise ImageError(f"the PNG is damaged: wrong checksum in {kind.decode()}; {_AGAIN}")
            chunks[kind] = data[position + 8 : end - 4]
            parts.append(data[position:end])
        position = end
    return chunks, b"".join(parts)


def _decode_tiff(data: bytes) -> Image:
    tags = _tiff_tags(data)
    bits, samples, colour = tags.get(258, 1), tags.get(277, 1), tags.get(262, 1)
    _refuse_huge(tags.get(256, 0), tags.get(257, 0))
    readable_8 = bits in (1, 8) and samples in (1, 3, 4)
    readable_16 = bits == 16 and samples in (1, 3) and colour in (0, 1, 2)  # grey or RGB
    numbers = {1: "unsigned", 2: "signed", 3: "float"}.get(tags.get(339, 1), "unknown")
    if numbers != "unsigned" or not (readable_8 or readable_16):
        found = f"a TIFF of {samples} {numbers} samples of {bits} bits per pixel"
        raise ImageError(f"{found} is not read; {_RESAVE}")
    if samples != 4 or tags.get(338, 0) not in (1, 2):  # CMYK, or a band beyond RGB
        return _image(_decoded(data, _COLOUR, kind="TIFF"))
    rgba = _decoded(data, cv2.IMREAD_UNCHANGED, kind="TIFF")  # premultiplied, whatever the file
    return _image(cv2.add(rgba[..., :3], cv2.merge([255 - rgba[..., 3]] * 3)))


def _tiff_tags(data: bytes) -> dict[int, int]:
    """First value of each integer tag of a TIFF header or EXIF, up to where it is damaged."""
    tags: dict[int, int] = {}
    with suppress(KeyError, struct.error):
        order = {b"II*\0": "<", b"MM\0*": ">"}[data[:4]]
        (directory,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind, length, place = struct.unpack_from(order + "HHII", data, entry)
            if kind in (3, 4):
                letter, size = ("H", 2) if kind == 3 else ("I", 4)
                place = entry + 8 if length * size <= 4 else place
                (tags[tag],) = struct.unpack_from(order + letter, data, place)
    return tags


def _decode_webp(data: bytes) -> Image:
    exif, position = b"", 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            exif = data[position + 8 : position + 8 + length].removeprefix(b"Exif\0\0")
        position += 8 + length + length % 2
    image = _as_rgb(_decoded(data, cv2.IMREAD_UNCHANGED, kind="WebP"))
    return _upright(image, _tiff_tags(exif).get(_ORIENTATION, 1))


def _decode_avif(data: bytes) -> Image:
    header = data[: data.find(b"mdat")]
    turn = re.search(rb"\0\0\0\x09irot(.)", header, re.DOTALL)
    mirror = re.search(rb"\0\0\0\x09imir(.)", header, re.DOTALL)
    coding = re.search(rb"av1C..(.)", header, re.DOTALL)
    by_mirror = ((1, 8, 3, 6), (4, 5, 2, 7), (2, 7, 4, 5))  # of anticlockwise quarter turns
    orientation = by_mirror[1 + mirror[1][0] % 2 if mirror else 0][turn[1][0] % 4 if turn else 0]
    largest = {2: 1023, 3: 4095}.get(coding[1][0] >> 5 & 3 if coding else 0)
    pixels = _decoded(data, cv2.IMREAD_UNCHANGED, kind="AVIF")
    return _upright(_as_rgb(pixels, largest=largest), orientation)


def _decode_pnm(data: bytes) -> Image:
    space = rb"(?:\s|#[^\n]*\n)+"
    header = re.match(rb"P(\d)" + 2 * (space + rb"(\d+)") + rb"(?:" + space + rb"(\d+))?", data)
    kind, width, height, largest = map(int, header.groups(b"0")) if header else (0, 0, 0, 0)
    _refuse_huge(width, height)
    if kind in (1, 4) or (kind in (2, 3) and 0 < largest < 256):  # OpenCV scales these itself
        largest = 255
    if not 0 < largest < 65536:
        raise ImageError(f"the PNM header {data[:20]!r} is damaged; {_AGAIN}")
    return _as_rgb(_decoded(data + b"\n", cv2.IMREAD_UNCHANGED, kind="PNM"), largest=largest)


def _decode_other(data: bytes, *, kind: str) -> Image:
    sides, place = ("<HH", 6) if kind == "GIF" else ("<HH", 18) if data[14] == 12 else ("<ii", 18)
    width, height = struct.unpack_from(sides, data, place)
    _refuse_huge(width, abs(height))  # a BMP that is stored top down has a negative height
    return _as_rgb(_decoded(data, cv2.IMREAD_UNCHANGED, kind=kind))


_FORMATS: dict[str, tuple[bytes, Callable[[bytes], Image]]] = {
    "JPEG": (rb"\xff\xd8\xff", _decode_jpeg),
    "PNG": (rb"\x89PNG\r\n\x1a\n", _decode_png),
    "WebP": (rb"RIFF....WEBP", _decode_webp),
    "GIF": (rb"GIF8[79]a", partial(_decode_other, kind="GIF")),
    "BMP": (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", partial(_decode_other, kind="BMP")),
    "TIFF": (rb"II\*\0|MM\0\*", _decode_tiff),
    "AVIF": (rb".{4}ftyp(?:.{4}){0,12}?avi[fs]", _decode_avif),
    "PNM": (rb"P[1-6][\s#]", _decode_pnm),
}
