from __future__ import annotations

import builtins
import os
import pickle
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gelan.errors import CheckpointError
from gelan.weights import pickles
from gelan.weights.archive import find_state, read_archive
from gelan.weights.pickles import Global, Record, RefusedPickleError, build_set, read_pickle
from tests.unit.weights.torch_files import Command, pickled, write_archive

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.text() | st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1) | st.binary()
PLAIN = st.recursive(
    SCALARS | st.sets(KEYS),
    lambda parts: st.lists(parts) | st.lists(parts).map(tuple) | st.dictionaries(KEYS, parts),
    max_leaves=10,
)


def read(data: bytes) -> object:
    """A pickle in which every name but `set` stands for an inert record."""
    makers = {"set": build_set}
    return read_pickle(
        data,
        find_global=lambda module, name: Global(f"{module}.{name}", makers.get(name)),
        find_persistent=lambda identifier: ("persistent", identifier),
    )


def refusal(path: Path, data: bytes) -> str:
    """The error of a torch file with that pickle, without the path."""
    write_archive(path, data)
    with pytest.raises(CheckpointError) as caught:
        read_archive(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def repeated(start: bytes, part: bytes, times: int, end: bytes = b".") -> bytes:
    return b"\x80\x02" + start + part * times + end


@given(value=PLAIN, protocol=st.integers(min_value=3, max_value=5))
def test_plain_data_come_out_as_python_reads_them(value: object, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol=protocol)) == value


def test_parts_that_occur_twice_are_one_object() -> None:
    part = [1]
    first, second = read(pickled({"a": part, "b": part})).values()  # type: ignore[attr-defined]
    assert first is second


# Commands


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, f"{os.system.__module__}.system"),
        (eval, "__builtin__.eval"),
        (exec, "__builtin__.exec"),
        (builtins.__import__, "__builtin__.__import__"),
        (open, "io.open"),
        (torch.hub.load, "torch.hub.load"),
        (torch.load, "torch.serialization.load"),
    ],
)
def test_a_file_that_calls_a_function_is_refused_and_nothing_runs(
    tmp_path: Path, function: Callable[..., object], name: str
) -> None:
    marker = tmp_path / "was-run"
    command = Command(function, f"touch {marker}")
    message = refusal(tmp_path / "a.pt", pickled({"model": command}))
    assert message == (
        f"its pickle names {name!r}, which no weights file needs; nothing in the file was run"
    )
    assert not marker.exists()


def test_a_command_outside_of_an_archive_does_not_run_either(tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    (tmp_path / "a.pt").write_bytes(pickled(Command(os.system, f"touch {marker}")))
    with pytest.raises(CheckpointError, match=r"is a bare pickle, .*; nothing in it was run$"):
        read_archive(tmp_path / "a.pt")
    assert not marker.exists()


def test_a_name_with_line_breaks_stays_on_one_line(tmp_path: Path) -> None:
    data = b"\x80\x04\x8c\x04a\nb\x1b\x8c\x01c\x93."
    assert refusal(tmp_path / "a.pt", data).startswith(r"its pickle names 'a\nb\x1b.c', which")


def test_getattr_gives_a_record_and_no_attribute() -> None:
    method = read(pickled(Command(getattr, "text", "upper")))
    assert isinstance(method, Record)
    assert (method.qualified_name, method.arguments) == ("__builtin__.getattr", ("text", "upper"))


def test_a_record_takes_every_kind_of_filling_and_stays_inert() -> None:
    record = read(
        b"\x80\x02cmodels.yolo\nModel\n)R"  # construction
        b"}X\x01\x00\x00\x00aK\x01sb"  # state {"a": 1}
        b"K\x02a"  # append 2
        b"(K\x03K\x04e"  # extend 3, 4
        b"K\x05K\x06s."  # [5] = 6
    )
    assert isinstance(record, Record)
    assert repr(record) == "<record of models.yolo.Model>"
    assert (record.attributes, record.elements, record.items) == ({"a": 1}, [2, 3, 4], [(5, 6)])


def test_a_record_can_be_called_and_gives_a_record() -> None:
    made = read(b"\x80\x02cmodels\nA\n)R)R.")
    assert repr(made) == "<record of models.A>"


def test_state_may_come_as_attributes_and_slots_or_as_a_tuple() -> None:
    both = read(b"\x80\x02cmodels\nA\n)R}X\x01\x00\x00\x00aK\x01s}X\x01\x00\x00\x00bK\x02s\x86b.")
    other = read(b"\x80\x02cmodels\nA\n)RK\x01K\x02K\x03\x87b.")
    assert isinstance(both, Record)
    assert isinstance(other, Record)
    assert both.attributes == {"a": 1, "b": 2}
    assert other.state == (1, 2, 3)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"\x80\x02)}R.", "calls with a dict, not a tuple"),
        (b"\x80\x02})R.", "calls a dict"),
        (b"\x80\x02K\x01)\x81.", "calls a int"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "calls a dtype"),
        (b"\x80\x02X\x01\x00\x00\x00aK\x01a.", "appends to a str"),
        (b"\x80\x02]K\x01K\x02s.", "sets items of a list"),
        (b"\x80\x02]}b.", "sets the state of a list"),
        (b"\x80\x02}cmodels\nA\n)RK\x01s.", "has a key of type <record of models.A>"),
        (b"\x80\x02}]K\x01s.", "has a key of type list"),
        (b"\x80\x02})K\x01s.", "has a key of type tuple"),
        (b"\x80\x02c__builtin__\nset\n]]a\x85R.", "has a key of type list"),
        (b"\x80\x02}\x8a\x09" + b"\xff" * 8 + b"\x00K\x01s.", "has a key beyond 64 bits"),
        (b"\x80\x02(K\x01ios\nsystem\n.", "has opcode INST at byte 5"),
        (b"\x80\x02\x82\x01.", "has opcode EXT1 at byte 2"),
        (b"\x80\x04K\x01K\x02\x93.", "names something that is not text"),
        (b"\x80\x02K\x01Q.", "has a persistent id that is none of a storage"),
    ],
)
def test_what_no_weights_file_needs_is_refused(tmp_path: Path, data: bytes, cause: str) -> None:
    message = refusal(tmp_path / "a.pt", data)
    assert message.startswith(f"its pickle {cause}")
    assert message.endswith("; nothing in the file was run")


