"""What an image file tells besides its pixels: kind, size, which side is up, whether it is whole.

Only bytes are read here, nothing is decoded. An orientation is EXIF's number: 1 is upright, 2 to 8
are turned or mirrored, others count as 1. Functions for one kind are for files whose `kind_of` is
that. What is wrong is an `ImageError`, or a `struct.error` where the file ends before a field that
it promises; both without the name of the file, which `images.decode_image` puts before.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from gelan.errors import ImageError

MAX_PIXELS = 2**28  # a header that announces more is refused before memory is spent on it
MAX_BYTES = 2**30  # of the decoded picture, as a header announces it: RGB of MAX_PIXELS fits
SIGNATURES = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WebP": rb"RIFF....WEBP",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "TIFF": rb"II\*\0|MM\0\*",
    "AVIF": rb".{4}ftyp(?:.{4}){0,12}?avi[fs]",
    "PNM": rb"P[1-6][\s#]",
}
"""How each kind that is read begins, as a pattern."""
RESAVE = "open it in a viewer and save it as PNG or JPEG"
AGAIN = "copy or download it again"
ORIENTATION = 0x0112
"""Tag of the orientation in EXIF and TIFF."""

_NOT_READ = {
    "a PNG whose first bytes were changed (a transfer in text mode?)": rb".{9,16}IHDR",
    "HEIC": rb".{4}ftyp(?:hei|hev|mif|msf)",
    "a video": rb".{4}ftyp|\x1aE\xdf\xa3|RIFF....AVI ",
    "JPEG 2000": rb"\0\0\0\x0cjP|\xff\x4f\xff\x51",
    "an image with float pixels": rb"#\?R|v/1\x01|P[Ff]\s",
    "HTML, XML or SVG": rb"\s*<[!?A-Za-z]",
    "a Git LFS pointer ('git lfs pull' brings the file)": rb"version https://git-lfs",
}
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # a marker that has no place in a scan
_PADDING = b"\xff\x00" * 16  # data of ones; a decoder at the end of a scan looks 8 bytes ahead


def kind_of(data: bytes) -> str:
    """The key of `SIGNATURES` that the first bytes of a file match.

    >>> kind_of(b"GIF89a")
    'GIF'

    Raises:
        ImageError: none does; says what it is instead, if that is known.
    """
    if not data:
        raise ImageError(f"the file is empty; {AGAIN}")
    for kind, signature in SIGNATURES.items():
        if re.match(signature, data, re.DOTALL):
            return kind
    for what, signature in _NOT_READ.items():
        if re.match(signature, data, re.DOTALL):
            raise ImageError(f"{what} is not read (starts with {data[:12]!r}); {RESAVE}")
    raise ImageError(f"no image: starts with {data[:12]!r}; pass one of {', '.join(SIGNATURES)}")


def _refuse_huge(width: int, height: int, *, samples: int = 3, bits: int = 8) -> None:
    """Nothing, if the decoded picture fits into memory: `samples` of `bits` each per pixel."""
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width} x {height} are more than {MAX_PIXELS} pixels; cut it into tiles")
    size = width * height * samples * max(1, bits // 8)
    if size > MAX_BYTES:
        raise ImageError(
            f"{width} x {height} pixels of {samples} samples of {bits} bits are {size} bytes when "
            f"decoded, more than {MAX_BYTES}; save it with 8 bits, or cut it into tiles"
        )


class Jpeg(NamedTuple):
    """What matters to the picture of a JPEG."""

    orientation: int
    plain: bytes
    """The file. If its picture is one scan of sequential data, as usual, it ends with the scan."""


def parse_jpeg(data: bytes) -> Jpeg:
    """A JPEG whose header is sound and that has an end marker.

    libjpeg makes up what is missing of a scan when it meets a marker, and only prints a warning.
    Where no marker follows, it asks for more data, gets none, and OpenCV returns no image.

    Raises:
        ImageError: too many pixels, 12 bits per sample, or cut short.
    """
    exif, sequential, components, scan, entropy = b"", False, 0, 0, 0
    for marker, start, end in jpeg_segments(data):
        if marker == 0xE1 and data.startswith(b"Exif\0\0", start):
            exif = exif or data[start + 6 : end]
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, height, width, components = struct.unpack_from(">BHHB", data, start)
            _refuse_huge(width, height)
            if bits != 8:
                raise ImageError(f"a JPEG of {bits} bits per sample is not read; {RESAVE}")
            sequential = marker in (0xC0, 0xC1)
        scan, entropy = start, end
    if data.rfind(b"\xff\xd9", scan) < 0:
        raise ImageError(f"the JPEG is cut short: it has no end marker; {AGAIN}")
    behind = _END_OF_SCAN.search(data, entropy)
    if sequential and data[scan] == components and behind is not None:
        data = data[: behind.start()] + _PADDING
    return Jpeg(exif_orientation(exif), data)


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the segments up to the one that begins the first scan.

    Raises:
        ImageError: the file ends before it.
    """
    position, marker = 2, 0
    while marker != 0xDA:
        position = data.find(b"\xff", position)
        if position < 0:
            raise ImageError(f"the JPEG is cut short: it has no picture data; {AGAIN}")
        marker, length = struct.unpack_from(">BH", data, position + 1)
        if marker in (0x00, 0xFF):  # padding
            position += 1
        else:
            yield marker, position + 4, position + 2 + length
            position += 2 + length


