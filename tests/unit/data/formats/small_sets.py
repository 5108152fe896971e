"""Data sets of a few files, written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from gelan.structures.findings import Finding


def put(path: Path, text: str = "") -> Path:
    """A text file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def put_image(path: Path, *, width: int = 100, height: int = 50) -> Path:
    """A black picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))
    return path


def put_pair(folder: Path, name: str, rows: str, *, split: str = "train") -> Path:
    """An image in `images/<split>` with YOLO rows in `labels/<split>`."""
    put(folder / "labels" / split / f"{name}.txt", rows)
    return put_image(folder / "images" / split / f"{name}.png")


def coco(
    *,
    images: list[dict[str, object]] | None = None,
    annotations: list[dict[str, object]] | None = None,
    categories: list[dict[str, object]] | None = None,
) -> str:
    """A COCO file with a line for each entry: categories begin in line 3."""
    lists = {
        "categories": categories or [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "images": images or [{"id": 7, "file_name": "a.png", "width": 100, "height": 50}],
        "annotations": annotations or [],
    }
    parts = []
    for key, entries in lists.items():
        lines = ",\n".join(json.dumps(entry) for entry in entries)
        parts.append(f'"{key}": [\n{lines}\n]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def voc(objects: str = "", *, size: str = "<width>100</width><height>50</height>") -> str:
    """A VOC file; objects begin in line 4."""
    name = "<filename>a.png</filename>"
    return f"<annotation>\n{name}\n<size>{size}<depth>3</depth></size>\n{objects}\n</annotation>\n"


def voc_object(name: str, *corners: float, extra: str = "") -> str:
    """An object in one line."""
    edges = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    box = "".join(f"<{edge}>{value:g}</{edge}>" for edge, value in edges)
    return f"<object><name>{name}</name>{extra}<bndbox>{box}</bndbox></object>"


def of_kind(findings: tuple[Finding, ...] | list[Finding], kind: str) -> list[Finding]:
    """Those of a kind."""
    return [finding for finding in findings if finding.kind == kind]
