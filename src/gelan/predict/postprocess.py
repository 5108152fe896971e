"""From what a network says about every anchor to the objects in the original image.

Boxes come in pixels of the canvas, the image as the network saw it (letterboxed); they leave in
pixels of the original image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from gelan.errors import CheckpointError, ConfigError
from gelan.geometry.boxes import area
from gelan.geometry.letterbox import Placement
from gelan.geometry.nms import non_maximum_suppression
from gelan.structures.detections import Detections


@dataclass(frozen=True, kw_only=True, slots=True)
class PostprocessSettings:
    """Which of a network's boxes count as detections.

    The defaults are those of the published inference script, but for `max_detections` (1000
    there).

    Raises:
        ConfigError: a value is of another type, or outside its range.
    """

    confidence: float = 0.25
    """Only scores strictly greater count; compared in float32."""
    iou: float = 0.45
    """A box that overlaps a better one of its class by more than this is dropped."""
    max_detections: int = 300
    """At most so many in one image: the best."""
    classes: tuple[int, ...] | None = None
    """Only these classes (indices); None means all."""
    agnostic: bool = False
    """Whether boxes of different classes suppress each other, too."""
    multi_label: bool = False
    """Whether an anchor counts with each class above `confidence`, not with its best one alone."""

    def __post_init__(self) -> None:
        for name, value in (("confidence", self.confidence), ("iou", self.iou)):
            _require_kind(name, value, _NUMBER, what="a number between 0 and 1")
            if not 0 <= value <= 1:
                raise ConfigError(f"{name} is {value}; it must lie between 0 and 1")
        for name, switch in (("agnostic", self.agnostic), ("multi_label", self.multi_label)):
            _require_kind(name, switch, (bool, np.bool_), what="True or False")
        _require_kind("max_detections", self.max_detections, _WHOLE, what="a whole number")
        if self.max_detections < 1:
            raise ConfigError(f"max_detections is {self.max_detections}; it must be at least 1")
        if self.classes is not None and not self.classes:
            raise ConfigError("classes is empty: name at least one class, or none to get all")


_WHOLE = (int, np.integer)
_NUMBER = (int, float, np.integer, np.floating)


def _require_kind(name: str, value: object, kinds: tuple[type, ...], *, what: str) -> None:
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ConfigError(f"{name} is {value!r:.100} ({type(value).__name__}); it must be {what}")


PREDICTION = PostprocessSettings()
"""What `Predictor.predict` and `gelan predict` do unless they are told otherwise."""
EVALUATION = PostprocessSettings(confidence=0.001, iou=0.7, max_detections=300, multi_label=True)
"""The protocol of the published AP figures."""


class _Candidates(NamedTuple):
    boxes: Float[np.ndarray, "n 4"]
    scores: Float[np.ndarray, " n"]
    classes: Int[np.ndarray, " n"]

    def where(self, chosen: Bool[np.ndarray, " n"]) -> _Candidates:
        return _Candidates(self.boxes[chosen], self.scores[chosen], self.classes[chosen])


def postprocess(
    boxes: Float[np.ndarray, "anchors 4"],
    scores: Float[np.ndarray, "anchors classes"],
    *,
    placement: Placement,
    names: Sequence[str],
    source: str,
    settings: PostprocessSettings,
) -> Detections:
    """The objects in one image, in pixels of the original, best score first.

    Scores lie in [0, 1]. Without `multi_label` an anchor stands for its best class (the first of
    equals), and is gone where that one is filtered out. Suppression runs on the whole boxes on the
    canvas. What stays is moved to the original image and clipped; a box without any area there
    (it lay in the letterbox's border, or is flat) shows nothing and is left out.

    Raises:
        ConfigError: `names` or the wanted classes do not belong to this network.
        CheckpointError: a score is NaN, or a box above the confidence is not finite.
    """
    _require_known_classes(scores.shape[1], names=names, wanted=settings.classes, source=source)
    candidates = _candidates(boxes, scores, settings)
    _require_finite(candidates, source)
    if settings.classes is not None:
        candidates = candidates.where(np.isin(candidates.classes, settings.classes))
    kept = _kept(candidates, placement, settings)
    return Detections(
        boxes=placement.to_original(candidates.boxes[kept]),
        scores=candidates.scores[kept],
        classes=candidates.classes[kept],
        names=tuple(names),
        size_hw=placement.size_hw,
        source=source,
    )


def _kept(
    candidates: _Candidates, placement: Placement, settings: PostprocessSettings
) -> Int[np.ndarray, " m"]:
    """Positions of the best boxes that have an area in the original, `max_detections` at most."""
    limit = settings.max_detections
    kept = _suppressed(candidates, settings, at_most=limit)
    shows = area(placement.to_original(candidates.boxes[kept])) > 0
    if len(kept) == limit and not shows.all():  # rare: empty boxes took the places of others
        shows_any = area(placement.to_original(candidates.boxes)) > 0
        num_empty = int(np.count_nonzero(~shows_any))
        kept = _suppressed(candidates, settings, at_most=limit + num_empty)
        shows = shows_any[kept]
    return kept[shows][:limit]


def _suppressed(
    candidates: _Candidates, settings: PostprocessSettings, *, at_most: int
) -> Int[np.ndarray, " m"]:
    return non_maximum_suppression(
        candidates.boxes,
        candidates.scores,
        candidates.classes,
        iou_threshold=settings.iou,
        max_detections=at_most,
        agnostic=settings.agnostic,
    )


def _candidates(
    boxes: Float[np.ndarray, "anchors 4"],
    scores: Float[np.ndarray, "anchors classes"],
    settings: PostprocessSettings,
) -> _Candidates:
    """Boxes above the confidence, each with one class; NaN scores among them, to be found."""
    # The mask over all scores is what costs (0.1 ms at 8400 x 80; a maximum per anchor 0.6 ms).
    # "Not below" instead of "above": NaN is neither, and must not vanish here.
    above = np.flatnonzero(~(scores <= np.float32(settings.confidence)))
    anchors = above // scores.shape[1]
    if settings.multi_label:
        classes = above - anchors * scores.shape[1]
    else:
        anchors = _distinct(anchors)
        classes = scores[anchors].argmax(axis=1)
    return _Candidates(boxes[anchors], scores[anchors, classes], classes)


def _distinct(rising: Integer[np.ndarray, " n"]) -> Integer[np.ndarray, " m"]:
    return rising[np.diff(rising, prepend=-1) > 0]


def _require_known_classes(
    num_classes: int, *, names: Sequence[str], wanted: tuple[int, ...] | None, source: str
) -> None:
    if len(names) != num_classes:
        raise ConfigError(
            f"{source}: the network scores {num_classes} classes, but {len(names)} names are "
            "given; use the names that belong to these weights"
        )
    for index in wanted or ():
        if not 0 <= index < num_classes:
            raise ConfigError(f"class {index} is outside 0..{num_classes - 1}; check 'classes'")


def _require_finite(candidates: _Candidates, source: str) -> None:
    finite = np.isfinite(candidates.boxes).all(axis=1) & np.isfinite(candidates.scores)
    if not finite.all():
        raise CheckpointError(
            f"{source}: the network gave {np.count_nonzero(~finite)} boxes or scores that are not "
            "finite numbers; its weights are damaged or too large for half precision: check the "
            "file, or run in float32"
        )
