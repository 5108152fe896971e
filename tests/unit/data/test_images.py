from __future__ import annotations

import io
import struct
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from gelan.data.containers import AGAIN, SIGNATURES
from gelan.data.images import as_image, decode_image, looks_like_image, read_image
from gelan.errors import ImageError
from tests.unit.data.image_files import (
    RGBA,
    STORED,
    UPRIGHT,
    Array,
    chunk,
    needs_avif,
    png,
    saved,
    saved_turned,
    tiff,
)

BAD_IMAGES = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "bad-images"

needs_gif = pytest.mark.skipif(not cv2.haveImageWriter(".gif"), reason="OpenCV without GIF")
AVIF = pytest.param("AVIF", marks=needs_avif)


def on_white(rgba: Array) -> Array:
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + 255 * (1 - alpha)


def by_pillow(data: bytes) -> Array:
    """The same picture by another library, under the same rules."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    key = image.info.get("transparency")
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.float64)
        return np.dstack([np.where(grey == key, 255, grey / 257)] * 3)
    if image.mode.endswith("A") or key is not None:
        return on_white(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def difference(picture: Array, expected: Array) -> float:
    assert picture.shape == expected.shape
    return float(np.abs(picture.astype(np.float64) - expected).max())


def decoded(data: bytes) -> Array:
    return decode_image(data, name="a.img")


def cause(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decoded(data)
    return str(caught.value)


def bad_images(folder: str, pattern: str) -> list[Path]:
    files = sorted((BAD_IMAGES / folder).glob(pattern))
    if not files:
        pytest.skip(f"../shared/data/bad-images/{folder} is absent")
    return files


def test_every_sound_file_of_the_png_suite_looks_as_in_pillow() -> None:
    files = [file for file in bad_images("pngsuite/png", "*.png") if file.name[0] != "x"]
    assert len(files) > 150
    for file in files:  # Pillow cuts 16 bits off where they are rounded here
        assert difference(read_image(file), by_pillow(file.read_bytes())) < 1.1, file.name


def test_every_corrupt_file_of_the_png_suite_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    for file in bad_images("pngsuite/png", "x*.png"):
        with pytest.raises(ImageError, match=r"^.*\.png: (the PNG is damaged: |a PNG whose )"):
            read_image(file)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["Landscape", "Portrait"])
def test_photographs_of_every_orientation_show_the_same_scene(kind: str) -> None:
    upright, *others = (
        cv2.resize(read_image(file), (90, 90), interpolation=cv2.INTER_AREA).astype(np.float64)
        for file in bad_images("exif-orientation", f"{kind}_[1-8].jpg")
    )
    for other in others:  # each has its number written into it, hence the mean
        assert np.abs(other - upright).mean() < 4
        assert np.abs(other[::-1] - upright).mean() > 20


def test_photographs_and_libjpeg_turbo_pictures_are_right_or_refused_by_cause() -> None:
    files = bad_images("libjpeg-turbo/testimages", "*.[jpb][pngm]*")
    for file in files + bad_images("exif-orientation", "*_[058].jpg"):
        if file.name == "monkey12.jpg":
            assert "JPEG of 12 bits per sample is not read" in cause(file.read_bytes())
        else:
            assert difference(read_image(file), by_pillow(file.read_bytes())) <= 1


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", AVIF])
def test_a_picture_is_turned_upright(form: str, orientation: int) -> None:
    image = decoded(saved_turned(UPRIGHT, form, orientation))
    assert difference(image, UPRIGHT) <= (8 if form in ("JPEG", "AVIF") else 0)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", AVIF])
def test_a_picture_with_alpha_is_turned_and_shown_on_white(form: str) -> None:
    image = decoded(saved_turned(RGBA, form, 8))
    assert difference(image, on_white(RGBA)) <= (8 if form == "AVIF" else 1)
    assert (image[:, 0] == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_grey_palette_and_colour_come_out_as_in_pillow(mode: str) -> None:
    for form in {"P": "PNG TIFF BMP", "CMYK": "TIFF JPEG"}.get(mode, "PNG TIFF BMP JPEG").split():
        data = saved(Image.fromarray(UPRIGHT).convert(mode), form)
        assert difference(decoded(data), by_pillow(data)) <= (1 if form == "JPEG" else 0)


def test_16_bits_are_divided_by_257_and_rounded() -> None:
    grey = np.array([[0, 128, 129, 257, 65535]], np.uint16)
    rgba = np.array([[[0, 0, 0, 0], [65535, 0, 0, 65535], [0, 0, 0, 32768]]], np.uint16)
    on_white_paper = [[[255, 255, 255], [255, 0, 0], [127, 127, 127]]]
    assert decoded(png(grey, 0, bits=16))[0, :, 0].tolist() == [0, 0, 1, 1, 255]
    assert decoded(png(rgba, 6, bits=16)).tolist() == on_white_paper


@pytest.mark.parametrize(("bits", "value"), [(1, 0), (2, 1), (4, 9), (8, 77)])
def test_a_transparent_grey_value_becomes_white(bits: int, value: int) -> None:
    rows = np.array([[value << (8 - bits)]], np.uint8)
    key = chunk(b"tRNS", struct.pack(">H", value))
    grey = value * 255 // (2**bits - 1)
    assert decoded(png(rows, 0, bits=bits, side=1)).tolist() == [[[grey] * 3]]
    assert decoded(png(rows, 0, bits=bits, side=1, extra=key)).tolist() == [[[255] * 3]]


@pytest.mark.parametrize("magic", [b"P2", b"P5"])
@pytest.mark.parametrize("largest", [1, 100, 255, 1023, 65535])
def test_pgm_values_fill_the_range_that_its_header_names(magic: bytes, largest: int) -> None:
    values = [0, largest // 2, largest]
    binary = np.array(values, ">u2" if largest > 255 else "u1").tobytes()
    body = " ".join(map(str, values)).encode() if magic == b"P2" else binary
    data = magic + b"\n# a comment 7 8\n3 1\n%d\n" % largest + body
    expected = [value * 255 / largest for value in values]
    assert decoded(data)[0, :, 1].tolist() == pytest.approx(expected, abs=1)


def test_a_ppm_is_rgb_and_a_pbm_black_on_white() -> None:
    assert decoded(b"P6 1 1 255\n\x0a\x14\x1e").tolist() == [[[10, 20, 30]]]
    assert decoded(b"P1\n2 1\n1 0\n").tolist() == [[[0] * 3, [255] * 3]]


@needs_avif
@pytest.mark.parametrize("depth", [8, 10, 12])
def test_an_avif_of_any_depth_fills_the_range(depth: int) -> None:
    bgr = UPRIGHT[..., ::-1].astype("u1" if depth == 8 else "u2") * 2 ** (depth - 8)
    options = [cv2.IMWRITE_AVIF_DEPTH, depth, cv2.IMWRITE_AVIF_QUALITY, 100]
    _, encoded = cv2.imencode(".avif", bgr, options)
    assert difference(decoded(encoded.tobytes()), UPRIGHT) <= 12


@needs_gif
def test_a_gif_shows_its_first_picture_on_white() -> None:
    palette = Image.fromarray(UPRIGHT).quantize(16)
    black = Image.new("P", palette.size)
    for options in ({"transparency": 3}, {"save_all": True, "append_images": [black]}):
        data = saved(palette, "GIF", **options)
        assert difference(decoded(data), by_pillow(data)) == 0


def test_unusual_tiffs_are_right() -> None:
    grey, grey_16 = np.array([[0, 200]], np.uint8), np.array([[0, 65535]], np.uint16)
    near_infrared = np.array([[[9, 8, 7, 255]]], np.uint8)
    assert decoded(tiff(grey, {258: 8, 262: 0}))[0, :, 0].tolist() == [255, 55]  # 0 is white
    assert decoded(tiff(grey_16, {258: 16, 262: 0}))[0, :, 0].tolist() == [255, 0]
    assert decoded(tiff(grey_16, {258: 16, 262: 1}))[0, :, 0].tolist() == [0, 255]
    assert decoded(tiff(near_infrared, {258: 8, 262: 2, 277: 4})).tolist() == [[[9, 8, 7]]]


@settings(deadline=None, max_examples=60, derandomize=True)
@given(form=st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF"]), part=st.floats(0, 0.999))
def test_a_file_that_is_cut_short_anywhere_is_refused(form: str, part: float) -> None:
    data = saved(UPRIGHT, form)
    cause(data[: int(len(data) * part)])


@settings(deadline=None, max_examples=200, derandomize=True)
@given(
    form=st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF"]),
    part=st.floats(0, 0.999),
    junk=st.binary(min_size=1, max_size=8),
)
def test_damage_gives_a_picture_or_an_image_error(form: str, part: float, junk: bytes) -> None:
    data = bytearray(saved(UPRIGHT, form))
    start = int(len(data) * part)
    data[start : start + len(junk)] = junk
    with suppress(ImageError):
        assert decoded(bytes(data)).flags.c_contiguous


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.binary(max_size=64))
def test_any_bytes_behind_a_signature_give_an_image_error(tail: bytes) -> None:
    for head in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"P5 ", b"P2\n"):
        cause(head + tail)


def test_a_jpeg_whose_data_ends_before_its_picture_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    for options in ({}, {"subsampling": 0}, {"optimize": True}, {"restart_marker_rows": 1}):
        data = saved(noise, "JPEG", **options)
        for part in (data[:-600], data[:-600] + bytes(100)):
            assert "cannot decode this JPEG: it is damaged, cut" in cause(part + data[-2:])


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_sound_jpegs_of_any_making_are_the_picture_that_opencv_sees_in_the_whole_file(
    mode: str,
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (37, 21, 3)).astype(np.uint8)
    makings: list[dict[str, int]] = [{"quality": quality} for quality in (1, 30, 100)]
    makings += [{"progressive": 1}, {"optimize": 1}, {"restart_marker_blocks": 2}]
    for options in makings:
        data = saved(Image.fromarray(noise).convert(mode), "JPEG", **options)
        whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        comment, filled = b"\xff\xfe\0\x04hi\xff\xd9", b"\xff\xff\xd9"
        for file in (data, data + data, data[:-2] + comment, data[:-2] + filled):
            np.testing.assert_array_equal(decoded(file), whole)


def test_a_message_begins_with_the_name_and_ends_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a\.png: cannot be opened: No such file"):
        read_image(tmp_path / "a.png")
    assert cause(b"") == f"a.img: the file is empty; {AGAIN}"
    assert cause(png(UPRIGHT, 2)[:-12]) == f"a.img: the PNG is cut short; {AGAIN}"
    assert cause(saved(UPRIGHT, "JPEG")[:-2]).endswith(f"it has no end marker; {AGAIN}")


def test_decoders_keep_quiet_and_leave_the_log_level(capfd: pytest.CaptureFixture[str]) -> None:
    log = vars(cv2.utils).get("logging", cv2)
    before = log.getLogLevel()
    for form in ("PNG", "TIFF", "BMP", "GIF", "WEBP"):
        data = saved(UPRIGHT, form)
        cause(data[: len(data) // 2])
    odd = png(UPRIGHT, 2, extra=chunk(b"hIST", b"\0\1") + chunk(b"iCCP", b"x\0\0junk"))
    np.testing.assert_array_equal(decoded(odd), UPRIGHT)
    assert capfd.readouterr().err == ""
    assert log.getLogLevel() == before


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_ordinary_picture_is_decoded_once(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = iter([UPRIGHT])  # a second decode would find none
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: next(pixels))
    assert decoded(saved(UPRIGHT, form)).shape == UPRIGHT.shape


def test_every_kind_that_has_a_signature_has_a_decoder() -> None:
    for kind in SIGNATURES:
        form = {"PNM": "PPM"}.get(kind, kind.upper())
        with suppress(ImageError):  # OpenCV without GIF or AVIF
            assert decoded(saved(UPRIGHT, form)).shape == UPRIGHT.shape


def test_first_bytes_tell_images_from_lists_of_paths() -> None:
    for form in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"):
        assert looks_like_image(saved(UPRIGHT, form)[:100])
    assert not looks_like_image(b"BMW_3.jpg\nBMW_4.jpg\n")


def test_arrays_become_contiguous_rgb_and_are_copied_only_for_that() -> None:
    assert np.shares_memory(as_image(UPRIGHT), UPRIGHT)
    assert as_image(UPRIGHT[:, ::-1]).flags.c_contiguous
    assert as_image(np.array([[7, 8]], np.uint8)).tolist() == [[[7] * 3, [8] * 3]]
    assert as_image(np.array([[[65535]]], np.uint16)).tolist() == [[[255] * 3]]
    assert as_image(np.array([[257 * 9]], ">u2")).tolist() == [[[9] * 3]]
    assert as_image(np.array([[[10, 20, 30, 255]]], np.uint8)).tolist() == [[[10, 20, 30]]]
    assert as_image(np.array([[[0, 0, 0, 51]]], np.uint8)).tolist() == [[[204] * 3]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.zeros((2, 2, 3)), "an array of 2 x 2 x 3, float64, is no image; if it holds 0..1: "),
        (np.zeros((2, 2), bool), "(array * 255.0).round().astype(np.uint8)"),
        (np.zeros((2, 2, 3), np.int64), "if it holds 0..255: array.astype(np.uint8)"),
        (np.zeros((3, 9, 9), np.uint8), "channels come last: array.transpose(1, 2, 0)"),
        (np.zeros((9, 9, 2), np.uint8), "pass height x width, x 1, x 3 (RGB) or x 4 (RGBA)"),
        (np.zeros(9, np.uint8), "an array of 9, uint8, is no image"),
        (np.zeros((0, 9, 3), np.uint8), "an array of 0 x 9 x 3, uint8, has no pixels"),
        ([[1, 2], [3, 4]], "builtins.list is no image; pass a path, an RGB array or a PIL image"),
        (Image.new("F", (2, 2)), "a PIL image of mode F has no fixed range"),
    ],
)
def test_what_cannot_be_an_image_is_refused_with_the_remedy(value: object, text: str) -> None:
    with pytest.raises(ImageError) as caught:
        as_image(value, name="third")
    assert str(caught.value).startswith("third: ")
    assert text in str(caught.value)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LA", "PA", "RGBA"])
def test_pil_images_become_what_pillow_says_on_white(mode: str) -> None:
    image = Image.fromarray(RGBA if mode == "RGBA" else UPRIGHT)
    image = (image.convert("LA") if mode == "PA" else image).convert(mode)
    assert difference(as_image(image), on_white(np.asarray(image.convert("RGBA")))) <= 1


def test_an_opened_pil_image_equals_its_file() -> None:
    key = chunk(b"tRNS", struct.pack(">H", 2570))
    turned = saved_turned(UPRIGHT, "PNG", 6)
    keyed = png(np.array([[2570, 0, 65535]], np.uint16), 0, bits=16, extra=key)
    palette = saved(Image.fromarray(UPRIGHT).quantize(16), "PNG", transparency=3)
    for data in (turned, keyed, palette):
        np.testing.assert_array_equal(as_image(Image.open(io.BytesIO(data))), decoded(data))


def test_a_pil_image_whose_file_is_cut_short_is_refused() -> None:
    with pytest.raises(ImageError, match="image: Pillow cannot turn it into RGB"):
        as_image(Image.open(io.BytesIO(saved(UPRIGHT, "JPEG", quality=98)[:-200])))
