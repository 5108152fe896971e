"""How an evaluation is done, and in what it departs from the protocol of published figures."""

from __future__ import annotations

from dataclasses import dataclass

from gelan.errors import ConfigError
from gelan.predict.postprocess import EVALUATION, PostprocessSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationSettings:
    """The defaults are COCO's, and those of the published figures.

    Raises:
        ConfigError: a value is outside its range.
    """

    max_detections: int = 100
    """AP and AR by size count so many detections of a class in one image: the best."""
    confidence: float = 0.25
    """Only scores strictly greater are in the confusion matrix and in the lists of errors."""
    iou: float = 0.5
    """The least overlap in the confusion matrix."""
    precision_floor: float | None = None
    """If given, each class also gets the confidence that keeps to this precision."""
    replicas: int = 200
    """Drawings of the bootstrap, or exchanges of a comparison; 0 for no intervals."""
    level: float = 0.95
    """Probability that an interval should have."""
    seed: int = 0
    """Of the drawings; not negative."""
    worst_images: int = 20
    """At most so many images are listed with their errors."""
    postprocess: PostprocessSettings = EVALUATION
    """How the detections were chosen from what the network said; part of the protocol."""

    def __post_init__(self) -> None:
        shares = {"confidence": self.confidence, "precision_floor": self.precision_floor or 0.0}
        for name, value in shares.items():
            if not 0 <= value <= 1:
                raise ConfigError(f"{name} is {value}; it must lie between 0 and 1")
        if not 0 < self.iou <= 1:
            raise ConfigError(f"iou is {self.iou}; it must lie above 0 and not above 1")
        if not 0 < self.level < 1:
            raise ConfigError(f"level is {self.level}; it must lie between 0 and 1, as 0.95 does")
        counts = {
            "replicas": self.replicas,
            "seed": self.seed,
            "worst_images": self.worst_images,
        }
        for name, count in counts.items():
            if count < 0:
                raise ConfigError(f"{name} is {count}; it must not be negative")
        if self.max_detections < 1:
            raise ConfigError(f"max_detections is {self.max_detections}; it must be at least 1")


STANDARD = EvaluationSettings()
COMPARISON = EvaluationSettings(replicas=1000)
"""More than for one report, since here they are what is asked for; p has a step of 0.001."""


def deviations(settings: EvaluationSettings) -> tuple[str, ...]:
    """What keeps AP from being compared with published figures; nothing if it can be.

    >>> deviations(EvaluationSettings(max_detections=300))
    ('AP counts 300 detections of a class in one image, where COCO counts 100',)
    """
    made, usual = settings.postprocess, EVALUATION
    said = {
        f"AP counts {settings.max_detections} detections of a class in one image, where COCO "
        f"counts {STANDARD.max_detections}": settings.max_detections != STANDARD.max_detections,
        f"detections with scores up to {made.confidence:g} were left out, where published "
        f"figures leave out those up to {usual.confidence:g}": made.confidence != usual.confidence,
        f"boxes of a class that overlap by more than {made.iou:g} were merged, where published "
        f"figures merge from {usual.iou:g}": made.iou != usual.iou,
        f"at most {made.max_detections} detections of an image were kept, where published "
        f"figures keep {usual.max_detections}": made.max_detections != usual.max_detections,
        "only some classes were looked for": made.classes != usual.classes,
        "boxes of different classes suppressed each other": made.agnostic != usual.agnostic,
        "each place in the image counted with its best class alone, where published figures "
        "count every class": made.multi_label != usual.multi_label,
    }
    return tuple(text for text, applies in said.items() if applies)
