"""Forward passes as `gelan predict` runs them, beside the plain folded network, in one run.

    python benchmarks/forward.py [--models t s c] [--size 640] [--threads N] [--rounds 15]

The plain network is folded, in single precision and in PyTorch's default memory format. All forms
have the same weights and are timed in turn, round by round, so that a machine whose speed drifts
slows them alike; medians, and the medians of the ratios, are printed. Post-processing is timed on
50 detections among 8400 anchors, the others below a confidence of 0.25.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from gelan.geometry.letterbox import Preprocessing, place
from gelan.model.reparameterize import reparameterize
from gelan.model.variants import build
from gelan.predict.backends.pytorch import Precision, deployed
from gelan.predict.postprocess import PostprocessSettings, postprocess

CPU = torch.device("cpu")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", nargs="+", default=["t", "s", "c"])
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {platform.machine()}, {options.threads} threads")
    print(f"batch 1, {options.size} x {options.size} px, {options.rounds} rounds, medians in ms")
    print(f"{'':9}{'plain fp32':>12}{'gelan fp32':>12}{'x':>7}{'gelan bf16':>12}{'x':>7}")
    for letter in options.models:
        plain, single, half = measure(f"gelan-{letter}", options.size, options.rounds)
        cells = [f"gelan-{letter:3}{median(plain):12.1f}"]
        for faster in (single, half):
            cells.append(f"{median(faster):12.1f}{ratio(plain, faster):7.2f}")
        print("".join(cells))
    print(f"post-processing at confidence 0.25: {1000 * selection_seconds():.2f} ms an image")


def measure(name: str, size: int, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds of each round: plain, ours in fp32, ours in bf16."""
    torch.manual_seed(0)
    detector = build(name).eval()
    images = torch.rand(1, 3, size, size)
    runs = [pass_of(reparameterize(detector), images)]
    for precision in ("fp32", "bf16"):
        runs.append(deployed_pass(name, precision, images))
    times: tuple[list[float], list[float], list[float]] = ([], [], [])
    for index in range(rounds + 2):
        for run, seconds in zip(runs, times, strict=True):
            begin = time.perf_counter()
            run()
            if index >= 2:  # the first two warm up
                seconds.append(time.perf_counter() - begin)
    return times


def deployed_pass(name: str, precision: Precision, images: torch.Tensor) -> Callable[[], None]:
    """One forward pass of the network as the predictor runs it."""
    torch.manual_seed(0)
    network = deployed(build(name).eval(), device=CPU, precision=precision)
    dtype = next(network.parameters()).dtype
    batch = images.to(dtype, memory_format=torch.channels_last)
    return pass_of(network, batch)


def pass_of(network: torch.nn.Module, images: torch.Tensor) -> Callable[[], None]:
    """One forward pass, as a function."""

    def run() -> None:
        with torch.inference_mode():
            network(images)

    return run


def selection_seconds() -> float:
    """Median seconds of one image's post-processing."""
    generator = np.random.default_rng(0)
    scores = generator.uniform(0, 0.1, (8400, 80)).astype(np.float32)
    scores[generator.choice(8400, 50, replace=False), generator.integers(0, 80, 50)] = 0.8
    corners = generator.uniform(0, 500, (8400, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + 80], axis=1)
    names = [str(index) for index in range(80)]
    placement = place((480, 640), Preprocessing())
    seconds = []
    for _ in range(50):
        begin = time.perf_counter()
        postprocess(
            boxes,
            scores,
            placement=placement,
            names=names,
            source="",
            settings=PostprocessSettings(),
        )
        seconds.append(time.perf_counter() - begin)
    return median(seconds, scale=1.0)


def median(seconds: list[float], *, scale: float = 1000.0) -> float:
    """The median, in milliseconds unless said otherwise."""
    return statistics.median(seconds) * scale


def ratio(slow: list[float], fast: list[float]) -> float:
    """How many times faster, as the median over the rounds."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


if __name__ == "__main__":
    main()
