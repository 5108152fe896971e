"""What is done at random to a training sample, as numbers; the defaults are the published recipe.

"Recipe" in the comments is the published settings file for training from scratch ("high"), with
which all published networks were trained; "recipe's code" is a number that stood in its code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gelan.errors import ConfigError

_RANGES: dict[str, tuple[float, float]] = {
    "mosaic": (0, 1),
    "mosaic_spread": (0, 1),
    "mixup": (0, 1),
    "mixup_concentration": (0.01, 10_000),
    "copy_paste": (0, 1),
    "copy_paste_cover": (0, 1),
    "scale": (0, 0.99),
    "translate": (0, 0.5),
    "degrees": (0, 180),
    "shear": (0, 60),
    "perspective": (0, 0.0007),
    "hue": (0, 0.5),
    "saturation": (0, 1),
    "value": (0, 1),
    "flip_left_right": (0, 1),
    "flip_up_down": (0, 1),
    "min_side": (0, 100),
    "max_aspect": (1, 10_000),
    "min_seen_box": (0, 1),
    "min_seen_outline": (0, 1),
    "partners": (1, 100_000),
    "close_mosaic": (0, 1_000_000),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """Probabilities and ranges; a gain of 0.4 means a factor between 0.6 and 1.4.

    >>> AugmentConfig(mixup=1.5)
    Traceback (most recent call last):
        ...
    gelan.errors.ConfigError: augment: mixup is 1.5, outside 0..1
    """

    mosaic: float = 1.0  # recipe
    """Share of samples that are made of four images around a common corner."""
    mosaic_spread: float = 0.5  # recipe's code
    """How far that corner may lie from the middle of the canvas, in sides of an image."""
    partners: int = 64  # ours; the recipe draws from the whole data set
    """How many images share their decoding: a mosaic takes its others from so many of them."""
    mixup: float = 0.15  # recipe
    """Share of mosaics that are blended with a second one."""
    mixup_concentration: float = 32.0  # recipe's code
    """Both parameters of the beta distribution of the blend: the larger, the nearer to half."""
    copy_paste: float = 0.3  # recipe
    """Share of the outlined objects of a mosaic that are pasted in once more, mirrored."""
    copy_paste_cover: float = 0.3  # recipe's code
    """What a pasted object may cover of any other at most."""
    scale: float = 0.9  # recipe
    """Gain of the size."""
    translate: float = 0.1  # recipe
    """Shift to either side, in sides of the output."""
    degrees: float = 0.0  # recipe
    """Turn to either side."""
    shear: float = 0.0  # recipe
    """Shear to either side along both axes, in degrees."""
    perspective: float = 0.0  # recipe
    """Change of scale per pixel of an output of 640, to either side along both axes."""
    hue: float = 0.015  # recipe
    """Gain of the hue, which is an angle from red."""
    saturation: float = 0.7  # recipe
    """Gain of the saturation."""
    value: float = 0.4  # recipe
    """Gain of the brightest channel, and of the others with it."""
    flip_left_right: float = 0.5  # recipe
    """Share of samples that are mirrored."""
    flip_up_down: float = 0.0  # recipe
    """Share of samples that are put upside down."""
    min_side: float = 2.0  # recipe's code
    """An object is kept whose width and height are more pixels than this."""
    max_aspect: float = 100.0  # recipe's code
    """An object is kept whose longer side is less than so many times the shorter."""
    min_seen_box: float = 0.1  # recipe's code
    """An object is kept of whose box more than this share is left after the move."""
    min_seen_outline: float = 0.01  # recipe's code
    """The same for an object with a known outline, whose box fits what is left of it."""
    close_mosaic: int = 15  # recipe's command lines
    """The last epochs, in which mosaics (and what builds on them) rest."""

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"augment: {name} is {value}, outside {low}..{high}")
        for name in ("mixup", "copy_paste", "close_mosaic"):
            if self.mosaic == 0 and getattr(self, name) > 0:
                raise ConfigError(f"augment: {name} needs mosaics, and mosaic is 0; set {name}=0")

    @property
    def is_none(self) -> bool:
        """Whether nothing is left to chance: the image is only fitted into its canvas."""
        return not any(getattr(self, name) for name in _STEPS)

    def without_mosaic(self) -> AugmentConfig:
        """The same without mosaics and what builds on them."""
        return replace(self, mosaic=0.0, mixup=0.0, copy_paste=0.0, close_mosaic=0)

    def at_epoch(self, epoch: int, *, epochs: int) -> AugmentConfig:
        """What holds in one epoch, counted from 0, of so many.

        With no more epochs than `close_mosaic` no epoch has mosaics; `gelan train` chooses fewer
        closing epochs for a short run, and refuses to leave out all mosaics that were asked for.

        >>> published().at_epoch(84, epochs=100).mosaic, published().at_epoch(85, epochs=100).mosaic
        (1.0, 0.0)
        """
        is_closing = self.close_mosaic > 0 and epoch >= epochs - self.close_mosaic
        return self.without_mosaic() if is_closing else self


_STEPS = (
    *("mosaic", "scale", "translate", "degrees", "shear", "perspective"),
    *("hue", "saturation", "value", "flip_left_right", "flip_up_down"),
)


def published() -> AugmentConfig:
    """The recipe of the published networks."""
    return AugmentConfig()


def none() -> AugmentConfig:
    """Every image as `predict` sees it: nothing but fitted into its canvas."""
    return AugmentConfig(
        mosaic=0.0,
        mixup=0.0,
        copy_paste=0.0,
        close_mosaic=0,
        scale=0.0,
        translate=0.0,
        hue=0.0,
        saturation=0.0,
        value=0.0,
        flip_left_right=0.0,
    )