# Amounts


def test_a_huge_memo_index_costs_nothing() -> None:
    assert read(b"\x80\x02K\x07r\xff\xff\xff\xff0j\xff\xff\xff\xff.") == 7


@pytest.mark.parametrize(
    "data",
    [
        repeated(b")", b"\x85", 200_000),
        repeated(b"]" * 50_001, b"a", 50_000),
        repeated(b"}" + b"K\x01}" * 50_000, b"s", 50_000),
        repeated(b"cmodels\nA\nq\x000" + b"h\x00" * 50_000 + b"N", b"\x85R", 50_000),
    ],
    ids=["tuples", "lists", "dictionaries", "records"],
)
def test_nesting_without_end_does_no_harm(tmp_path: Path, data: bytes) -> None:
    write_archive(tmp_path / "a.pt", data)
    with pytest.raises(CheckpointError, match=r"a\.pt: holds no weights"):
        find_state(read_archive(tmp_path / "a.pt"))


def test_a_deep_tuple_as_a_key_is_refused_before_it_is_hashed(tmp_path: Path) -> None:
    data = repeated(b"})", b"\x85", 200_000, b"K\x01s.")
    assert refusal(tmp_path / "a.pt", data).startswith("its pickle has a key of type tuple")


def test_a_chain_of_calls_without_end_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickles, "MAX_OPERATIONS", 1_000)
    message = refusal(tmp_path / "a.pt", repeated(b"cmodels\nA\n", b")R", 500))
    assert message == ("its pickle takes more than 1,000 operations; nothing in the file was run")


@pytest.mark.parametrize(
    "part", [b"ccollections\nOrderedDict\nh\x00\x85R0", b"cmodels\nA\n)Rh\x00b0"]
)
def test_copying_the_same_thing_again_and_again_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: bytes
) -> None:
    monkeypatch.setattr(pickles, "MAX_OPERATIONS", 10_000)
    entries = b"".join(b"X\x04\0\0\0%04dN" % number for number in range(1_000))
    data = repeated(b"}q\x00(" + entries + b"u", part, 20)
    assert "takes more than 10,000 operations" in refusal(tmp_path / "a.pt", data)


# Damage


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "pickle exhausted before seeing STOP"),
        (b"\x80\x02.", "list index out of range"),
        (b"\x80\x02}K\x01.", None),
        (b"\x80\x02h\x05.", "5"),
        (b"\x80\x02}(K\x01u.", "zip() argument 2 is shorter than argument 1"),
        (b"\x80\x02t.", "pop from empty list"),
        (b"\x80\x02\xff.", "at position 2, opcode b'\\xff' unknown"),
        (b"\x80\x04\x8d" + b"\xff" * 8 + b".", None),
        (b"\x80\x02cmodels\n\\c\n.", None),
    ],
)
def test_a_damaged_pickle_is_told_in_one_line(
    tmp_path: Path, data: bytes, cause: str | None
) -> None:
    write_archive(tmp_path / "a.pt", data)
    with pytest.raises(CheckpointError) as caught:
        find_state(read_archive(tmp_path / "a.pt"))
    assert "\n" not in str(caught.value)
    if cause is not None:
        assert str(caught.value).endswith(f"is damaged: {cause}; get a new copy")


HONEST = pickled({"model": OrderedDict(a=[1, 2.5, None], b=("x", {3})), "size": torch.Size([1, 2])})


@given(cut=st.integers(0, len(HONEST)), junk=st.binary(max_size=12), skip=st.integers(0, 12))
def test_any_other_pickle_gives_a_value_or_a_plain_error(cut: int, junk: bytes, skip: int) -> None:
    data = HONEST[:cut] + junk + HONEST[cut + skip :]
    try:
        read(data)
    except (RefusedPickleError, ValueError, TypeError, LookupError, OverflowError, Warning):
        return  # the warning is pickletools' own, about odd escapes in a name


# The few values that are made


def test_dictionaries_of_the_collections_come_as_plain_ones(tmp_path: Path) -> None:
    values = [OrderedDict(a=1), defaultdict(list, a=[2]), Counter("aa")]
    # defaultdict(list) names `list`, which stands for nothing here; its factory is left aside.
    data = pickled(values).replace(b"c__builtin__\nlist\n", b"cmodels\nlist\n")
    write_archive(tmp_path / "a.pt", data)
    assert read_archive(tmp_path / "a.pt").root == [{"a": 1}, {"a": [2]}, {"a": 2}]


def test_sizes_and_sets_come_as_they_are(tmp_path: Path) -> None:
    value = {"size": torch.Size([2, 3]), "set": {1, "a"}, "frozen": frozenset({2})}
    write_archive(tmp_path / "a.pt", pickled(value))
    root = read_archive(tmp_path / "a.pt").root
    assert root == value
