"""What a training step takes here, in time and memory, measured before a run on a copy."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from gelan.errors import ConfigError
from gelan.model.auxiliary import detach_auxiliary
from gelan.model.detector import Detector
from gelan.structures.batches import Batch
from gelan.structures.history import PgiCost
from gelan.structures.samples import Annotations
from gelan.train.config import TrainConfig
from gelan.train.engine import Engine, is_out_of_memory

if sys.platform != "win32":
    import resource

_ON_CPU = 4
"""Images in a measured step on a CPU, where a whole batch would take long."""
_REPEATS = 2
_ROOM = 0.85
"""Of a GPU's free memory that is planned for; batches with many objects need more than others."""


def measure_pgi(detector: Detector, config: TrainConfig, device: torch.device) -> PgiCost:
    """Time and memory of a training step with the auxiliary part and without.

    The objects are made up, 8 an image. Memory is what the GPU allocated at most; on a CPU, what
    is kept from the forward for the backward pass, with the weights and their gradients.
    """
    images = config.batch if device.type == "cuda" else min(config.batch, _ON_CPU)
    with_part = _measured(copy.deepcopy(detector), config, device, images)
    twin = copy.deepcopy(detector)
    detach_auxiliary(twin)
    without = _measured(twin, config, device, images)
    return PgiCost(
        seconds_without=without[0],
        seconds_with=with_part[0],
        memory_mb_without=without[1],
        memory_mb_with=with_part[1],
        images=images,
    )


def batch_that_fits(detector: Detector, config: TrainConfig, device: torch.device) -> int:
    """The largest power of two of images whose training step fits into the GPU's free memory.

    Measured with two small batches; what a step needs grows in proportion.
    """
    small, large = 2, 4
    needs = [
        _measured(copy.deepcopy(detector), config, device, count, repeats=1)[1]
        for count in (small, large)
    ]
    torch.cuda.empty_cache()
    free_mb = torch.cuda.mem_get_info(device)[0] / 2**20
    each = max((needs[1] - needs[0]) / (large - small), 1e-3)
    fits = int((_ROOM * free_mb - (needs[0] - small * each)) / each)
    return 1 if fits < 2 else 2 ** (fits.bit_length() - 1)


def memory_mb(device: torch.device) -> float:
    """The most memory used so far: of the GPU, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if sys.platform == "win32":
        return 0.0  # the standard library cannot tell
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 2**20


def _measured(
    detector: Detector,
    config: TrainConfig,
    device: torch.device,
    images: int,
    repeats: int = _REPEATS,
) -> tuple[float, float]:
    """Seconds and MB of a training step.

    Raises:
        ConfigError: it does not fit into the memory.
    """
    try:
        return _measured_step(detector, config, device, images=images, repeats=repeats)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ConfigError(
            f"the memory of {device} is too small for a training step of {images} images at "
            f"{config.size} pixels: take a smaller --batch or --size, or --pgi off"
        ) from error


def _measured_step(
    detector: Detector, config: TrainConfig, device: torch.device, *, images: int, repeats: int
) -> tuple[float, float]:
    engine = Engine(detector, config, device=device)
    batch = _made_up(images, config.size, detector.head.num_classes)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with _counting() as kept:
        engine.backward(batch, is_last=True)
    weights = sum(_bytes(entry) for entry in detector.parameters())
    seconds = min(_seconds(engine, batch) for _ in range(repeats))
    if device.type == "cuda":
        return seconds, torch.cuda.max_memory_allocated(device) / 2**20
    return seconds, (sum(kept.values()) + 2 * weights) / 2**20


def _seconds(engine: Engine, batch: Batch) -> float:
    _wait(engine.device)
    start = time.perf_counter()
    engine.backward(batch, is_last=True)
    _wait(engine.device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _counting() -> Iterator[dict[int, int]]:
    """Bytes of what the forward pass keeps for the backward pass, by address."""
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        yield kept


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _made_up(images: int, size: int, num_classes: int) -> Batch:
    random = np.random.default_rng(0)
    corners = random.uniform(0, 0.7 * size, (images, 8, 2)).astype(np.float32)
    extents = random.uniform(0.05 * size, 0.3 * size, (images, 8, 2)).astype(np.float32)
    pixels = torch.from_numpy(random.integers(0, 256, (images, 3, size, size), dtype=np.uint8))
    boxes = np.concatenate([corners, corners + extents], axis=2)
    classes = random.integers(0, num_classes, (images, 8))
    return Batch(
        images=pixels,
        annotations=tuple(map(Annotations.of_boxes, boxes, classes)),
        placements=(None,) * images,
        sources=("made up",) * images,
    )
