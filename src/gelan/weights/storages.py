"""The container of torch files: a zip of stored entries, one pickle and one entry per storage.

What `torch.save` writes is `<name>/data.pkl` beside `<name>/data/<key>`, the raw numbers of each
storage, all uncompressed; a tensor is a window (offset, size, stride) on a storage.
"""

from __future__ import annotations

import math
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gelan.weights.pickles import RefusedPickleError

MAX_PICKLE_BYTES = 16 * 2**20
"""The pickle of the largest published file has about 1 MB."""

MAX_DIMENSIONS = 8

STORAGE_TYPES = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
}


class DamagedArchiveError(ValueError):
    """The zip archive is not one that `torch.save` can have written."""


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """The numbers of one entry, on which tensors are windows."""

    values: Tensor


class TensorArchive:
    """The entries of an open torch file, after the checks of `open_archive`."""

    def __init__(self, archive: zipfile.ZipFile, prefix: str) -> None:
        self._archive = archive
        self._prefix = prefix
        self._storages: dict[str, Storage] = {}

    def pickle(self) -> bytes:
        """The pickle that describes the objects.

        Raises:
            DamagedArchiveError: it is larger than `MAX_PICKLE_BYTES`.
        """
        size = self._archive.getinfo(f"{self._prefix}data.pkl").file_size
        if size > MAX_PICKLE_BYTES:
            raise DamagedArchiveError(f"its pickle has {size:,} bytes, far more than any network's")
        return self._archive.read(f"{self._prefix}data.pkl")

    def storage(self, identifier: object) -> Storage:
        """The storage of a persistent id `("storage", type, key, device, length)`, read once.

        The device is ignored: everything comes to the CPU.

        Raises:
            RefusedPickleError: the id is none of a storage.
            DamagedArchiveError: the entry is missing or does not have the announced length.
        """
        if not isinstance(identifier, tuple) or len(identifier) != 5:
            raise RefusedPickleError("its pickle has a persistent id that is none of a storage")
        kind, dtype, key, _device, length = identifier
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(key, str):
            raise RefusedPickleError("its pickle has a persistent id that is none of a storage")
        (length,) = _counts(length)
        if key not in self._storages:
            self._storages[key] = Storage(self._read(key, dtype))
        found = self._storages[key]
        if found.values.dtype != dtype or found.values.numel() != length:
            raise DamagedArchiveError(
                f"storage {key!r} has {found.values.numel():,} numbers of {found.values.dtype}, "
                f"but {length:,} of {dtype} are announced"
            )
        return found

    def _read(self, key: str, dtype: torch.dtype) -> Tensor:
        name = f"{self._prefix}data/{key}"
        if name not in self._archive.NameToInfo:
            raise DamagedArchiveError(f"storage {key!r:.80} is missing")
        data = bytearray(self._archive.read(name))
        if len(data) % dtype.itemsize:
            raise DamagedArchiveError(
                f"storage {key!r} has {len(data):,} bytes, no multiple of {dtype.itemsize}"
            )
        return torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)


@contextmanager
def open_archive(path: Path) -> Iterator[TensorArchive]:
    """A torch file, opened and found to be plain: no compression, no entry twice, one pickle.

    Raises:
        DamagedArchiveError, zipfile.BadZipFile: it is not what `torch.save` writes, or truncated.
    """
    with zipfile.ZipFile(path) as archive:
        _require_stored(archive.infolist(), path.stat().st_size)
        prefix = _prefix(archive)
        _require_native_byte_order(archive, prefix)
        yield TensorArchive(archive, prefix)


def rebuild_tensor(*arguments: object) -> Tensor:
    """The window on a storage that `torch._utils._rebuild_tensor_v2` would give, after checks.

    Raises:
        DamagedArchiveError: the window goes beyond its storage, or repeats it (stride 0).
        TypeError, ValueError: the arguments are of other types or number.
    """
    storage, offset, size, stride = arguments[:4]
    if not isinstance(storage, Storage):
        raise DamagedArchiveError("a tensor has no storage")
    start, *shape = _counts(offset, *_dimensions(size))
    steps = _counts(*_dimensions(stride))
    if len(shape) != len(steps):
        raise DamagedArchiveError(f"a tensor has {len(shape)} sizes but {len(steps)} strides")
    available, needed = storage.values.numel(), math.prod(shape)
    last = start + sum((width - 1) * step for width, step in zip(shape, steps, strict=True))
    if needed > available or (needed and last >= available):
        raise DamagedArchiveError(
            f"a tensor of shape {tuple(shape)} at offset {start} goes beyond its storage "
            f"of {available:,} numbers"
        )
    return storage.values.as_strided(shape, steps, start if needed else 0)


def rebuild_parameter(*arguments: object) -> Tensor:
    """The tensor of a parameter; whether it took gradients is left aside."""
    if not arguments or not isinstance(arguments[0], Tensor):
        raise DamagedArchiveError("a parameter has no tensor")
    return arguments[0]


def _dimensions(values: object) -> tuple[object, ...]:
    if not isinstance(values, tuple) or len(values) > MAX_DIMENSIONS:
        raise DamagedArchiveError("the shape of a tensor is no short tuple")
    return values


def _counts(*values: object) -> list[int]:
    """The values, if each is an integer from 0 to 2**40."""
    counts = [value for value in values if isinstance(value, int) and 0 <= value <= 2**40]
    if len(counts) != len(values):
        raise DamagedArchiveError("a length, size, stride or offset is no number from 0 to 2**40")
    return counts


def _require_stored(entries: list[zipfile.ZipInfo], file_size: int) -> None:
    """Stored entries that fit into the file together cannot be a bomb."""
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise DamagedArchiveError(
                f"entry {entry.filename!r:.80} is compressed, which torch.save never does"
            )
        if entry.flag_bits & 0x1:
            raise DamagedArchiveError(f"entry {entry.filename!r:.80} is encrypted")
    total = sum(entry.file_size for entry in entries)
    if total > file_size:
        raise DamagedArchiveError(
            f"its entries have {total:,} bytes together, but the file has only {file_size:,}"
        )
    if len({entry.filename for entry in entries}) != len(entries):
        raise DamagedArchiveError("it has two entries of the same name")


def _prefix(archive: zipfile.ZipFile) -> str:
    """The folder inside the archive, with its slash."""
    pickles = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise DamagedArchiveError(
            f"it has {len(pickles)} entries 'data.pkl' where a torch file has one"
        )
    prefix = pickles[0].removesuffix("data.pkl")
    if f"{prefix}constants.pkl" in archive.NameToInfo:
        raise DamagedArchiveError(
            "it is a TorchScript program; save the state dict of the network instead"
        )
    return prefix


def _require_native_byte_order(archive: zipfile.ZipFile, prefix: str) -> None:
    """Files without a mark are older, and little-endian."""
    name = f"{prefix}byteorder"
    order = archive.read(name) if name in archive.NameToInfo else b"little"
    if order != sys.byteorder.encode():
        raise DamagedArchiveError(
            f"its numbers are in byte order {order[:20]!r}, not {sys.byteorder!r} as here; "
            "re-save it on a machine like this one"
        )
