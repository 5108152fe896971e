"""What a header of ours may say: so deep, so many values, names that tell classes apart."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from gelan.cli.main import main
from gelan.errors import CheckpointError, ConfigError
from gelan.model.variants import build
from gelan.structures.classes import ClassTable
from gelan.weights.checkpoint import (
    MAX_METADATA_DEPTH,
    Metadata,
    read_checkpoint,
    save_checkpoint,
)
from gelan.weights.loading import LoadedWeights, load_weights, new_weights, save_weights
from tests.unit.weights.test_loading import layout_of, published_tensors, small

EMPTY = Metadata(
    architecture={},
    names=("a",),
    category_ids=None,
    preprocessing={},
    training={},
    metrics={},
    licence="MIT",
    provenance={},
    code_version="0",
)


@pytest.fixture(scope="module")
def trained() -> LoadedWeights:
    """A small network of two classes."""
    torch.manual_seed(0)
    detector = build("gelan-t", num_classes=2).eval()
    return new_weights(detector, ClassTable(("cat", "dog")), training={}, metrics={})


def nested(depth: int) -> dict[str, object]:
    """`depth` dictionaries, each in the one before."""
    value: dict[str, object] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def with_header(weights: LoadedWeights, path: Path, **fields: object) -> Path:
    """A file of ours whose header holds other fields, unchecked."""
    save_weights(path, weights)
    header = {**asdict(read_checkpoint(path)[1]), **fields}
    state = weights.detector.state_dict()
    safetensors.torch.save_file(state, path, metadata={"gelan": json.dumps(header)})
    return path


# Depth and number of values


@pytest.mark.parametrize("field", ["training", "provenance", "metrics"])
def test_a_header_nested_without_end_is_one_line(
    trained: LoadedWeights, tmp_path: Path, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = with_header(trained, tmp_path / "deep.safetensors", **{field: nested(900)})
    message = (
        f"{path}: metadata {field!r} are nested more than 100 deep, which no weights file needs; "
        "write the file anew"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        load_weights(path)
    for words in (["info", str(path), "--json"], ["convert", str(path)]):
        assert main(words) == 2
        assert capsys.readouterr().err == f"gelan: {message}\n"


def test_a_header_of_very_many_values_is_refused(trained: LoadedWeights, tmp_path: Path) -> None:
    many: dict[str, object] = {"x": [[]] * 600_000}
    path = with_header(trained, tmp_path / "many.safetensors", training=many)
    with pytest.raises(CheckpointError, match="metadata 'training' have more than 500,000 values"):
        load_weights(path)


def test_metadata_as_deep_as_the_limit_are_kept_and_deeper_ones_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    deepest = replace(EMPTY, training=nested(MAX_METADATA_DEPTH))
    save_checkpoint(path, {}, metadata=deepest)
    assert read_checkpoint(path)[1] == deepest
    for depth in (MAX_METADATA_DEPTH + 1, 50_000):
        deeper = replace(EMPTY, training=nested(depth))
        with pytest.raises(CheckpointError, match="'training' are nested more than 100 deep"):
            save_checkpoint(tmp_path / "b.safetensors", {}, metadata=deeper)
    endless: dict[str, object] = {}
    endless["self"] = endless
    with pytest.raises(CheckpointError, match="'metrics' are nested more than 100 deep"):
        save_checkpoint(tmp_path / "b.safetensors", {}, metadata=replace(EMPTY, metrics=endless))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]


# Class names

UNUSABLE = [
    (["", "dog"], "the name of class 0 is empty"),
    (["cat", " \t"], "the name of class 1 is empty"),
    (["cat", "cat"], "classes 0 and 1 are both called 'cat'"),
    (["x" * 3_000_000, "dog"], "the name of class 0 has 3,000,000 characters, more than 1,000"),
]


@pytest.mark.parametrize(("names", "message"), UNUSABLE)
def test_names_that_tell_no_classes_apart_are_refused_in_one_line(
    trained: LoadedWeights, tmp_path: Path, names: list[str], message: str
) -> None:
    path = with_header(trained, tmp_path / "a.safetensors", names=names)
    with pytest.raises(CheckpointError) as caught:
        load_weights(path)
    assert str(caught.value) == f"{path}: {message}; write the file with other names"


@pytest.mark.parametrize(("names", "message"), UNUSABLE)
def test_such_names_are_refused_before_anything_is_trained_or_written(
    trained: LoadedWeights, tmp_path: Path, names: list[str], message: str
) -> None:
    classes = ClassTable(tuple(names))
    with pytest.raises(ConfigError) as caught:
        new_weights(trained.detector, classes, training={}, metrics={})
    assert str(caught.value) == f"{message}; give each class a name of its own"
    with pytest.raises(ConfigError, match="give each class a name of its own"):
        save_weights(tmp_path / "a.safetensors", replace(trained, classes=classes))
    assert list(tmp_path.iterdir()) == []


def test_a_published_file_with_equal_names_is_refused_too(tmp_path: Path) -> None:
    layout = layout_of("official", "t", auxiliary=True)
    tensors = published_tensors(small(), layout, "model.")
    path = tmp_path / "last.pt"
    torch.save({"model": tensors, "names": ["cat", "dog", "cat"]}, path)
    with pytest.raises(CheckpointError) as caught:
        load_weights(path)
    expected = f"{path}: classes 0 and 2 are both called 'cat'; write the file with other names"
    assert str(caught.value) == expected
