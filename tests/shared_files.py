"""Reference files that stand beside the project in ../shared, and never in it.

A test that needs one skips, and says what is absent, where they are not there.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared(path: str) -> Path:
    """A file or folder of ../shared; skips the test where it is absent."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"../shared/{path} is absent")
    return found


@cache
def recipe() -> ModuleType:
    """The numpy code that makes the weights and inputs of the reference numbers."""
    spec = importlib.util.spec_from_file_location("golden_recipe", shared("golden/recipe.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def keys(name: str) -> list[tuple[str, tuple[int, ...], str]]:
    """Names, shapes and types of a published file's tensors, in its order."""
    listed = json.loads(shared(f"spec/keys/{name}.json").read_text())
    return [(key, tuple(shape), dtype) for key, shape, dtype in listed]


def golden(name: str) -> dict[str, NDArray[np.float32]]:
    """The arrays of one reference file."""
    with np.load(shared(f"golden/{name}.npz")) as arrays:
        return {key: arrays[key] for key in arrays.files}


def recipe_weights(key_list: str, scales: dict[str, float]) -> dict[str, Tensor]:
    """Random tensors for a published file, the same wherever they are made."""
    made = recipe().weights(keys(key_list), scales)
    return {name: torch.from_numpy(array) for name, array in made.items()}


def golden_weights(name: str, key_list: str) -> dict[str, Tensor]:
    """The tensors that a reference file's outputs were computed with."""
    arrays = golden(name)
    scales = dict(zip(arrays["bn_names"].tolist(), arrays["bn_scale"].tolist(), strict=True))
    return recipe_weights(key_list, scales)


def make_input(height: int, width: int) -> Tensor:
    """The reference input of a size, (1, 3, height, width) in [0, 1]."""
    return torch.from_numpy(recipe().make_input(height, width))
