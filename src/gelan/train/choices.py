"""What a run takes where the user has not chosen: the recipe, fitted to the data and the machine.

The recipe was made for 118,000 images, 500 epochs and GPUs. Each rule here departs from it for a
stated reason, and is told to the user; what the user has set is never changed, and a setting that
could have no effect is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gelan.config import to_mapping, with_settings
from gelan.errors import ConfigError
from gelan.structures.history import Choice
from gelan.train.config import TrainConfig, pgi_epochs

FINE_TUNING_EPOCHS = 100
_AVERAGES = 20.0
"""How many averages of weights, one after the other, a run should be long."""
_QUICK_NORMS, _SETTLED = 0.1, 30.0
"""Share of a batch in the running statistics at most; over how many lengths of these a run goes."""
_MANY_STEPS = 5000
"""Of this many steps on, the recipe's slow averages and long warm-up do no harm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What choices are made after."""

    images: int
    """In the training split."""
    network: str
    """Its name, such as yolov9-t."""
    has_auxiliary: bool
    """Whether the network as built or loaded has an auxiliary part."""
    is_fine_tuning: bool
    """Whether it starts from trained weights."""
    device: str
    """cpu, cuda, mps."""
    cores: int
    has_bf16: bool
    """Whether the device computes in bfloat16 faster than in float32."""
    has_validation: bool = True
    """Whether there is a validation split."""
    batch_that_fits: int | None = None
    """Measured on a GPU; None elsewhere."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A whole configuration, and what in it was chosen automatically."""

    config: TrainConfig
    choices: tuple[Choice, ...]


def only_set(settings: Mapping[str, object]) -> dict[str, object]:
    """Those that say something: not "auto", null, or a heading in a file without anything in it.

    >>> only_set({"seed": 0, "pgi": "auto", "weights": None, "optimizer": {}})
    {'seed': 0}
    """
    return {name: value for name, value in settings.items() if value not in ("auto", None, {})}


def asked_for(settings: Mapping[str, object]) -> TrainConfig:
    """The recipe with what the user set, "auto" standing for what the recipe says.

    Raises:
        ConfigError: a setting is unknown, mistyped or out of range.
    """
    recipe = to_mapping(TrainConfig(data=""))
    values = {
        name: _entry(recipe, name) if value == "auto" else value for name, value in settings.items()
    }
    return with_settings(TrainConfig(data=""), values, where="settings")


def settle(settings: Mapping[str, object], facts: Facts) -> Settled:
    """The configuration of a run: what the user set, automatic choices, and else the recipe.

    `settings` have dotted keys, as `--set` has them; "auto" is as good as none.

    Raises:
        ConfigError: a setting is unknown, mistyped, out of range, or has no effect.
    """
    settings = only_set(settings)
    chooser = _Chooser(settings, facts)
    chooser.choose_network()
    chooser.choose_length()
    chooser.choose_batch()
    chooser.choose_steps()
    chooser.choose_machine()
    config = chooser.config()
    require_effective(settings, config, facts)
    return Settled(config, tuple(chooser.choices))


