"""A data set of drawn tide pools in YOLO format: to try everything without a network or a camera.

The pictures are decoration and exercise at once: whoever is to find the animals has to learn their
shapes, as colours, sizes and directions tell nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from jaxtyping import UInt8

from gelan.data.drawn.animals import CLASSES
from gelan.data.drawn.scene import SIZE_HW, draw_sample
from gelan.data.formats.records import DatasetDescription, ImageRecord, Row, labels_of
from gelan.data.formats.writers import write_yolo
from gelan.errors import ConfigError, ImageError
from gelan.structures.classes import ClassTable
from gelan.structures.samples import Annotations

logger = logging.getLogger(__name__)

DESCRIPTION = (
    "Tide pools drawn by the program: starfish, fish, crabs, scallops and snails of any colour, "
    "size and direction lie on sand and rock, partly behind each other, stones and weed. "
    "Boxes are exact, of what is visible, and no picture of the validation split shares its "
    "random state with one that is trained on."
)
"""For reports and the README."""
IMAGES: Mapping[str, int] = {"train": 240, "val": 60}

_JPEG_QUALITY = 92
_SMALLEST = 64


def draw_dataset(
    folder: Path,
    *,
    images: Mapping[str, int] = IMAGES,
    size_hw: tuple[int, int] = SIZE_HW,
    seed: int = 0,
    classes: Sequence[str] = CLASSES.names,
) -> Path:
    """The `data.yaml` of a new YOLO data set in `folder`, the same for the same arguments.

    A folder of that name is there only when it is whole: pictures are drawn in a folder beside it,
    which vanishes after an error. Outlines are in the label files where an animal is seen in one
    piece; of others only the box, and both read back as the boxes of `draw_sample`.

    Args:
        folder: must not exist.
        images: how many pictures each split has; `val` of the same length stays the same whatever
            the length of `train`.
        size_hw: height and width of each picture in pixels, at least 64.
        seed: 0 or more; another seed gives other pictures.
        classes: the animals to be drawn, of `CLASSES`, in the order of their class numbers.

    Raises:
        ConfigError: something is at `folder` already, or a setting is out of range.
    """
    _check(folder, images=images, size_hw=size_hw, seed=seed)
    if not classes:
        known = ", ".join(CLASSES.names)
        raise ConfigError(f"no class is to be drawn; name some of {known}")
    names = tuple(CLASSES.names[number] for number in CLASSES.indices(classes))
    plan = _Plan(size_hw, seed, names)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = f".{folder.name}.drawing-"
    with TemporaryDirectory(prefix=beside, dir=folder.parent) as place:
        splits = {
            split: tuple(plan.draw(Path(place), split, index) for index in range(number))
            for split, number in images.items()
        }
        description = DatasetDescription(
            place=folder, kind="yolo", classes=ClassTable(names), splits=splits, findings=()
        )
        for loss in write_yolo(description, folder, link=True):
            logger.debug("%s", loss)
    logger.info("drew %s images in %s", " + ".join(map(str, images.values())), folder)
    return folder / "data.yaml"


def _check(folder: Path, *, images: Mapping[str, int], size_hw: tuple[int, int], seed: int) -> None:
    if folder.exists():
        raise ConfigError(f"{folder} is there already and stays as it is; choose another folder")
    if not images:
        raise ConfigError("no split is to be drawn; name some, such as train and val")
    for split, number in images.items():
        if not split or Path(split).name != split:
            raise ConfigError(f"a split cannot be called {split!r}; take a word, such as val")
        if number < 1:
            raise ConfigError(f"{number} images are to be drawn for {split}; draw at least 1")
    if min(size_hw) < _SMALLEST:
        height, width = size_hw
        raise ConfigError(
            f"pictures of {width} x {height} pixels show no shapes; draw at least "
            f"{_SMALLEST} x {_SMALLEST}"
        )
    if seed < 0:
        raise ConfigError(f"the seed is {seed}; it must be 0 or more")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What all pictures of a data set have in common."""

    size_hw: tuple[int, int]
    seed: int
    classes: tuple[str, ...]

    def draw(self, place: Path, split: str, index: int) -> ImageRecord:
        """One picture in a file of the folder `place`, and its labels."""
        sample = draw_sample(
            index, split=split, seed=self.seed, size_hw=self.size_hw, classes=self.classes
        )
        path = place / f"{sample.source}.jpg"
        path.write_bytes(_jpeg(sample.image, path))
        labels = labels_of(_rows(sample.annotations), layout="corners")
        return ImageRecord(path=path, labels=labels, label_file=None, stated_hw=self.size_hw)


def _rows(annotations: Annotations) -> list[Row]:
    rows = []
    for number, box in enumerate(annotations.boxes.tolist()):
        left, top, right, bottom = box
        rows.append(
            Row(
                (left, top, right, bottom),
                int(annotations.classes[number]),
                area=float(annotations.areas[number]),
                polygons=tuple(part.astype(np.float64) for part in annotations.polygons[number]),
            )
        )
    return rows


def _jpeg(image: UInt8[np.ndarray, "height width 3"], path: Path) -> bytes:
    ok, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not ok:
        raise ImageError(f"{path}: OpenCV {cv2.__version__} cannot write JPEG; install another")
    return data.tobytes()
