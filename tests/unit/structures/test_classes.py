"""Classes by name and by number: one rule for texts, one for Python values."""

from __future__ import annotations

import pytest

from gelan.errors import ConfigError
from gelan.predict.choice import listed_classes
from gelan.structures.classes import ClassTable

DIGITS = ClassTable(("1", "2", "0"))
"""Names that are numbers, each at another index."""


@pytest.mark.parametrize("text", ["0", "1", "2", "0,1,2", " 1 "])
def test_words_mean_the_same_in_the_table_and_on_a_command_line(text: str) -> None:
    assert DIGITS.indices(text.split(",")) == listed_classes(DIGITS, text)
    assert DIGITS.indices(["1"]) == (1,)


def test_digits_outside_the_range_of_indices_may_be_a_name() -> None:
    assert ClassTable(("cat", "16")).indices(["16", "cat"]) == (1, 0)
    with pytest.raises(ConfigError, match=r"^class 17 is outside 0\.\.1$"):
        ClassTable(("cat", "16")).indices(["17"])


def test_a_python_value_is_a_name_or_an_index_by_its_type() -> None:
    assert (DIGITS.index("1"), DIGITS.index(1)) == (0, 1)
    with pytest.raises(ConfigError, match=r"^no class is called '3'; to choose it by its index,"):
        DIGITS.index("3")
    with pytest.raises(ConfigError, match=r"^True \(bool\) is no class; pass a name or a whole"):
        DIGITS.index(True)


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"^no class is called 'dgo'; did you mean 'dog'\?$"):
        ClassTable(("cat", "dog")).indices(["dgo"])
