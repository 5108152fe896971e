"""Old files stay readable: the header of format 1, written out, is read by today's program."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import safetensors.torch
import torch

from gelan.model.detector import build_detector
from gelan.model.variants import variant
from gelan.weights.checkpoint import FORMAT_VERSION, Metadata
from gelan.weights.loading import load_weights

P3 = {"out": 64, "split": 64, "branch": 32, "branches": 2, "block": "csp", "depth": 3}
P4 = {"out": 96, "split": 96, "branch": 48, "branches": 2, "block": "csp", "depth": 3}
P5 = {"out": 128, "split": 128, "branch": 64, "branches": 2, "block": "csp", "depth": 3}
STAGE1 = {"out": 32, "split": 32, "branch": 16, "branches": 2, "block": "none", "depth": 1}
TOP_DOWN = {"pool": {"out": 128, "hidden": 64}, "merge4": P4, "merge3": P3}
HEAD = {"box_width": 64, "class_width": 80, "box_groups": 4, "bins": 16}

HEADER = {
    "format_version": 1,
    "architecture": {
        "backbone": {
            "stem": 16,
            "stage1": {"enter": 32, "elan": STAGE1},
            "stage2": {"enter": 64, "elan": P3},
            "stage3": {"enter": 96, "elan": P4},
            "stage4": {"enter": 128, "elan": P5},
            "downsampling": "average",
        },
        "composite": False,
        "neck": {
            "top_down": TOP_DOWN,
            "bottom_up": {
                "down4": 48,
                "merge4": P4,
                "down5": 64,
                "merge5": P5,
                "downsampling": "average",
            },
        },
        "head": HEAD,
        "auxiliary": {
            "kind": "fpn",
            "head": HEAD,
            "top_down": TOP_DOWN,
            "neck": None,
            "backbone": None,
        },
        "num_classes": 1,
    },
    "names": ["plate"],
    "category_ids": [7],
    "preprocessing": {
        "size": 640,
        "shape": "square",
        "enlarge": True,
        "pad_value": 114,
        "interpolation": "bilinear",
        "colour": "rgb",
        "divisor": 255,
    },
    "training": {"epochs": 3},
    "metrics": {"ap": 0.5},
    "licence": "MIT",
    "provenance": {"file": "a.pt", "notes": ["a note"], "training_notes": []},
    "code_version": "0.1.0",
}
"""What a yolov9-t of one class has in its header since format 1. Never edit it: old files have it.
A change of the format gets a new version, and a header of its own beside this one."""


def test_a_file_of_format_1_is_read(tmp_path: Path) -> None:
    with torch.device("meta"):
        names = build_detector(variant("yolov9-t", num_classes=1)).state_dict()
    tensors = {name: torch.zeros(like.shape, dtype=like.dtype) for name, like in names.items()}
    path = tmp_path / "old.safetensors"
    safetensors.torch.save_file(tensors, path, metadata={"gelan": json.dumps(HEADER)})
    weights = load_weights(path)
    assert weights.detector.spec == variant("yolov9-t", num_classes=1)
    assert (weights.classes.names, weights.classes.category_ids) == (("plate",), (7,))
    assert weights.notes == ("a note",)
    assert weights.metadata.metrics == {"ap": 0.5}
    assert weights.preprocessing.size == 640


def test_the_fields_of_the_metadata_are_those_of_format_1() -> None:
    hints = get_type_hints(Metadata)
    assert FORMAT_VERSION == 1
    assert [field.name for field in fields(Metadata)] == list(HEADER)
    assert {field.name: hints[field.name] for field in fields(Metadata)} == {
        "format_version": int,
        "architecture": dict[str, object],
        "names": tuple[str, ...],
        "category_ids": tuple[int, ...] | None,
        "preprocessing": dict[str, object],
        "training": dict[str, object],
        "metrics": dict[str, object],
        "licence": str,
        "provenance": dict[str, object],
        "code_version": str,
    }
