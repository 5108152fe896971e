from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gelan.data.formats.plain_json import read_lists
from gelan.data.formats.plain_xml import parse_xml, read_xml
from gelan.data.formats.plain_yaml import read_yaml
from gelan.errors import ConfigError
from tests.unit.data.formats.small_sets import put


def test_yaml_scalars_stay_as_they_are_written(tmp_path: Path) -> None:
    root = read_yaml(put(tmp_path / "a.yaml", "names: [no, 1.10, 'null', on]\nnc: 04\n")).content
    assert isinstance(root, dict)
    names = root["names"].content
    assert isinstance(names, list)
    assert [name.content for name in names] == ["no", "1.10", "null", "on"]
    assert (root["nc"].content, root["nc"].line) == ("04", 2)


def test_an_absent_yaml_value_is_none(tmp_path: Path) -> None:
    root = read_yaml(put(tmp_path / "a.yaml", "test:\nval: ~\n")).content
    assert isinstance(root, dict)
    assert (root["test"].content, root["val"].content) == (None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; it should say where the images are"),
        ("a: 1\na: 2\n", "2: 'a' stands there twice"),
        ("a: [1\n", "is no YAML"),
        ("a: 1\n---\nb: 2\n", "is no YAML"),
        ("a: &x [*x]\n", "1: contains itself; take the reference out"),
        ("? [1]\n: 2\n", "1: a key must be a word or a number"),
        ("[" * 5000, "is no YAML that can be read"),
    ],
)
def test_yaml_that_means_nothing_is_an_error_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml(put(tmp_path / "a.yaml", text))
    assert str(caught.value).startswith(f"{tmp_path / 'a.yaml'}:")
    assert message in str(caught.value)


def test_yaml_references_that_double_again_and_again_take_no_time(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    assert read_yaml(put(tmp_path / "a.yaml", "\n".join(lines))).line == 1


def test_a_file_that_is_not_utf8_or_absent_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"names: [caf\xe9]")
    with pytest.raises(ConfigError, match=r"a\.yaml: is no text in UTF-8; save it as UTF-8"):
        read_yaml(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match=r"b\.yaml: cannot be opened: No such file"):
        read_yaml(tmp_path / "b.yaml")


def test_json_lists_know_the_line_of_each_entry(tmp_path: Path) -> None:
    text = '{"info": {"a": [1]},\n "images": [\n  {"id": 1},\n  {"id": 2}, 3\n], "empty": []}\n'
    lists = read_lists(put(tmp_path / "a.json", text))
    assert sorted(lists) == ["empty", "images"]
    assert lists["images"].values == [{"id": 1}, {"id": 2}, 3]
    assert lists["images"].lines.tolist() == [3, 4, 4]
    assert lists["images"].line(0) == 3


def test_lines_of_a_json_file_of_one_line_tell_nothing(tmp_path: Path) -> None:
    lists = read_lists(put(tmp_path / "a.json", '{"images": [1, 2]}\n'))
    assert lists["images"].line(1) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: is no complete JSON: expected '{'"),
        ('{"images": [1,\n2', ":2: is no complete JSON: expected ','"),
        ('{"images": [1\n, {"a": ]', ":2: is no complete JSON: Expecting value"),
        ('{"images"', ":1: is no complete JSON: expected ':'"),
        ('[{"image_id": 1}]', ": is a list, as results are; name the file with 'images'"),
        ('{"images": ' + "[" * 100_000, ": is nested too deeply"),
    ],
)
def test_json_that_is_cut_short_or_no_object_is_an_error(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_lists(put(tmp_path / "a.json", text))
    assert str(caught.value).startswith(f"{tmp_path / 'a.json'}{message}")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), PLAIN, max_size=4), st.sampled_from([None, 1]))
def test_json_lists_are_what_the_library_reads(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, object], indent: int | None
) -> None:
    path = put(tmp_path_factory.mktemp("json") / "a.json", json.dumps(value, indent=indent))
    found = {key: entries.values for key, entries in read_lists(path).items()}
    assert found == {key: inner for key, inner in value.items() if isinstance(inner, list)}


def test_xml_elements_know_their_line_and_text() -> None:
    root = parse_xml(b"<a>\n<b> x&amp;y </b>\n<c/><b>2</b></a>")
    assert (root.tag, root.text_of("b"), root.text_of("c"), root.text_of("d")) == (
        "a",
        "x&y",
        "",
        "",
    )
    assert [(child.tag, child.line) for child in root.children] == [("b", 2), ("c", 3), ("b", 3)]


BOMB = b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;">]>\n<a>&c;</a>'
OUTSIDE = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'


@pytest.mark.parametrize("data", [BOMB, OUTSIDE])
def test_xml_with_entities_of_its_own_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match="declares a document type in line 1, which is not read"):
        parse_xml(data)


@pytest.mark.parametrize("data", [b"", b"<a>\n<b></a>", b"<a>", b"no xml", b"<a/><b/>"])
def test_xml_that_is_not_complete_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"is no complete XML: .* in line"):
        parse_xml(data)


def test_xml_elements_know_their_bytes() -> None:
    data = '<a>é<b x="/"></b > <c/><d><e/></d><f y="1"/></a>'.encode()
    root = parse_xml(data)
    parts = [data[child.start : child.end].decode() for child in root.children]
    assert parts == ['<b x="/"></b >', "<c/>", "<d><e/></d>", '<f y="1"/>']
    assert (root.start, root.end) == (0, len(data))


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    for read in (read_xml, read_yaml, read_lists):
        with pytest.raises(ConfigError, match="is no ordinary file"):
            read(tmp_path / "a")


def test_a_json_number_of_thousands_of_digits_is_an_error(tmp_path: Path) -> None:
    path = put(tmp_path / "a.json", '{"images": [' + "1" * 5000 + "]}")
    with pytest.raises(ConfigError, match=r"a\.json: holds a number of thousands of digits"):
        read_lists(path)


def test_an_absent_xml_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened: No such file"):
        read_xml(tmp_path / "a.xml")
