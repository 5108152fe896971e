"""Options under the names that other YOLO programs give them: accepted, with a notice."""

from __future__ import annotations

from collections.abc import Collection, Sequence

SPELLINGS = {
    "--conf": "--confidence",
    "--conf-thres": "--confidence",
    "--iou-thres": "--iou",
    "--max-det": "--max-detections",
    "--img": "--size",
    "--imgsz": "--size",
    "--img-size": "--size",
    "--batch-size": "--batch",
    "--model": "--weights",
    "--agnostic-nms": "--agnostic",
}
"""Their word -> ours."""


def published_spelling(
    words: Sequence[str], *, own: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """The command line in our words, and a notice for each word that was not.

    `own` are options of the command itself, which keep their meaning.

    >>> published_spelling(["--conf_thres=0.5", "--iou", "0.4"])
    (['--confidence=0.5', '--iou', '0.4'], ['--conf_thres is called --confidence here'])
    """
    ours, notices = [], []
    for word in words:
        option, equals, value = word.partition("=")
        plain = option.replace("_", "-") if option.startswith("--") else option
        known = plain if plain in own else SPELLINGS.get(plain, plain)
        if known != plain:
            notices.append(f"{option} is called {known} here")
        ours.append(f"{known}{equals}{value}")
    return ours, notices
