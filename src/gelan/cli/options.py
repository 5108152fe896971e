"""Options that several commands have in common, and the predictor that they describe.

Each function gives one field of an options dataclass, so that a help text and a default stand once.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from gelan.cli.classes import class_table
from gelan.config import option
from gelan.errors import ConfigError, nearest
from gelan.geometry import letterbox
from gelan.predict.loading import NamesError, load
from gelan.predict.loading import Precision as Precision
from gelan.predict.postprocess import PostprocessSettings
from gelan.predict.predictor import Predictor

LARGEST_BATCH = 1024
LARGEST_SIZE = 8192
"""Pixels; the images of a larger input would take gigabytes each inside the network."""


@runtime_checkable
class NetworkOptions(Protocol):
    """What `open_predictor` needs to know."""

    @property
    def weights(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> int | None: ...  # noqa: D102
    @property
    def batch(self) -> int: ...  # noqa: D102
    @property
    def device(self) -> str: ...  # noqa: D102
    @property
    def precision(self) -> Precision: ...  # noqa: D102
    @property
    def names(self) -> str: ...  # noqa: D102


def open_predictor(options: NetworkOptions) -> Predictor:
    """The network that the options describe, ready.

    Raises:
        ConfigError: a setting does not fit; found before the weights are read where it can be.
        CheckpointError: the weights cannot be read.
    """
    require_sensible(options)
    classes = class_table(options.names) if options.names else None
    try:
        return load(
            options.weights,
            device=options.device,
            precision=options.precision,
            size=options.size,
            classes=classes,
        )
    except NamesError as error:
        hint = "" if "," in options.names else nearest(options.names, ["coco"])
        raise ConfigError(f"--names {options.names:.200}: {error}{hint}") from None


def require_sensible(options: NetworkOptions) -> None:
    """Nothing, if the numbers among the options can be; for a look before any work is done.

    Raises:
        ConfigError: one is out of its range.
    """
    require_between("batch", options.batch, 1, LARGEST_BATCH)
    require_size(options.size)


def require_between(name: str, value: int, least: int, most: int) -> None:
    """Nothing, if an option lies in its range.

    Raises:
        ConfigError: it does not.
    """
    if value < least:
        raise ConfigError(f"--{name} is {value}; it must be at least {least}")
    if value > most:
        raise ConfigError(f"--{name} is {value}; it must be at most {most}")


def require_size(size: int | None) -> None:
    """Nothing, if an input size is a multiple of 32 within reason.

    Raises:
        ConfigError: it is not.
    """
    if size is not None:
        require_between("size", size, 1, LARGEST_SIZE)
        letterbox.require_size(size, name="--size")


def weights_option() -> Any:  # noqa: ANN401
    """The field `weights: str`."""
    return option("weights file: ours, or any published YOLOv9 checkpoint")


def size_option() -> Any:  # noqa: ANN401
    """The field `size: int | None`."""
    return option(
        "longer side of the network's input in pixels, a multiple of 32 (default: the file's own)",
        default=None,
    )


def batch_option(default: int) -> Any:  # noqa: ANN401
    """The field `batch: int`."""
    return option("images that go through the network together", default=default)


def device_option() -> Any:  # noqa: ANN401
    """The field `device: str`."""
    return option("auto, cpu, cuda, cuda:1, mps ...", default="auto")


def precision_option() -> Any:  # noqa: ANN401
    """The field `precision: Precision`."""
    return option(
        "arithmetic of the network; bf16 is about twice as fast where the hardware has it",
        default="fp32",
    )


def names_option() -> Any:  # noqa: ANN401
    """The field `names: str`."""
    return option(
        "class names of the network instead of the file's: coco, a text file with one a line, "
        "or a,b,c",
        default="",
    )


def confidence_option(settings: PostprocessSettings, *, note: str = "") -> Any:  # noqa: ANN401
    """The field `confidence: float`."""
    return option(f"least score of a detection, 0 to 1{note}", default=settings.confidence)


def iou_option(settings: PostprocessSettings) -> Any:  # noqa: ANN401
    """The field `iou: float`."""
    return option(
        "a box that overlaps a better one of its class by more than this is dropped, 0 to 1",
        default=settings.iou,
    )


def max_detections_option(settings: PostprocessSettings) -> Any:  # noqa: ANN401
    """The field `max_detections: int`."""
    return option("at most so many in one image: the best", default=settings.max_detections)


def out_option(verb: str) -> Any:  # noqa: ANN401
    """The field `out: Path | None` of a command that writes a folder of results."""
    return option(
        "folder for the results, which must not exist yet "
        f"(default: runs/{verb}, runs/{verb}2, ...)",
        default=None,
    )


def quiet_option() -> Any:  # noqa: ANN401
    """The field `quiet: bool`."""
    return option("print errors only", default=False)
