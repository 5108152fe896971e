"""The same images in two results, whatever the paths under which they were read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gelan.errors import ConfigError
from gelan.evaluate.results import ImageResult


def paired(first: Sequence[ImageResult], second: Sequence[ImageResult]) -> list[ImageResult]:
    """The second results in the order of the first.

    Images belong together that have the same path below the folder that all images of their
    results have in common: `data/val/1.jpg` and `/home/me/data/val/1.jpg`.

    Raises:
        ConfigError: the images, their sizes or the objects in them are not the same, or one image
            stands twice.
    """
    keys, other_keys = _keys(first), _keys(second)
    by_key = dict(zip(other_keys, second, strict=True))
    _require_once(first, keys, "first")
    _require_once(second, other_keys, "second")
    own = dict(zip(keys, first, strict=True))
    _require_all(own, by_key, "second")
    _require_all(by_key, own, "first")
    for key, result in own.items():
        _require_same_content(result, by_key[key])
    return [by_key[key] for key in keys]


def _keys(results: Sequence[ImageResult]) -> list[str]:
    """The paths below the common folder; as they are where there is none."""
    paths = [os.path.normpath(result.source) for result in results]
    if not paths:
        return []
    try:
        folder = os.path.commonpath([Path(path).parent for path in paths])
    except ValueError:  # some begin at the root and some do not
        return paths
    return [os.path.relpath(path, folder) for path in paths]


def _require_once(results: Sequence[ImageResult], keys: Sequence[str], name: str) -> None:
    counts = Counter(keys)
    for result, key in zip(results, keys, strict=True):
        if counts[key] > 1:
            raise ConfigError(
                f"{result.source}: stands twice in the {name} results; name each once"
            )


def _require_all(wanted: dict[str, ImageResult], there: dict[str, ImageResult], name: str) -> None:
    missing = [result.source for key, result in wanted.items() if key not in there]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise ConfigError(
            f"{min(missing)}: absent from the {name} results{more}; evaluate both networks on "
            "the same images"
        )


def _require_same_content(one: ImageResult, other: ImageResult) -> None:
    if one.detections.size_hw != other.detections.size_hw:
        (height, width), (then_height, then_width) = (
            one.detections.size_hw,
            other.detections.size_hw,
        )
        raise ConfigError(
            f"{one.source}: is {width} x {height} in the first results and {then_width} x "
            f"{then_height} in the second; evaluate both networks on the same images"
        )
    objects, others = one.annotations, other.annotations
    same = (
        np.array_equal(objects.boxes, others.boxes)
        and np.array_equal(objects.classes, others.classes)
        and np.array_equal(objects.crowd, others.crowd)
    )
    if not same:
        raise ConfigError(
            f"{one.source}: the objects in it differ between the two results; evaluate "
            "both networks with the same labels"
        )
