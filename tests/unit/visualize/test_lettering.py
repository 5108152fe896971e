"""Text in pictures: as wide as it says, where it should be, and names in any script."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gelan.visualize.lettering import (
    HAS_FONT_FACE,
    drawable_name,
    has_glyph,
    text_width,
    write_text,
)


def ink(text: str, *, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns that a text covers, relative to its origin."""
    mask = np.zeros((3 * size, 20 * size), np.uint8)
    write_text(mask, text, origin=(size, 2 * size), size=size)
    rows, columns = np.nonzero(mask > 127)
    return rows - 2 * size, columns - size


@pytest.mark.parametrize("size", [11, 20, 66])
def test_a_text_is_as_wide_as_it_says_and_stands_on_its_base_line(size: int) -> None:
    rows, columns = ink("HELP 0.87", size=size)
    assert -0.1 * size < columns.min() <= 0.2 * size
    assert 0 <= text_width("HELP 0.87", size=size) - columns.max() <= 0.2 * size
    assert -0.1 * size < rows.max() < 0.1 * size
    assert -0.9 * size < rows.min() < -0.65 * size


def test_text_outside_the_mask_is_cut_off() -> None:
    mask = np.zeros((8, 8), np.uint8)
    write_text(mask, "a long word", origin=(-4, 8), size=11)
    write_text(mask, "far away", origin=(900, 900), size=11)
    assert mask.shape == (8, 8)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("person", "person"),
        ("piéton", "pieton"),
        ("Fußgänger", "Fussganger"),
        ("smørrebrød", "smorrebrod"),
        ("dog 🐕", "dog dog"),
        ("🚲", "bicycle"),
        ("行人", "class 4"),
        ("person \udcff", "person"),
        ("two\nlines", "two lines"),
        ("", "class 4"),
        (" ", "class 4"),
        ("☠\ufe0f", "skull and crossbones"),
    ],
)
def test_names_in_ascii(name: str, written: str) -> None:
    def is_drawable(character: str) -> bool:
        return character.isascii() and character.isprintable()

    assert drawable_name(name, index=4, can_draw=is_drawable) == written


@pytest.mark.skipif(not HAS_FONT_FACE, reason="OpenCV 4 has no fonts beyond ASCII")
@pytest.mark.parametrize("name", ["行人", "piéton", "пешеход", "πεζός", "보행자", "عابر"])
def test_names_in_other_scripts_are_written_as_they_are(name: str) -> None:
    assert drawable_name(name, index=4, can_draw=has_glyph) == name


@given(st.text(st.characters(), min_size=0, max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_name_can_be_drawn(name: str) -> None:
    written = drawable_name(name, index=4, can_draw=has_glyph)
    assert written
    assert all(has_glyph(character) for character in written if character != " ")


def test_a_long_name_is_cut_and_says_so() -> None:
    def plain(name: str) -> str:
        return drawable_name(name, index=4, can_draw=str.isascii)

    assert plain("x" * 48) == "x" * 48
    assert plain("x" * 49) == "x" * 46 + ".."
    assert plain("a " * 60) == "a " * 22 + "a.."


def test_a_name_of_a_million_letters_costs_no_more_than_a_short_one() -> None:
    asked = []

    def can_draw(character: str) -> bool:
        asked.append(character)
        return True

    assert drawable_name("y" * 10**6, index=4, can_draw=can_draw).endswith("y..")
    assert len(asked) < 300
