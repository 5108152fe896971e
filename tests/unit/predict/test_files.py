"""New files and folders: complete or absent, and never in place of what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from gelan.errors import ConfigError, ImageError
from gelan.predict.files import (
    appearing,
    new_file,
    new_folder,
    require_unused,
    write_image,
    write_json_list,
)


def test_what_is_there_is_refused_as_file_and_as_folder(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine", "utf-8")
    for make in (require_unused, new_folder, new_file):
        with pytest.raises(ConfigError, match=r"notes is there already and stays as it is"):
            make(tmp_path / "notes")
    assert (tmp_path / "notes").read_text("utf-8") == "mine"


def test_text_that_came_from_bytes_becomes_these_bytes_again(tmp_path: Path) -> None:
    with new_file(tmp_path / "list.txt") as file:
        file.write("caf\u00e9 \udce9")
    assert (tmp_path / "list.txt").read_bytes() == b"caf\xc3\xa9 \xe9"


def test_a_json_list_has_one_object_per_line(tmp_path: Path) -> None:
    write_json_list(tmp_path / "none.json", [])
    write_json_list(tmp_path / "two.json", [{"id": 1}, {"id": 2}])
    assert json.loads((tmp_path / "none.json").read_text("utf-8")) == []
    assert (tmp_path / "two.json").read_text("utf-8") == '[\n{"id": 1},\n{"id": 2}\n]\n'


def test_a_json_list_that_is_not_finished_does_not_appear(tmp_path: Path) -> None:
    def rows() -> Iterator[dict[str, object]]:
        yield {"score": 0.5}
        yield {"score": float("nan")}

    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_list(tmp_path / "scores.json", rows())
    assert not (tmp_path / "scores.json").exists()


def test_a_png_holds_the_exact_rgb_values(tmp_path: Path) -> None:
    image = np.array([[[250, 20, 30], [1, 2, 3]]], np.uint8)
    write_image(tmp_path / "a.png", image)
    written = np.asarray(cv2.imread(str(tmp_path / "a.png")))
    assert written.tolist() == [[[30, 20, 250], [3, 2, 1]]]


def test_an_image_is_never_written_over_another_file(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(FileExistsError):
        write_image(tmp_path / "a.png", np.ones((1, 1, 3), np.uint8))


def test_an_image_too_high_for_jpeg_becomes_a_png_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_image(tmp_path / "a.jpg", np.zeros((70000, 1, 3), np.uint8))
    assert path == tmp_path / "a.png"
    assert np.asarray(cv2.imread(str(path))).shape == (70000, 1, 3)
    assert caplog.messages == [f"{tmp_path}/a.jpg: 1 x 70000 is too long for JPEG; written as PNG"]


def test_the_longest_jpeg_is_a_jpeg(tmp_path: Path) -> None:
    assert write_image(tmp_path / "a.jpg", np.zeros((65500, 1, 3), np.uint8)).suffix == ".jpg"


def test_an_image_too_high_for_any_format_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a\.png: "):
        write_image(tmp_path / "a.jpg", np.zeros((1_000_001, 1, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_a_file_appears_when_it_is_complete_or_not_at_all(tmp_path: Path) -> None:
    with new_file(tmp_path / "a.txt") as file:
        file.write("half")
        assert not (tmp_path / "a.txt").exists()

    def interrupted() -> None:
        with new_file(tmp_path / "b.txt") as file:
            file.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_jpeg_keeps_the_colour_of_lines_of_one_pixel(tmp_path: Path) -> None:
    """With half the colours (4:2:0) neighbouring columns would share theirs: both grey violet."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 0::2, 0] = image[:, 1::2, 2] = 255  # red and blue columns in turn
    write_image(tmp_path / "a.jpg", image)
    blue, _, red = np.moveaxis(np.asarray(cv2.imread(str(tmp_path / "a.jpg")), np.int64), 2, 0)
    assert (red - blue)[:, 0::2].min() > 150
    assert (blue - red)[:, 1::2].min() > 150


def test_a_file_of_somebody_else_is_not_taken_for_ours(tmp_path: Path) -> None:
    others = tmp_path / "a.txt.unfinished"
    others.write_text("mine", "utf-8")

    def interrupted() -> None:
        with new_file(tmp_path / "a.txt") as file:
            file.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with new_file(tmp_path / "a.txt") as file:
        file.write("whole")
    write_json_list(tmp_path / "b.json", [])
    write_image(tmp_path / "c.png", np.zeros((1, 1, 3), np.uint8))
    assert others.read_text("utf-8") == "mine"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a.txt", "a.txt.unfinished", "b.json", "c.png"}


def test_a_passing_name_is_new_each_time(tmp_path: Path) -> None:
    with appearing(tmp_path / "a") as first, appearing(tmp_path / "a") as second:
        assert first != second
        assert all(re.fullmatch(r"a\.[0-9a-f]{8}\.unfinished", p.name) for p in (first, second))
