from __future__ import annotations

import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gelan.errors import CheckpointError
from gelan.weights import storages
from gelan.weights.archive import read_archive
from tests.unit.weights.torch_files import StorageName, Window, floats, pickled, write_archive

SIX = StorageName("0", 6)
SIX_NUMBERS = {"data/0": floats(0, 1, 2, 3, 4, 5)}


def refusal(path: Path) -> str:
    """The error of a file, without its path."""
    with pytest.raises(CheckpointError) as caught:
        read_archive(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def small_file(path: Path) -> Path:
    torch.save({"weight": torch.arange(6.0)}, path)
    return path


# Tensors


@pytest.mark.parametrize(
    ("size", "stride", "offset", "expected"),
    [
        ((2, 3), (3, 1), 0, [[0, 1, 2], [3, 4, 5]]),
        ((3, 2), (1, 3), 0, [[0, 3], [1, 4], [2, 5]]),
        ((2,), (2,), 3, [3, 5]),
        ((), (), 5, 5),
        ((0,), (1,), 0, []),
        ((0, 4), (1, 1), 6, []),
    ],
)
def test_a_tensor_is_a_window_on_its_storage(
    tmp_path: Path, size: object, stride: object, offset: int, expected: object
) -> None:
    window = Window(SIX, size, stride, offset)
    write_archive(tmp_path / "a.pt", pickled([window]), entries=SIX_NUMBERS)
    root = read_archive(tmp_path / "a.pt").root
    assert isinstance(root, list)
    assert root[0].tolist() == expected
    assert root[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("size", "stride", "offset", "cause"),
    [
        ((7,), (1,), 0, "a tensor of shape (7,) at offset 0 goes beyond its storage of 6 numbers"),
        ((2, 3), (4, 1), 0, "a tensor of shape (2, 3) at offset 0 goes beyond its storage of 6"),
        ((3,), (1,), 4, "a tensor of shape (3,) at offset 4 goes beyond its storage of 6 numbers"),
        ((1,), (1,), 6, "a tensor of shape (1,) at offset 6 goes beyond its storage of 6 numbers"),
        ((2**40,), (0,), 0, "a tensor of shape (1099511627776,) at offset 0 goes beyond"),
        ((-1,), (1,), 0, "a length, size, stride or offset is no number from 0 to 2**40"),
        ((2,), (-1,), 1, "a length, size, stride or offset is no number from 0 to 2**40"),
        ((2,), (1,), -1, "a length, size, stride or offset is no number from 0 to 2**40"),
        ((2**80,), (1,), 0, "a length, size, stride or offset is no number from 0 to 2**40"),
        ((2.0,), (1,), 0, "a length, size, stride or offset is no number from 0 to 2**40"),
        ((2,), (1, 1), 0, "a tensor has 1 sizes but 2 strides"),
        ([2], (1,), 0, "the shape of a tensor is no short tuple"),
        ((1,) * 9, (1,) * 9, 0, "the shape of a tensor is no short tuple"),
    ],
)
def test_a_window_beyond_its_storage_is_refused(
    tmp_path: Path, size: object, stride: object, offset: int, cause: str
) -> None:
    window = Window(SIX, size, stride, offset)
    write_archive(tmp_path / "a.pt", pickled(window), entries=SIX_NUMBERS)
    assert refusal(tmp_path / "a.pt").startswith(f"is damaged: {cause}")


def test_a_tensor_without_a_storage_is_refused(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.pt", pickled(Window("0", (1,), (1,))))
    assert "a tensor has no storage" in refusal(tmp_path / "a.pt")


def test_a_parameter_without_a_tensor_is_refused(tmp_path: Path) -> None:
    data = b"\x80\x02ctorch._utils\n_rebuild_parameter\nK\x01\x89K\x02\x87R."
    write_archive(tmp_path / "a.pt", data)
    assert "a parameter has no tensor" in refusal(tmp_path / "a.pt")


def test_parameters_come_as_tensors_without_gradients(tmp_path: Path) -> None:
    torch.save([nn.Parameter(torch.ones(2))], tmp_path / "a.pt")
    root = read_archive(tmp_path / "a.pt").root
    assert isinstance(root, list)
    assert type(root[0]) is Tensor
    assert not root[0].requires_grad


def test_tensors_on_one_storage_share_their_numbers(tmp_path: Path) -> None:
    windows = [Window(SIX, (6,), (1,)), Window(SIX, (2,), (1,), 4)]
    write_archive(tmp_path / "a.pt", pickled(windows), entries=SIX_NUMBERS)
    root = read_archive(tmp_path / "a.pt").root
    assert isinstance(root, list)
    root[1][0] = 9.0
    assert root[0].tolist() == [0, 1, 2, 3, 9, 5]


# Storages


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (floats(1, 2, 3), "storage '0' has 3 numbers of torch.float32, but 6 of torch.float32 are"),
        (floats(*range(7)), "storage '0' has 7 numbers of torch.float32, but 6 of torch.float32"),
        (b"12345", "storage '0' has 5 bytes, no multiple of 4"),
        (b"", "storage '0' has 0 numbers of torch.float32, but 6 of torch.float32 are announced"),
    ],
)
def test_a_storage_of_another_length_is_refused(tmp_path: Path, content: bytes, cause: str) -> None:
    write_archive(tmp_path / "a.pt", pickled(Window(SIX, (6,), (1,))), entries={"data/0": content})
    assert refusal(tmp_path / "a.pt").startswith(f"is damaged: {cause}")


