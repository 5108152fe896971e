"""What is wrong with the image files themselves, and with labels made for another form of them."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from gelan.data.formats.collector import count
from gelan.data.formats.records import DatasetDescription, ImageRecord
from gelan.data.health.kinds import finding
from gelan.data.health.scan import NO_FILE, Picture, Seen, Unreadable
from gelan.structures.findings import Finding


def picture_findings(
    description: DatasetDescription, seen: Mapping[Path, Seen]
) -> Iterator[Finding]:
    """Unreadable images; images of another size, or turned another way, than labels say."""
    records = {record.path: record for records in description.splits.values() for record in records}
    for path, record in records.items():
        picture = seen[path]
        if isinstance(picture, Unreadable):
            yield unreadable(picture)
        else:
            yield from _frame_findings(record, picture)
    yield from _turned_images(description, seen)


def frame_differs(record: ImageRecord, picture: Picture) -> bool:
    """Whether labels in pixels are for an image of another size than the upright one."""
    return record.stated_hw not in (None, picture.size_hw)


def unreadable(picture: Unreadable) -> Finding:
    """The reading error as a finding."""
    text = str(picture.error).removeprefix(f"{picture.path}: ")
    cause, _, remedy = text.rpartition("; ")
    remedy = f"{remedy}, or take it out" if cause else "copy it again, or take it out"
    return finding("image-unreadable", picture.path, cause=cause or text, remedy=remedy)


def _frame_findings(record: ImageRecord, picture: Picture) -> Iterator[Finding]:
    if record.stated_hw is None or not frame_differs(record, picture):
        return
    place = record.label_file or record.path
    stated, found = _in_words(record.stated_hw), _in_words(picture.size_hw)
    if record.stated_hw == picture.stored_hw:
        cause = (
            f"labels are for {record.path.name} as stored, {stated}; "
            f"its EXIF orientation {picture.orientation} turns it to {found}"
        )
        remedy = "save the image without EXIF orientation, or turn its boxes"
        yield finding("image-turned", place, cause=cause, remedy=remedy)
    else:
        cause = f"labels are for {record.path.name} of {stated}; it has {found}"
        remedy = "bring back the image of that size, or scale its boxes"
        yield finding("image-size", place, cause=cause, remedy=remedy)


def _turned_images(description: DatasetDescription, seen: Mapping[Path, Seen]) -> Iterator[Finding]:
    """One note per split where boxes in parts of the size do not tell which side they took for up.

    Numbers 3 and 4 keep the size, so that labels in pixels do not tell it either.
    """
    for split, records in description.splits.items():
        doubtful = [
            record.path
            for record in records
            if len(record.labels) and _is_doubtful(record, seen[record.path])
        ]
        if doubtful:
            cause = f"{count(len(doubtful), 'image')} of {split} turned by EXIF"
            if len(doubtful) > 1:
                cause = f"{cause}, {doubtful[0].name} the first"
            remedy = "look at one with its boxes: they must fit the upright image"
            yield finding("image-exif", doubtful[0], cause=cause, remedy=remedy)


def _is_doubtful(record: ImageRecord, picture: Seen) -> bool:
    if not isinstance(picture, Picture) or picture.orientation not in range(2, 9):
        return False
    return record.stated_hw is None or picture.orientation in (2, 3, 4)


def _in_words(size_hw: tuple[int, int]) -> str:
    height, width = size_hw
    return f"{width} x {height}"


def gone_findings(paths: Iterable[Path]) -> Iterator[Finding]:
    """Images whose file is not there, is none or has no bytes; nothing is opened."""
    for path in dict.fromkeys(paths):
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                yield finding("image-gone", path, cause=NO_FILE, remedy="take it out")
            elif status.st_size == 0:
                cause, remedy = "the file is empty", "copy or download it again, or take it out"
                yield finding("image-gone", path, cause=cause, remedy=remedy)
        except OSError as error:
            cause = f"cannot be opened: {error.strerror or error}"
            remedy = "bring it back, or take it out"
            yield finding("image-gone", path, cause=cause, remedy=remedy)
