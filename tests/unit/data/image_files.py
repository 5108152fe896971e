"""Pictures and image files made for tests: turned, of rare kinds, byte by byte."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, TypeAlias

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Array: TypeAlias = NDArray[Any]

# A picture of which no two turned or mirrored forms are alike; smooth, so that JPEG keeps it.
CORNERS = np.array([[[250, 20, 20], [20, 220, 20]], [[20, 20, 240], [240, 240, 30]]], np.uint8)
UPRIGHT = cv2.resize(CORNERS, (40, 24), interpolation=cv2.INTER_LINEAR)
RGBA = np.dstack([UPRIGHT, np.tile(np.linspace(0, 255, 40).astype(np.uint8), (24, 1))])

# How a camera stores the upright picture: Pillow's operation for each EXIF orientation.
FLIP_X, FLIP_Y, HALF = (Image.Transpose(number) for number in (0, 1, 3))
LEFT, RIGHT = Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270
MAIN, ANTI = Image.Transpose.TRANSPOSE, Image.Transpose.TRANSVERSE
STORED = {1: None, 2: FLIP_X, 3: HALF, 4: FLIP_Y, 5: MAIN, 6: LEFT, 7: ANTI, 8: RIGHT}

OPTIONS: dict[str, dict[str, Any]] = {  # as near to lossless as the format goes
    "JPEG": {"quality": 98, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True, "exact": True},
    "TIFF": {},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
}
needs_avif = pytest.mark.skipif(not cv2.haveImageWriter(".avif"), reason="OpenCV without AVIF")


def saved(picture: Array | Image.Image, form: str, **options: Any) -> bytes:  # noqa: ANN401
    buffer = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(buffer, form, **options)
    return buffer.getvalue()


def saved_turned(picture: Array, form: str, orientation: int) -> bytes:
    operation, exif = STORED[orientation], Image.Exif()
    image = Image.fromarray(picture)
    exif[0x0112] = orientation
    tags = {"tiffinfo": {0x0112: orientation}} if form == "TIFF" else {"exif": exif}
    image = image if operation is None else image.transpose(operation)
    return saved(image, form, **tags, **OPTIONS[form])


def chunk(kind: bytes, payload: bytes) -> bytes:
    checksum = zlib.crc32(kind + payload)
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", checksum)


def png(rows: Array, colour: int, *, bits: int = 8, extra: bytes = b"", side: int = 0) -> bytes:
    """A PNG of these rows; `extra` chunks before the picture, another `side` in the header."""
    height, width = (side, side) if side else rows.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    big_endian = rows.astype(rows.dtype.newbyteorder(">"))
    picture = zlib.compress(b"".join(b"\0" + row.tobytes() for row in big_endian))
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", picture) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff(rows: Array, tags: dict[int, int]) -> bytes:
    """A little-endian TIFF of one strip, which lies between the header and the tags."""
    (height, width), picture = rows.shape[:2], rows.tobytes()
    listed = {256: width, 257: height, 259: 1, 273: 8, 278: height, 279: len(picture)} | tags
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, listed[tag], 0) for tag in sorted(listed))
    directory = struct.pack("<H", len(listed)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(picture)) + picture + directory
