"""Names of files and folders for any file system, and the ids of images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gelan.predict.names import UniqueNames, coco_image_ids, safe_name, stem_of


def test_names_that_a_file_system_may_mix_up_are_told_apart() -> None:
    names = UniqueNames()
    claimed = [names.claim(name) for name in ("dog", "DOG", "caf\u00e9", "cafe\u0301", "dog_2")]
    assert claimed == ["dog", "DOG_2", "caf\u00e9", "cafe\u0301_2", "dog_2_2"]


@given(st.lists(st.sampled_from(["a", "A", "a_2", "A_2", "a_2_2", "a_3"]), max_size=12))
def test_no_name_is_given_away_twice(wanted: list[str]) -> None:
    names = UniqueNames()
    claimed = [names.claim(name).lower() for name in wanted]
    assert len(set(claimed)) == len(claimed)


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        ("photos/dog.jpg", "dog"),
        ("photos/dog", "dog"),
        ("photos/.hidden.jpg", ".hidden"),
        ("", "image"),
        ("..", "image"),
        ("nul.jpg", "nul_"),
        ("犬.jpg", "犬"),
        ("a" * 300 + ".jpg", "a" * 200),
        ("a\ud800b.jpg", "a_b"),  # half of a surrogate pair has no bytes
        ("a\udce9b.jpg", "a\udce9b"),  # but this half stands for the byte E9
        ("red\x1b[31m\x9b.jpg", "red_[31m_"),
        ("犬" * 100 + ".jpg", "犬" * 66),  # three bytes each
    ],
)
def test_stems_of_sources(source: str, stem: str) -> None:
    assert stem_of(source) == stem


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_a_safe_name_is_one_short_component_and_safe_already(text: str) -> None:
    name = safe_name(text, instead="class 0")
    assert name not in ("", ".", "..")
    assert not set(name) & set('<>:"/\\|?*\0\n')
    assert not name.endswith((" ", "."))
    assert len(name.encode()) <= 201
    assert safe_name(name, instead="class 0") == name


@pytest.mark.parametrize(
    ("sources", "ids"),
    [
        ([], []),
        (["000000000139.jpg"], [139]),
        (["a/1.jpg", "b/2.png"], [1, 2]),
        (["7.jpg", "dog.jpg", "9.jpg"], [1, 2, 3]),
        (["a/7.jpg", "b/007.jpg"], [1, 2]),
        (["12345678901234567.jpg"], [1]),  # more than a double holds exactly
        (["１２.jpg"], [1]),  # noqa: RUF001 - full-width digits are no ASCII number
    ],
)
def test_image_ids_are_the_numbers_in_the_names_if_all_have_one(
    sources: list[str], ids: list[int]
) -> None:
    assert coco_image_ids(sources) == ids
