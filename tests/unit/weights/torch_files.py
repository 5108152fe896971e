"""Torch files for tests, honest and hostile, written without the reader that is tested."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn


@dataclass(frozen=True)
class StorageName:
    """Is pickled as the persistent id of a storage of float32 numbers."""

    key: str
    length: int


@dataclass(frozen=True)
class Window:
    """Is pickled as a tensor with any geometry, also impossible ones."""

    storage: object
    size: object
    stride: object
    offset: object = 0

    def __reduce__(self) -> tuple[object, ...]:
        hooks: OrderedDict[str, object] = OrderedDict()
        geometry = (self.storage, self.offset, self.size, self.stride, False, hooks)
        return torch._utils._rebuild_tensor_v2, geometry


class TorchPickler(pickle.Pickler):
    """Pickles as torch.save does, storages by name."""

    def persistent_id(self, obj: object) -> object:
        if isinstance(obj, StorageName):
            return ("storage", torch.FloatStorage, obj.key, "cpu", obj.length)
        return None


class Command:
    """Is pickled as a call; a careless reader carries it out."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def pickled(value: object, *, protocol: int = 2) -> bytes:
    """The pickle of a value, with storages by name."""
    stream = io.BytesIO()
    TorchPickler(stream, protocol=protocol).dump(value)
    return stream.getvalue()


def floats(*numbers: float) -> bytes:
    """The bytes of a storage."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


def write_archive(
    path: Path,
    data: bytes,
    *,
    entries: Mapping[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """A zip like that of torch.save: `data` as its pickle, and further entries."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("weights/data.pkl", data)
        for name, content in {"byteorder": b"little", **(entries or {})}.items():
            archive.writestr(f"weights/{name}", content)
    return path


def foreign(
    monkeypatch: pytest.MonkeyPatch,
    qualified_name: str,
    *,
    parts: Mapping[str, nn.Module] | None = None,
    **attributes: object,
) -> nn.Module:
    """A module of a class that exists, under that name, for the time of the test only."""
    module_name, _, class_name = qualified_name.rpartition(".")
    names = module_name.split(".")
    for end in range(1, len(names) + 1):
        name = ".".join(names[:end])
        if name not in sys.modules:
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
    home = sys.modules[module_name]
    if class_name not in vars(home):
        members = {"__module__": module_name, "forward_fuse": _forward}
        monkeypatch.setattr(
            home, class_name, type(class_name, (nn.Module,), members), raising=False
        )
    module = vars(home)[class_name]()
    assert isinstance(module, nn.Module)
    for name, part in (parts or {}).items():
        module.add_module(name, part)
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


def _forward(self: nn.Module, images: torch.Tensor) -> torch.Tensor:
    return images
