"""The project's own weights file: safetensors, with everything about the network in its header.

One file holds the tensors and, under the key `gelan` of the safetensors header, one JSON text with
the fields of `Metadata`. Reading is strict: what is missing, surplus or unknown is an error.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from gelan.errors import CheckpointError, nearest
from gelan.weights.containers import Container, container_of

FORMAT_VERSION = 1

MAX_HEADER_BYTES = 8 * 2**20
"""Names, shapes and metadata of the largest published network have about 300,000."""

MAX_METADATA_DEPTH = 100
"""Dictionaries and lists in one another; a fine-tune of a fine-tune is one deeper than that."""

MAX_METADATA_VALUES = 500_000
"""In one field; the names or ids of the largest class table are 65,536."""

_HEADER_KEY = "gelan"


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Everything about a network that is not a tensor. Values are what JSON can hold.

    Tuples inside the dictionaries come back as lists.
    """

    format_version: int = FORMAT_VERSION
    architecture: dict[str, object]
    """The specs of the network, enough to build it."""
    names: tuple[str, ...]
    """The class names, in model order."""
    category_ids: tuple[int, ...] | None
    """The data set's own id of each class; None where unknown."""
    preprocessing: dict[str, object]
    training: dict[str, object]
    """The arguments of the training run; empty where unknown."""
    metrics: dict[str, object]
    licence: str
    provenance: dict[str, object]
    """Source file, its sha256, its family; "notes" and "training_notes", sentences to be said again
    when the file is read; "auxiliary": "left out" where this program left it out."""
    code_version: str
    """The version of the package that wrote the file."""


def is_own_format(path: Path) -> bool:
    """Whether the file is a safetensors file with our metadata.

    Raises:
        CheckpointError: there is no such file, or its safetensors header is damaged.
    """
    return container_of(path) is Container.SAFETENSORS and _HEADER_KEY in _header(path)


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def save_checkpoint(
    path: Path,
    tensors: Mapping[str, Tensor],
    *,
    metadata: Metadata,
    overwrite: bool = False,
) -> None:
    """Write tensors and metadata as one file, which appears whole or not at all.

    Raises:
        CheckpointError: the file exists and may not be overwritten, its folder does not exist, or
            the metadata hold what JSON cannot (nothing is converted or dropped).
    """
    header = {_HEADER_KEY: _to_json(metadata, path)}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        require_writable(path, overwrite=overwrite)
        whole = {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in tensors.items()
        }
        with unfinished.open("wb") as stream:  # save_file would give the file mode 0600
            stream.write(safetensors.torch.save(whole, metadata=header))
            stream.flush()
            os.fsync(stream.fileno())
        require_writable(path, overwrite=overwrite)
        unfinished.replace(path)
    except OSError as failure:
        remedy = (
            "make room on the disk, or choose another folder"
            if failure.errno in (errno.ENOSPC, errno.EDQUOT)
            else "choose another place or name"
        )
        raise CheckpointError(
            f"{path}: cannot be written: {failure.strerror}; {remedy}"
        ) from failure
    finally:
        with suppress(OSError):  # the name itself may be what cannot be written
            unfinished.unlink(missing_ok=True)


