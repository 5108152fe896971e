"""YOLO data sets: `data.yaml`, a folder with `images/` and `labels/`, or a list of images.

The labels of `a/images/b/c.jpg` are in `a/labels/b/c.txt` (the last folder called `images` counts),
else beside the image. An image without a label file, or with an empty one, shows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gelan.data.formats.class_checks import tell_classes
from gelan.data.formats.collector import Collector, count
from gelan.data.formats.places import Listings, usable_splits
from gelan.data.formats.records import DatasetDescription, ImageRecord, labels_of
from gelan.data.formats.yolo_places import (
    Source,
    folder_source,
    label_candidates,
    list_source,
    yaml_source,
)
from gelan.data.formats.yolo_rows import LabelFile, RowReader
from gelan.data.formats.yolo_suspicions import explain
from gelan.structures.classes import ClassTable

_NO_OBJECTS = labels_of([], layout="centre-fractions")
_NOT_LABELS = {"classes.txt", "readme.txt", "train.txt", "val.txt", "valid.txt", "test.txt"}


def read_yolo_yaml(path: Path, *, names: Sequence[str] | None = None) -> DatasetDescription:
    """The data set that a `data.yaml` describes; `names` replace its own.

    Keys: `train`, `val` (or `valid`), `test`: a folder, a text file that lists images, or a list of
    those; `path`: where these begin; `names`: a list, or a mapping from class number to name; `nc`:
    checked against them. Others are passed over.

    Raises:
        ConfigError: the file is no such description.
        SourceError: none of its images is found; all places that were tried are listed.
    """
    collector = Collector()
    return _read(yaml_source(path, names=names, collector=collector), collector)


def read_yolo_folder(folder: Path, *, names: Sequence[str] | None = None) -> DatasetDescription:
    """The data set in a folder without `data.yaml`; see `yolo_places.folder_splits`.

    Raises:
        SourceError: the folder has no images with label files.
    """
    return _read(folder_source(folder, names=names), Collector())


def read_yolo_list(path: Path, *, names: Sequence[str] | None = None) -> DatasetDescription:
    """The images that a text file names, one a line.

    Raises:
        SourceError: none of them is there.
    """
    collector = Collector()
    return _read(list_source(path, names=names, collector=collector), collector)


def _read(source: Source, collector: Collector) -> DatasetDescription:
    table = source.classes
    index_of = None
    if table is not None:
        index_of = {table.category_id(index): index for index in range(len(table))}
    names = (
        {} if table is None else {name: table.category_id(i) for i, name in enumerate(table.names)}
    )
    reader = _SplitReader(source, RowReader(index_of, names, collector), collector)
    records = {split: reader.read(split, images) for split, images in source.splits.items()}
    splits = usable_splits(records, place=source.place, collector=collector)
    reader.tell_orphans()
    if table is None:
        table = _counted(splits, place=source.place, collector=collector)
    else:
        tell_classes(table, splits, place=source.place, collector=collector)
    return DatasetDescription(
        place=source.place,
        kind="yolo",
        classes=table,
        splits=splits,
        findings=tuple(collector.findings),
    )


@dataclass(slots=True)
class _SplitReader:
    """Turns images of one split after the other into records."""

    source: Source
    rows: RowReader
    collector: Collector
    listings: Listings = field(default_factory=Listings)
    owners: dict[Path, Path] = field(default_factory=dict)
    """The image that each label file belongs to."""
    folders: set[Path] = field(default_factory=set)
    """Where label files were looked for first."""

    def read(self, split: str, images: Sequence[Path]) -> list[ImageRecord]:
        records: list[ImageRecord] = []
        files: list[LabelFile] = []
        unusable: list[tuple[Path, Path]] = []
        missing = 0
        for image in dict.fromkeys(images):
            path = self._label_file(image)
            if path is None:
                missing += 1
                records.append(ImageRecord(path=image, labels=_NO_OBJECTS, label_file=None))
                continue
            file = self.rows.read(path)
            if file is None:
                continue
            files.append(file)
            if file.bad and not len(file.labels):
                unusable.append((image, path))
            else:
                records.append(ImageRecord(path=image, labels=file.labels, label_file=path))
        table = self.source.classes
        num_classes = len(table) if table is not None and table.category_ids is None else None
        place = self.source.place
        explain(files, split, place=place, num_classes=num_classes, collector=self.collector)
        self._tell_unusable(unusable)
        self._tell_background(split, images, records, missing)
        return records

    def _label_file(self, image: Path) -> Path | None:
        candidates = label_candidates(image)
        self.folders.add(candidates[0].parent)
        path = next((path for path in candidates if self.listings.has(path)), None)
        if path is not None:
            owner = self.owners.setdefault(path, image)
            if owner != image and owner.parent == image.parent:
                cause = f"belongs to {owner.name} and to {image.name}"
                remedy = "rename one of the images and give each its own label file"
                self.collector.warning("label-shared", path, cause=cause, remedy=remedy)
        return path

    def _tell_unusable(self, unusable: Sequence[tuple[Path, Path]]) -> None:
        for image, path in unusable:
            cause = f"no row can be used, so {image.name} is left out: it would pass for empty"
            remedy = "correct the rows, or delete them if the image shows nothing"
            self.collector.error("image-left-out", path, cause=cause, remedy=remedy)

    def _tell_background(
        self,
        split: str,
        images: Sequence[Path],
        records: Sequence[ImageRecord],
        missing: int,
    ) -> None:
        place = self.source.place
        empty = sum(record.label_file is not None and not len(record.labels) for record in records)
        if images and missing == len(images):
            tried = " and ".join(map(str, label_candidates(images[0])))
            cause = f"no image of split {split!r} has a label file; for the first, tried {tried}"
            remedy = "put the labels of images/x.jpg in labels/x.txt"
            self.collector.warning("label-missing", place, cause=cause, remedy=remedy)
        elif missing or empty:
            cause = (
                f"{missing} of {count(len(images), 'image')} in {split} have no label file and "
                f"{empty} an empty one: they show none of the classes"
            )
            remedy = "nothing, if these images really show none"
            self.collector.note("background", place, cause=cause, remedy=remedy)

    def tell_orphans(self) -> None:
        """Warn of label files without an image, where all images of their folder are known."""
        if not self.source.is_whole:
            return
        for folder in sorted(self.folders):
            for name in sorted(self.listings.names(folder)):
                path = folder / name
                is_label = name.endswith(".txt") and name.lower() not in _NOT_LABELS
                if is_label and not name.startswith(".") and path not in self.owners:
                    cause, remedy = (
                        "there is no image of this name",
                        "bring it back, or delete this",
                    )
                    self.collector.warning("label-orphan", path, cause=cause, remedy=remedy)


def _counted(
    splits: dict[str, tuple[ImageRecord, ...]], *, place: Path, collector: Collector
) -> ClassTable:
    """As many classes without a name as the highest number needs."""
    records = [record for part in splits.values() for record in part]
    highest = max((int(record.labels.classes.max(initial=-1)) for record in records), default=-1)
    cause = f"nothing says how the classes are called; numbers go up to {highest}"
    if 80 <= highest <= 90:
        cause = f"{cause} (if they are COCO's ids 1..90: its 80 classes are counted 0..79 here)"
    remedy = "write a data.yaml with 'names', or classes.txt with one name a line"
    collector.warning("names-missing", place, cause=cause, remedy=remedy)
    return ClassTable.unnamed(highest + 1)
