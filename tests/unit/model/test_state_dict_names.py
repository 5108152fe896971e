"""Names and shapes of the tensors are a promise: weights files of ours are read by them."""

from __future__ import annotations

import hashlib

import pytest
import torch

from gelan.model.variants import build

DIGESTS = {
    "yolov9-t": "6349cd8cfb952444cf7057100a58315f51a5c34d10c2ff735327d5aa0cc8a210",
    "yolov9-c": "be81b28e861900e880d7cc49472d756528e82aac712fe92faba982e3afc7ea57",
    "yolov9-e": "cc08a7c2030cec03a660debfbd13aca128f0882485962af041f86e9ca4b24de2",
    "gelan-s": "3312f772b6794d2daecdb307f037a311a08f62230456be2cde9f4a7de0bf9731",
}
"""sha256 over the lines "name shape" of the state dict, sorted; for 80 classes."""


@pytest.mark.parametrize("name", DIGESTS)
def test_names_and_shapes_of_the_tensors_stay(name: str) -> None:
    with torch.device("meta"):
        state = build(name).state_dict()
    lines = sorted(f"{key} {tuple(tensor.shape)}" for key, tensor in state.items())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert digest == DIGESTS[name], (
        f"the tensors of {name} have other names or shapes than before ({len(lines)} of them, "
        f"first {lines[0]!r}; digest {digest}). Every weights file that was stored until now, by "
        "save_weights or by training, can then no longer be read. If you moved a module by "
        "mistake, move it back. If the change is meant, give the file format a new version, read "
        "the old one by a table from old to new names, and only then put the new digest here."
    )
