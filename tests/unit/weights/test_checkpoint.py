from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gelan.errors import CheckpointError
from gelan.weights.checkpoint import (
    Metadata,
    is_own_format,
    read_checkpoint,
    require_same_tensors,
    save_checkpoint,
    sha256_of,
)
from gelan.weights.containers import Container, container_of

METADATA = Metadata(
    architecture={"variant": "gelan-t", "widths": [16, 32]},
    names=("cat", "dog"),
    category_ids=(17, 18),
    preprocessing={"size": 640, "colour": "rgb"},
    training={},
    metrics={"ap": 0.383},
    licence="Apache-2.0",
    provenance={"source": "weights.pt", "sha256": "00", "family": "official", "notes": ["a"]},
    code_version="0.1.0",
)
TENSORS = {"b.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(7)}


def write(path: Path, header: dict[str, str] | None) -> Path:
    """A safetensors file with that metadata."""
    safetensors.torch.save_file({"a": torch.zeros(2)}, path, metadata=header)
    return path


def changed(**values: object) -> dict[str, str]:
    """Our metadata with other values; None of them is checked."""
    fields = {**asdict(METADATA), **values}
    return {"gelan": json.dumps({name: value for name, value in fields.items() if value != "gone"})}


def refusal(action: Callable[[], object], path: Path) -> str:
    """The error of an action, without the path."""
    with pytest.raises(CheckpointError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_tensors_and_metadata_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, TENSORS, metadata=METADATA)
    tensors, metadata = read_checkpoint(path)
    assert metadata == METADATA
    assert set(tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)
    assert is_own_format(path)


@given(text=st.text(max_size=20), number=st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_number_survives_in_the_metadata(
    tmp_path_factory: pytest.TempPathFactory, text: str, number: float
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.safetensors"
    metadata = replace(METADATA, names=(text,), category_ids=None, training={text: [number, None]})
    save_checkpoint(path, {}, metadata=metadata)
    assert read_checkpoint(path) == ({}, metadata)


def test_the_header_holds_one_json_text_under_our_name(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, TENSORS, metadata=METADATA)
    with safetensors.safe_open(path, framework="pt") as stream:
        header = stream.metadata()
    assert list(header) == ["gelan"]
    assert json.loads(header["gelan"])["format_version"] == 1


def test_views_shared_storages_and_gradients_are_saved_as_plain_tensors(tmp_path: Path) -> None:
    whole = torch.arange(6.0, requires_grad=True)
    tensors = {"whole": whole, "same": whole, "turned": whole.reshape(2, 3).T, "part": whole[2:4]}
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, tensors, metadata=METADATA)
    found, _ = read_checkpoint(path)
    assert found["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["part"].tolist() == [2, 3]
    found["whole"][0] = 9.0
    assert found["same"][0] == 0.0


def test_what_was_read_does_not_change_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, TENSORS, metadata=METADATA)
    tensors, _ = read_checkpoint(path)
    with path.open("rb+") as stream:
        stream.seek(-28, os.SEEK_END)
        stream.write(b"\xff" * 28)
    assert torch.equal(tensors["b.weight"], TENSORS["b.weight"])


def test_no_file_is_overwritten_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_text("mine")
    message = refusal(lambda: save_checkpoint(path, TENSORS, metadata=METADATA), path)
    assert message == "exists already, and is not overwritten; choose another name"
    assert path.read_text() == "mine"
    save_checkpoint(path, TENSORS, metadata=METADATA, overwrite=True)
    assert is_own_format(path)


def test_a_file_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    path = tmp_path / "a.safetensors"
    message = refusal(lambda: save_checkpoint(path, TENSORS, metadata=METADATA), path)
    assert message == (
        "cannot be written: No space left on device; make room on the disk, or choose another "
        "folder"
    )
    assert list(tmp_path.iterdir()) == []


def test_others_may_read_the_file_as_the_umask_says(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    save_checkpoint(tmp_path / "a.safetensors", TENSORS, metadata=METADATA)
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "a.safetensors"
    message = refusal(lambda: save_checkpoint(path, {}, metadata=METADATA), path)
    assert message == f"there is no folder {path.parent}; make it first"


@pytest.mark.parametrize(
    ("metadata", "cause"),
    [
        (replace(METADATA, training={"seed": {1: 2}}), "metadata 'training', 'seed': key 1 is no"),
        (replace(METADATA, metrics={"ap": float("nan")}), "metadata that JSON cannot hold: Out of"),
        (replace(METADATA, training={"to": Path("a")}), "metadata that JSON cannot hold: Object"),
        (replace(METADATA, category_ids=(1,)), "its metadata have 2 names but 1 category ids"),
        (replace(METADATA, format_version=2), "is of format 2, this gelan reads up to 1; update"),
    ],
)
def test_metadata_that_could_not_be_read_back_are_not_written(
    tmp_path: Path, metadata: Metadata, cause: str
) -> None:
    path = tmp_path / "a.safetensors"
    message = refusal(lambda: save_checkpoint(path, TENSORS, metadata=metadata), path)
    assert message.startswith(cause)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            changed(format_version=2, news=1),
            "is of format 2, this gelan reads up to 1; update it: pip install -U gelan",
        ),
        (changed(format_version="1"), "its metadata have no format_version, but '1'"),
        (changed(format_version="gone"), "its metadata have no format_version, but None"),
        (changed(license="MIT"), "unknown metadata 'license'; did you mean 'licence'?"),
        (changed(zzz=1), "unknown metadata 'zzz'"),
        (changed(metrics="gone"), "its metadata have no 'metrics'; write the file anew"),
        (changed(names=[1]), "metadata 'names' is ill-typed: [1]; write the file anew"),
        (
            changed(category_ids=[True, 2]),
            "metadata 'category_ids' is ill-typed: [True, 2]; write the file anew",
        ),
        (changed(training=[]), "metadata 'training' is ill-typed: []; write the file anew"),
        (changed(category_ids=[1]), "its metadata have 2 names but 1 category ids"),
        ({"gelan": "[]"}, "its metadata are no JSON object"),
        ({"gelan": '{"a": NaN}'}, "its metadata are no JSON: NaN is no JSON number"),
        ({"gelan": "{"}, None),
        ({"gelan": "[" * 100_000}, None),
        (
            {"format": "pt"},
            "is a safetensors file without our metadata (1 tensors, first 'a'); "
            "gelan convert makes our format of it",
        ),
        (
            None,
            "is a safetensors file without our metadata (1 tensors, first 'a'); "
            "gelan convert makes our format of it",
        ),
    ],
)
def test_reading_is_strict(
    tmp_path: Path, header: dict[str, str] | None, message: str | None
) -> None:
    path = write(tmp_path / "a.safetensors", header)
    found = refusal(lambda: read_checkpoint(path), path)
    assert found.startswith("its metadata are no JSON") if message is None else found == message


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data + b"1",
        lambda data: data.replace(b'"F32"', b'"F99"'),
        lambda data: data.replace(b'"shape":[2]', b'"shape":[9]'),
        lambda data: data.replace(b"{", b"{{", 1),
        lambda data: struct.pack("<Q", len(data) - 8) + data[8:],
    ],
)
def test_a_wrong_safetensors_header_is_damage(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    path = write(tmp_path / "a.safetensors", changed())
    path.write_bytes(change(path.read_bytes()))
    message = refusal(lambda: read_checkpoint(path), path)
    assert message.startswith("is a damaged safetensors file (")
    assert message.endswith("); copy or download it again")


def test_another_kind_of_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    torch.save({"a": torch.zeros(1)}, path)
    assert refusal(lambda: read_checkpoint(path), path) == (
        "is a zip archive, as torch.save writes them; gelan convert makes our format of it"
    )
    assert not is_own_format(path)
    path.write_text("weights")
    assert refusal(lambda: read_checkpoint(path), path) == (
        "is a text file; a weights file was expected"
    )
    assert not is_own_format(write(path, {"format": "pt"}))


@pytest.mark.parametrize(
    ("content", "container"),
    [
        (b"", Container.EMPTY),
        (b"PK\x03\x04", Container.ZIP),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80", Container.LEGACY_TORCH),
        (b"\x80\x04\x95", Container.PICKLE),
        (b"\x02" + bytes(7) + b"{}", Container.SAFETENSORS),
        (b"\x03" + bytes(7) + b"{}", Container.OTHER),
        (b"\n <HTML>", Container.WEB_PAGE),
        ("grün\n".encode(), Container.TEXT),
        (b"\x00", Container.OTHER),
    ],
)
def test_a_file_is_judged_by_its_first_bytes(
    tmp_path: Path, content: bytes, container: Container
) -> None:
    (tmp_path / "weights.txt").write_bytes(content)
    assert container_of(tmp_path / "weights.txt") is container


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "a") == expected