def require_writable(path: Path, *, overwrite: bool = False) -> None:
    """Refuse a place where no file could be written, before any work is done for it.

    Raises:
        CheckpointError: its folder does not exist, it is a folder, or it exists and may not be
            overwritten.
    """
    if not path.parent.is_dir():
        raise CheckpointError(f"{path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise CheckpointError(f"{path}: is a folder; name a file")
    if path.exists() and not (overwrite and path.is_file()):
        raise CheckpointError(
            f"{path}: exists already, and is not overwritten; choose another name"
        )


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], Metadata]:
    """The tensors, on the CPU and independent of the file, and the metadata of an own file.

    Raises:
        CheckpointError: the file is damaged, not of our format, of a newer format, or its metadata
            have an unknown, missing or ill-typed field.
    """
    kind = container_of(path)
    if kind is not Container.SAFETENSORS:
        remedy = (
            "gelan convert makes our format of it"
            if kind is Container.ZIP
            else "a weights file was expected"
        )
        raise CheckpointError(f"{path}: is {kind.value}; {remedy}")
    header = _header(path)
    tensors = read_tensors(path)
    if _HEADER_KEY not in header:
        held = f"{len(tensors)} tensors, first {next(iter(tensors), None)!r:.120}"
        raise CheckpointError(
            f"{path}: is a safetensors file without our metadata ({held}); "
            "gelan convert makes our format of it"
        )
    return tensors, _from_json(header[_HEADER_KEY], path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of any safetensors file, on the CPU and independent of the file.

    Raises:
        CheckpointError: the file is damaged.
    """
    _require_modest_header(path)
    try:  # copies: what safetensors gives is the mapped file, and changes when the file does
        return {name: tensor.clone() for name, tensor in safetensors.torch.load_file(path).items()}
    except (safetensors.SafetensorError, OSError, ValueError) as failure:
        raise _damaged(path, failure) from failure


def require_same_tensors(
    expected: Mapping[str, Sequence[int]],
    found: Mapping[str, Tensor],
    *,
    path: Path | str,
    looks_like: str = "",
) -> None:
    """Nothing, if `found` has exactly the expected names and shapes.

    `looks_like` is what the file was recognised as ("a yolov9-t file with 3 classes").

    Raises:
        CheckpointError: the number of tensors that are missing, surplus or misshapen, the first of
            each, and what the file looks like.
    """
    missing = [name for name in expected if name not in found]
    surplus = [name for name in found if name not in expected]
    misshapen = [
        name
        for name, shape in expected.items()
        if name in found and tuple(found[name].shape) != tuple(shape)
    ]
    faults = []
    if missing:
        faults.append(_fault(missing, "missing", f"{tuple(expected[missing[0]])}"))
    if surplus:
        faults.append(_fault(surplus, "surplus", f"{tuple(found[surplus[0]].shape)}"))
    if misshapen:
        first = misshapen[0]
        shapes = f"{tuple(found[first].shape)} instead of {tuple(expected[first])}"
        faults.append(_fault(misshapen, "misshapen", shapes))
    if faults:
        hint = f"the file looks like {looks_like}" if looks_like else "is it of another network?"
        raise CheckpointError(f"{path}: {'; '.join(faults)}; {hint}")


def in_single_precision(
    tensors: Mapping[str, Tensor], like: Mapping[str, Tensor], *, path: Path | str
) -> dict[str, Tensor]:
    """The tensors in the types of their namesakes in `like`: float32, and whole numbers.

    Half, bfloat16 and double precision become float32.

    Raises:
        CheckpointError: whole numbers stand where weights should be, or the reverse; names it.
    """
    same = {}
    for name, tensor in tensors.items():
        wanted = like[name].dtype
        if tensor.is_floating_point() != wanted.is_floating_point:
            raise CheckpointError(
                f"{path}: tensor {name!r:.120} holds {tensor.dtype} where {wanted} is expected; "
                "is the file quantised or damaged?"
            )
        same[name] = tensor.to(wanted)
    return same


def _fault(names: Sequence[str], what: str, shapes: str) -> str:
    tensors = "tensor" if len(names) == 1 else "tensors"
    return f"{len(names)} {tensors} {what}, first {names[0]!r:.120} {shapes}"


def _header(path: Path) -> dict[str, str]:
    _require_modest_header(path)
    try:
        with safetensors.safe_open(path, framework="pt") as stream:
            return stream.metadata() or {}
    except (safetensors.SafetensorError, OSError, ValueError) as failure:
        raise _damaged(path, failure) from failure


def _require_modest_header(path: Path) -> None:
    """Reading a header takes many times its size in memory."""
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
    if size > MAX_HEADER_BYTES:
        raise CheckpointError(
            f"{path}: its safetensors header has {size:,} bytes, far more than any network's"
        )


def _damaged(path: Path, failure: Exception) -> CheckpointError:
    cause = str(failure).partition("\n")[0][:200]
    return CheckpointError(
        f"{path}: is a damaged safetensors file ({cause}); copy or download it again"
    )


def _to_json(metadata: Metadata, path: Path) -> str:
    values = {field.name: getattr(metadata, field.name) for field in fields(metadata)}
    _require_modest(values, path)
    for name, value in values.items():
        _require_text_keys(value, f"{path}: metadata {name!r}")
    try:
        text = json.dumps(values, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as failure:
        raise CheckpointError(f"{path}: metadata that JSON cannot hold: {failure}") from failure
    if len(text) > MAX_HEADER_BYTES // 4:  # quotes and line breaks grow when they are escaped
        raise CheckpointError(f"{path}: metadata of {len(text):,} characters: too many to be read")
    _from_json(text, path)
    return text


def _require_text_keys(value: object, where: str) -> None:
    """JSON would silently turn the key 1 into "1"."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if not isinstance(key, str):
                raise CheckpointError(f"{where}: key {key!r} is no text; JSON needs text keys")
            _require_text_keys(entry, f"{where}, {key!r}")
    elif isinstance(value, (list, tuple)):
        for entry in value:
            _require_text_keys(entry, where)


def _from_json(text: str, path: Path) -> Metadata:
    try:
        values = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as failure:
        raise CheckpointError(f"{path}: its metadata are no JSON: {failure}") from failure
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: its metadata are no JSON object")
    _require_modest(values, path)
    _require_known_version(values.get("format_version"), path)
    _require_fields(values, path)
    for name in ("names", "category_ids"):
        if values[name] is not None:
            values[name] = tuple(values[name])
    ids = values["category_ids"]
    if ids is not None and len(ids) != len(values["names"]):
        raise CheckpointError(
            f"{path}: its metadata have {len(values['names'])} names but {len(ids)} category ids"
        )
    return Metadata(**values)


def _require_modest(values: Mapping[str, object], path: Path) -> None:
    """What is read is printed, copied and stored by functions that call themselves per level."""
    for name, value in values.items():
        excess = _excess(value)
        if excess:
            raise CheckpointError(
                f"{path}: metadata {name!r:.80} {excess}, which no weights file needs; "
                "write the file anew"
            )


def _excess(value: object) -> str:
    """What a value has too much of; it is walked level by level, so that any depth can be."""
    level, depth, total = [value], 0, 0
    while level:
        depth += any(isinstance(part, (Mapping, list, tuple)) for part in level)
        total += len(level)
        if depth > MAX_METADATA_DEPTH:
            return f"are nested more than {MAX_METADATA_DEPTH} deep"
        if total > MAX_METADATA_VALUES:
            return f"have more than {MAX_METADATA_VALUES:,} values"
        level = [entry for part in level for entry in _parts(part)]
    return ""


def _parts(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else []


def _refuse_constant(word: str) -> object:
    raise ValueError(f"{word} is no JSON number")


def _require_known_version(version: object, path: Path) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise CheckpointError(f"{path}: its metadata have no format_version, but {version!r:.40}")
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: is of format {version}, this gelan reads up to {FORMAT_VERSION}; "
            "update it: pip install -U gelan"
        )


def _require_fields(values: Mapping[str, object], path: Path) -> None:
    known = [field.name for field in fields(Metadata)]
    for name in values:
        if name not in known:
            raise CheckpointError(f"{path}: unknown metadata {name!r:.80}{nearest(name, known)}")
    for name in known:
        if name not in values:
            raise CheckpointError(f"{path}: its metadata have no {name!r}; write the file anew")
        if not _has_type(name, values[name]):
            raise CheckpointError(
                f"{path}: metadata {name!r} is ill-typed: {values[name]!r:.80}; write the file anew"
            )


def _has_type(name: str, value: object) -> bool:
    if name == "names":
        return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    if name == "category_ids":
        return value is None or (
            isinstance(value, list) and all(type(entry) is int for entry in value)
        )
    if name in {"licence", "code_version"}:
        return isinstance(value, str)
    return isinstance(value, int if name == "format_version" else dict)
