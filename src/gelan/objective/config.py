"""What a network is trained towards, as numbers; the defaults are those of the published networks.

"Paper" in the comments is YOLOv9 (Wang et al. 2024), "recipe's code" a number that stood in the
code with which its networks were trained.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gelan.errors import ConfigError

_ASSIGNMENTS = ("own", "lead")


@dataclass(frozen=True, kw_only=True, slots=True)
class AssignerConfig:
    """Which anchors learn an object: those with the largest score^alpha x overlap^beta.

    >>> AssignerConfig(topk=0)
    Traceback (most recent call last):
        ...
    gelan.errors.ConfigError: objective: assigner.topk is 0, outside 1..1000
    """

    topk: int = 10  # recipe's code
    """How many anchors an object gets at most."""
    alpha: float = 0.5  # recipe's code; TOOD (Feng et al. 2021) has 1
    """Exponent of the score that a network gives to the object's class."""
    beta: float = 6.0  # TOOD (Feng et al. 2021); recipe's code
    """Exponent of the overlap of the network's box with the object's."""

    def __post_init__(self) -> None:
        _require("assigner.topk", self.topk, 1, 1000)
        _require("assigner.alpha", self.alpha, 0, 100)
        _require("assigner.beta", self.beta, 0, 100)


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveConfig:
    """How much each part of the loss counts, and which predictions choose the anchors.

    >>> ObjectiveConfig(box=-1.0)
    Traceback (most recent call last):
        ...
    gelan.errors.ConfigError: objective: box is -1.0, outside 0..1000
    """

    box: float = 7.5  # recipe's code
    """Gain of the overlap of boxes."""
    classification: float = 0.5  # recipe's code
    """Gain of the classes."""
    distribution: float = 1.5  # recipe's code
    """Gain of the distribution of the sides' distances."""
    auxiliary: float = 0.25  # recipe's code
    """What the auxiliary head's loss counts beside the main head's."""
    assignment: Literal["own", "lead"] = "own"  # recipe's code
    """Whether the auxiliary head learns the anchors of its own predictions or of the main head's.

    "lead" is lead-head guided (paper, ablation of C: 53.0 AP, where "own" gives 52.9).
    """
    assigner: AssignerConfig = field(default_factory=AssignerConfig)

    def __post_init__(self) -> None:
        for name in ("box", "classification", "distribution", "auxiliary"):
            _require(name, getattr(self, name), 0, 1000)
        if self.assignment not in _ASSIGNMENTS:
            raise ConfigError(
                f"objective: assignment is {self.assignment!r}; use one of "
                f"{', '.join(map(repr, _ASSIGNMENTS))}"
            )


def _require(name: str, value: float | int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"objective: {name} is {value}, outside {low}..{high}")
