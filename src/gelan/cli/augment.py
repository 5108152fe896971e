"""What training makes of the images: augmented samples with their boxes, as pictures to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gelan.cli.folders import require_new, result_folder
from gelan.cli.options import out_option, require_between, require_size
from gelan.cli.printing import printable
from gelan.config import option

PER_SHEET = 16
"""Samples in one picture."""
MOST_SAMPLES = 1000
_COLUMNS, _CELL = 4, 480


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Options of `gelan augment`."""

    data: str = option(
        "labelled images: a data.yaml, a COCO JSON file, or a folder (YOLO, COCO, VOC)"
    )
    split: str = option(
        "which part of the data (default: the first: train, if there is one)", default=""
    )
    count: int = option("how many samples", default=16)
    size: int = option("side of a sample in pixels, a multiple of 32", default=640)
    seed: int = option("of everything that is left to chance", default=0)
    epoch: int = option("samples of another epoch are others", default=0)
    plain: bool = option("without augmentation: the images fitted into a square", default=False)
    out: Path | None = out_option("augment")


def run(options: Options) -> int:
    """Draw the samples, 16 on a sheet."""
    from gelan.data.augment.config import none, published
    from gelan.data.augment.pipeline import augmented
    from gelan.data.dataset import Dataset
    from gelan.data.description import open_dataset
    from gelan.geometry.letterbox import Preprocessing
    from gelan.predict.files import write_image
    from gelan.visualize.sheets import draw_annotations, sheet

    require_between("count", options.count, 1, MOST_SAMPLES)
    require_size(options.size)
    require_new(options.out)
    data = open_dataset(options.data)
    print(printable(data.headline))
    split = options.split or next(iter(data.splits))
    source = Dataset(data.split(split))
    preprocessing = Preprocessing(size=options.size)
    config = none() if options.plain else published()
    pictures = [
        draw_annotations(
            augmented(
                source,
                number % len(source),
                seed=options.seed,
                epoch=options.epoch + number // len(source),
                config=config,
                preprocessing=preprocessing,
            ),
            data.classes.names,
        )
        for number in range(options.count)
    ]
    folder = result_folder(options.out, "augment")
    for start in range(0, options.count, PER_SHEET):
        path = folder / f"samples{start // PER_SHEET + 1}.jpg"
        page = sheet(pictures[start : start + PER_SHEET], columns=_COLUMNS, cell=_CELL)
        print(printable(str(write_image(path, page))))
    return 0