class Png(NamedTuple):
    """What matters to the picture of a PNG."""

    bits: int
    """Of each sample: 1, 2, 4, 8 or 16."""
    colour: int
    """0 for grey, 2 for RGB, 3 for a palette, 4 for grey with alpha, 6 for RGBA."""
    transparency: bytes | None
    """The chunk `tRNS`: the colour or the entries of the palette that are transparent."""
    orientation: int
    plain: bytes
    """The file without the chunks that do not matter.

    libpng prints warnings about these (colour profiles, histograms) that OpenCV cannot stop.
    """


def parse_png(data: bytes) -> Png:
    """A PNG whose header and checksums are sound.

    Raises:
        ImageError: too many pixels or bytes of them, or damaged.
    """
    chunks, plain = _png_chunks(data)
    width, height, bits, colour = struct.unpack_from(">IIBB", chunks.get(b"IHDR", b""))
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    if bits not in depths.get(colour, ()):
        raise ImageError(f"the PNG is damaged: {bits} bits with colour type {colour}; {AGAIN}")
    if b"IDAT" not in chunks:
        raise ImageError(f"the PNG is damaged: it has no picture data; {AGAIN}")
    samples = 3 + (colour in (4, 6) or b"tRNS" in chunks)  # OpenCV makes colour of grey with alpha
    _refuse_huge(width, height, samples=samples if colour else 1, bits=bits)
    orientation = exif_orientation(chunks.get(b"eXIf", b""))
    return Png(bits, colour, chunks.get(b"tRNS"), orientation, plain)


