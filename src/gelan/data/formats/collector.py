"""Findings, gathered while a data set is read.

The word in `Finding.kind` is the same wherever the cause is the same; `KINDS` lists them all.
"""

from __future__ import annotations

from pathlib import Path

from gelan.structures.findings import Finding, Severity

KINDS = {
    "split-missing": "a split is named, and its folder or list is not there",
    "split-empty": "a split has no images that can be used",
    "split-overlap": "the same image file is in two splits",
    "split-left-out": "a list of images that is not used",
    "image-missing": "an image is named, and its file is not there",
    "image-repeated": "an image is listed twice",
    "image-unlabelled": "an image has no annotations, where that does not mean an empty scene",
    "image-left-out": "none of the objects of an image could be read, so it is not used",
    "background": "how many images have no objects",
    "label-unreadable": "a label file cannot be read",
    "label-missing": "no image of a split has a label file",
    "label-orphan": "a label file belongs to no image",
    "label-shared": "two images share a label file",
    "row-fields": "a row has the wrong number of fields, or an object lacks one",
    "row-number": "a field is no number",
    "row-repeated": "the same object stands twice in a file",
    "class-unknown": "a class number or name is not in the list of classes",
    "class-unused": "classes without a single object",
    "class-placeholder": "a class that stands for others or for nothing",
    "class-numbers": "class numbers that do not count 0, 1, 2, ...",
    "class-shift": "class numbers look shifted: counted from 1, or COCO's 1 to 90",
    "class-alike": "two classes have the same name, or nearly",
    "class-count": "`nc` differs from the number of names",
    "key-unknown": "a key of a description is not read, and looks like one that is",
    "path-unused": "`path` of a description leads nowhere, or not to what is read",
    "size-unknown": "labels in pixels do not say of what size of image",
    "names-missing": "nothing says how the classes are called",
    "value-range": "coordinates outside 0..1",
    "value-rounding": "coordinates outside 0..1 by rounding",
    "values-corners": "boxes look like x1 y1 x2 y2 instead of centre and size",
    "values-left-top": "boxes look like left, top, width, height instead of centre and size",
    "values-origin": "from where coordinates are counted",
    "box-empty": "a box of no width or height",
    "box-swapped": "a box whose right or bottom lies before its left or top",
    "box-outside": "a box that reaches out of the image",
    "outline-broken": "an outline that is no polygon",
    "id-unknown": "an annotation of an image that is not listed",
    "id-repeated": "two entries have the same id",
    "crowd": "how many objects are marked as crowds or as difficult",
    "kind-also": "a folder also holds labels in another format",
    "format-limit": "what the format that was written cannot hold",
}
"""What each kind of finding means."""


class Collector:
    """A list of findings that grows."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def error(
        self, kind: str, file: Path | str, *, cause: str, remedy: str, line: int | None = None
    ) -> None:
        """Something was left out."""
        self._add("error", kind, file, cause=cause, remedy=remedy, line=line)

    def warning(
        self, kind: str, file: Path | str, *, cause: str, remedy: str, line: int | None = None
    ) -> None:
        """Something is used, but suspicious."""
        self._add("warning", kind, file, cause=cause, remedy=remedy, line=line)

    def note(
        self, kind: str, file: Path | str, *, cause: str, remedy: str, line: int | None = None
    ) -> None:
        """Something is worth knowing."""
        self._add("note", kind, file, cause=cause, remedy=remedy, line=line)

    def _add(
        self,
        severity: Severity,
        kind: str,
        file: Path | str,
        *,
        cause: str,
        remedy: str,
        line: int | None,
    ) -> None:
        assert kind in KINDS, kind
        self.findings.append(
            Finding(
                kind=kind,
                severity=severity,
                file=str(file),
                line=line,
                cause=cause,
                remedy=remedy,
            )
        )


def listed(words: list[str], *, at_most: int = 8) -> str:
    """Words with commas; the rest as a number.

    >>> listed(["cat", "dog"]), listed(["a", "b", "c"], at_most=2)
    ('cat, dog', 'a, b and 1 more')
    """
    shown = ", ".join(words[:at_most])
    return shown if len(words) <= at_most else f"{shown} and {len(words) - at_most} more"


def count(number: int, word: str) -> str:
    """A number with its noun.

    >>> count(1, "box"), count(3, "box"), count(0, "image")
    ('1 box', '3 boxes', '0 images')
    """
    if number == 1:
        return f"1 {word}"
    return f"{number} {word}{'es' if word.endswith(('x', 's')) else 's'}"
