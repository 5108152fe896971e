"""Data sets written in YOLO, COCO or Pascal VOC format, into a new folder.

Each writer takes a description, of whatever format, and returns what the new format cannot hold.
Images are copied byte for byte, or hard-linked on request; two of the same name get numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO
from xml.etree import ElementTree

import numpy as np

from gelan.data.formats.collector import Collector
from gelan.data.formats.records import DatasetDescription, ImageRecord
from gelan.data.formats.writing import (
    Losses,
    Written,
    in_pixels,
    new_data_set,
    place_image,
    split_names,
    unique_names,
)
from gelan.structures.classes import ClassTable
from gelan.structures.findings import Finding

_AGREE = 0.5
"""Pixels by which a box and the hull of its outline may differ for the outline to replace it."""
_FROM_1 = np.array([1.0, 1.0, 0.0, 0.0])
"""From edges of pixels to the first and last column and row, counted from 1."""
_ONE_PIXEL = 1.001
"""With 3 decimals, first and last column differ only in boxes wider than this."""


def write_yolo(
    description: DatasetDescription, folder: Path, *, link: bool = False
) -> tuple[Finding, ...]:
    """`data.yaml`, `images/<split>` and `labels/<split>`; class numbers are model indices.

    Coordinates have 8 decimals. An object whose outline is one polygon is a polygon row, others are
    box rows; crowds, which the format does not know, are left out.

    Raises:
        ConfigError: something is at `folder` already.
        ImageError: an image cannot be read.
    """
    collector, losses = Collector(), Losses()
    names = split_names(list(description.splits))
    with new_data_set(folder) as building:
        for split, records in description.splits.items():
            images = _folder(building / "images" / names[split])
            labels = _folder(building / "labels" / names[split])
            for record, name in zip(records, unique_names(r.path for r in records), strict=True):
                place_image(record.path, images / name, link=link)
                rows = "".join(_yolo_rows(in_pixels(record, losses), losses))
                (labels / name).with_suffix(".txt").write_text(rows, "utf-8")
        text = "".join(f"{split}: images/{split}\n" for split in names.values())
        text += "names:\n" + "".join(
            f"  {index}: {json.dumps(name, ensure_ascii=False)}\n"
            for index, name in enumerate(description.classes.names)
        )
        (building / "data.yaml").write_text(text, "utf-8")
    losses.findings(folder, collector)
    return tuple(collector.findings)


def _yolo_rows(written: Written, losses: Losses) -> Iterator[str]:
    labels = written.record.labels
    width_height = np.array(written.size_hw[::-1], np.float64)
    for position, box in enumerate(written.corners):
        number = int(written.kept[position])
        if labels.crowd[number]:
            losses.numbers["crowds and difficult objects are left out"] += 1
            continue
        outlines = written.outlines(position)
        if _is_outline_of(box, outlines):
            values = (np.clip(outlines[0], 0.0, width_height) / width_height).ravel()
        else:
            losses.numbers["of outlines that are not one polygon only the box is kept"] += (
                len(outlines) > 0
            )
            sides = (box[2:] - box[:2]) / width_height
            values = np.concatenate([(box[:2] + box[2:]) / 2 / width_height, sides])
        yield f"{labels.classes[number]} {' '.join(f'{value:.8f}' for value in values)}\n"


def _is_outline_of(box: np.ndarray, outlines: Sequence[np.ndarray]) -> bool:
    """Whether a single polygon says the same as the box."""
    if len(outlines) != 1:
        return False
    hull = np.concatenate([outlines[0].min(axis=0), outlines[0].max(axis=0)])
    return bool((np.abs(hull - box) <= _AGREE).all())


def write_coco(
    description: DatasetDescription, folder: Path, *, link: bool = False
) -> tuple[Finding, ...]:
    """`annotations/instances_<split>.json` and `images/<split>`, with the ids of the source.

    Images and annotations are numbered from 1 where the source has no ids, and categories as the
    model counts. Every entry stands on a line of its own. Masks as run lengths are not kept, nor
    are other keys.

    Raises:
        ConfigError: something is at `folder` already.
        ImageError: an image cannot be read.
    """
    collector, losses = Collector(), Losses()
    names = split_names(list(description.splits))
    with new_data_set(folder) as building:
        annotations = _folder(building / "annotations")
        for split, records in description.splits.items():
            images = _folder(building / "images" / names[split])
            files = unique_names(record.path for record in records)
            for record, name in zip(records, files, strict=True):
                place_image(record.path, images / name, link=link)
            path = annotations / f"instances_{names[split]}.json"
            with path.open("x", encoding="utf-8") as file:
                _write_coco_file(file, records, files, description.classes, losses)
    losses.findings(folder, collector)
    return tuple(collector.findings)


def _write_coco_file(
    file: TextIO,
    records: Sequence[ImageRecord],
    names: Sequence[str],
    classes: ClassTable,
    losses: Losses,
) -> None:
    written = [in_pixels(record, losses) for record in records]
    numbers = _image_ids(records)
    images: list[dict[str, object]] = [
        {"id": number, "file_name": name, "width": one.size_hw[1], "height": one.size_hw[0]}
        for number, name, one in zip(numbers, names, written, strict=True)
    ]
    lists: dict[str, Iterable[dict[str, object]]] = {
        "categories": [
            {"id": classes.category_id(index), "name": name}
            for index, name in enumerate(classes.names)
        ],
        "images": images,
        "annotations": _coco_objects(written, numbers, classes, losses),
    }
    for position, (key, entries) in enumerate(lists.items()):
        file.write(f"{',' if position else '{'}\n{json.dumps(key)}: [")
        for number, entry in enumerate(entries):
            file.write((",\n" if number else "\n") + json.dumps(entry, allow_nan=False))
        file.write("\n]")
    file.write("\n}\n")


def _image_ids(records: Sequence[ImageRecord]) -> list[int | str]:
    """The source's, where each image has one of its own; else 1, 2, ..."""
    ids = [record.image_id for record in records if record.image_id is not None]
    return ids if len(set(ids)) == len(records) else list(range(1, len(records) + 1))


