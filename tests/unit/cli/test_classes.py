from __future__ import annotations

from pathlib import Path

import pytest

from gelan.cli.classes import class_table
from gelan.errors import ConfigError
from gelan.structures.coco import COCO


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat", ("cat",)),
        ("st. bernard", ("st. bernard",)),
        ("st. bernard,poodle", ("st. bernard", "poodle")),
        ("poodle,st.bernard", ("poodle", "st.bernard")),
        ("a/c, no. 7", ("a/c", "no. 7")),
    ],
)
def test_names_may_have_dots_and_spaces(text: str, names: tuple[str, ...]) -> None:
    assert class_table(text).names == names


def test_coco_is_known_with_its_ids() -> None:
    assert class_table("COCO") is COCO


@pytest.mark.parametrize(
    "content",
    [
        b"cat\ndog\n",
        b"cat\r\ndog\r\n",
        b"\xef\xbb\xbfcat\ndog",
        b"cat\ndog\n\n \n",
        b"  cat \ndog",
    ],
    ids=["plain", "windows", "byte order mark", "blank lines at the end", "spaces"],
)
@pytest.mark.parametrize("name", ["classes.txt", "v1,2.txt", "obj.names", "list.csv"])
def test_a_text_file_has_one_name_a_line(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert class_table(str(tmp_path / name)).names == ("cat", "dog")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "there are none"),
        (b"\n \n", "there are none"),
        (b"cat\n\ndog\n", "name 1 is empty"),
        (b"cat\ncat\n", "'cat' stands twice"),
    ],
)
def test_a_file_of_other_content_is_told(tmp_path: Path, content: bytes, cause: str) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        class_table(str(path))
    assert str(caught.value) == f"names {str(path)!r}: {cause}"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("absent.txt", "names absent.txt: cannot be read: No such file or directory"),
        ("b" * 5_000 + ".txt", "cannot be read: File name too long"),
        ("cat,,dog", "names 'cat,,dog': name 1 is empty"),
        ("cat,", "names 'cat,': name 1 is empty"),
        (" ", "names ' ': there are none"),
    ],
)
def test_what_is_wrong_is_told(text: str, cause: str) -> None:
    with pytest.raises(ConfigError) as caught:
        class_table(text)
    assert str(caught.value).endswith(cause)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is no UTF-8 text file"):
        class_table(str(tmp_path / "a.txt"))
