"""Which class of a data set is which class of a network: by name, and never by guessing.

A data set that has been written for other software often counts its classes from another number, in
another order, or with a placeholder among them. Each case is told apart and said, because AP near
zero is what remains of it otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gelan.data.formats.collector import listed
from gelan.errors import ConfigError, nearest
from gelan.structures.classes import ClassTable
from gelan.structures.detections import Detections

_OTHER_NAMES = {
    "motorbike": "motorcycle",
    "aeroplane": "airplane",
    "sofa": "couch",
    "tvmonitor": "tv",
    "hairdryer": "hairdrier",
}
"""Names of COCO's classes in other lists -> those of COCO; both without spaces."""
_PLACEHOLDERS = {"", "background", "bg", "none", "na", "nolabel", "unlabeled", "object", "objects"}
_FEW = 6
"""Names in a message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """How the classes of a network and of a data set belong together."""

    classes: ClassTable
    """Those of the data set; with the names of the network where it has none."""
    network_indices: tuple[int | None, ...]
    """For each of these: the class of the network; None if it has none."""
    notes: tuple[str, ...]
    """What a user should know about it; nothing if both are the same."""

    @property
    def wanted(self) -> tuple[int, ...]:
        """The classes of the network that the data set knows, rising."""
        return tuple(sorted(index for index in self.network_indices if index is not None))

    def translated(self, found: Detections) -> Detections:
        """Detections of the network with these classes; those of others are left out."""
        index_of = np.full(len(found.names), -1, np.int64)
        for index, network_index in enumerate(self.network_indices):
            if network_index is not None:
                index_of[network_index] = index
        new = index_of[found.classes.astype(np.int64)]
        kept = found[new >= 0]
        return replace(kept, classes=new[new >= 0], names=self.classes.names)


def fit_classes(network: ClassTable, data: ClassTable, *, counts: Sequence[int]) -> Fit:
    """The classes of a data set among those of a network; `counts` are its objects of each class.

    Raises:
        ConfigError: a class that has objects is none of the network's, with the likely reason.

    >>> fit = fit_classes(ClassTable(("cat", "dog")), ClassTable(("dog",)), counts=[3])
    >>> fit.network_indices, fit.notes
    ((1,), ('1 of 2 classes of the network is not in the data set: cat',))
    """
    if network.names == data.names:
        return Fit(classes=data, network_indices=tuple(range(len(data))), notes=())
    if _unnamed(network) or _unnamed(data):
        return _by_number(network, data)
    places: dict[str, list[int]] = {}
    for index, name in enumerate(network.names):
        places.setdefault(_plain(name), []).append(index)
    _require_distinct(network, places)
    indices = [places.get(_plain(name), [None])[0] for name in data.names]
    _require_each_once(data, network, indices)
    strange = [number for number, index in enumerate(indices) if index is None]
    if any(counts[number] for number in strange):
        raise ConfigError(_why_strange(network, data, [n for n in strange if counts[n]]))
    return Fit(
        classes=data,
        network_indices=tuple(indices),
        notes=tuple(_notes(network, data, indices)),
    )


def _plain(name: str) -> str:
    """A name without capitals, spaces and signs, under the name that COCO has for it."""
    plain = re.sub(r"[\W_]+", "", name.casefold())
    return _OTHER_NAMES.get(plain, plain) or name


def _unnamed(table: ClassTable) -> bool:
    return table.names == ClassTable.unnamed(len(table)).names


def _by_number(network: ClassTable, data: ClassTable) -> Fit:
    """Class 0 for class 0; labels without names may well stop before the last class."""
    nameless = "the data set" if _unnamed(data) else "the weights file"
    if len(data) > len(network) or (len(data) < len(network) and not _unnamed(data)):
        raise ConfigError(
            f"the network has {len(network)} classes and the data set {len(data)}, and {nameless} "
            f"has no names to tell which is which; {_because_of_number(network, data)}"
        )
    classes = data
    if _unnamed(data):
        same = len(data) == len(network)
        classes = ClassTable(network.names, data.category_ids if same else None)
    note = f"{nameless} has no class names: class 0 of the one is taken for class 0 of the other"
    return Fit(classes=classes, network_indices=tuple(range(len(classes))), notes=(note,))


def _because_of_number(network: ClassTable, data: ClassTable) -> str:
    """The likely reason why two numbers of classes differ, and what to do."""
    numbers = (len(network), len(data))
    if numbers in ((80, 91), (80, 90), (91, 80), (90, 80)):
        return (
            "80 and 90 or 91 are both COCO: with and without the ids that no class uses; give the "
            "data set its 80 names, in the order of the network"
        )
    if abs(numbers[0] - numbers[1]) == 1:
        return (
            "one more or less is often a class for the background, or a count from 1 instead of 0"
        )
    return "name the classes (--names for those of the network)"


def _require_distinct(network: ClassTable, places: dict[str, list[int]]) -> None:
    alike = next((found for found in places.values() if len(found) > 1), None)
    if alike is not None:
        names = ", ".join(repr(network.names[index]) for index in alike)
        raise ConfigError(
            f"classes {names} of the network are too alike to be told apart by name; "
            "name them with --names"
        )


def _require_each_once(
    data: ClassTable, network: ClassTable, indices: Sequence[int | None]
) -> None:
    seen: dict[int, str] = {}
    for name, index in zip(data.names, indices, strict=True):
        if index is not None and index in seen:
            raise ConfigError(
                f"classes {seen[index]!r} and {name!r} of the data set are both "
                f"{network.names[index]!r} for the network; give each class one name"
            )
        if index is not None:
            seen[index] = name


def _why_strange(network: ClassTable, data: ClassTable, strange: list[int]) -> str:
    shown = [f"{data.names[n]!r}{nearest(data.names[n], network.names)}" for n in strange[:_FEW]]
    shown += [data.names[n] for n in strange[_FEW:]]
    message = (
        f"{len(strange)} of {len(data)} classes of the data set are unknown to the network, which "
        f"has {len(network)}: {_some(shown)}"
    )
    first = _plain(data.names[0]) in _PLACEHOLDERS
    if first and len(data) == len(network) + 1:
        return (
            f"{message}; its first class looks like a placeholder, so all others are one off: "
            "take it out of the names and count the labels from 0"
        )
    if len(strange) == len(data) and len(network) == len(data):
        return (
            f"{message}; if these are the same classes under other names, say so with --names, in "
            "the order of the network"
        )
    if len(data) in (90, 91) and len(network) == 80:
        return f"{message}; {_because_of_number(network, data)}"
    return f"{message}; take weights that were trained on these classes, or correct the names"


def _notes(network: ClassTable, data: ClassTable, indices: Sequence[int | None]) -> list[str]:
    notes = []
    renamed = [
        f"{name} = {network.names[index]}"
        for name, index in zip(data.names, indices, strict=True)
        if index is not None and name != network.names[index]
    ]
    if renamed:
        notes.append(f"spelled differently by the data set and the network: {_some(renamed)}")
    known = [index for index in indices if index is not None]
    if known != sorted(known):
        moved = [
            f"{data.names[number]} {number} -> {index}"
            for number, index in enumerate(indices)
            if index is not None and number != index
        ]
        notes.append(
            f"the order of the classes differs, so they were paired by name: {_some(moved)}"
        )
    absent = [name for index, name in enumerate(network.names) if index not in set(known)]
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        notes.append(
            f"{len(absent)} of {len(network)} classes of the network {verb} not in the data set: "
            f"{_some(absent)}"
        )
    strange = [data.names[number] for number, index in enumerate(indices) if index is None]
    if strange:
        notes.append(f"unknown to the network, and without objects: {_some(strange)}")
    return notes


def _some(words: list[str]) -> str:
    return listed(words, at_most=_FEW)