EXPECTED = {"a.weight": (4, 3), "a.bias": (4,), "b.weight": torch.Size([1])}


def tensors_of(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    return {name: torch.zeros(shape) for name, shape in shapes.items()}


def test_the_same_tensors_in_any_order_are_accepted() -> None:
    found = tensors_of({"b.weight": (1,), "a.bias": (4,), "a.weight": (4, 3)})
    require_same_tensors(EXPECTED, found, path=Path("a.pt"))
    require_same_tensors({}, {}, path="a.pt")


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            {"a.weight": (4, 3)},
            "2 tensors missing, first 'a.bias' (4,); is it of another network?",
        ),
        (
            {"a.weight": (4, 3), "a.bias": (4,), "b.weight": (1,), "c": (2, 2)},
            "1 tensor surplus, first 'c' (2, 2); is it of another network?",
        ),
        (
            {"a.weight": (5, 3), "a.bias": (5,), "b.weight": (1,)},
            "2 tensors misshapen, first 'a.weight' (5, 3) instead of (4, 3); "
            "is it of another network?",
        ),
        (
            {"a.weight": (5, 3), "b.weight": (1,), "c": ()},
            "1 tensor missing, first 'a.bias' (4,); 1 tensor surplus, first 'c' (); "
            "1 tensor misshapen, first 'a.weight' (5, 3) instead of (4, 3); "
            "is it of another network?",
        ),
    ],
)
def test_other_tensors_are_counted_and_the_first_is_named(
    shapes: dict[str, tuple[int, ...]], message: str
) -> None:
    path = Path("a.pt")
    action = lambda: require_same_tensors(EXPECTED, tensors_of(shapes), path=path)  # noqa: E731
    assert refusal(action, path) == message


def test_the_error_ends_with_what_the_file_looks_like() -> None:
    with pytest.raises(CheckpointError) as caught:
        require_same_tensors(EXPECTED, {}, path="a.pt", looks_like="a gelan-t with 3 classes")
    assert str(caught.value) == (
        "a.pt: 3 tensors missing, first 'a.weight' (4, 3); "
        "the file looks like a gelan-t with 3 classes"
    )
