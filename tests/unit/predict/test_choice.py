"""Classes by name and by number, from Python and from a command line."""

from __future__ import annotations

import numpy as np
import pytest

from gelan.errors import ConfigError
from gelan.predict.choice import chosen_classes, listed_classes
from gelan.structures.classes import ClassTable

DIGITS = ClassTable(("1", "2", "0"))
"""Names that are numbers, each at another index."""
ANIMALS = ClassTable(("cat", "dog", "16"))


def complaint(wanted: object) -> str:
    with pytest.raises(ConfigError) as caught:
        chosen_classes(ANIMALS, wanted)
    return str(caught.value)


def test_in_python_a_number_is_an_index_and_a_text_a_name() -> None:
    assert chosen_classes(DIGITS, [0, 1, 2]) == (0, 1, 2)
    assert chosen_classes(DIGITS, ["0", "1", "2"]) == (2, 0, 1)


@pytest.mark.parametrize(
    "wanted",
    [
        "dog",
        1,
        np.int64(1),
        np.uint8(1),
        ["dog"],
        (1,),
        np.array([1]),
        np.array(1),
        np.array(["dog"]),
        [np.str_("dog")],
    ],
)
def test_one_class_may_stand_alone_or_in_a_list_or_array(wanted: object) -> None:
    assert chosen_classes(ANIMALS, wanted) == (1,)


@pytest.mark.parametrize("wanted", [(), [], np.array([], np.int64)])
def test_nothing_is_nothing(wanted: object) -> None:
    assert chosen_classes(ANIMALS, wanted) == ()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["dgo"], "no class is called 'dgo'; did you mean 'dog'?"),
        ("1", "no class is called '1'; to choose it by its index, pass the number 1"),
        ([3], "class 3 is outside 0..2"),
        ([-1], "class -1 is outside 0..2"),
        ([1.0], "1.0 (float) is no class; pass a name or a whole number"),
        (np.array([1.5]), "1.5 (float) is no class; pass a name or a whole number"),
        (True, "True (bool) is no class; pass a name or a whole number"),
        (None, "None (NoneType) is no class; pass a name or a whole number"),
        ({"dog"}, "{'dog'} (set) is no class; pass a name or a whole number"),
    ],
)
def test_what_is_no_class_is_refused(wanted: object, message: str) -> None:
    assert complaint(wanted) == message


def test_on_a_command_line_digits_are_an_index() -> None:
    assert listed_classes(DIGITS, "0") == (0,)
    assert listed_classes(ANIMALS, "1, cat,dog") == (1, 0, 1)


def test_on_a_command_line_digits_outside_the_range_may_be_a_name() -> None:
    assert listed_classes(ANIMALS, "16") == (2,)
    with pytest.raises(ConfigError, match=r"^class 17 is outside 0\.\.2$"):
        listed_classes(ANIMALS, "17")
    with pytest.raises(ConfigError, match="no class is called '9999"):
        listed_classes(ANIMALS, "9" * 5000)


@pytest.mark.parametrize("text", [",", "dog,", " "])
def test_an_empty_place_between_commas_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="a place between commas is empty"):
        listed_classes(ANIMALS, text)