def test_a_missing_storage_is_named(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.pt", pickled(Window(StorageName("../../etc", 1), (1,), (1,))))
    assert "storage '../../etc' is missing" in refusal(tmp_path / "a.pt")


def test_one_storage_cannot_have_two_types(tmp_path: Path) -> None:
    as_float = pickled(StorageName("0", 6))[2:-1]
    as_half = as_float.replace(b"FloatStorage", b"HalfStorage")
    data = b"\x80\x02" + as_float + as_half + b"\x86."
    write_archive(tmp_path / "a.pt", data, entries=SIX_NUMBERS)
    assert "has 6 numbers of torch.float32, but 6 of torch.float16" in refusal(tmp_path / "a.pt")


# The archive


def test_a_truncated_file_is_damaged(tmp_path: Path) -> None:
    whole = small_file(tmp_path / "a.pt").read_bytes()
    for length in (100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "a.pt").write_bytes(whole[:length])
        assert refusal(tmp_path / "a.pt").startswith("is damaged: ")


def test_a_changed_number_is_found_by_its_checksum(tmp_path: Path) -> None:
    path = small_file(tmp_path / "a.pt")
    path.write_bytes(path.read_bytes().replace(floats(4.0), floats(4.5)))
    assert refusal(path).startswith("is damaged: Bad CRC-32 for file 'a/data/0'")


def test_a_compressed_entry_is_refused_unread(tmp_path: Path) -> None:
    zeros = {"data/0": bytes(5_000_000)}
    data = pickled(Window(StorageName("0", 1_250_000), (1,), (1,)))
    write_archive(tmp_path / "a.pt", data, entries=zeros, compression=zipfile.ZIP_DEFLATED)
    assert (tmp_path / "a.pt").stat().st_size < 10_000
    assert "is compressed, which torch.save never does" in refusal(tmp_path / "a.pt")


def test_entries_larger_than_the_file_are_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.pt", pickled({}), entries={"data/0": floats(1, 2)})
    content = bytearray(path.read_bytes())
    start = content.rindex(b"weights/data/0") - 46  # the entry in the directory at the end
    content[start + 20 : start + 28] = struct.pack("<II", 1_000_000, 1_000_000)
    path.write_bytes(content)
    assert refusal(path).startswith("is damaged: its entries have 1,000,0")


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.pt", pickled({}))
    content = bytearray(path.read_bytes())
    content[content.rindex(b"weights/data.pkl") - 46 + 8] |= 1
    path.write_bytes(content)
    assert "entry 'weights/data.pkl' is encrypted" in refusal(path)


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.pt", pickled({}), entries={"data/0": b"1", "data/1": b"2"})
    path.write_bytes(path.read_bytes().replace(b"data/1", b"data/0"))
    assert "it has two entries of the same name" in refusal(path)


@pytest.mark.parametrize(
    ("entries", "cause"),
    [
        ({"more/data.pkl": b"N."}, "it has 2 entries 'data.pkl' where a torch file has one"),
        ({"constants.pkl": b"N."}, "it is a TorchScript program; save the state dict of the"),
        ({"byteorder": b"big"}, "its numbers are in byte order b'big', not 'little' as here"),
    ],
)
def test_other_archives_are_named_for_what_they_are(
    tmp_path: Path, entries: dict[str, bytes], cause: str
) -> None:
    write_archive(tmp_path / "a.pt", pickled({}), entries=entries)
    assert refusal(tmp_path / "a.pt").startswith(f"is damaged: {cause}")


def test_a_zip_of_other_things_is_no_torch_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("photo.jpg", b"...")
    assert "it has 0 entries 'data.pkl' where a torch file has one" in refusal(tmp_path / "a.pt")


def test_a_file_without_a_mark_of_its_byte_order_is_little_endian(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/data.pkl", pickled([Window(SIX, (6,), (1,))]))
        archive.writestr("a/data/0", SIX_NUMBERS["data/0"])
    root = read_archive(tmp_path / "a.pt").root
    assert isinstance(root, list)
    assert root[0].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_pickle_of_absurd_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storages, "MAX_PICKLE_BYTES", 50)
    write_archive(tmp_path / "a.pt", pickled(OrderedDict(a="x" * 100)))
    assert "bytes, far more than any network's" in refusal(tmp_path / "a.pt")
