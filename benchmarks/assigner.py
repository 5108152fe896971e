"""The assigner beside its dense form: time, memory and agreement; and the objective's whole time.

Run by hand from the repository root: `python -m benchmarks.assigner`. Objects and predictions are
made up: sizes as in COCO (sides between 1 and 70 % of the canvas, small ones most often), a
network half way through training. Both forms take turns within one run; times are medians. Memory
is the peak of the process over what it held before the call, each call in a process of its own.
The dense form is the one that the tests compare with.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gelan.objective.assigner import Assignment, Guess, assign
from gelan.objective.candidates import candidates_of
from gelan.objective.config import AssignerConfig, ObjectiveConfig
from gelan.objective.grid import anchor_grid
from gelan.objective.objective import Objective
from gelan.objective.targets import Targets
from gelan.structures.predictions import HeadOutput, Predictions
from tests.unit.objective.batches import laid_out, padded
from tests.unit.objective.dense import Dense, dense_assignment

NUM_CLASSES = 80
ROUNDS = 15
CPU = torch.device("cpu")


class Case(NamedTuple):
    """What both forms are given."""

    logits: Tensor
    predicted: Tensor
    targets: Targets


def make_case(num_images: int, objects: int, *, side: int = 640, seed: int = 0) -> Case:
    """So many images with so many objects each, and predictions that know some of them."""
    random = torch.Generator().manual_seed(seed)
    total = num_images * objects
    longest = 0.7 if objects < 200 else 0.2  # a thousand large objects would hide each other
    log_sides = torch.rand(total, 2, generator=random) ** 1.5 * math.log(longest / 0.012)
    sizes = 0.012 * side * log_sides.exp()
    corners = torch.rand(total, 2, generator=random) * (side - sizes)
    boxes = torch.cat([corners, corners + sizes], dim=1)
    images = torch.arange(num_images).repeat_interleave(objects)
    classes = torch.randint(0, NUM_CLASSES, (total,), generator=random)
    targets = Targets(
        boxes=boxes, classes=classes, images=images, num_images=num_images, size_hw=(side, side)
    )
    return Case(*make_predictions(targets, random), targets)


def make_predictions(targets: Targets, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Logits and boxes: at nine anchors of ten something, at those near an object often that."""
    grid = anchor_grid(targets.size_hw, CPU)
    shape = (targets.num_images, len(grid))
    logits = torch.randn(*shape, NUM_CLASSES, generator=random) - 4
    sides = grid.strides[:, None] * torch.rand(*shape, 4, generator=random) * 6
    predicted = torch.cat([grid.points - sides[..., :2], grid.points + sides[..., 2:]], dim=-1)
    candidates = candidates_of(targets, grid)
    knows = torch.rand(len(candidates.anchors), generator=random) < 0.5
    objects, anchors = candidates.objects[knows], candidates.anchors[knows]
    noise = 1 + 0.15 * torch.randn(len(objects), 4, generator=random)
    predicted.view(-1, 4)[anchors] = targets.boxes[objects] * noise
    logits.view(-1, NUM_CLASSES)[anchors, targets.classes[objects]] += 4
    return logits, predicted


@torch.no_grad()
def packed(case: Case) -> Assignment:
    """Our form, candidates included, from logits and boxes."""
    grid = anchor_grid(case.targets.size_hw, CPU)
    guess = Guess(case.logits, case.predicted.flatten(0, 1).T.contiguous())
    candidates = candidates_of(case.targets, grid)
    return assign(guess, case.targets, candidates, config=AssignerConfig())


@torch.no_grad()
def dense(case: Case) -> Dense:
    """The dense form, padding included, from logits and boxes."""
    boxes, classes, present = padded(case.targets)
    return dense_assignment(
        case.logits.sigmoid(),
        case.predicted,
        anchor_grid(case.targets.size_hw, CPU).points,
        boxes=boxes,
        classes=classes,
        present=present,
    )


FORMS: dict[str, Callable[[Case], object]] = {"packed": packed, "dense": dense}


