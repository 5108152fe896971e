"""Pictures that would not fit into memory are refused by what their header announces."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from gelan.data import containers
from gelan.data.images import as_image, decode_image, read_image
from gelan.errors import ImageError
from tests.unit.data.image_files import UPRIGHT, Array, needs_avif, png, saved, tiff

WIDE = np.zeros((2, 3, 4), np.uint16)


def cause(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode_image(data, name="a.img")
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "announced"),
    [
        (png(WIDE, 6, bits=16, side=16000), "16000 pixels of 4 samples of 16 bits are 2048000000"),
        (png(WIDE, 2, bits=16, side=16000), "16000 pixels of 3 samples of 16 bits are 1536000000"),
        (b"P6 15000 15000 65535\n", "15000 pixels of 3 samples of 16 bits are 1350000000"),
        (
            tiff(UPRIGHT, {256: 15000, 257: 15000, 258: 16, 277: 3}),
            "3 samples of 16 bits are 13500",
        ),
    ],
    ids=["RGBA PNG", "RGB PNG", "PPM", "TIFF"],
)
def test_a_picture_of_more_than_a_gibibyte_is_refused_before_it_is_decoded(
    data: bytes, announced: str
) -> None:
    message = cause(data)
    assert announced in message
    assert "more than 1073741824; save it with 8 bits, or cut it into tiles" in message


@needs_avif
def test_the_size_of_an_avif_is_looked_at_before_it_is_decoded() -> None:
    data = saved(UPRIGHT, "AVIF")
    place = data.index(b"ispe") + 8
    huge = data[:place] + struct.pack(">II", 40000, 30000) + data[place + 8 :]
    assert cause(huge).startswith("a.img: 40000 x 30000 are more than 268435456 pixels")


def test_the_limit_itself_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.full((4, 4, 4), 65535, np.uint16)
    monkeypatch.setattr(containers, "MAX_BYTES", 4 * 4 * 4 * 2)
    assert decode_image(png(rows, 6, bits=16), name="a").tolist() == [[[255] * 3] * 4] * 4
    monkeypatch.setattr(containers, "MAX_BYTES", 4 * 4 * 4 * 2 - 1)
    assert "4 samples of 16 bits are 128 bytes when decoded, more than 127" in cause(
        png(rows, 6, bits=16)
    )


def test_transparency_comes_out_alike_in_strips_and_at_once() -> None:
    generator = np.random.default_rng(0)
    rgba: Array = generator.integers(0, 256, (3, 2**19, 4), np.uint8)  # a strip is two rows
    alpha = rgba[..., 3:].astype(np.int64)
    expected = (rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    np.testing.assert_array_equal(as_image(rgba), expected)


def test_a_name_that_no_file_can_have_is_an_image_error() -> None:
    with pytest.raises(ImageError, match=r"'a\\x00b\.png': cannot be the name of a file"):
        read_image(Path("a\0b.png"))
