"""Where the annotations, images and lists of a Pascal VOC data set are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gelan.data.formats.collector import Collector, count, listed
from gelan.data.formats.places import (
    Listings,
    folder_called,
    folders_in,
    read_text,
    split_of,
)
from gelan.errors import SourceError

_LISTS = ("train", "val", "valid", "test", "trainval")


@dataclass(frozen=True, slots=True)
class Named:
    """An image that a list or a file name stands for."""

    annotation: Path
    images: Path
    """The folder where the image should be."""
    listed_in: Path
    line: int | None
    """Of the list; None where the annotation file itself is all that names the image."""

    @property
    def stem(self) -> str:
        """Name of both files without suffix."""
        return self.annotation.name.removesuffix(".xml")


def named_images(folder: Path, collector: Collector) -> dict[str, list[Named]]:
    """Images by split; none where the folder holds no VOC annotations.

    Known are `Annotations/` with `JPEGImages/` or `images/` and lists in `ImageSets/Main/`, and
    XML files beside the images, also in folders called train, valid and test. `Annotations` may be
    named itself.
    """
    if folder.name.lower() == "annotations":
        folder = folder.parent
    annotations = folder_called(folder, "annotations")
    if annotations is not None and any(annotations.glob("*.xml")):
        images = folder_called(folder, "jpegimages", "images") or annotations
        lists = _lists(folder)
        if lists:
            return _from_lists(lists, annotations, images, collector)
        return {"all": list(_beside(annotations, images))}
    parts = {split: part for part in folders_in(folder) if (split := split_of(part.name))}
    found = {split: list(_beside(part, part)) for split, part in parts.items()}
    found = {split: names for split, names in found.items() if names}
    if not found and (names := list(_beside(folder, folder))):
        return {split_of(folder.name) or "all": names}
    return found


def images_of_list(path: Path, collector: Collector) -> dict[str, list[Named]]:
    """The images of one list in `ImageSets`, as the split of its name.

    Raises:
        SourceError: the list does not lie in a VOC folder.
    """
    for up in ("..", "../.."):
        folder = Path(os.path.normpath(path.parent / up))
        annotations = folder_called(folder, "annotations")
        if annotations is not None:
            images = folder_called(folder, "jpegimages", "images") or annotations
            return {split_of(path.stem) or path.stem: list(_listed(path, annotations, images))}
    raise SourceError(f"{path}: there is no folder 'Annotations' beside 'ImageSets'")


def image_named(named: Named, file_name: str, listings: Listings) -> tuple[Path | None, list[str]]:
    """The image of an annotation file, and all that have its name.

    It is called as the annotation file is; else as the text of its `<filename>`, if no other
    annotation file is called so.
    """
    same = listings.images_called(named.stem, named.images)
    if file_name in same:
        return named.images / file_name, same
    if same:
        return named.images / same[0], same
    own = named.annotation.with_name(f"{Path(file_name).stem}.xml")
    if not file_name or listings.has(own):  # it belongs to another annotation file
        return None, same
    image = named.images / file_name
    return (image if listings.has(image) else None), same


def lists_of(place: Path) -> dict[str, Path]:
    """The lists of images of a data set: of a folder, or the one list that is named."""
    if place.is_file():
        return {place.stem: place}
    return _lists(place.parent if place.name.lower() == "annotations" else place)


def _lists(folder: Path) -> dict[str, Path]:
    sets = folder_called(folder, "imagesets")
    if sets is None:
        return {}
    place = folder_called(sets, "main") or sets
    files = {name: place / f"{name}.txt" for name in _LISTS}
    return {name: file for name, file in files.items() if file.is_file()}


def _from_lists(
    lists: dict[str, Path], annotations: Path, images: Path, collector: Collector
) -> dict[str, list[Named]]:
    both = lists.pop("trainval", None)
    splits = {split_of(n) or n: list(_listed(f, annotations, images)) for n, f in lists.items()}
    if both is not None:
        names = list(_listed(both, annotations, images))
        if not {"train", "val"} & splits.keys():
            splits = {"train": names, **splits}
        else:
            known = {named.stem for part in splits.values() for named in part}
            more = [named.stem for named in names if named.stem not in known]
            _tell_unused(both, more, collector)
    known = {named.stem for part in splits.values() for named in part}
    rest = [named.stem for named in _beside(annotations, images) if named.stem not in known]
    _tell_unused(annotations, rest, collector)
    return splits


def _tell_unused(place: Path, stems: list[str], collector: Collector) -> None:
    if stems:
        cause = f"{count(len(stems), 'image')} in neither train, val nor test: {listed(stems)}"
        remedy = "add them to a list in ImageSets/Main, if they should be used"
        collector.warning("split-left-out", place, cause=cause, remedy=remedy)


def _listed(path: Path, annotations: Path, images: Path) -> Iterator[Named]:
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if text.strip():
            yield Named(annotations / f"{text.strip()}.xml", images, path, line)


def _beside(annotations: Path, images: Path) -> Iterator[Named]:
    for path in sorted(annotations.glob("*.xml")):
        if not path.name.startswith("."):
            yield Named(path, images, path, None)
