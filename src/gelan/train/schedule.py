"""Learning rates, momentum and accumulation at every iteration of a run.

An iteration is one batch through the network; a step is one change of the weights, made of the
gradients of one iteration or of several. Everything here follows from the number of the iteration
alone, counted from 0 over the whole run, so a run that goes on needs nothing but that number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from gelan.train.config import OptimizerConfig, ScheduleConfig


class StepSettings(NamedTuple):
    """What holds at one iteration."""

    rates: tuple[float, float, float]
    """Learning rates of biases, weights, norms: the order of `optimizer.GROUPS`."""
    momentum: float
    """Of adam and adamw: the first beta."""
    accumulate: int
    """After how many iterations a step is due."""


def rate_factor(config: ScheduleConfig, epoch: float | int, epochs: int) -> float:
    """What the learning rate is multiplied by in an epoch: 1 in epoch 0, less later.

    It would reach `final_factor` in the epoch after the last. "linear" and "cosine" go there on a
    straight line and on half a wave, "flat_cosine" does so in the second half of the run only,
    "constant" never.

    >>> [round(rate_factor(ScheduleConfig(), epoch, 10), 3) for epoch in (0, 5, 10)]
    [1.0, 0.505, 0.01]
    """
    progress = epoch / epochs
    if config.kind == "linear":
        share = 1 - progress
    elif config.kind == "cosine":
        share = _half_wave(progress)
    elif config.kind == "flat_cosine":
        share = _half_wave(max(2 * progress - 1, 0.0))
    else:
        share = 1.0
    return config.final_factor + share * (1 - config.final_factor)


def _half_wave(progress: float) -> float:
    return (1 + math.cos(math.pi * progress)) / 2


class Schedule:
    """The settings of every iteration of one run (published recipe).

    In the warm-up, momentum rises to its value and so does the accumulation, from 1; the rate of
    biases falls from a high one and all others rise from 0 to what the epoch's factor says.
    `batch` is that of one iteration, over all processes.
    """

    def __init__(
        self,
        config: ScheduleConfig,
        optimizer_config: OptimizerConfig,
        *,
        epochs: int,
        batches_per_epoch: int,
        batch: int,
        nominal_batch: int,
    ) -> None:
        self.config = config
        self.optimizer_config = optimizer_config
        self.epochs = epochs
        self.batches_per_epoch = batches_per_epoch
        self._accumulate = nominal_batch / batch
        self._early_steps = frozenset(self._steps_of_early_epochs())

    @property
    def warmup_iterations(self) -> int:
        """How many iterations the warm-up lasts; 0 where it has no epochs."""
        if self.config.warmup_epochs == 0:
            return 0
        whole = round(self.config.warmup_epochs * self.batches_per_epoch)
        return max(whole, self.config.warmup_least_iterations)

    @property
    def accumulate(self) -> int:
        """After how many iterations a step is due once the warm-up is over."""
        return max(round(self._accumulate), 1)

    def at(self, iteration: int) -> StepSettings:
        """Rates, momentum and accumulation of an iteration."""
        epoch = iteration // self.batches_per_epoch
        rate = self.optimizer_config.learning_rate * rate_factor(self.config, epoch, self.epochs)
        momentum = self.optimizer_config.momentum
        if iteration >= self.warmup_iterations:
            return StepSettings((rate, rate, rate), momentum, self.accumulate)
        part = iteration / self.warmup_iterations
        rising = part * rate
        return StepSettings(
            (_between(self.config.warmup_bias_rate, rate, part), rising, rising),
            _between(self.config.warmup_momentum, momentum, part),
            max(round(_between(1.0, self._accumulate, part)), 1),
        )

    def steps_at(self, iteration: int) -> bool:
        """Whether the weights change after this iteration.

        They do when as many gradients as `accumulate` says are together, and after the last
        iteration of each epoch, so that no gradient is lost between two epochs.
        """
        epoch, position = divmod(iteration, self.batches_per_epoch)
        if epoch < self._early_epochs:
            return iteration in self._early_steps
        is_last = position == self.batches_per_epoch - 1
        return is_last or (position + 1) % self.accumulate == 0

    @property
    def _early_epochs(self) -> int:
        return math.ceil(self.warmup_iterations / self.batches_per_epoch)

    def _steps_of_early_epochs(self) -> Iterator[int]:
        """The iterations with a step in the epochs that the warm-up reaches into."""
        for epoch in range(self._early_epochs):
            waiting = 0
            for iteration in range(
                epoch * self.batches_per_epoch, (epoch + 1) * self.batches_per_epoch
            ):
                waiting += 1
                is_last = (iteration + 1) % self.batches_per_epoch == 0
                if is_last or waiting >= self.at(iteration).accumulate:
                    waiting = 0
                    yield iteration


def _between(low: float, high: float, part: float) -> float:
    return low + part * (high - low)