def in_turns(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each contender; each round calls all, one after the other."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, work in contenders.items():
            started = time.perf_counter()
            work()
            if number > 0:  # the first round warms up
                times[name].append((time.perf_counter() - started) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def peak_mebibytes(form: str, num_images: int, objects: int) -> float:
    """The peak of one call in a process of its own, over what the process held before."""
    command = [sys.executable, "-m", "benchmarks.assigner", "--peak-of", form]
    words = [*command, "--images", str(num_images), "--objects", str(objects)]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def print_peak(form: str, num_images: int, objects: int) -> None:
    """What `peak_mebibytes` reads."""
    case = make_case(num_images, objects)
    FORMS[form](make_case(1, 2, side=64))  # code and pools of threads are loaded
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    held = pages * os.sysconf("SC_PAGE_SIZE")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of making the case
    FORMS[form](case)
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    print((peak - held) / 2**20)


def agreement(case: Case) -> str:
    """Whether both forms give the same result."""
    anchors = len(anchor_grid(case.targets.size_hw, CPU))
    ours, theirs = laid_out(packed(case), case.targets, anchors), dense(case)
    learnt = (theirs.weights > 0) | (ours.weights > 0)
    wrong = int((ours.objects != theirs.objects)[learnt].sum())
    error = float((ours.weights - theirs.weights).abs().max())
    return f"{int(learnt.sum()):6,} positives, {wrong} differ, weights within {error:.0e}"


def report_forms(num_images: int, objects: int, rounds: int) -> None:
    """One row of the table."""
    case = make_case(num_images, objects)
    times = in_turns({name: partial(form, case) for name, form in FORMS.items()}, rounds)
    peaks = {name: peak_mebibytes(name, num_images, objects) for name in FORMS}
    print(
        f"  {num_images:2} x {objects:5,}  {times['packed']:9.2f} {times['dense']:9.2f} "
        f"{times['dense'] / times['packed']:6.1f} x  {peaks['packed']:8.1f} {peaks['dense']:8.1f} "
        f"{peaks['dense'] / max(peaks['packed'], 0.1):6.1f} x  {agreement(case)}"
    )


def report_objective(num_images: int, objects: int, *, side: int) -> None:
    """Milliseconds of judging both heads, forwards and backwards."""
    case = make_case(num_images, objects, side=side)
    heads = [case.logits.clone().requires_grad_(), case.logits.clone().requires_grad_()]
    shape = (*case.logits.shape[:2], 4, 16)
    bins = [torch.randn(shape).requires_grad_(), torch.randn(shape).requires_grad_()]
    predictions = Predictions(HeadOutput(heads[0], bins[0]), HeadOutput(heads[1], bins[1]))
    objective = Objective(ObjectiveConfig())

    def step() -> None:
        for part in (*heads, *bins):
            part.grad = None
        torch.autograd.backward(objective(predictions, case.targets).total)

    median = in_turns({"step": step}, ROUNDS)["step"]
    print(f"  {num_images} images x {objects:4} objects at {side} px: {median:7.2f} ms")


def main() -> int:
    """Print all figures, or the peak of one call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peak-of", choices=list(FORMS))
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--objects", type=int, default=100)
    options = parser.parse_args()
    if options.peak_of is not None:
        print_peak(options.peak_of, options.images, options.objects)
        return 0
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads; 640 x 640 px, {NUM_CLASSES} classes"
    )
    print("  images x objects  ms packed     dense   faster  MiB packed   dense    less  result")
    for num_images, objects in ((1, 1), (8, 1), (8, 7), (8, 30), (8, 100), (8, 300)):
        report_forms(num_images, objects, ROUNDS)
    report_forms(8, 1000, 3)
    print("The objective, two heads, forwards and backwards:")
    for objects in (1, 10, 100):
        report_objective(8, objects, side=320)
    report_objective(8, 100, side=640)
    return 0


if __name__ == "__main__":
    sys.exit(main())
