from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from gelan.data.health.scan import Picture, Seen, Unreadable, look_at, scan
from tests.unit.data.health.synthetic_sets import encoded, picture
from tests.unit.data.image_files import UPRIGHT, saved_turned


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_readable_image_has_a_size_a_digest_and_a_thumbnail(tmp_path: Path) -> None:
    seen = look_at(written(tmp_path / "a.png", encoded(picture(1), ".png")))
    again = look_at(written(tmp_path / "b.png", encoded(picture(1), ".png")))
    assert isinstance(seen, Picture)
    assert isinstance(again, Picture)
    assert (seen.size_hw, seen.stored_hw, seen.orientation) == ((120, 160), (120, 160), 1)
    assert seen.digest == again.digest
    assert seen.thumbnail.shape == (32, 32)


def test_an_image_that_exif_turns_has_the_upright_size_and_the_stored_one(tmp_path: Path) -> None:
    for form, suffix in (("JPEG", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp")):
        seen = look_at(written(tmp_path / f"a{suffix}", saved_turned(UPRIGHT, form, 6)))
        assert isinstance(seen, Picture)
        assert (seen.size_hw, seen.stored_hw, seen.orientation) == ((24, 40), (40, 24), 6)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    seen = look_at(tmp_path / "x.png")
    assert isinstance(seen, Unreadable)
    assert str(seen.error).endswith(
        "x.png: is no ordinary file, but a folder, pipe or device; take it out"
    )


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    half = look_at(written(tmp_path / "half.jpg", encoded(picture(1))[:900]))
    gone = look_at(tmp_path / "gone.jpg")
    assert isinstance(half, Unreadable)
    assert isinstance(gone, Unreadable)
    assert "cut short" in str(half.error)
    assert (
        str(gone.error) == f"{tmp_path / 'gone.jpg'}: cannot be opened: No such file or directory"
    )


def test_every_path_is_looked_at_once_and_progress_is_told(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{n}.png", encoded(picture(n), ".png")) for n in range(3)]
    told: list[int] = []

    def progress(images: Iterator[Seen], number: int) -> Iterable[Seen]:
        told.append(number)
        return images

    seen = scan([*paths, *paths], progress=progress)
    assert list(seen) == paths
    assert told == [3]
    assert scan([]) == {}


def test_a_grey_image_of_one_pixel_is_read(tmp_path: Path) -> None:
    seen = look_at(written(tmp_path / "a.png", encoded(np.full((1, 1, 3), 7, np.uint8), ".png")))
    assert isinstance(seen, Picture)
    assert seen.size_hw == (1, 1)
