"""What training makes of the images: augmented samples with their boxes, as pictures to look at.

The settings of a sample are those of `gelan train` with the same `--set`, in that epoch of a run of
so many epochs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from gelan.cli.folders import require_new, result_folder
from gelan.cli.options import out_option, require_between, require_size
from gelan.cli.printing import printable
from gelan.config import option, parse_settings
from gelan.errors import ConfigError, nearest

if TYPE_CHECKING:
    from gelan.data.augment.config import AugmentConfig

PER_SHEET = 16
"""Samples in one picture."""
MOST_SAMPLES = 1000
MOST_EPOCHS = 1_000_000
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
    epoch: int = option("samples of another epoch are others; the first is 0", default=0)
    epochs: int = option("of the run: in its last ones mosaics rest", default=500)
    set: tuple[str, ...] = option(
        "settings as of gelan train, such as augment.degrees=10; docs/training.md lists them",
        default=(),
    )
    plain: bool = option("without augmentation: the images fitted into a square", default=False)
    out: Path | None = out_option("augment")


def run(options: Options) -> int:
    """Draw the samples, 16 on a sheet."""
    from gelan.data.augment.pipeline import augmented
    from gelan.data.dataset import Dataset
    from gelan.data.description import open_dataset
    from gelan.geometry.letterbox import Preprocessing
    from gelan.predict.files import write_image
    from gelan.visualize.sheets import draw_annotations, sheet

    require_between("count", options.count, 1, MOST_SAMPLES)
    require_size(options.size)
    require_between("epochs", options.epochs, 1, MOST_EPOCHS)
    require_between("epoch", options.epoch, 0, options.epochs - 1)
    settings = settings_of(options)
    require_new(options.out)
    data = open_dataset(options.data)
    print(printable(data.headline))
    split = options.split or next(iter(data.splits))
    source = Dataset(data.split(split))
    preprocessing = Preprocessing(size=options.size)
    config = augmentation(options, settings, images=len(source))
    pictures = []
    for number in range(options.count):
        again, index = divmod(number, len(source))
        epoch = options.epoch + again
        sample = augmented(
            source,
            index,
            seed=options.seed,
            epoch=epoch,
            config=config.at_epoch(epoch, epochs=options.epochs),
            preprocessing=preprocessing,
        )
        pictures.append(draw_annotations(sample, data.classes.names))
    folder = result_folder(options.out, "augment")
    for start in range(0, options.count, PER_SHEET):
        path = folder / f"samples{start // PER_SHEET + 1}.jpg"
        page = sheet(pictures[start : start + PER_SHEET], columns=_COLUMNS, cell=_CELL)
        print(printable(str(write_image(path, page))))
    return 0


def settings_of(options: Options) -> dict[str, object]:
    """What `--set` says, by dotted names.

    Raises:
        ConfigError: a setting cannot be seen in a sample.
    """
    from gelan.data.augment.config import AugmentConfig

    settings = parse_settings(options.set, where="--set")
    if settings and options.plain:
        raise ConfigError("--plain leaves out all that --set could change: keep one of the two")
    known = [f"augment.{field.name}" for field in fields(AugmentConfig)]
    for name in settings:
        if not name.startswith("augment."):
            found = f"--set {name}: samples show settings of augment alone"
            raise ConfigError(f"{found}{nearest(name, known)}")
    return settings


def augmentation(options: Options, settings: dict[str, object], *, images: int) -> AugmentConfig:
    """What a run of so many epochs on so many images does, and prints what it chooses itself.

    Raises:
        ConfigError: `gelan train` would refuse a setting, too.
    """
    from gelan.data.augment.config import none
    from gelan.train.choices import Facts, settle

    if options.plain:
        return none()
    facts = Facts(
        images=images,
        network="",
        has_auxiliary=True,
        is_fine_tuning=False,
        device="cpu",
        cores=1,
        has_bf16=False,
    )
    settled = settle({"epochs": options.epochs, **settings}, facts)
    for choice in settled.choices:
        if choice.name.startswith("augment."):
            print(printable(f"{choice.name} = {choice.value}: {choice.reason}"))
    return settled.config.augment
