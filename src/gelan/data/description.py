"""A labelled data set, whatever its format: which images, which classes, where the labels are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from gelan.data.formats.coco import read_coco_file, read_coco_folder
from gelan.data.formats.coco_places import annotation_files
from gelan.data.formats.collector import Collector
from gelan.data.formats.places import folder_called, folders_in
from gelan.data.formats.plain_yaml import read_yaml
from gelan.data.formats.records import (
    DatasetDescription,
    ImageRecord,
    Kind,
    Labels,
    MappingRow,
)
from gelan.data.formats.voc import read_voc_folder, read_voc_list
from gelan.data.formats.voc_places import named_images
from gelan.data.formats.yolo import read_yolo_folder, read_yolo_list, read_yolo_yaml
from gelan.data.formats.yolo_places import folder_splits
from gelan.errors import ConfigError, GelanError, SourceError, nearest

__all__ = [
    "DatasetDescription",
    "ImageRecord",
    "Kind",
    "Labels",
    "MappingRow",
    "open_dataset",
]

logger = logging.getLogger(__name__)

_KNOWN = (
    "a data.yaml; a folder with images/ and labels/; a COCO JSON file, or a folder with "
    "annotations/*.json or train/_annotations.coco.json; a folder with Annotations/*.xml, or a "
    "list in its ImageSets/Main"
)
_DATA_YAML = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")


def open_dataset(place: str | Path, *, names: Sequence[str] | None = None) -> DatasetDescription:
    """The data set at a place, in YOLO, COCO or Pascal VOC format; nothing is decoded or changed.

    `place` is a file (`data.yaml`, COCO JSON, a text file that lists images, a list in VOC's
    `ImageSets`) or a folder. A folder's own `data.yaml` comes first; then what its files are: YOLO,
    COCO, VOC. If a folder holds nothing but one data set in a folder, that is read. What else is
    there is told as a finding of kind `kind-also`.

    `names` are the classes: of YOLO labels in place of those of the data set, of VOC in this order;
    COCO files name their own.

    Raises:
        SourceError: there is no such place, it holds no labels of a known format, or none of its
            images is there; all places that were tried are listed.
        ConfigError: a description contradicts itself or is damaged.
    """
    path = Path(place)
    try:
        found = _open_file(path, names) if path.is_file() else _open_folder(path, names)
    except OSError as error:
        raise SourceError(f"{path}: cannot be opened: {error.strerror or error}") from error
    logger.info("%s", found.headline)
    return found


def _open_file(path: Path, names: Sequence[str] | None) -> DatasetDescription:
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return read_yolo_yaml(path, names=names)
    if suffix == ".json":
        return _read_coco(path, names)
    if suffix == ".txt":
        is_voc = "ImageSets" in path.absolute().parts[-4:-1]
        return read_voc_list(path, names=names) if is_voc else read_yolo_list(path, names=names)
    raise SourceError(f"{path}: is no description of a data set; known are {_KNOWN}")


def _open_folder(folder: Path, names: Sequence[str] | None) -> DatasetDescription:
    if not folder.is_dir():
        raise SourceError(f"{folder}: {_why_missing(folder)}")
    readers = _readers(folder, names)
    if not readers:
        inner = [part for part in folders_in(folder) if _readers(part, names)]
        if len(inner) == 1:
            return _open_folder(inner[0], names)
        which = f"; it holds several: name one of {', '.join(map(str, inner))}" if inner else ""
        raise SourceError(f"{folder}: holds no data set that is known ({_KNOWN}){which}")
    (place, read), *others = readers
    found = read()
    if not others:
        return found
    collector = Collector()
    there = " and ".join(str(other) for other, _ in others)
    cause = f"is read as {found.kind.upper()}; the folder also holds {there}"
    collector.note("kind-also", place, cause=cause, remedy="to read that instead, name it")
    return replace(found, findings=(*collector.findings, *found.findings))


def _readers(
    folder: Path, names: Sequence[str] | None
) -> list[tuple[Path, Callable[[], DatasetDescription]]]:
    """What to name for each data set in a folder, and how to read it, best first."""
    found: list[tuple[Path, Callable[[], DatasetDescription]]] = []
    described = _described(folder)
    if described is not None:
        found.append((described, partial(read_yolo_yaml, described, names=names)))
    elif folder_splits(folder):
        found.append((folder, partial(read_yolo_folder, folder, names=names)))
    for file in annotation_files(folder).values():
        found.append((file.parent, partial(_read_coco, folder, names)))
        break
    if named_images(folder, Collector()):
        xml = folder_called(folder, "annotations") or folder
        found.append((xml, partial(read_voc_folder, folder, names=names)))
    return found


def _read_coco(place: Path, names: Sequence[str] | None) -> DatasetDescription:
    if names is not None:
        raise ConfigError(f"{place}: COCO files name their own classes; leave the names out")
    return read_coco_folder(place) if place.is_dir() else read_coco_file(place)


def _described(folder: Path) -> Path | None:
    """The YAML file of a folder that says where images are.

    Raises:
        ConfigError: several do, and none has one of the usual names.
    """
    usual = [folder / name for name in _DATA_YAML if (folder / name).is_file()]
    if usual:
        return usual[0]
    files = [*sorted(folder.glob("*.yaml")), *sorted(folder.glob("*.yml"))]
    files = [file for file in files if _names_images(file)]
    if len(files) > 1:
        both = ", ".join(map(str, files))
        raise ConfigError(f"{folder}: holds several descriptions; name one of {both}")
    return files[0] if files else None


def _names_images(file: Path) -> bool:
    """Whether a YAML file has the keys `train` or `val`; one that cannot be read has not."""
    try:
        content = read_yaml(file).content
    except GelanError:
        return False
    return isinstance(content, dict) and bool(content.keys() & {"train", "val"})


def _why_missing(path: Path) -> str:
    """What keeps a path from being there, with the nearest name that is."""
    missing = path
    while not missing.parent.is_dir() and missing != missing.parent:
        missing = missing.parent
    if missing.parent.is_dir() and missing != missing.parent:
        hint = nearest(missing.name, [entry.name for entry in missing.parent.iterdir()])
        return f"there is no {missing}{hint}"
    return "there is no such file or folder"
