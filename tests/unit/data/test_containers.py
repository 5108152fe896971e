"""What files tell besides their pixels, and what is said of files that are not read."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gelan.data.containers import (
    AGAIN,
    ORIENTATION,
    SIGNATURES,
    avif_header,
    exif_orientation,
    kind_of,
    parse_jpeg,
    parse_png,
    pnm_header,
    refuse_huge_bitmap,
    tiff_has_alpha,
    tiff_tags,
    webp_orientation,
)
from gelan.errors import ImageError
from tests.unit.data.image_files import (
    STORED,
    UPRIGHT,
    chunk,
    needs_avif,
    png,
    saved,
    saved_turned,
    tiff,
)

READERS: dict[str, Callable[[bytes], object]] = {
    "JPEG": parse_jpeg,
    "PNG": parse_png,
    "WEBP": webp_orientation,
    "GIF": lambda data: refuse_huge_bitmap(data, kind="GIF"),
    "BMP": lambda data: refuse_huge_bitmap(data, kind="BMP"),
    "TIFF": tiff_has_alpha,
    "AVIF": avif_header,
    "PPM": pnm_header,
}
ORIENTATION_OF: dict[str, Callable[[bytes], int]] = {
    "JPEG": lambda data: parse_jpeg(data).orientation,
    "PNG": lambda data: parse_png(data).orientation,
    "WEBP": webp_orientation,
    "TIFF": lambda data: tiff_tags(data)[ORIENTATION],
    "AVIF": lambda data: avif_header(data)[0],
}


def cause(read: Callable[[bytes], object], data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        read(data)
    return str(caught.value)


# --- kinds -------------------------------------------------------------------------------------


def test_every_kind_is_known_by_its_first_bytes() -> None:
    forms = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
    assert [kind_of(saved(UPRIGHT, form)[:100]) for form in forms] == list(SIGNATURES)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", f"the file is empty; {AGAIN}"),
        (b"nothing but text", "no image: starts with b'nothing but '; pass one of JPEG, PNG, "),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC is not read"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "a video is not read"),
        (b"<!DOCTYPE html>", "HTML, XML or SVG is not read"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"#?RADIANCE\n", "an image with float pixels is not read"),
    ],
)
def test_files_that_are_not_read_are_named(data: bytes, named: str) -> None:
    assert cause(kind_of, data).startswith(named)


@pytest.mark.parametrize(
    ("form", "data", "sides"),
    [
        ("PPM", b"P6 99999 99999 255\n", "99999 x 99999"),
        ("GIF", b"GIF89a" + struct.pack("<HH", 32000, 32000), "32000 x 32000"),
        ("BMP", b"BM" + bytes(12) + struct.pack("<Iii", 40, 32000, -32000), "32000 x 32000"),
        ("PNG", png(UPRIGHT, 2, side=60000), "60000 x 60000"),
        ("TIFF", tiff(UPRIGHT, {256: 60000, 257: 60000}), "60000 x 60000"),
        ("JPEG", b"\xff\xd8\xff\xc0\0\x11\x08\xea\x60\xea\x60\3" + bytes(9), "60000 x 60000"),
    ],
)
def test_huge_pictures_are_refused_by_their_header(form: str, data: bytes, sides: str) -> None:
    expected = f"{sides} are more than 268435456 pixels; cut it into tiles"
    assert cause(READERS[form], data) == expected


# --- orientation -------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("form", ORIENTATION_OF)
def test_the_orientation_is_found_in_every_container(form: str, orientation: int) -> None:
    data = saved_turned(UPRIGHT, form, orientation)
    assert ORIENTATION_OF[form](data) == orientation


def test_exif_behind_other_application_data_is_found() -> None:
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"
    segment = b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp
    data = saved_turned(UPRIGHT, "JPEG", 6)
    assert parse_jpeg(data[:2] + segment + data[2:]).orientation == 6


def test_exif_that_makes_no_sense_leaves_the_picture_as_it_is() -> None:
    for exif in (b"", b"II*\0", b"II*\0\xff\0\0\0", b"no header"):
        assert exif_orientation(exif) == 1
        assert parse_png(png(UPRIGHT, 2, extra=chunk(b"eXIf", exif))).orientation == 1


# --- what is in them ---------------------------------------------------------------------------


def test_tags_are_read_in_both_byte_orders_and_from_elsewhere_in_the_file() -> None:
    entries = [(256, 4, 1, 70000), (258, 3, 3, 50), (270, 2, 4, 0)]  # the last is text
    for mark, order in ((b"II*\0", "<"), (b"MM\0*", ">")):
        listed = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
        data = mark + struct.pack(order + "IH", 8, 3) + listed + bytes(4)
        data += struct.pack(order + "3H", 8, 8, 8)
        assert data.index(struct.pack(order + "3H", 8, 8, 8)) == 50
        assert tiff_tags(data) == {256: 70000, 258: 8}


@pytest.mark.parametrize(
    ("samples", "extra", "has_alpha"), [(3, 0, False), (4, 0, False), (4, 1, True), (4, 2, True)]
)
def test_the_fourth_sample_of_a_tiff_is_alpha_if_it_says_so(
    samples: int, extra: int, has_alpha: bool
) -> None:
    rows = np.zeros((1, 1, samples), np.uint8)
    assert tiff_has_alpha(tiff(rows, {258: 8, 262: 2, 277: samples, 338: extra})) == has_alpha


def test_tiffs_that_would_come_out_wrong_are_refused() -> None:
    pixel, pixel_16 = np.zeros((1, 1, 5), np.uint8), np.zeros((1, 1, 4), np.uint16)
    for rows, tags, found in (
        (pixel[..., :2], {258: 8, 277: 2, 338: 2}, "2 unsigned samples of 8"),
        (pixel_16, {258: 16, 277: 4, 338: 2}, "4 unsigned samples of 16"),
        (pixel, {258: 8, 277: 5}, "5 unsigned samples of 8"),
        (pixel[..., :4].view(np.float32), {258: 32, 339: 3}, "1 float samples of 32"),
        (pixel_16[..., :1].view(np.int16), {258: 16, 339: 2}, "1 signed samples of 16"),
    ):
        text = cause(tiff_has_alpha, tiff(rows, {262: 2} | tags))
        assert text.startswith(f"a TIFF of {found} bits per pixel is not read; open it in")


def test_a_png_is_stripped_of_what_does_not_matter_to_the_picture() -> None:
    bare, key = png(UPRIGHT, 2), chunk(b"tRNS", bytes(6))
    junk = chunk(b"hIST", b"\0\1") + chunk(b"iCCP", b"x\0\0junk")
    assert parse_png(png(UPRIGHT, 2, extra=junk)).plain == bare
    keyed = parse_png(png(UPRIGHT, 2, extra=junk + key))
    assert keyed[:4] == (8, 2, bytes(6), 1)
    assert keyed.plain == png(UPRIGHT, 2, extra=key)


def test_a_jpeg_of_one_sequential_scan_ends_with_it_and_others_are_left_whole() -> None:
    sequential, progressive = saved(UPRIGHT, "JPEG"), saved(UPRIGHT, "JPEG", progressive=True)
    assert parse_jpeg(sequential + b"trailer").plain == sequential[:-2] + b"\xff\0" * 16
    assert parse_jpeg(progressive + b"trailer").plain == progressive + b"trailer"


@pytest.mark.parametrize(("mirrored", "seen"), [(b"", 8), (b"\0", 5), (b"\1", 7)])
def test_an_avif_is_turned_and_then_mirrored(mirrored: bytes, seen: int) -> None:
    turn = b"\0\0\0\x09irot\x01"  # a quarter, anticlockwise
    mirror = b"\0\0\0\x09imir" + mirrored if mirrored else b""
    assert avif_header(turn + mirror + b"mdat")[0] == seen


@needs_avif
@pytest.mark.parametrize(("depth", "largest"), [(8, None), (10, 1023), (12, 4095)])
def test_the_range_of_an_avif_follows_from_its_depth(depth: int, largest: int | None) -> None:
    bgr = UPRIGHT.astype("u1" if depth == 8 else "u2")
    _, encoded = cv2.imencode(".avif", bgr, [cv2.IMWRITE_AVIF_DEPTH, depth])
    assert avif_header(encoded.tobytes())[1] == largest


@pytest.mark.parametrize(
    ("data", "header"),
    [
        (b"P1\n2 1\n1 0\n", (1, 1)),
        (b"P4 8 1\n255", (4, 1)),
        (b"P5\n# a comment 7 8\n3 1\n1023\n", (5, 1023)),
        (b"P6 1 1 255\n\x0a\x14\x1e", (6, 255)),
    ],
)
def test_a_pnm_header_tells_kind_and_range(data: bytes, header: tuple[int, int]) -> None:
    assert pnm_header(data) == header


# --- damage ------------------------------------------------------------------------------------


def test_damage_is_told_apart() -> None:
    jpeg, square = saved(UPRIGHT, "JPEG"), bytearray(png(UPRIGHT, 2))
    assert cause(parse_jpeg, jpeg[:-2]) == f"the JPEG is cut short: it has no end marker; {AGAIN}"
    text = f"the JPEG is cut short: it has no picture data; {AGAIN}"
    assert cause(parse_jpeg, jpeg[:40]) == text
    square[-14] ^= 1  # in the checksum of IDAT
    text = f"the PNG is damaged: wrong checksum in IDAT; {AGAIN}"
    assert cause(parse_png, bytes(square)) == text
    text = f"the PNG is damaged: 16 bits with colour type 3; {AGAIN}"
    assert cause(parse_png, png(UPRIGHT, 3, bits=16)) == text
    for data in (b"P5 3 1 0 ", b"P5 3 1 65536 ", b"P5 3 ", b"P2"):
        assert cause(pnm_header, data) == f"the PNM header {data!r} is damaged; {AGAIN}"


@settings(deadline=None, max_examples=300, derandomize=True)
@given(
    form=st.sampled_from(list(READERS)),
    part=st.floats(0, 1),
    junk=st.binary(max_size=8),
    whole=st.booleans(),
)
def test_damage_anywhere_gives_a_value_or_one_of_two_errors(
    form: str, part: float, junk: bytes, whole: bool
) -> None:
    data = saved(UPRIGHT, form)
    start = 18 + int((len(data) - 18) * part)  # behind every signature
    with suppress(ImageError, struct.error):
        READERS[form](data[:start] + junk + (data[start + len(junk) :] if whole else b""))
