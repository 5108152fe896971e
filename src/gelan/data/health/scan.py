"""Every image of a data set, decoded once: what the checks need to know of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8

from gelan.data.containers import kind_of, parse_jpeg, parse_png, webp_orientation
from gelan.data.health.prints import thumbnail
from gelan.data.images import decode_image
from gelan.errors import ImageError


@dataclass(frozen=True, slots=True)
class Picture:
    """A readable image."""

    path: Path
    size_hw: tuple[int, int]
    """Height and width the right way up."""
    orientation: int
    """EXIF's number: 1 is stored upright, 5 to 8 exchange width and height."""
    digest: bytes
    """Of the file: equal for equal files."""
    thumbnail: UInt8[np.ndarray, "32 32"]

    @property
    def stored_hw(self) -> tuple[int, int]:
        """Height and width before EXIF turns the image."""
        return self.size_hw[::-1] if self.orientation in (5, 6, 7, 8) else self.size_hw


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image that cannot be read."""

    path: Path
    error: ImageError


NO_FILE = "is no ordinary file, but a folder, pipe or device"
Seen: TypeAlias = Picture | Unreadable
Progress: TypeAlias = Callable[[Iterator[Seen], int], Iterable[Seen]]
"""Passes the images on, and may show how many of the number are done."""


def scan(paths: Iterable[Path], *, progress: Progress | None = None) -> dict[Path, Seen]:
    """Each file read and decoded, in as many threads as there are cores; each path once."""
    different = list(dict.fromkeys(paths))
    executor = ThreadPoolExecutor(max_workers=min(32, os.cpu_count() or 1))
    try:
        seen = executor.map(look_at, different)
        shown = seen if progress is None else progress(seen, len(different))
        return {one.path: one for one in shown}
    finally:
        executor.shutdown(cancel_futures=True)


def look_at(path: Path) -> Seen:
    """What is to be known of one image file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for ever
            return Unreadable(path, ImageError(f"{path}: {NO_FILE}; take it out"))
        data = path.read_bytes()
        image = decode_image(data, name=str(path))
    except OSError as error:
        return Unreadable(path, ImageError(f"{path}: cannot be opened: {error.strerror or error}"))
    except ImageError as error:
        return Unreadable(path, error)
    height, width = image.shape[:2]
    digest = blake2b(data, digest_size=16).digest()
    return Picture(path, (height, width), _orientation(data), digest, thumbnail(image))


def _orientation(data: bytes) -> int:
    """How an image that could be decoded is turned; AVIF and TIFF count as they come out."""
    kind = kind_of(data)
    if kind == "JPEG":
        return parse_jpeg(data).orientation
    if kind == "PNG":
        return parse_png(data).orientation
    return webp_orientation(data) if kind == "WebP" else 1
