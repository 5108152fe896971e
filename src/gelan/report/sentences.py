"""What the figures of a report mean, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from gelan.evaluate.errors import ErrorKind
from gelan.evaluate.report import Report

ERROR_WORDS: dict[ErrorKind, str] = {
    "classification": "the box is right (overlap of 0.5 or more), the class is not",
    "localisation": "the class is right, the box is off (overlap of 0.1 to 0.5)",
    "both": "the class is wrong and the box is off",
    "duplicate": "an object that a better detection has found already",
    "background": "something is seen where nothing is marked (check the labels, too)",
    "missed": "an object that no detection stands for or points at",
}
"""One line for each kind."""

_REMEDIES: dict[ErrorKind, str] = {
    "classification": "classes are mixed up",
    "localisation": "boxes are not tight enough",
    "both": "boxes and classes are wrong together",
    "duplicate": "objects are found twice",
    "background": "things are seen that are not marked",
    "missed": "objects are not found at all",
}


def meaning(report: Report) -> str:
    """What a reader should take away from the headline figures."""
    return " ".join(_sentences(report))


def _sentences(report: Report) -> Iterator[str]:
    ap = report.headline.ap
    if ap is None:
        there = "In " + _images(report)
        yield f"{there} no objects are marked, so there is nothing that could be found."
        if report.num_detections:
            yield f"The network saw {counted(report.num_detections, 'detection')} all the same."
        return
    yield f"On {_images(report)} with {counted(report.num_objects, 'object')}, AP is {ap:.3f}."
    interval = report.ap_interval
    if interval is not None:
        yield (
            f"The mean of many sets of as many images of the same kind lies between "
            f"{interval.low:.3f} and {interval.high:.3f} ({100 * interval.level:g} % interval); "
            "whether a network is better by less than that, “gelan compare” can tell."
        )
    elif report.conditions.settings.replicas > 1:
        yield "These are too few images with objects to tell how sure that is."
    if report.best is None:
        yield "Not one object is found."
        return
    point = report.best
    yield (
        f"With detections above a score of {point.confidence:.2g} it finds "
        f"{100 * point.recall:.0f} % of the objects, and {100 * point.precision:.0f} % of what it "
        "finds is right."
    )
    costs = [(cost.ap50_cost or 0.0, cost.kind) for cost in report.errors]
    worst, kind = max(costs, key=lambda pair: pair[0])
    if worst > 0:
        yield f"What costs most is that {_REMEDIES[kind]}: {worst:.3f} of AP50."


def _images(report: Report) -> str:
    words = counted(report.num_images, "image")
    return "one image" if report.num_images == 1 else f"these {words}"


def counted(number: int, word: str) -> str:
    """A number with its noun.

    >>> counted(1, "image"), counted(4952, "image"), counted(2, "class")
    ('1 image', '4,952 images', '2 classes')
    """
    plural = f"{word}es" if word.endswith(("s", "x")) else f"{word}s"
    return f"{number:,} {word if number == 1 else plural}"
