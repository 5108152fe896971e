"""New files and folders for what was found, in UTF-8."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import cv2

from gelan.data.images import Image
from gelan.errors import ConfigError, ImageError

JPEG_OPTIONS = [cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_SAMPLING_FACTOR]
JPEG_OPTIONS += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]  # thin coloured lines stay coloured


def require_unused(path: Path) -> Path:
    """The path itself, if nothing is there.

    Raises:
        ConfigError: something is.
    """
    if path.exists():
        raise ConfigError(f"{path} is there already and stays as it is; choose another folder")
    return path


def new_folder(path: Path) -> Path:
    """The path, now a folder; its parent must be there.

    Raises:
        ConfigError: something is there already.
    """
    require_unused(path).mkdir()
    return path


def new_file(path: Path, *, newline: str | None = None) -> TextIO:
    """A file to write text to, open; names of files that are not UTF-8 become their bytes again.

    Raises:
        ConfigError: something is there already.
    """
    return require_unused(path).open(
        "x", encoding="utf-8", errors="surrogateescape", newline=newline
    )


def write_json_list(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """A JSON list with one object per line, which appears complete and in place of what was there.

    Raises:
        ValueError: a number is not finite.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")  # so that no one sees half a list
    with unfinished.open("w", encoding="utf-8") as file:
        file.write("[")
        for number, row in enumerate(rows):
            file.write((",\n" if number > 0 else "\n") + json.dumps(row, allow_nan=False))
        file.write("\n]\n")
    unfinished.replace(path)


def write_image(path: Path, image: Image) -> None:
    """The image in the format that the suffix names; `.jpg` has quality 92 and full colour.

    Raises:
        ImageError: its sides are longer than the format allows.
    """
    options = JPEG_OPTIONS if path.suffix == ".jpg" else []
    done, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        height, width = image.shape[:2]
        raise ImageError(f"{path}: {width} x {height} pixels are too many for this format")
    with path.open("xb") as file:
        file.write(data.tobytes())
