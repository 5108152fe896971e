"""Names for what is written: files and folders that work on any file system, and image ids.

A name is one component of a path; a source is the text of `Detections.source`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

NOT_IN_A_NAME = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\ud800-\udc7f\udd00-\udfff]')
"""Characters that one of the usual file systems does not allow in a file name, controls of a
terminal, and halves of surrogate pairs but for those that stand for a byte."""
WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
LONGEST_NAME = 200  # bytes; file systems allow 255, and a number and a suffix are added


class UniqueNames:
    """Names given away once only, whether or not the file system tells capitals apart.

    >>> names = UniqueNames()
    >>> [names.claim(name) for name in ("dog", "cat", "Dog", "dog", "dog_2")]
    ['dog', 'cat', 'Dog_2', 'dog_3', 'dog_2_2']
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def claim(self, name: str) -> str:
        """The name itself, or the first of `name_2`, `name_3`, ... that is free."""
        unique = name
        while _folded(unique) in self._counts:
            self._counts[_folded(name)] += 1
            unique = f"{name}_{self._counts[_folded(name)]}"
        self._counts[_folded(unique)] = 1
        return unique


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def stem_of(source: str) -> str:
    """File name of a source without its suffix, fit for all file systems; `image` if it has none.

    >>> stem_of("photos/dog.final.jpg"), stem_of("video.mp4#t=12:30"), stem_of("")
    ('dog.final', 'video', 'image')
    """
    return safe_name(Path(source).stem, instead="image")


def safe_name(text: str, *, instead: str) -> str:
    """A text as the name of a file or folder on any file system; `instead` if nothing is left.

    >>> safe_name("a/c unit: old?", instead="class 0"), safe_name("..", instead="class 0")
    ('a_c unit_ old_', 'class 0')
    """
    name = NOT_IN_A_NAME.sub("_", text)
    if len(name.encode(errors="surrogateescape")) > LONGEST_NAME:
        name = name.encode(errors="surrogateescape")[:LONGEST_NAME].decode(errors="ignore")
    name = name.strip(" ").rstrip(" .")
    return f"{name}_" if WINDOWS_DEVICE.fullmatch(name) else name or instead


def coco_image_ids(sources: Sequence[str]) -> list[int]:
    """`image_id` of each image: the number that is its file name if all have one, else 1, 2, ...

    >>> coco_image_ids(["val/000000000139.jpg", "val/000000000285.jpg"])
    [139, 285]
    >>> coco_image_ids(["000139.jpg", "dog.jpg"]), coco_image_ids(["a/7.jpg", "b/07.jpg"])
    ([1, 2], [1, 2])
    """
    stems = [Path(source).stem for source in sources]
    if all(re.fullmatch("[0-9]{1,15}", stem) for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(sources) + 1))