def _coco_objects(
    written: Sequence[Written],
    numbers: Sequence[int | str],
    classes: ClassTable,
    losses: Losses,
) -> Iterator[dict[str, object]]:
    ids = [one.record.labels.ids[one.kept] for one in written]
    own = np.concatenate([np.zeros(0, np.int64), *ids]).tolist()
    has_ids = len(set(own)) == len(own) and min(own, default=-1) >= 0
    place = 0
    for one, image in zip(written, numbers, strict=True):
        labels = one.record.labels
        for position, area in enumerate(one.areas):
            number = int(one.kept[position])
            outlines = [part.ravel().tolist() for part in one.outlines(position)]
            is_crowd = bool(labels.crowd[number])
            losses.numbers["masks as run lengths are not kept, only their areas"] += (
                not outlines and not np.isnan(labels.areas[number])
            )
            yield {
                "id": own[place] if has_ids else place + 1,
                "image_id": image,
                "category_id": classes.category_id(int(labels.classes[number])),
                "bbox": _left_top_size(one, position),
                "area": area,
                "iscrowd": int(is_crowd),
                "segmentation": outlines,
            }
            place += 1


def _left_top_size(one: Written, position: int) -> list[float]:
    """The numbers of the source where the box lies in its image, bit for bit."""
    labels, number = one.record.labels, int(one.kept[position])
    box = one.corners[position]
    if labels.layout == "corner-size" and (labels.corners()[number] == box).all():
        return [float(value) for value in labels.values[number]]
    return [*map(float, box[:2]), *map(float, box[2:] - box[:2])]


def write_voc(
    description: DatasetDescription, folder: Path, *, link: bool = False
) -> tuple[Finding, ...]:
    """`Annotations`, `JPEGImages` and lists in `ImageSets/Main`; corners count from 1.

    Coordinates have up to 3 decimals where they are no whole numbers. Crowds are marked difficult.
    Outlines, and boxes of no more than one pixel's width or height, are left out.

    Raises:
        ConfigError: something is at `folder` already.
        ImageError: an image cannot be read.
    """
    collector, losses = Collector(), Losses()
    records = [record for part in description.splits.values() for record in part]
    names = dict(zip(map(id, records), unique_names(r.path for r in records), strict=True))
    with new_data_set(folder) as building:
        annotations = _folder(building / "Annotations")
        images = _folder(building / "JPEGImages")
        for record in records:
            name = names[id(record)]
            place_image(record.path, images / name, link=link)
            root = _voc_element(in_pixels(record, losses), name, description.classes, losses)
            file = (annotations / name).with_suffix(".xml")
            file.write_bytes(ElementTree.tostring(root, encoding="utf-8"))
        if list(description.splits) != ["all"]:
            lists = _folder(building / "ImageSets" / "Main")
            for split, part in description.splits.items():
                stems = [Path(names[id(record)]).stem for record in part]
                text = "".join(f"{stem}\n" for stem in stems)
                (lists / f"{split}.txt").write_text(text, "utf-8")
    losses.findings(folder, collector)
    if [row.name for row in description.mapping() if row.boxes] != sorted(
        description.classes.names
    ):
        cause = "VOC lists no classes: read again, they are those that occur, sorted by name"
        remedy = f"keep this list: {', '.join(description.classes.names)}"
        collector.warning("format-limit", folder, cause=cause, remedy=remedy)
    return tuple(collector.findings)


def _voc_element(
    written: Written, name: str, classes: ClassTable, losses: Losses
) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    _text(root, "filename", name)
    size = ElementTree.SubElement(root, "size")
    height, width = written.size_hw
    for tag, value in (("width", width), ("height", height), ("depth", 3)):
        _text(size, tag, str(value))
    labels = written.record.labels
    for position, box in enumerate(written.corners):
        number = int(written.kept[position])
        if (box[2:] - box[:2] <= _ONE_PIXEL).any():
            losses.numbers["boxes of one pixel's width or height, or less, are left out"] += 1
            continue
        losses.numbers["of outlines only the box is kept"] += bool(labels.polygons[number])
        element = ElementTree.SubElement(root, "object")
        _text(element, "name", classes.names[labels.classes[number]])
        _text(element, "difficult", str(int(labels.crowd[number])))
        corners = ElementTree.SubElement(element, "bndbox")
        for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box + _FROM_1, strict=True):
            _text(corners, tag, f"{value:.3f}".rstrip("0").rstrip("."))
    ElementTree.indent(root)
    return root


def _text(parent: ElementTree.Element, tag: str, text: str) -> None:
    ElementTree.SubElement(parent, tag).text = text


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path
