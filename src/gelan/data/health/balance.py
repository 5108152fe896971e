"""How many images and objects there are of what, by split and class, and what that means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gelan.data.formats.collector import count, listed
from gelan.data.formats.records import DatasetDescription, ImageRecord
from gelan.data.health.boxes import FINEST_STRIDE, ImageBoxes
from gelan.data.health.kinds import finding
from gelan.structures.findings import Finding

_RARE = 10
"""Objects of a class below which it can hardly be learnt."""
_UNEVEN = 10
"""Most frequent by least frequent class from which imbalance is worth a word."""
_MANY_SMALL = 0.25
"""Part of the boxes below the finest stride from which it is worth a word."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitCounts:
    """What is in a split."""

    images: int
    empty: int
    """Images that show none of the classes."""
    objects: int
    """Crowds included."""
    crowds: int
    measured: int
    """Boxes whose size in pixels is known."""
    small: int
    """Boxes whose shorter side is below the finest stride at the network's input size."""
    class_objects: tuple[int, ...]
    class_images: tuple[int, ...]

    @property
    def small_share(self) -> float | None:
        """Part of the measured boxes that are small; None where none is measured."""
        return self.small / self.measured if self.measured else None


def count_split(
    records: Sequence[ImageRecord], boxes: Sequence[ImageBoxes], *, num_classes: int, size: int
) -> SplitCounts:
    """The counts of one split; `boxes` are those of the same images, as far as they are known."""
    objects, images = np.zeros(num_classes, np.int64), np.zeros(num_classes, np.int64)
    for record in records:
        objects += np.bincount(record.labels.classes, minlength=num_classes)
        images[np.unique(record.labels.classes)] += 1
    measured = [image for image in boxes if image.size_hw is not None]
    return SplitCounts(
        images=len(records),
        empty=sum(not len(record.labels) for record in records),
        objects=int(objects.sum()),
        crowds=sum(int(record.labels.crowd.sum()) for record in records),
        measured=sum(len(image.boxes) for image in measured),
        small=sum(int((image.sides_at(size) < FINEST_STRIDE).sum()) for image in measured),
        class_objects=tuple(objects.tolist()),
        class_images=tuple(images.tolist()),
    )


def balance_findings(
    description: DatasetDescription, counts: dict[str, SplitCounts], *, size: int
) -> Iterator[Finding]:
    """What the counts mean for training and evaluation."""
    place = description.place
    yield from _split_findings(description, counts)
    for split, of in counts.items():
        share = of.small_share
        if share is not None and share >= _MANY_SMALL:
            cause = (
                f"{share:.0%} of the {count(of.measured, 'box')} in {split} are less than "
                f"{FINEST_STRIDE} pixels wide or high in an input of {size}"
            )
            remedy = "a larger --size, or tiles, will find more of them"
            yield finding("boxes-small", place, cause=cause, remedy=remedy)
        if of.empty * 2 > of.images:
            cause = f"{of.empty} of {count(of.images, 'image')} in {split} show none of the classes"
            remedy = "if they should show some, look for their labels"
            yield finding("background-most", place, cause=cause, remedy=remedy)
    if "train" in counts:
        yield from _class_findings(description, counts)


def _split_findings(
    description: DatasetDescription, counts: dict[str, SplitCounts]
) -> Iterator[Finding]:
    if "all" in counts:  # nothing says what is for training
        return
    for split, purpose in (("train", "train on"), ("val", "choose the best network by")):
        if split not in counts:
            cause = f"there is no split {split!r}: nothing to {purpose}"
            remedy = "set some images apart, without copies in the other splits"
            yield finding("split-absent", description.place, cause=cause, remedy=remedy)


def _class_findings(
    description: DatasetDescription, counts: dict[str, SplitCounts]
) -> Iterator[Finding]:
    """Classes that are missing, rare or uneven in `train`, or missing where it is measured."""
    place, names = description.place, description.classes.names
    trained = counts["train"].class_objects
    for split in (name for name in counts if name != "train"):
        pairs = list(zip(names, trained, counts[split].class_objects, strict=True))
        untrained = [name for name, learnt, measured in pairs if measured and not learnt]
        unmeasured = [name for name, learnt, measured in pairs if learnt and not measured]
        if untrained:
            cause = f"{_classes(untrained)} in {split} and not in train: {listed(untrained)}"
            remedy = "add training images of them: they can never be found"
            yield finding("class-untrained", place, cause=cause, remedy=remedy)
        if unmeasured:
            cause = f"{_classes(unmeasured)} in train and not in {split}: {listed(unmeasured)}"
            remedy = f"add some to {split}, if their figures matter"
            yield finding("class-unmeasured", place, cause=cause, remedy=remedy)
    shown = sorted((number, name) for name, number in zip(names, trained, strict=True) if number)
    rare = [f"{name} ({number})" for number, name in shown if number < _RARE]
    if rare:
        cause = f"{_classes(rare)} with less than {_RARE} objects in train: {listed(rare)}"
        remedy = "add images of them; figures of such classes are chance"
        yield finding("class-rare", place, cause=cause, remedy=remedy)
    if shown and shown[-1][0] >= _UNEVEN * shown[0][0]:
        (least, rarest), (most, commonest) = shown[0], shown[-1]
        cause = (
            f"in train, {commonest} has {count(most, 'object')} and {rarest} {least}: "
            f"{most / least:.0f} to 1"
        )
        remedy = "look at figures per class; more images of rare ones help most"
        yield finding("class-imbalance", place, cause=cause, remedy=remedy)


def _classes(names: Sequence[str]) -> str:
    return f"{len(names)} {'class' if len(names) == 1 else 'classes'}"
