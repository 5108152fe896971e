"""Training steps as `gelan train` runs them, beside the plain one, in one run.

    python benchmarks/train_step.py [--model yolov9-t] [--batch 8] [--size 320] [--threads N]
        [--rounds 12] [--clock wall|processor] [--profile]

A step is everything from a batch of bytes to the moved average: forward pass, objective, backward
pass, clipping, optimizer, average. The plain one is in PyTorch's default memory format and single
precision, and changes one tensor after the other. All forms start from the same weights and are
timed in turn, round by round, so that a machine whose speed drifts slows them alike; medians, and
the medians of the ratios to the plain step, are printed. On a machine that others use, too, the
processor's clock with one thread says more than the wall's. `--profile` says what the last form
spends its time on.
"""

from __future__ import annotations

import argparse
import copy
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from gelan.model.variants import build
from gelan.objective.config import ObjectiveConfig
from gelan.objective.objective import Objective
from gelan.objective.targets import Targets, targets_of
from gelan.structures.batches import Batch
from gelan.structures.samples import Annotations
from gelan.train.config import EmaConfig, OptimizerConfig
from gelan.train.ema import Ema
from gelan.train.optimizer import clip_gradients, make_optimizer, parameter_groups

CPU = torch.device("cpu")
CLIP = 10.0
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
OBJECTS = 10
"""On each image."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way to run a step."""

    name: str
    channels_last: bool = False
    half: bool = False
    together: bool = False
    """Whether all tensors are clipped, changed and averaged by fused operations."""


FORMS = (
    Form(name="plain"),
    Form(name="together", together=True),
    Form(name="channels-last", channels_last=True, together=True),
    Form(name="bf16", half=True, together=True),
    Form(name="channels-last bf16", channels_last=True, half=True, together=True),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="yolov9-t")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {platform.machine()}, {options.threads} threads")
    print(
        f"{options.model} with PGI, batch {options.batch}, {options.size} x {options.size} px, "
        f"{OBJECTS} objects an image, {options.rounds} rounds, medians by the {options.clock} clock"
    )
    batch = batch_of(options.batch, options.size)
    steps = {form.name: Step(form, options.model, batch) for form in FORMS}
    runs = {name: step.run for name, step in steps.items()}
    times = measure(runs, options.rounds, clock=CLOCKS[options.clock])
    for name, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, times["plain"], strict=True))
        print(f"{name:20}{1000 * statistics.median(seconds):8.0f} ms{ratio:7.2f} of the plain step")
    if options.profile:
        print(profile_of(steps[FORMS[-1].name].run))


def measure(
    runs: dict[str, Callable[[], None]], rounds: int, *, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of each round of each run; two rounds before are not counted."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for index in range(rounds + 2):
        for name, run in runs.items():
            begin = clock()
            run()
            if index >= 2:
                times[name].append(clock() - begin)
    return times


class Step:
    """One training step of a network, again and again on the same batch."""

    def __init__(self, form: Form, model: str, batch: Batch) -> None:
        torch.manual_seed(0)
        self.form = form
        self.batch = batch
        self.network = build(model).train()
        if form.channels_last:
            to_channels_last(self.network)
        self.parameters = list(self.network.parameters())
        self.ema = Ema(self.network, EmaConfig())
        self.average = copy.deepcopy(self.network)
        self.objective = Objective(ObjectiveConfig())
        if form.together:
            self.optimizer = make_optimizer(self.network, OptimizerConfig(), weight_decay=5e-4)
        else:
            self.optimizer = plain_optimizer(self.network)

    def run(self) -> None:
        """One step."""
        self.optimizer.zero_grad()
        images = self.batch.network_input()
        if self.form.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.form.half):
            predictions = self.network(images)
        self.objective(predictions, targets(self.batch)).total.backward()
        if self.form.together:
            clip_gradients(self.parameters, limit=CLIP)
            self.optimizer.step()
            self.ema.update(self.network)
        else:
            nn.utils.clip_grad_norm_(self.parameters, CLIP, foreach=False)
            self.optimizer.step()
            average_one_by_one(self.average, self.network)


def targets(batch: Batch) -> Targets:
    """What is to be learnt from the batch."""
    return targets_of(batch, CPU)


def plain_optimizer(network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that changes one tensor after the other."""
    groups = parameter_groups(network, weight_decay=5e-4)
    return torch.optim.SGD(
        groups, lr=0.01, momentum=0.937, nesterov=True, foreach=False, fused=False
    )


@torch.no_grad()
def average_one_by_one(average: nn.Module, network: nn.Module) -> None:
    """The moving average, one tensor after the other."""
    state: dict[str, Tensor] = network.state_dict()
    for name, tensor in average.state_dict().items():
        if tensor.is_floating_point():
            tensor.mul_(0.99).add_(state[name], alpha=0.01)


def to_channels_last(network: nn.Module) -> None:
    """Keep the network's kernels in the order in which channels-last convolutions read them."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def batch_of(count: int, size: int) -> Batch:
    """Random images with random objects."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, 3, size, size), dtype=np.uint8)
    annotations = []
    for _ in range(count):
        corners = generator.uniform(0, 0.6 * size, (OBJECTS, 2))
        sides = generator.uniform(0.05 * size, 0.4 * size, (OBJECTS, 2))
        boxes = np.concatenate([corners, corners + sides], axis=1)
        classes = generator.integers(0, 80, OBJECTS)
        annotations.append(Annotations.of_boxes(boxes.tolist(), classes.tolist()))
    return Batch(
        images=torch.from_numpy(images),
        annotations=tuple(annotations),
        placements=(None,) * count,
        sources=("random",) * count,
    )


def profile_of(run: Callable[[], None]) -> str:
    """The operations that three runs spend most time in."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(3):
            run()
    table: str = profiler.key_averages().table(
        sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=50
    )
    return table


if __name__ == "__main__":
    main()
