"""Batches of an epoch: samples made in this process or in others, put together in their order.

A batch depends on the seed, the epoch and its position in it, and not on who made it: an epoch that
is taken up again in the middle goes on with the same batches, with any number of workers.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from types import TracebackType

import numpy as np
import torch
from jaxtyping import UInt8

from gelan.data.augment.config import AugmentConfig
from gelan.data.augment.device import render
from gelan.data.augment.pieces import (
    Drawn,
    Piece,
    Planned,
    drawn_samples,
    pieces_of,
    planned_samples,
)
from gelan.data.augment.pipeline import Hook, Recipe, SampleSource
from gelan.data.augment.pool import Pool
from gelan.errors import ConfigError
from gelan.geometry.letterbox import Preprocessing
from gelan.structures.batches import Batch


@dataclass(frozen=True, kw_only=True, slots=True)
class LoaderConfig:
    """How samples become batches."""

    batch_size: int = 16
    workers: int = 0
    """Processes that make samples; with 0 the calling process makes them.

    Each holds the images of one group (`partners` of the augmentation), and so much again of made
    samples waits in shared memory, with room for two groups more: 1.3 MB an image at 640 pixels.
    """
    seed: int = 0
    shuffle: bool = True
    drop_last: bool = False
    """Whether the last batch is left out where it is smaller than the others."""
    part: int = 0
    """Which of the `parts` of each batch is made here."""
    parts: int = 1
    """Over how many training processes a batch is spread; a last batch of fewer samples than these
    is left out."""

    def __post_init__(self) -> None:
        least = {"batch_size": 1, "workers": 0, "seed": 0, "part": 0, "parts": 1}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                found = f"loader: {name} is {getattr(self, name)}"
                raise ConfigError(f"{found}; it should be {lowest} or more")
        if self.part >= self.parts:
            raise ConfigError(f"loader: part {self.part} is outside 0..{self.parts - 1}")
        if self.batch_size < self.parts:
            found = f"a batch of {self.batch_size} cannot be spread over {self.parts} processes"
            raise ConfigError(f"{found}; take at least {self.parts}")

    def spans(self, count: int) -> list[range]:
        """What is made here of each batch of an epoch of so many samples, as positions in it.

        >>> LoaderConfig(batch_size=5, part=0, parts=2).spans(12)
        [range(0, 3), range(5, 8), range(10, 11)]
        >>> LoaderConfig(batch_size=5, part=1, parts=2).spans(12)
        [range(3, 5), range(8, 10), range(11, 12)]
        """
        spans = []
        for start in range(0, count, self.batch_size):
            stop = min(start + self.batch_size, count)
            least = self.batch_size if self.drop_last else self.parts
            if stop - start >= least:
                share, more = divmod(stop - start, self.parts)
                begin = start + self.part * share + min(self.part, more)
                spans.append(range(begin, begin + share + (self.part < more)))
        return spans


class Loader:
    """Batches of samples, epoch after epoch, with the same processes; close it when done.

    >>> with Loader(photos, LoaderConfig(workers=8)) as loader:  # doctest: +SKIP
    ...     for epoch in range(500):
    ...         config = published().at_epoch(epoch, epochs=500)
    ...         for batch in loader.epoch(epoch, augment=config):
    ...             ...
    """

    def __init__(
        self,
        source: SampleSource,
        config: LoaderConfig,
        *,
        preprocessing: Preprocessing | None = None,
        hook: Hook | None = None,
        device: torch.device | None = None,
    ) -> None:
        """Take samples from a source.

        Args:
            source: the images; with workers it must be possible to pickle it.
            config: how samples become batches.
            preprocessing: size of the samples; square.
            hook: a change of your own to every sample, after all others.
            device: where samples are drawn from their images, for machines whose processors
                would keep it waiting; else they are drawn by the workers, and stay on the CPU.

        Raises:
            ConfigError: a combination that cannot be, or too few images for one batch.
        """
        self.config = config
        self.preprocessing = preprocessing or Preprocessing()
        if self.preprocessing.shape != "square":
            raise ConfigError("a batch needs images of one size: shape should be 'square'")
        if hook is not None and device is not None:
            raise ConfigError("a hook needs samples drawn on the CPU: leave out the hook or device")
        _require_batches(len(source), config)
        self._source, self._hook, self._device = source, hook, device
        self._pool: Pool | None = None
        self._running: Generator[Batch, None, None] | None = None

    def __enter__(self) -> Loader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the epoch under way and the processes."""
        if self._running is not None:
            self._running.close()
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return len(self.config.spans(len(self._source)))

    def epoch(self, epoch: int, *, augment: AugmentConfig, start_at: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, but for the first `start_at`; it ends the epoch before.

        Raises:
            ConfigError: mosaics without shuffling, or an epoch of fewer batches than `start_at`.
            ImageError: an image cannot be read; the message names the file.
            LoaderError: a worker has ended.

        After any of these the next call begins anew, with new processes if need be.
        """
        if self._running is not None:
            self._running.close()
        if not 0 <= start_at <= len(self):
            raise ConfigError(f"start_at is {start_at}, and an epoch has {len(self)} batches")
        recipe = Recipe(
            config=augment, preprocessing=self.preprocessing, seed=self.config.seed, epoch=epoch
        )
        count = len(self._source)
        spans = self.config.spans(count)[start_at:]
        sizes = [len(span) for span in spans]
        pieces = pieces_of(
            recipe,
            count,
            positions=spans,
            shuffle=self.config.shuffle,
            parts=self.config.workers,
        )
        if self._device is None or augment.is_none:
            self._running = self._drawn(pieces, sizes)
        else:
            self._running = self._rendered(pieces, sizes, self._device)
        return self._running

    def _drawn(self, pieces: list[Piece], sizes: list[int]) -> Generator[Batch, None, None]:
        """Batches of samples that are drawn on the CPU."""
        side = self.preprocessing.size
        pool = self._workers()
        if pool is None:
            samples = drawn_samples(self._source, pieces, hook=self._hook)
        else:
            samples = pool.drawn_samples(pieces)
        for size in sizes:
            images = torch.empty((size, 3, side, side), dtype=torch.uint8)
            drawn: list[Drawn] = []
            for sample, write in islice(samples, size):
                write(images[len(drawn)].numpy())
                drawn.append(sample)
            yield Batch(
                images=images.to(self._device),
                annotations=tuple(sample.annotations for sample in drawn),
                placements=tuple(sample.placement for sample in drawn),
                sources=tuple(sample.source for sample in drawn),
            )

    def _rendered(
        self, pieces: list[Piece], sizes: list[int], device: torch.device
    ) -> Generator[Batch, None, None]:
        """Batches of samples that are drawn on the device."""
        pool = self._workers()
        if pool is None:
            samples = planned_samples(self._source, pieces)
        else:
            samples = pool.planned_samples(pieces)
        for size in sizes:
            images: dict[int, UInt8[np.ndarray, "_ _ 3"]] = {}
            planned: list[Planned] = []
            for sample, get_image in islice(samples, size):
                planned.append(sample)
                for index in sorted(sample.plan.indices - images.keys()):
                    images[index] = get_image(index)
            yield Batch(
                images=render([sample.plan for sample in planned], images, device),
                annotations=tuple(sample.plan.annotations for sample in planned),
                placements=(None,) * len(planned),
                sources=tuple(sample.source for sample in planned),
            )

    def _workers(self) -> Pool | None:
        """The processes, started once and after one has died; none where this one does the work."""
        if self.config.workers and (self._pool is None or not self._pool.is_open):
            self._pool = Pool(self._source, hook=self._hook, workers=self.config.workers)
        return self._pool


def _require_batches(count: int, config: LoaderConfig) -> None:
    """Nothing, if so many images give a batch: an epoch of none would pass without a word."""
    if count == 0:
        raise ConfigError("there are no images to make batches of")
    if config.spans(count):
        return
    if count < config.parts:
        found = f"{count} images give no batch for {config.parts} processes"
        raise ConfigError(f"{found}; take at most {count}")
    raise ConfigError(
        f"{count} images are fewer than a batch of {config.batch_size}, and drop_last leaves them "
        "all out; take smaller batches, or keep the last one"
    )


def batches(
    source: SampleSource,
    config: LoaderConfig,
    *,
    augment: AugmentConfig,
    epoch: int = 0,
    start_at: int = 0,
    preprocessing: Preprocessing | None = None,
    hook: Hook | None = None,
) -> Iterator[Batch]:
    """The batches of a single epoch; `Loader` keeps its processes for the next one."""
    with Loader(source, config, preprocessing=preprocessing, hook=hook) as loader:
        yield from loader.epoch(epoch, augment=augment, start_at=start_at)
