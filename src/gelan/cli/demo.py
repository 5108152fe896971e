"""See all of it in a few minutes, on any machine and without a network: draw, train, measure, find.

Draws a small data set (animals in a tide pool), trains yolov9-t with PGI on it, evaluates the
result on images that training never saw, marks what it finds in them, and says where to look.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from gelan.cli import predict, train, val
from gelan.cli.folders import result_folder
from gelan.cli.options import out_option
from gelan.config import option
from gelan.errors import ConfigError
from gelan.optional import require

IMAGES = {"train": 400, "val": 40, "test": 60}
"""How many are drawn: to learn from, to choose the best epoch by, to measure with."""
SIZE = 256
EPOCHS = 24
SETTINGS = (
    # Some 1,200 steps are all there is time for: AdamW needs fewer of them than the recipe's SGD,
    "optimizer.kind=adamw",
    "optimizer.learning_rate=0.002",
    "optimizer.weight_decay=0.01",
    "schedule.warmup_bias_rate=0",
    # and images less changed show more of each. Seen from above, a pool has no up and down.
    "augment.mosaic=0.4",
    "augment.mixup=0",
    "augment.copy_paste=0",
    "augment.scale=0.3",
    "augment.saturation=0.3",
    "augment.value=0.2",
    "augment.flip_up_down=0.5",
    "validate_every=2",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Options of `gelan demo`."""

    epochs: int = option(f"passes over the {IMAGES['train']} training images", default=EPOCHS)
    device: str = option("auto, cpu, cuda, cuda:1, mps ...", default="auto")
    seed: int = option("of the drawings and of everything that is left to chance", default=0)
    out: Path | None = out_option("demo")


def run(options: Options) -> int:
    """Do it; 1 if training was interrupted."""
    from gelan.data.drawn.dataset import DESCRIPTION, draw_dataset

    require("torch", extra="train", purpose="to train")
    if options.epochs < 1:
        raise ConfigError(f"--epochs is {options.epochs}; it must be at least 1")
    start = time.monotonic()
    folder = result_folder(options.out, "demo")
    print(f"1. drawing {sum(IMAGES.values())} images: {DESCRIPTION}", flush=True)
    data = draw_dataset(folder / "data", images=IMAGES, seed=options.seed)

    print("\n2. training yolov9-t with PGI, from fresh weights", flush=True)
    run_folder = folder / "run"
    code = train.run(
        train.Options(
            data=str(data),
            model="yolov9-t",
            epochs=options.epochs,
            batch=8,
            size=SIZE,
            device=options.device,
            seed=options.seed,
            set=SETTINGS,
            out=run_folder,
        )
    )
    if code:
        return code
    weights = run_folder / "best.safetensors"

    print(f"\n3. measuring on {IMAGES['test']} images that played no part in it", flush=True)
    val.run(
        val.Options(
            weights=str(weights),
            data=str(data),
            split="test",
            device=options.device,
            out=folder / "test",
            quiet=True,
        )
    )
    print("\n4. marking what it finds in them", flush=True)
    predict.run(
        predict.Options(
            weights=str(weights),
            source=str(data.parent / "images" / "test"),
            device=options.device,
            out=folder / "found",
            quiet=True,
        )
    )
    print(summary(folder, seconds=time.monotonic() - start))
    return 0


def summary(folder: Path, *, seconds: float) -> str:
    """What came out, and where to look."""
    figures = json.loads((folder / "test" / "report.json").read_text(encoding="utf-8"))["headline"]
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"\nAP50 {figures['ap50']:.3f}, AP {figures['ap']:.3f} on images it had never seen, after "
        f"{minutes} min {rest} s. Look at:\n"
        f"  {folder / 'run' / 'report.html'}   the story of the training\n"
        f"  {folder / 'test' / 'report.html'}  what it gets right and wrong\n"
        f"  {folder / 'found'}             the pictures with what it found\n"
        f"  {folder / 'data'}              the drawings with their labels\n"
        "Your own images: gelan train --data data.yaml --model yolov9-s"
    )
