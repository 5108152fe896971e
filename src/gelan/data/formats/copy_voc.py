"""The corrected copy of a Pascal VOC data set: objects go, or are cut; all else stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gelan.data.formats.places import split_of
from gelan.data.formats.plain_xml import Element, decoded_xml, parse_xml
from gelan.data.formats.records import ROUNDING_PIXELS, ImageRecord
from gelan.data.formats.tree import Correction, Tree
from gelan.data.formats.voc_places import lists_of

_EDGES = ("xmin", "ymin", "xmax", "ymax")
Edit = tuple[int, int, bytes]
"""First byte, the byte behind the last, and what takes their place."""


def copy_voc(correction: Correction, tree: Tree) -> None:
    """Images, annotation files and lists, into the tree."""
    for record in correction.records():
        assert record.label_file is not None
        tree.copy(record.path)
        tree.write(record.label_file, _annotations(record, record.label_file, correction))
    stems = {
        split: {r.label_file.stem for r in part if r.label_file is not None}
        for split, part in correction.splits.items()
    }
    everything = set[str]().union(*stems.values())
    for name, path in lists_of(correction.description.place).items():
        kept = everything if name == "trainval" else stems.get(split_of(name) or name, set())
        lines = path.read_bytes().decode("utf-8").splitlines(keepends=True)
        texts = [line for line in lines if _stem(line) in kept or not _stem(line)]
        tree.write(path, "".join(texts).encode())


def _stem(line: str) -> str:
    return line.strip("\ufeff \t\r\n").rpartition("/")[2]


def _annotations(record: ImageRecord, path: Path, correction: Correction) -> bytes:
    """The file without objects that go, and with boxes cut that reach out of the image."""
    data = path.read_bytes()
    text, encoding = decoded_xml(data)
    plain = text.encode()
    root = parse_xml(plain, encoding="utf-8")
    objects = [child for child in root.children if child.tag == "object"]
    kept = {int(place): number for number, place in enumerate(record.labels.places)}
    edits: list[Edit] = []
    for place, element in enumerate(objects):
        if place not in kept:
            edits.append((_with_space_before(plain, element.start), element.end, b""))
        else:
            edits += _cuts(record, kept[place], element, correction)
    return _edited(plain, edits).decode().encode(encoding) if edits else data


def _with_space_before(data: bytes, start: int) -> int:
    """The start of the white space before a place."""
    return len(data[:start].rstrip(b" \t\r\n"))


def _cuts(
    record: ImageRecord, number: int, element: Element, correction: Correction
) -> Iterator[Edit]:
    """New numbers for the corners that lie outside the image."""
    size_hw = correction.sizes[record.path]
    box = element.find("bndbox")
    if box is None or record.reach(size_hw)[number] <= ROUNDING_PIXELS:
        return
    values = record.labels.values[number]
    corners = record.labels.corners()[number]
    limits = np.tile(np.array(size_hw[::-1], np.float64), 2)
    cut = np.clip(corners, 0.0, limits) + (values - corners)
    for edge, before, value in zip(_EDGES, values.tolist(), cut.tolist(), strict=True):
        field = box.find(edge)
        if field is not None and value != before:
            text = f"{value:.3f}".rstrip("0").rstrip(".")
            yield field.start, field.end, f"<{edge}>{text}</{edge}>".encode()


def _edited(data: bytes, edits: list[Edit]) -> bytes:
    for start, end, text in sorted(edits, reverse=True):
        data = data[:start] + text + data[end:]
    return data
