"""Training runs made up for tests of what is told about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gelan.structures.history import Choice, EpochRow, PgiCost, RunStory


def row(
    epoch: int,
    *,
    loss: float = 3.0,
    validation: float | None = 3.0,
    ap: float | None = 0.5,
    pgi: bool = True,
    mosaic: bool = True,
) -> EpochRow:
    """One epoch of 10 seconds; losses are split over the terms in equal parts."""
    part = None if validation is None else validation / 3
    auxiliary = loss / 2 if pgi else None
    return EpochRow(
        epoch=epoch,
        iterations=15 * epoch,
        seconds=10.0 * epoch,
        images_per_second=35.5,
        memory_mb=2048.0,
        learning_rate=0.01 / epoch,
        gradient_norm=4.0,
        box=loss / 3,
        classification=loss / 3,
        distribution=loss / 3,
        auxiliary_box=auxiliary,
        auxiliary_classification=auxiliary,
        auxiliary_distribution=auxiliary,
        validation_box=part,
        validation_classification=part,
        validation_distribution=part,
        ap=ap,
        ap50=None if ap is None else min(1.0, 1.4 * ap),
        ap75=None if ap is None else 0.9 * ap,
        mosaic=mosaic,
        pgi=pgi,
    )


def realistic_rows(
    epochs: int,
    *,
    seed: int = 0,
    pgi_until: int | None = None,
    mosaic_until: int | None = None,
    validate_every: int = 1,
    overfit_from: int | None = None,
) -> tuple[EpochRow, ...]:
    """Falling losses, rising AP, both with noise; AP and validation as the keywords have it."""
    random = np.random.default_rng(seed)
    return tuple(
        _realistic(
            number / epochs,
            random,
            plain=row(
                number,
                loss=3.0,
                pgi=pgi_until is None or number <= pgi_until,
                mosaic=mosaic_until is None or number <= mosaic_until,
                validation=3.0 if validate_every and number % validate_every == 0 else None,
                ap=0.5 if validate_every and number % validate_every == 0 else None,
            ),
            excess=0.0 if overfit_from is None else max(0, number - overfit_from) / epochs,
        )
        for number in range(1, epochs + 1)
    )


def _realistic(
    share: float, random: np.random.Generator, *, plain: EpochRow, excess: float
) -> EpochRow:
    def noisy(value: float, spread: float = 0.02) -> float:
        return float(value * math.exp(random.normal(0, spread)))

    fall = 0.25 + 0.75 * math.exp(-5 * share) - (0 if plain.mosaic else 0.04)
    learnt = 1 - math.exp(-4.5 * share)
    known = plain.ap is not None
    ap = min(0.97, noisy(0.55 * learnt, 0.02) - 0.1 * excess)
    return replace(
        plain,
        seconds=7.44 * plain.epoch,
        images_per_second=noisy(38.0, 0.03),
        memory_mb=3200.0 if plain.pgi else 3210.0,
        learning_rate=0.01 * min(1.0, 20 * share) * (1 - 0.99 * share),
        gradient_norm=noisy(6 - 4 * share, 0.1),
        box=noisy(5.2 * fall),
        classification=noisy(4.1 * fall + 2.0 * math.exp(-18 * share)),
        distribution=noisy(3.3 * fall + 0.4),
        auxiliary_box=noisy(5.5 * fall) if plain.pgi else None,
        auxiliary_classification=noisy(4.5 * fall + 1.8 * math.exp(-15 * share))
        if plain.pgi
        else None,
        auxiliary_distribution=noisy(3.5 * fall + 0.4) if plain.pgi else None,
        validation_box=noisy(5.0 * fall + 0.5 + 1.5 * excess, 0.03) if known else None,
        validation_classification=noisy(4.4 * fall + 0.3 + 3 * excess, 0.03) if known else None,
        validation_distribution=noisy(3.4 * fall + 0.6 + excess, 0.03) if known else None,
        ap=ap if known else None,
        ap50=min(0.99, noisy(0.86 * learnt, 0.01)) if known else None,
        ap75=min(0.99, noisy(0.6 * learnt**1.3, 0.02)) if known else None,
    )


def story(
    rows: Sequence[EpochRow],
    *,
    names: Sequence[str] = ("cat", "dog"),
    planned: int | None = None,
    ending: str = "all epochs done",
    best: int | None = None,
    resumed_at: tuple[int, ...] = (),
    title: str = "yolov9-t on pets",
) -> RunStory:
    """A run of these epochs; the best is that of the highest AP unless told otherwise."""
    known = [(each.ap, each.epoch) for each in rows if each.ap is not None]
    return RunStory(
        title=title,
        network="yolov9-t",
        num_images=240,
        command="gelan train --model yolov9-t --data pets/data.yaml --epochs 50",
        rows=tuple(rows),
        best_epoch=best or (max(known)[1] if known else None),
        planned_epochs=planned or (rows[-1].epoch if rows else 50),
        ending=ending,
        choices=(
            Choice(name="batch", value=16, reason="the largest that fits into 8 GB with PGI"),
            Choice(
                name="schedule.warmup_epochs",
                value=1.5,
                reason="a short run: 3 % of its epochs instead of 3",
            ),
        ),
        settings={
            "data": "pets/data.yaml",
            "val_split": "val",
            "model": "yolov9-t",
            "freeze": ("backbone",),
            "optimizer": {"kind": "sgd", "learning_rate": 0.01},
        },
        environment={
            "gelan": "0.1.0",
            "torch": "2.13.0+cpu",
            "python": "3.11.7",
            "machine": "Linux x86_64, 2 cores",
            "date": "2025-11-02 14:03",
        },
        data="YOLO format, 2 classes; train: 240 images, val: 60 images",
        classes=tuple((number, name, 900 // (number + 1)) for number, name in enumerate(names)),
        pgi_cost=PgiCost(
            seconds_without=0.42,
            seconds_with=0.61,
            memory_mb_without=1810.0,
            memory_mb_with=2320.0,
            images=16,
        )
        if any(each.pgi for each in rows)
        else None,
        resumed_at=resumed_at,
    )
