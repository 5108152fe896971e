"""Foreign weights files: what `torch.save` wrote, read without importing or running anything.

`read_archive` gives the objects of a file, with inert records in place of foreign classes;
`find_state` picks the weights out of them. Published files come in five forms, told apart by their
entries: pickled modules (official, ultralytics), Lightning and older trainer files
(MultimediaTechLab), and plain dictionaries of tensors.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeGuard

import torch
from torch import Tensor

from gelan.errors import CheckpointError
from gelan.weights.containers import Container, container_of
from gelan.weights.pickles import (
    MAX_NAME_LENGTH,
    Global,
    Record,
    RefusedPickleError,
    build_dict,
    build_set,
    kind_of,
    read_pickle,
)
from gelan.weights.records import is_module, plain, state_dict_of, walk_modules
from gelan.weights.storages import STORAGE_TYPES, open_archive, rebuild_parameter, rebuild_tensor

_BUILDERS: dict[str, Callable[..., object]] = {
    "torch._utils._rebuild_tensor_v2": rebuild_tensor,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "torch.Size": torch.Size,
    "collections.OrderedDict": build_dict,
    "collections.defaultdict": build_dict,
    "collections.Counter": build_dict,
    **dict.fromkeys(("__builtin__.set", "builtins.set"), build_set),
    **dict.fromkeys(("__builtin__.frozenset", "builtins.frozenset"), build_set),
}

_INERT_PACKAGES = (
    *("models", "utils", "ultralytics", "yolo", "torch.nn", "torch.optim", "pathlib", "datetime"),
    *("lightning", "lightning_fabric", "pytorch_lightning", "omegaconf"),
)
_INERT_NAMES = frozenset(
    {
        *("__builtin__.getattr", "builtins.getattr", "__builtin__.object", "builtins.object"),
        *("_codecs.encode", "argparse.Namespace", "types.SimpleNamespace"),
        *("copy_reg._reconstructor", "copyreg._reconstructor"),
        *("numpy.ndarray", "numpy.dtype", "torch.device"),
        *("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"),
        *("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"),
        *("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"),
        *(f"torch.{name}" for name, value in vars(torch).items() if isinstance(value, torch.dtype)),
    }
)
"""Names that occur in weights files and stand for records here, `getattr` among them."""

_ENTRIES_KEPT = (
    *("epoch", "global_step", "updates", "date", "version", "pytorch-lightning_version"),
    *("license", "docs", "git", "opt", "train_args", "train_metrics", "best_fitness"),
)
_MODULE_ATTRIBUTES_KEPT = ("nc", "stride", "yaml", "yaml_file", "task", "hyp", "args")
_NAME_TYPES = (str, int, float)


@dataclass(frozen=True, slots=True)
class Archive:
    """The objects of a torch file."""

    path: Path
    root: object
    """Usually a dictionary; records stand for foreign objects."""
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundState:
    """The weights of a file, and what else it says about them."""

    tensors: dict[str, Tensor]
    """In the file's order and type. Wrappers of trainers are taken off the names, so that they
    begin with `model.0.` (pickled modules) or `0.` (MultimediaTechLab)."""
    where: str
    """The entry of the file: "ema", "model", "state_dict: ema.model.", ...; "" for the root."""
    names: tuple[str, ...] | None
    """Class names in model order; None where the file has none."""
    licence: str | None
    """What the file says of it; None where it says nothing."""
    attributes: dict[str, object]
    """Other facts, as JSON can hold them, under the names that they have in the file; "class",
    "batch_norm_epsilons" and "activations" are read from pickled modules."""
    notes: tuple[str, ...]
    """What was left aside, in words."""


def read_archive(path: Path) -> Archive:
    """The objects that `torch.save` wrote into a file; nothing that it names is imported or run.

    Tensors keep the type that they have in the file and come to the CPU. Modules, paths, numpy
    values and the like come as `Record`.

    Raises:
        CheckpointError: in one line, that the file is no zip-format torch file, is damaged, or asks
            for something that no weights file needs.
    """
    _require_zip(path)
    with one_line_errors(path), open_archive(path) as archive:
        root = read_pickle(
            archive.pickle(), find_global=_find_global, find_persistent=archive.storage
        )
    return Archive(path, root, path.stat().st_size)


def find_state(archive: Archive) -> FoundState:
    """The weights of a file that a user would want: averaged ones (EMA) before raw ones.

    Raises:
        CheckpointError: the file holds no weights in any known form; says what it holds.
    """
    with one_line_errors(archive.path):
        try:
            found = _find(archive.root)
        except CheckpointError as error:
            raise CheckpointError(f"{archive.path}: {error}") from None
    size = sum(tensor.numel() * tensor.element_size() for tensor in found.tensors.values())
    if size > archive.size_bytes:
        raise CheckpointError(
            f"{archive.path}: its tensors overlap: {size:,} bytes in a file of "
            f"{archive.size_bytes:,}; no network needs that"
        )
    return found


def _require_zip(path: Path) -> None:
    kind = container_of(path)
    if kind is Container.ZIP:
        return
    remedy = {
        Container.SAFETENSORS: "read_checkpoint reads it",
        Container.LEGACY_TORCH: "re-save it with a current torch",
        Container.PICKLE: "nothing in it was run",
        Container.WEB_PAGE: "download the file itself",
        Container.LFS_POINTER: "fetch it with git lfs pull",
    }.get(kind, "a weights file was expected")
    raise CheckpointError(f"{path}: is {kind.value}; {remedy}")


@contextmanager
def one_line_errors(path: Path) -> Iterator[None]:
    """Whatever a damaged or hostile file sets off inside it, as one line that names the file.

    Raises:
        CheckpointError: anything that bad data can cause was raised; it is the error's cause.
    """
    try:
        yield
    except RefusedPickleError as refusal:
        raise CheckpointError(f"{path}: {refusal}; nothing in the file was run") from refusal
    except MemoryError as failure:
        raise CheckpointError(f"{path}: needs more memory than there is") from failure
    except OSError as failure:
        raise CheckpointError(f"{path}: cannot be read: {failure}") from failure
    except (
        zipfile.BadZipFile,
        struct.error,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        RuntimeError,  # of torch and zipfile; RecursionError and NotImplementedError too
        EOFError,
        Warning,  # of pickletools about odd escapes, where the caller makes warnings errors
    ) as damage:
        cause = f"{damage}".partition("\n")[0][:300] or type(damage).__name__
        raise CheckpointError(f"{path}: is damaged: {cause}; get a new copy") from damage


def _find_global(module: str, name: str) -> object:
    """What a name stands for: a storage type, a builder of ours, or an inert record."""
    full_name = f"{module}.{name}"
    if full_name in _BUILDERS:
        return Global(full_name, _BUILDERS[full_name])
    if module == "torch" and name in STORAGE_TYPES:
        return STORAGE_TYPES[name]
    inert = any(
        module == package or module.startswith(f"{package}.") for package in _INERT_PACKAGES
    )
    if inert or full_name in _INERT_NAMES:
        return Global(full_name)
    raise RefusedPickleError(f"its pickle names {full_name!r:.120}, which no weights file needs")


def _find(root: object) -> FoundState:
    if is_module(root):
        return _of_module(root, "")
    if not isinstance(root, dict):
        raise CheckpointError(f"holds no weights, only a value of type {kind_of(root)}")
    if _is_state(root):
        return _of_tensors(root, "")
    for entry in ("ema", "model"):
        if root.get(entry) is not None:
            return _with_entries(_of_entry(root[entry], entry), root)
    for entry in ("model_state_dict_ema", "model_state_dict"):
        if root.get(entry) is not None:
            found = _of_entry(root[entry], entry)
            bare = _without_prefix(_without_prefix(found.tensors, "module."), "model.")
            return _with_entries(replace(found, tensors=bare), root)
    if root.get("state_dict") is not None:
        return _with_entries(_of_lightning(_of_entry(root["state_dict"], "state_dict")), root)
    held = ", ".join(f"{key!r:.40}" for key in list(root)[:8]) or "nothing"
    raise CheckpointError(f"holds no weights in a known form, but {held}")


def _of_entry(value: object, entry: str) -> FoundState:
    if is_module(value):
        return _of_module(value, entry)
    if _is_state(value):
        return _of_tensors(value, entry)
    raise CheckpointError(f"entry {entry!r} is neither a module nor tensors, but {kind_of(value)}")


def _is_state(value: object) -> TypeGuard[dict[str, Tensor]]:
    return (
        isinstance(value, dict)
        and len(value) > 0
        and all(isinstance(name, str) for name in value)
        and all(isinstance(tensor, Tensor) for tensor in value.values())
    )


def _of_tensors(tensors: dict[str, Tensor], where: str) -> FoundState:
    return FoundState(
        tensors=dict(tensors), where=where, names=None, licence=None, attributes={}, notes=()
    )


def _of_module(module: Record, where: str) -> FoundState:
    held = module.attributes
    attributes = {key: plain(held[key]) for key in _MODULE_ATTRIBUTES_KEPT if key in held}
    attributes["class"] = module.qualified_name
    attributes["batch_norm_epsilons"] = _batch_norm_epsilons(module)
    attributes["activations"] = _activations(module)
    names, notes = _class_names(held.get("names"))
    return FoundState(
        tensors=state_dict_of(module),
        where=where,
        names=names,
        licence=None,
        attributes=attributes,
        notes=notes,
    )


def _batch_norm_epsilons(module: Record) -> list[object]:
    """The distinct `eps` of all BatchNorm layers: one value, 0.001, in a published file."""
    values = {
        node.attributes.get("eps")
        for _, node in walk_modules(module)
        if node.qualified_name.endswith(".BatchNorm2d")
        and isinstance(node.attributes.get("eps"), float)
    }
    return sorted(values, key=str)


def _activations(module: Record) -> list[str]:
    """The distinct activations of a pickled module: one, "SiLU", in a network that is read here."""
    package = "torch.nn.modules.activation."
    names = {node.qualified_name for _, node in walk_modules(module)}
    return sorted(name.removeprefix(package) for name in names if name.startswith(package))


def _with_entries(found: FoundState, root: dict[object, object]) -> FoundState:
    """The same weights with what the file says beside them."""
    attributes = {key: plain(root[key]) for key in _ENTRIES_KEPT if root.get(key) is not None}
    names, notes = _class_names(root.get("names"))
    licence = attributes.get("license")
    return replace(
        found,
        names=found.names if found.names is not None else names,
        licence=licence if isinstance(licence, str) else found.licence,
        attributes={**attributes, **found.attributes},
        notes=found.notes + notes,
    )


def _of_lightning(found: FoundState) -> FoundState:
    """The averaged weights, else the raw ones, of a Lightning file; others as they are."""
    for prefix in ("ema.model.", "model.model."):
        chosen = {
            name.removeprefix(prefix): tensor
            for name, tensor in found.tensors.items()
            if name.startswith(prefix)
        }
        if chosen:
            left = [name for name in found.tensors if not name.startswith(prefix)]
            note = f"{len(left)} tensors beside {prefix!r} were left, first {left[:1]!r:.80}"
            where = f"{found.where}: {prefix}"
            return replace(found, tensors=chosen, where=where, notes=(note,) if left else ())
    return found


def _without_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    if not all(name.startswith(prefix) for name in tensors):
        return tensors
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _class_names(value: object) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """The names of a list, or of a dictionary from 0 on; else a note that there were others."""
    if value is None:
        return None, ()
    if isinstance(value, dict) and set(value) == set(range(len(value))):
        value = [value[index] for index in range(len(value))]
    if isinstance(value, (list, tuple)) and all(isinstance(name, _NAME_TYPES) for name in value):
        return tuple(_class_name(name) for name in value), ()
    return None, ("its class names are in a form that is not known, and were left",)


def _class_name(value: object) -> str:
    length = len(value) if isinstance(value, str) else 0
    if length > MAX_NAME_LENGTH:
        raise CheckpointError(f"has a class name of {length:,} characters; no class is called so")
    return str(value)