class _Chooser:
    """Makes the choices one after the other; later ones see earlier ones."""

    def __init__(self, settings: Mapping[str, object], facts: Facts) -> None:
        self._facts = facts
        self._set = dict(settings)
        self.choices: list[Choice] = []

    def config(self) -> TrainConfig:
        """The configuration as far as it is chosen."""
        chosen = {choice.name: choice.value for choice in self.choices}
        values = {**chosen, **self._set}
        data = str(values.pop("data", ""))
        return with_settings(TrainConfig(data=data), values, where="settings")

    def _choose(self, name: str, value: object, reason: str) -> None:
        if name not in self._set:
            self.choices.append(Choice(name=name, value=value, reason=reason))

    def choose_network(self) -> None:
        """Which network it is, and PGI."""
        facts = self._facts
        if facts.is_fine_tuning:
            self._choose("model", facts.network, "the weights are of this network")
        if facts.has_auxiliary:
            return
        without = "the weights come without its part" if facts.is_fine_tuning else "it has none"
        self._choose("pgi", "off", f"{facts.network}: {without}; --pgi on attaches a new one")

    def choose_length(self) -> None:
        """Epochs, and what depends on their number."""
        if self._facts.is_fine_tuning:
            self._choose("epochs", FINE_TUNING_EPOCHS, "starts from trained weights")
        epochs = self.config().epochs
        if epochs < 100:
            closing = max(1, round(0.15 * epochs)) if epochs > 2 else 0
            if self.config().augment.mosaic > 0:
                self._choose("augment.close_mosaic", closing, f"a short run of {epochs} epochs")
            warmup = min(3.0, round(0.1 * epochs, 2))
            if warmup < 3.0:
                reason = f"a tenth of {epochs} epochs"
                self._choose("schedule.warmup_epochs", warmup, reason)

    def choose_batch(self) -> None:
        """Images in a batch: as many as fit and are of use."""
        facts, recipe = self._facts, TrainConfig(data="").batch
        fits = facts.batch_that_fits
        if fits is not None and fits < recipe:
            self._choose("batch", fits, "more do not fit into the memory of the GPU")
            return
        useful = max(1, facts.images // 8)
        if fits is not None and min(fits, useful, 64) > recipe:
            self._choose("batch", min(fits, useful, 64), "fits into the memory of the GPU")
        elif useful < recipe:
            few = max(1, min(recipe, 2 ** (useful.bit_length() - 1)))
            self._choose("batch", few, f"only {facts.images} images")

    def choose_steps(self) -> None:
        """How many images make one step, and what is counted in steps."""
        config, images = self.config(), self._facts.images
        steps = config.epochs * images // config.nominal_batch
        if steps < _MANY_STEPS and config.batch < config.nominal_batch:
            reason = f"only {steps} steps of {config.nominal_batch} images otherwise"
            self._choose("nominal_batch", config.batch, reason)
        config = self.config()
        steps = max(1, config.epochs * images // max(config.batch, config.nominal_batch))
        self._choose_average(steps)
        momentum = round(min(_QUICK_NORMS, _SETTLED / steps), 3)
        if momentum > config.norm_momentum:
            self._choose("norm_momentum", momentum, f"only {steps} steps for statistics to settle")
        iterations = config.epochs * -(-images // config.batch)
        least = config.schedule.warmup_least_iterations
        if config.schedule.warmup_epochs and iterations < 10 * least:
            reason = f"a tenth of {iterations} iterations"
            self._choose("schedule.warmup_least_iterations", iterations // 10, reason)
        self._choose_rates()

    def _choose_rates(self) -> None:
        optimizer, has_warmup = self.config().optimizer, self.config().schedule.warmup_epochs > 0
        is_sgd, is_fine_tuning = optimizer.kind == "sgd", self._facts.is_fine_tuning
        if is_sgd and not is_fine_tuning:
            return
        reason = "trained weights need no large first steps"
        if not is_sgd:
            reason = f"{optimizer.kind} moves every weight by about its rate in each step"
        rate = 0.002 if is_sgd else 0.0002 if is_fine_tuning else 0.001
        self._choose("optimizer.learning_rate", rate, reason)
        if has_warmup:
            self._choose("schedule.warmup_bias_rate", 0.01 if is_sgd else 0.0, reason)

    def _choose_average(self, steps: int) -> None:
        """The moving average over about a twentieth of the run; the recipe's is 10,000 steps long.

        With a longer one the average would still hold the weights of the beginning at the end.
        """
        recipe = TrainConfig(data="").ema
        window = max(10.0, round(steps / _AVERAGES, 1))
        decay = round(1 - 1 / window, 6)
        if decay < recipe.decay:
            reason = f"an average over {window:g} of {steps} steps"
            self._choose("ema.decay", decay, reason)
            if window < recipe.ramp and "ema.decay" not in self._set:
                self._choose("ema.ramp", window, reason)

    def choose_machine(self) -> None:
        """Precision and processes."""
        facts = self._facts
        if facts.has_bf16:
            self._choose("precision", "bf16", f"the {facts.device} is faster with it")
        elif facts.device == "cuda":
            self._choose("precision", "fp16", "the GPU is faster with it, and has no bf16")
        workers = min(16, facts.cores) if facts.device != "cpu" else max(0, facts.cores - 2) // 2
        if workers and facts.images >= 64:
            self._choose("workers", workers, f"{facts.cores} processor cores")


_Rule = tuple[tuple[str, ...], bool, str]


def require_effective(settings: Mapping[str, object], config: TrainConfig, facts: Facts) -> None:
    """Nothing, if each setting that the user made has an effect, or says what the recipe says.

    Raises:
        ConfigError: one has none beside the others.
    """
    recipe = to_mapping(TrainConfig(data=""))
    no_validation = (
        ("patience", "validate_every"),
        not facts.has_validation,
        "no validation split",
    )
    for names, is_idle, reason in (*_rules(config), no_validation):
        for name in settings:
            if is_idle and name in names and settings[name] != _entry(recipe, name):
                raise ConfigError(f"{name} = {settings[name]} has no effect: {reason}")
    if config.weights is not None and _plain(config.model) != _plain(facts.network):
        found = f"model = {config.model} has no effect: {config.weights} holds {facts.network}"
        raise ConfigError(f"{found}, which is what is trained; leave it out")


def _plain(network: str) -> str:
    """Its name without regard to the auxiliary part, which the settings of PGI decide on."""
    return network.replace("yolov9-", "gelan-")


def _entry(values: Mapping[str, Any], name: str) -> object:
    """The value at a dotted name; None where there is none."""
    value: object = values
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _rules(config: TrainConfig) -> tuple[_Rule, ...]:
    """Settings, when they are idle, and why."""
    no_mosaic = config.augment.mosaic == 0
    mosaic_parts = ("mosaic_spread", "partners", "mixup_concentration", "copy_paste_cover")
    warmups = ("warmup_least_iterations", "warmup_momentum", "warmup_bias_rate")
    return (
        (
            ("pgi_kind", "objective.auxiliary", "objective.assignment"),
            pgi_epochs(config) == 0,
            "PGI is off",
        ),
        (
            ("optimizer.nesterov",),
            config.optimizer.kind != "sgd",
            f"the optimizer is {config.optimizer.kind}",
        ),
        (("schedule.final_factor",), config.schedule.kind == "constant", "the rate is constant"),
        (
            tuple(f"schedule.{name}" for name in warmups),
            config.schedule.warmup_epochs == 0,
            "there is no warm-up",
        ),
        (("patience",), config.validate_every == 0, "nothing is validated"),
        (("cache_gb",), config.cache == "none", "there is no cache"),
        (tuple(f"augment.{name}" for name in mosaic_parts), no_mosaic, "there are no mosaics"),
        (
            ("augment.mosaic",),
            not no_mosaic and config.augment.close_mosaic >= config.epochs,
            f"close_mosaic is {config.augment.close_mosaic} of {config.epochs} epochs",
        ),
        (
            ("augment.mixup_concentration",),
            config.augment.mixup == 0,
            "augment.mixup is 0",
        ),
        (
            ("augment.copy_paste_cover",),
            config.augment.copy_paste == 0,
            "augment.copy_paste is 0",
        ),
    )