def _png_chunks(data: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """The chunks that matter to the picture, by kind, and a PNG of nothing else."""
    kept = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND")
    chunks: dict[bytes, bytes] = {}
    parts, position = [data[:8]], 8
    while b"IEND" not in chunks:
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if kind in kept:
            if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != checksum:
                raise ImageError(f"the PNG is damaged: wrong checksum in {kind.decode()}; {AGAIN}")
            chunks[kind] = data[position + 8 : end - 4]
            parts.append(data[position:end])
        position = end
    return chunks, b"".join(parts)


def tiff_has_alpha(data: bytes) -> bool:
    """Whether the fourth sample of a TIFF is transparency; it may be black ink, or another band.

    Raises:
        ImageError: too many pixels, or pixels of a kind that OpenCV does not read or reads wrongly.
    """
    tags = tiff_tags(data)
    bits, samples, colour = tags.get(258, 1), tags.get(277, 1), tags.get(262, 1)
    _refuse_huge(tags.get(256, 0), tags.get(257, 0), samples=samples, bits=bits)
    readable_8 = bits in (1, 8) and samples in (1, 3, 4)
    readable_16 = bits == 16 and samples in (1, 3) and colour in (0, 1, 2)  # grey or RGB
    numbers = {1: "unsigned", 2: "signed", 3: "float"}.get(tags.get(339, 1), "unknown")
    if numbers != "unsigned" or not (readable_8 or readable_16):
        found = f"a TIFF of {samples} {numbers} samples of {bits} bits per pixel"
        raise ImageError(f"{found} is not read; {RESAVE}")
    return samples == 4 and tags.get(338, 0) in (1, 2)


def tiff_tags(data: bytes) -> dict[int, int]:
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


def exif_orientation(exif: bytes) -> int:
    r"""The orientation in EXIF data, which begins like a TIFF; 1 if there is none.

    >>> exif_orientation(b"MM\0*" + bytes.fromhex("00000008 0001 0112 0003 00000001 00060000"))
    6
    >>> exif_orientation(b"")
    1
    """
    return tiff_tags(exif).get(ORIENTATION, 1)


def webp_orientation(data: bytes) -> int:
    """The orientation in the EXIF chunk of a WebP."""
    exif, position = b"", 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            exif = data[position + 8 : position + 8 + length].removeprefix(b"Exif\0\0")
        position += 8 + length + length % 2
    return exif_orientation(exif)


def avif_header(data: bytes) -> tuple[int, int | None]:
    """Orientation of an AVIF, and its largest pixel value if it has 10 or 12 bits.

    Raises:
        ImageError: too many pixels or bytes of them.
    """
    header = data[: data.find(b"mdat")]
    turn = re.search(rb"\0\0\0\x09irot(.)", header, re.DOTALL)
    mirror = re.search(rb"\0\0\0\x09imir(.)", header, re.DOTALL)
    coding = re.search(rb"av1C..(.)", header, re.DOTALL)
    by_mirror = ((1, 8, 3, 6), (4, 5, 2, 7), (2, 7, 4, 5))  # of anticlockwise quarter turns
    orientation = by_mirror[1 + mirror[1][0] % 2 if mirror else 0][turn[1][0] % 4 if turn else 0]
    largest = {2: 1023, 3: 4095}.get(coding[1][0] >> 5 & 3 if coding else 0)
    for sides in re.findall(rb"ispe\0\0\0\0(.{8})", header, re.DOTALL):  # one for each part
        samples = 4 if b"auxiliary:alpha" in header else 3
        _refuse_huge(*struct.unpack(">II", sides), samples=samples, bits=16 if largest else 8)
    return orientation, largest


def pnm_header(data: bytes) -> tuple[int, int]:
    """The digit in the first bytes of a PNM, 5 for `P5`, and its largest value, 1 for a bitmap.

    >>> pnm_header(b"P5 640 480 255 "), pnm_header(b"P1 640 480 ")
    ((5, 255), (1, 1))

    Raises:
        ImageError: too many pixels, or damaged.
    """
    space = rb"(?:\s|#[^\n]*\n)+"
    header = re.match(rb"P(\d)" + 2 * (space + rb"(\d+)") + rb"(?:" + space + rb"(\d+))?", data)
    kind, width, height, largest = map(int, header.groups(b"0")) if header else (0, 0, 0, 0)
    samples = 3 if kind in (3, 6) else 1
    _refuse_huge(width, height, samples=samples, bits=8 if largest < 256 else 16)
    largest = 1 if kind in (1, 4) else largest
    if not 0 < largest < 65536:
        raise ImageError(f"the PNM header {data[:20]!r} is damaged; {AGAIN}")
    return kind, largest


def refuse_huge_bitmap(data: bytes, *, kind: str) -> None:
    """Nothing, if a GIF or BMP of this size is read.

    Raises:
        ImageError: it has more than `MAX_PIXELS` pixels.
    """
    sides, place = ("<HH", 6) if kind == "GIF" else ("<HH", 18) if data[14] == 12 else ("<ii", 18)
    width, height = struct.unpack_from(sides, data, place)
    _refuse_huge(width, abs(height))  # a BMP that is stored top down has a negative height
