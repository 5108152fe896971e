"""The same images in two results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gelan.errors import ConfigError
from gelan.evaluate.pairing import paired
from gelan.evaluate.results import ImageResult
from tests.unit.evaluate.made_up import image

BOX = (0.0, 0.0, 10.0, 10.0)


def images(*sources: str) -> list[ImageResult]:
    return [image([], [], source=source) for source in sources]


def order(first: list[str], second: list[str]) -> list[str]:
    return [result.source for result in paired(images(*first), images(*second))]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["a.jpg", "b.jpg"], ["b.jpg", "a.jpg"]),
        (["d/val/a.jpg", "d/val/b.jpg"], ["/home/me/d/val/b.jpg", "/home/me/d/val/a.jpg"]),
        (["d/x/a.jpg", "d/y/a.jpg"], ["/d/y/a.jpg", "/d/x/a.jpg"]),
        (["d/a.jpg", "d/x/a.jpg"], ["../e/d/x/a.jpg", "../e/d/a.jpg"]),
        (["d/../d/a.jpg", "./d/b.jpg"], ["d/b.jpg", "d/a.jpg"]),
        (["d/a.jpg"], ["/other/a.jpg"]),
        (["/d/a.jpg", "b.jpg"], ["b.jpg", "/d/a.jpg"]),
        (["caf\udce9/a.jpg", "caf\udce9/b.jpg"], ["b.jpg", "a.jpg"]),
    ],
)
def test_images_are_paired_by_their_path_below_the_common_folder(
    first: list[str], second: list[str]
) -> None:
    expected = second if len(second) == 1 else second[::-1]
    assert order(first, second) == expected


def test_images_that_differ_are_an_error() -> None:
    a, b, c = images("a.jpg", "b.jpg", "c.jpg")
    with pytest.raises(ConfigError) as caught:
        paired([a, b, c], [a])
    assert str(caught.value) == (
        "b.jpg: absent from the second results (and 1 more); evaluate both networks on the same "
        "images"
    )
    with pytest.raises(ConfigError, match=r"b\.jpg: absent from the first results"):
        paired([a], [a, b])
    with pytest.raises(ConfigError, match=r"a\.jpg: stands twice in the second results"):
        paired([a], [a, a])
    with pytest.raises(ConfigError, match=r"a\.jpg: stands twice in the first results"):
        paired([a, replace_source(a, "./a.jpg")], [a])


def replace_source(result: ImageResult, source: str) -> ImageResult:
    return replace(result, detections=replace(result.detections, source=source))


def test_an_image_of_another_size_is_another_image() -> None:
    one = images("d/a.jpg")
    other = [replace(one[0], detections=replace(one[0].detections, size_hw=(100, 80)))]
    with pytest.raises(ConfigError, match="is 100 x 100 in the first results and 80 x 100 in the"):
        paired(one, other)


@pytest.mark.parametrize("part", ["boxes", "classes", "crowd"])
def test_labels_that_differ_in_any_part_are_an_error(part: str) -> None:
    one = image([(BOX, 0)], [])
    others = {
        "boxes": image([((0.0, 0.0, 10.0, 11.0), 0)], []),
        "classes": image([(BOX, 1)], []),
        "crowd": image([], [], crowds=[(BOX, 0)]),
    }
    truth, there = one.annotations, others[part].annotations
    changed = [
        name
        for name in ("boxes", "classes", "crowd")
        if not np.array_equal(getattr(truth, name), getattr(there, name))
    ]
    assert changed == [part]
    with pytest.raises(ConfigError, match=r"a\.jpg: the objects in it differ between the two"):
        paired([one], [others[part]])
