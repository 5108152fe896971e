"""Which JSON files of a folder are COCO annotations of which split, and where their images are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from gelan.data.formats.places import Listings, folder_called, folders_in, split_of
from gelan.errors import ConfigError

_ROBOFLOW = "_annotations.coco.json"
_OTHER_TASKS = ("captions", "person_keypoints", "panoptic", "stuff", "image_info")
_SAMPLE = 50
"""Images whose names decide which folder is meant."""


def annotation_files(folder: Path) -> dict[str, Path]:
    """The annotation file of each split; none where the folder is no COCO data set.

    Known are `train/_annotations.coco.json` and the like, `annotations/instances_train2017.json`
    and the like, and JSON files in `annotations/` or in the folder itself. A split is named by its
    folder or file; a file that names none is the split `all`.

    Raises:
        ConfigError: two files are for the same split.
    """
    inside = [folder / _ROBOFLOW, *(part / _ROBOFLOW for part in folders_in(folder))]
    files = [file for file in inside if file.is_file()]
    if files:
        return _by_split([(file, file.parent.name) for file in files])
    own = folder_called(folder, "annotations")
    for place in (own, folder):
        files = [] if place is None else sorted(place.glob("*.json"))
        instances = [file for file in files if file.name.startswith("instances")]
        files = instances or [file for file in files if not file.name.startswith(_OTHER_TASKS)]
        files = [file for file in files if file.is_file() and holds_annotations(file)]
        if files:
            return _by_split([(file, file.stem) for file in files])
    return {}


def holds_annotations(file: Path) -> bool:
    """Whether the words `images` and `annotations` stand in a file, as keys do in JSON."""
    data = file.read_bytes()
    return b'"images"' in data and b'"annotations"' in data


def file_split(file: Path) -> str:
    """The split that a file's name, or else its folder's, says.

    >>> [file_split(Path(name)) for name in ("a/instances_val2017.json", "train/a.json", "b.json")]
    ['val', 'train', 'all']
    """
    return split_of(file.stem) or split_of(file.parent.name) or "all"


def _by_split(named: Sequence[tuple[Path, str]]) -> dict[str, Path]:
    splits: dict[str, Path] = {}
    for file, name in named:
        split = split_of(name) or "all"
        if split in splits:
            both = f"{splits[split]} and {file}"
            raise ConfigError(
                f"{both} are both for the split {split!r}; name the one that is meant"
            )
        splits[split] = file
    return splits


def image_folders(file: Path, split: str) -> list[Path]:
    """Folders where the images of an annotation file may be, likeliest first."""
    token = file.stem.rpartition("_")[2]
    names = list(dict.fromkeys([token, split]))
    below = [*(f"images/{name}" for name in names), *names, "images", "", "JPEGImages"]
    below += [f"{name}/images" for name in names]
    above = Path(os.path.normpath(file.parent / ".."))
    if file.name == _ROBOFLOW:
        return [file.parent, file.parent / "images", above / "images"]
    return [base / name for base in (above, file.parent) for name in below]


def locate(names: Sequence[str], folders: Sequence[Path], listings: Listings) -> list[Path | None]:
    """The path of each image: all from the one folder that holds most of them.

    A name is tried as it is written, and without its folders, which may be those of another
    computer. None for an image that is not there.
    """
    step = max(len(names) // _SAMPLE, 1)
    best = _best(names[::step], folders, listings) or _best(names, folders, listings)
    if best is None:
        return [None] * len(names)
    paths = [_path(best[0], name, short=best[1]) for name in names]
    return [path if listings.has(path) else None for path in paths]


def _best(
    names: Sequence[str], folders: Sequence[Path], listings: Listings
) -> tuple[Path, bool] | None:
    """The folder with the most of the images, and whether their names are to be cut short."""
    hits = {
        (folder, short): sum(listings.has(_path(folder, name, short=short)) for name in names)
        for short in (False, True)
        for folder in folders
    }
    found = max(hits, key=lambda choice: hits[choice], default=None)
    return found if found and hits[found] else None


def _path(folder: Path, name: str, *, short: bool) -> Path:
    spelled = PurePosixPath(name.replace("\\", "/"))
    return folder / (spelled.name if short else spelled)
