"""The corrected copy of a COCO data set: entries go, or boxes are cut; all else stays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from gelan.data.formats.coco_objects import ImageId, image_entry
from gelan.data.formats.coco_places import image_folders
from gelan.data.formats.collector import listed
from gelan.data.formats.places import read_text
from gelan.data.formats.records import ROUNDING_PIXELS, ImageRecord
from gelan.data.formats.tree import Correction, SizeHW, Tree, absolute


def copy_coco(correction: Correction, tree: Tree) -> None:
    """Images and annotation files, into the tree."""
    for record in correction.records():
        tree.copy(record.path)
    for split, records in correction.splits.items():
        path = records[0].label_file
        assert path is not None
        _File(path, split, records, correction, tree).copy()


@dataclass(frozen=True, slots=True)
class _File:
    """One annotation file and what stays of it."""

    path: Path
    split: str
    records: Sequence[ImageRecord]
    correction: Correction
    tree: Tree

    def copy(self) -> None:
        """The file byte for byte, if nothing in it changes."""
        content: dict[str, object] = json.loads(read_text(self.path))
        images, annotations = content["images"], content["annotations"]
        assert isinstance(images, list)
        assert isinstance(annotations, list)
        new_images = list(self._images(images))
        new_annotations = list(self._annotations(annotations))
        if (new_images, new_annotations) == (images, annotations):
            self.tree.copy(self.path)
            return
        content |= {"images": new_images, "annotations": new_annotations}
        self.tree.write(self.path, _as_json(content).encode())

    def _images(self, entries: Sequence[object]) -> Iterator[object]:
        """Entries of images that stay, with another name where it leads out of the copy."""
        records = {record.image_id: record for record in self.records}
        seen = set[ImageId]()
        names: list[str] = []
        for value in entries:
            entry = image_entry(value)
            if entry is None or entry.id in seen:
                continue
            seen.add(entry.id)
            if entry.id not in records:
                continue
            assert isinstance(value, dict)
            if _is_elsewhere(entry.name, records[entry.id].path):
                names.append(self._name(records[entry.id].path))
                yield {**value, "file_name": names[-1]}
            else:
                yield value
        if names:
            begin = "file_name of another folder begins" if len(names) == 1 else "file_names begin"
            told = f"{len(names)} {begin} in the copy: {listed(names, at_most=3)}"
            self.tree.changes.append(f"{self.path}: changed: {told}")

    def _name(self, image: Path) -> str:
        """The name of an image from the folder where it will be looked for."""
        file, target = absolute(self.tree.target(self.path)), self.tree.target(image)
        folders = [absolute(folder) for folder in image_folders(file, self.split)]
        holding = [folder for folder in folders if target.is_relative_to(folder)]
        return target.relative_to((holding or [self.tree.building])[0]).as_posix()

    def _annotations(self, entries: Sequence[object]) -> Iterator[object]:
        """Entries of objects that stay, with boxes cut that reach out of their image."""
        sizes = self.correction.sizes
        owners = {
            place: (sizes[record.path], reach)
            for record in self.records
            for place, reach in zip(
                record.labels.places.tolist(),
                record.reach(sizes[record.path]).tolist(),
                strict=True,
            )
        }
        for place, value in enumerate(entries):
            if place not in owners:
                continue
            size_hw, reach = owners[place]
            assert isinstance(value, dict)
            if value.get("bbox") and reach > ROUNDING_PIXELS:
                yield {**value, "bbox": _cut(value["bbox"], size_hw)}
            else:
                yield value


def _is_elsewhere(name: str, path: Path) -> bool:
    """Whether a name leads to its image from the root of the file system."""
    spelled = name.replace("\\", "/")
    is_absolute = PurePosixPath(spelled).is_absolute() or PureWindowsPath(name).is_absolute()
    return is_absolute and absolute(Path(spelled)) == absolute(path)


def _cut(bbox: Sequence[int | float], size_hw: SizeHW) -> list[int | float]:
    """Left, top, width and height of the part of a box in its image."""
    left, top, width, height = bbox
    corners = [left, top, left + width, top + height]
    height_width = [size_hw[1], size_hw[0]] * 2
    kept = [min(max(value, 0), limit) for value, limit in zip(corners, height_width, strict=True)]
    return [kept[0], kept[1], kept[2] - kept[0], kept[3] - kept[1]]


def _as_json(content: dict[str, object]) -> str:
    """Every entry of a list in a line of its own."""
    parts = []
    for key, value in content.items():
        if isinstance(value, list):
            entries = ",\n".join(json.dumps(entry) for entry in value)
            parts.append(f"{json.dumps(key)}: [\n{entries}\n]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
