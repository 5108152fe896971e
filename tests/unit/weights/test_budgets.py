"""Small hostile files cost little memory and time, and give one line."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from gelan.errors import CheckpointError
from gelan.weights import pickles
from gelan.weights.containers import container_of
from gelan.weights.loading import load_weights
from gelan.weights.pickles import Record
from gelan.weights.records import plain, state_dict_of
from tests.unit.weights.torch_files import floats, write_archive

MEBIBYTE = 2**20


def text(content: bytes) -> bytes:
    """The opcode that pushes a text."""
    return b"X" + struct.pack("<I", len(content)) + content


def module(attributes: bytes = b"", *, parameters: bytes = b"}") -> bytes:
    """The pickle of a module, with further attributes."""
    parts = text(b"_parameters") + parameters
    parts += b"".join(text(part) + b"}" for part in (b"_buffers", b"_modules"))
    return b"cmodels.yolo\nDetectionModel\n)R}(" + parts + attributes + b"ub"


def cheap(action: Callable[[], object], *, limit: int = 150 * MEBIBYTE) -> str:
    """The error of an action; fails if it took much memory or time, or more than a line."""
    tracemalloc.start()
    begin = time.perf_counter()
    try:
        with pytest.raises(CheckpointError) as caught:
            action()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak / MEBIBYTE:.0f} MiB"
    assert time.perf_counter() - begin < 20
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2_000
    return str(caught.value)


def refusal(path: Path, data: bytes) -> str:
    """The error of a torch file with that pickle, after the path."""
    write_archive(path, data)
    return cheap(lambda: load_weights(path)).removeprefix(f"{path}: ")


# Pickles

NUMBERS = b"ctorch\nFloatStorage\n"
TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n(("
    + text(b"storage")
    + NUMBERS
    + text(b"0")
    + text(b"cpu")
    + b"K\x01tQK\x00K\x01\x85K\x01\x85\x89}tR"
)


def test_a_pickle_beyond_any_network_is_not_even_read(tmp_path: Path) -> None:
    message = refusal(tmp_path / "a.pt", b"\x80\x02" + text(b"a" * 20 * MEBIBYTE) + b".")
    assert message.startswith("is damaged: its pickle has 20,971,528 bytes, far more than any")


def test_a_long_name_that_is_used_again_and_again_is_refused_at_once(tmp_path: Path) -> None:
    long = text(b"a" * 8 * MEBIBYTE) + b"q\x000" + text(b"models") + b"q\x010"
    data = b"\x80\x04" + long + b"h\x01h\x00\x93q\x020" * 3_000 + b"N."
    message = refusal(tmp_path / "a.pt", data)
    assert message.startswith("its pickle has ")
    assert "character" in message


def test_names_of_the_longest_kind_count_against_the_budget(tmp_path: Path) -> None:
    names = text(b"a" * 500) + b"q\x000" + text(b"models" + b".a" * 200) + b"q\x010"
    data = b"\x80\x04" + names + b"(" + b"h\x01h\x00\x93" * 500_000 + b"t."
    assert "takes more than 2,000,000 operations" in refusal(tmp_path / "a.pt", data)


def test_calls_count_for_what_they_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_OPERATIONS", 1_000)
    data = b"\x80\x02cmodels\nA\nq\x00)q\x01(" + b"h\x00h\x01R" * 100 + b"t."
    assert "takes more than 1,000 operations" in refusal(tmp_path / "a.pt", data)


def test_text_of_many_characters_is_refused(tmp_path: Path) -> None:
    part = text(b"a" * MEBIBYTE) + b"0"
    message = refusal(tmp_path / "a.pt", b"\x80\x02" + part * 10 + b"N.")
    assert message.startswith("its pickle has more than 8,388,608 characters of text")


@pytest.mark.parametrize("key", [b"C\x02ab", b"K\x01", text(b"a" * 1_001)])
def test_an_attribute_is_a_short_text(tmp_path: Path, key: bytes) -> None:
    message = refusal(tmp_path / "a.pt", b"\x80\x03" + module(key + b"N") + b".")
    assert message.startswith("its pickle ")
    assert message.endswith("; nothing in the file was run")


def test_a_key_is_short(tmp_path: Path) -> None:
    message = refusal(tmp_path / "a.pt", b"\x80\x02}" + text(b"a" * 1_001) + b"Ns.")
    assert message.startswith("its pickle has a key of 1,001 characters")


# What is made of the records


def modules(names: list[str], leaf: Record) -> Record:
    """Modules in a chain, each in the next under all of the names."""
    node = leaf
    for _ in range(60):
        attributes: dict[str, object] = {"_parameters": {}, "_buffers": {}}
        attributes["_modules"] = dict.fromkeys(names, node)
        node = Record("models.yolo.Part", attributes=attributes)
    return node


@pytest.mark.parametrize(("names", "length"), [(1, 900), (2, 900), (30_000, 6)])
def test_names_of_modules_are_bounded_before_they_are_made(names: int, length: int) -> None:
    leaf = Record("a", attributes={"_parameters": {}, "_buffers": {}, "_modules": {}})
    root = modules([f"{number:0{length}}" for number in range(names)], leaf)
    message = cheap(lambda: state_dict_of(root), limit=30 * MEBIBYTE)
    assert "parts without end" in message


def test_names_of_tensors_are_bounded_before_they_are_made() -> None:
    tensor = torch.zeros(1)
    parameters = {f"{number}": tensor for number in range(200_000)}
    leaf = Record("a", attributes={"_parameters": parameters, "_buffers": {}, "_modules": {}})
    root = Record(
        "a", attributes={"_parameters": {}, "_buffers": {}, "_modules": {"a" * 900: leaf}}
    )
    assert "parts without end" in cheap(lambda: state_dict_of(root), limit=30 * MEBIBYTE)


def test_a_part_that_has_no_text_for_a_name_is_refused() -> None:
    leaf = Record("a", attributes={"_parameters": {b"a": None}, "_buffers": {}, "_modules": {}})
    with pytest.raises(CheckpointError, match="a part of it has a name of type bytes"):
        state_dict_of(leaf)


@pytest.mark.parametrize(
    "value",
    [
        ["a" * MEBIBYTE] * 3_000,
        {"a" * 1_001: 1},
        [b"\0" * 1_000_000] * 3_000 + ["a" * 400_000],
        dict.fromkeys(range(9_000), "a" * 900),
        [Record("models." + "a" * 900)] * 90_000,
    ],
    ids=["text", "key", "bytes", "dictionary", "records"],
)
def test_plain_values_have_a_budget_of_text(value: object) -> None:
    message = cheap(lambda: json.dumps(plain(value)), limit=30 * MEBIBYTE)
    assert message.startswith("it says more about itself than any weights file does")


def test_bytes_are_told_by_their_number() -> None:
    assert plain({"a": b"abc", b"key": 1}) == {"a": "3 bytes", "b'key'": 1}


def test_a_long_text_that_the_options_repeat_is_refused(tmp_path: Path) -> None:
    options = b"}" + text(b"a") + b"(" + text(b"a" * MEBIBYTE) + b"q\x00" + b"h\x00" * 3_000 + b"ts"
    data = b"\x80\x02}(" + text(b"model") + module() + text(b"opt") + options + b"u."
    assert refusal(tmp_path / "a.pt", data).startswith("it says more about itself than")


def test_a_long_class_name_is_refused(tmp_path: Path) -> None:
    names = b"(" + text(b"a" * MEBIBYTE) + b"q\x00" + b"h\x00" * 3_000 + b"t"
    data = b"\x80\x02" + module(text(b"names") + names) + b"."
    message = refusal(tmp_path / "a.pt", data)
    assert message == "has a class name of 1,048,576 characters; no class is called so"


def test_a_tensor_of_no_numbers_but_endless_shape_is_refused(tmp_path: Path) -> None:
    huge = TENSOR.replace(
        b"K\x01\x85K\x01\x85",
        b"(\x8a\x06" + b"\0" * 5 + b"\x01K\x00K\x01K\x01t(K\x01K\x01K\x01K\x01t",
    )
    stem = TENSOR.replace(b"K\x01\x85K\x01\x85", b"(K\x10K\x03K\x03K\x03t(K\x1bK\x09K\x03K\x01t")
    stem = stem.replace(b"K\x01tQ", b"M\xb0\x01tQ").replace(text(b"0"), text(b"1"))
    layers = text(b"0.conv.weight") + stem
    for level in range(3):
        for part in (f"22.cv2.{level}", f"22.cv3.{level}"):
            for place in ("0.conv.weight", "1.conv.weight", "2.weight"):
                layers += text(f"{part}.{place}".encode()) + huge
    layers += text(b"22.dfl.conv.weight") + huge
    path = tmp_path / "a.pt"
    write_archive(
        path,
        b"\x80\x02}(" + layers + b"u.",
        entries={"data/0": floats(0.0), "data/1": floats(*[0.0] * 432)},
    )
    assert "head" in cheap(lambda: load_weights(path))


# Safetensors


def with_header(path: Path, metadata: dict[str, str]) -> Path:
    """A safetensors file of one number with that metadata."""
    safetensors.torch.save_file({"a": torch.zeros(1)}, path, metadata=metadata)
    return path


@pytest.mark.parametrize(
    "json_text",
    ["[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900, "[" * 100_000],
    ids=["lists", "dictionaries", "endless"],
)
def test_deep_metadata_give_one_line(tmp_path: Path, json_text: str) -> None:
    path = with_header(tmp_path / "a.safetensors", {"gelan": json_text})
    assert cheap(lambda: load_weights(path)).startswith(f"{path}: ")


@pytest.mark.parametrize("key", ["architecture", "training", "provenance", "preprocessing"])
def test_a_deep_value_in_the_metadata_gives_one_line(tmp_path: Path, key: str) -> None:
    fields: dict[str, object] = {
        **{name: {} for name in ("architecture", "preprocessing", "training", "metrics")},
        **{"format_version": 1, "names": ["a"], "category_ids": None, "provenance": {}},
        **{"licence": "", "code_version": "0"},
    }
    fields[key] = "DEEP"
    deep = '{"a":' * 900 + "1" + "}" * 900
    text_of_it = json.dumps(fields).replace('"DEEP"', deep)
    path = with_header(tmp_path / "a.safetensors", {"gelan": text_of_it})
    assert cheap(lambda: load_weights(path)).startswith(f"{path}: ")


def test_a_header_beyond_any_network_is_not_parsed(tmp_path: Path) -> None:
    path = with_header(tmp_path / "a.safetensors", {"gelan": "[" + "[]," * 15_000_000 + "0]"})
    message = cheap(lambda: load_weights(path), limit=10 * MEBIBYTE)
    assert "header" in message


# Paths


def test_a_path_that_cannot_be_asked_for_gives_one_line(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 5_000)
    with pytest.raises(CheckpointError, match=r": cannot be read: File name too long$"):
        container_of(path)


def test_a_path_with_a_zero_byte_gives_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        container_of(tmp_path / "a\0b")
