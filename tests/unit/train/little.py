"""A network of a few thousand weights, and what it takes to train it in a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gelan.config import with_settings
from gelan.model.detector import Detector, build_detector
from gelan.model.specs import (
    AuxiliarySpec,
    BackboneSpec,
    BottomUpSpec,
    DetectorSpec,
    ElanSpec,
    HeadSpec,
    NeckSpec,
    PoolSpec,
    StageSpec,
    TopDownSpec,
)
from gelan.structures.batches import Batch
from gelan.structures.samples import Annotations
from gelan.train.config import TrainConfig
from gelan.train.engine import Engine
from gelan.train.schedule import StepSettings

CPU = torch.device("cpu")
CLASSES = 6
RATE = StepSettings((0.01, 0.01, 0.01), 0.9, 1)


def little_spec() -> DetectorSpec:
    """With an auxiliary part of kind fpn."""
    block = ElanSpec(out=8, split=8, branch=4, block="none")
    stage = StageSpec(enter=8, elan=block)
    top_down = TopDownSpec(pool=PoolSpec(out=8, hidden=4), merge4=block, merge3=block)
    head = HeadSpec(box_width=8, class_width=8, bins=8)
    return DetectorSpec(
        backbone=BackboneSpec(
            stem=8, stage1=stage, stage2=stage, stage3=stage, stage4=stage, downsampling="average"
        ),
        neck=NeckSpec(
            top_down=top_down,
            bottom_up=BottomUpSpec(
                down4=8, merge4=block, down5=8, merge5=block, downsampling="average"
            ),
        ),
        head=head,
        auxiliary=AuxiliarySpec(kind="fpn", head=head, top_down=top_down),
        num_classes=CLASSES,
    )


def little_network(seed: int = 0) -> Detector:
    """Fresh, always the same for a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_detector(little_spec())


def settings(**changes: object) -> TrainConfig:
    """Small batches at 64 pixels without warm-up; `optimizer__kind` is `optimizer.kind`."""
    plain: Mapping[str, object] = {
        "size": 64,
        "batch": 2,
        "nominal_batch": 2,
        "epochs": 2,
        "schedule.warmup_epochs": 0,
        "augment.close_mosaic": 0,
    }
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return with_settings(TrainConfig(data="drawn"), {**plain, **named}, where="test")


def little_engine(seed: int = 0, **changes: object) -> Engine:
    """Of the little network on the CPU."""
    return Engine(little_network(seed), settings(**changes), device=CPU)


def little_batch(images: int = 2, *, seed: int = 0, size: int = 64) -> Batch:
    """Noise with two objects an image."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (images, 3, size, size), dtype=np.uint8)
    corners = random.uniform(0, size / 2, (images, 2, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + size / 3], axis=2).astype(np.float32)
    classes = random.integers(0, CLASSES, (images, 2))
    return Batch(
        images=torch.from_numpy(pixels),
        annotations=tuple(map(Annotations.of_boxes, boxes, classes)),
        placements=(None,) * images,
        sources=("noise",) * images,
    )


def copied(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state whose tensors are its own."""
    return {
        name: value.clone() if isinstance(value, Tensor) else value for name, value in state.items()
    }


def differing(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """Names of tensors that are not the same to the last bit, or in one of the two alone."""
    return [
        name
        for name in sorted(one.keys() | other.keys())
        if name not in one or name not in other or not torch.equal(one[name], other[name])
    ]
