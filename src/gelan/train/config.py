"""Every setting of a training run; the defaults are the published recipe for training from scratch.

"Recipe" in the comments is the published settings file and command lines, "code" a number that
stood in the published code only, "ours" what differs, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gelan.data.augment.config import AugmentConfig
from gelan.errors import ConfigError
from gelan.objective.config import ObjectiveConfig

Precision = Literal["fp32", "bf16", "fp16"]
Limits = dict[str, tuple[float | int, float | int, float | int]]
"""Value, least and greatest, by name."""


def _require(kind: str, limits: Limits) -> None:
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise ConfigError(f"{kind}{name} is {value}; it should be from {low:g} to {high:g}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """How a gradient becomes a change of the weights."""

    kind: Literal["sgd", "adam", "adamw"] = "sgd"  # recipe
    learning_rate: float = 0.01  # recipe
    momentum: float = 0.937  # recipe; the first beta of adam and adamw
    weight_decay: float = 5e-4  # recipe; of convolutions, at `nominal_batch` images a step
    nesterov: bool = True  # code; of sgd alone

    def __post_init__(self) -> None:
        limits: Limits = {
            "learning_rate": (self.learning_rate, 1e-8, 10.0),
            "momentum": (self.momentum, 0.0, 0.9999),
            "weight_decay": (self.weight_decay, 0.0, 1.0),
        }
        _require("optimizer.", limits)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleConfig:
    """How the learning rate changes over the run."""

    kind: Literal["linear", "cosine", "flat_cosine", "constant"] = "linear"  # recipe
    final_factor: float = 0.01  # recipe; of the learning rate in the last epoch
    warmup_epochs: float = 3.0  # recipe
    warmup_least_iterations: int = 100  # code; a warm-up is no shorter, unless it is none
    warmup_momentum: float = 0.8  # recipe
    warmup_bias_rate: float = 0.1  # recipe; from which the biases' rate falls

    def __post_init__(self) -> None:
        limits: Limits = {
            "final_factor": (self.final_factor, 0.0, 1.0),
            "warmup_epochs": (self.warmup_epochs, 0.0, 1000.0),
            "warmup_least_iterations": (self.warmup_least_iterations, 0, 1_000_000),
            "warmup_momentum": (self.warmup_momentum, 0.0, 0.9999),
            "warmup_bias_rate": (self.warmup_bias_rate, 0.0, 10.0),
        }
        _require("schedule.", limits)


@dataclass(frozen=True, kw_only=True, slots=True)
class EmaConfig:
    """The moving average of the weights, which is what is evaluated and kept."""

    decay: float = 0.9999  # code
    ramp: float = 2000.0  # code; after so many steps the decay has reached 63 % of its end

    def __post_init__(self) -> None:
        _require("ema.", {"decay": (self.decay, 0.0, 1.0), "ramp": (self.ramp, 1.0, 1e9)})


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """All settings of a run. What is chosen automatically is in here as it was chosen.

    Raises:
        ConfigError: a value is outside its range, or has no effect beside the others.
    """

    data: str
    """Labelled images: a data.yaml, a COCO JSON file, or a folder."""
    model: str = "yolov9-s"
    """The network; where there are `weights`, that which they hold."""
    weights: Path | None = None
    """Start from these instead of fresh weights."""
    train_split: str = "train"
    val_split: str = "val"
    epochs: int = 500  # recipe
    batch: int = 16  # recipe for one GPU; over all processes
    nominal_batch: int = 64  # recipe; gradients of so many images make one step
    size: int = 640  # recipe; side of the square input in pixels
    seed: int = 0
    device: str = "auto"
    precision: Precision = "fp32"
    """Arithmetic of forward and backward passes; the weights stay in fp32."""
    channels_last: bool = True
    compile: bool = False
    """Whether the network goes through torch.compile."""
    workers: int = 0
    """Processes that prepare images, for each training process."""
    cache: Literal["none", "ram", "disk"] = "none"
    """Where decoded images are kept."""
    cache_gb: float = 8.0
    """At most so much of them."""
    device_augment: bool = False
    """Whether mosaics and colours are drawn on the GPU instead of by the workers."""
    pgi: str = "on"
    """on, off, or until:N for the first N epochs alone."""
    pgi_kind: Literal["published", "pfh", "fpn", "pan", "icn"] = "published"
    """Kind of the auxiliary branch."""
    freeze: tuple[str, ...] = ()
    """Parts of the network that stay as they are, such as `backbone`."""
    norm_momentum: float = 0.03  # code; share of a batch in the running statistics of BatchNorm
    clip: float = 10.0  # code; largest norm of a step's gradient
    patience: int = 100  # recipe; epochs without a better AP after which the run stops; 0: never
    validate_every: int = 1  # recipe; epochs; 0: never
    keep_every: int = 0  # recipe; epochs whose weights are kept, too
    save_minutes: float = 10.0
    """The state is saved after each epoch, and within it at this interval."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    ema: EmaConfig = field(default_factory=EmaConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        limits: Limits = {
            "epochs": (self.epochs, 1, 1_000_000),
            "batch": (self.batch, 1, 65_536),
            "nominal_batch": (self.nominal_batch, 1, 65_536),
            "size": (self.size, 64, 8192),  # with 32 the coarsest map of one image is one number
            "seed": (self.seed, 0, 2**31 - 1),
            "workers": (self.workers, 0, 512),
            "cache_gb": (self.cache_gb, 0.01, 100_000.0),
            "norm_momentum": (self.norm_momentum, 0.001, 1.0),
            "clip": (self.clip, 1e-6, 1e9),
            "patience": (self.patience, 0, 1_000_000),
            "validate_every": (self.validate_every, 0, 1_000_000),
            "keep_every": (self.keep_every, 0, 1_000_000),
            "save_minutes": (self.save_minutes, 0.0, 100_000.0),
        }
        _require("", limits)
        if self.size % 32:
            raise ConfigError(f"size is {self.size}; it should be a multiple of 32")
        pgi_epochs(self)


def pgi_epochs(config: TrainConfig) -> int:
    """In how many epochs, from the first on, the auxiliary part is attached.

    >>> pgi_epochs(TrainConfig(data="photos", epochs=9, pgi="until:5"))
    5

    Raises:
        ConfigError: `pgi` is none of on, off, until:N.
    """
    if config.pgi in ("on", "off"):
        return config.epochs if config.pgi == "on" else 0
    word, colon, number = config.pgi.partition(":")
    if word == "until" and colon and number.isascii() and number.isdigit() and int(number) > 0:
        return min(int(number), config.epochs)
    raise ConfigError(f"pgi is {config.pgi!r}; it should be on, off, or until:N (until:50)")
