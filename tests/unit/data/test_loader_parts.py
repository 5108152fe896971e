"""A batch that is spread over training processes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gelan.data.augment.config import AugmentConfig, none, published
from gelan.data.loader import Loader, LoaderConfig
from gelan.errors import ConfigError
from gelan.geometry.letterbox import Preprocessing
from gelan.structures.batches import Batch
from tests.unit.data.augment.painted import Painted

PREPROCESSING = Preprocessing(size=64)
CONFIG = LoaderConfig(batch_size=5, seed=3)
AUGMENT = replace(published(), partners=6, mixup=0.5)
SOURCE = Painted(22, "outlines", 64)
CPU = torch.device("cpu")
"""Batches of 5, 5, 5, 5 and 2."""

Trace = list[tuple[object, ...]]


def trace(batch: Batch) -> Trace:
    """All that there is of each sample."""
    return [
        (
            image.numpy().tobytes(),
            found.boxes.tobytes(),
            found.classes.tolist(),
            [polygon.tobytes() for polygons in found.polygons for polygon in polygons],
            placement,
            source,
        )
        for image, found, placement, source in zip(
            batch.images, batch.annotations, batch.placements, batch.sources, strict=True
        )
    ]


def epoch(
    config: LoaderConfig,
    *,
    device: torch.device | None = None,
    augment: AugmentConfig = AUGMENT,
    start_at: int = 0,
) -> list[Trace]:
    with Loader(SOURCE, config, preprocessing=PREPROCESSING, device=device) as found:
        made = [trace(batch) for batch in found.epoch(2, augment=augment, start_at=start_at)]
        assert len(made) == len(found) - start_at
    return made


def of_all(
    config: LoaderConfig, parts: int, *, device: torch.device | None = None, start_at: int = 0
) -> list[Trace]:
    """The batches of all processes, put together."""
    spread = [
        epoch(replace(config, part=part, parts=parts), device=device, start_at=start_at)
        for part in range(parts)
    ]
    return [[sample for part in each for sample in part] for each in zip(*spread, strict=True)]


@pytest.mark.parametrize("device", [None, CPU])
@pytest.mark.parametrize("parts", [2, 5])
def test_the_parts_of_all_processes_are_the_batches_of_one(
    parts: int, device: torch.device | None
) -> None:
    alone = epoch(CONFIG, device=device)
    assert [len(batch) for batch in alone] == [5, 5, 5, 5, 2]
    assert of_all(CONFIG, parts, device=device) == alone[: 5 if parts == 2 else 4]


@pytest.mark.parametrize(("workers", "device"), [(2, None), (1, CPU)])
def test_the_workers_of_a_process_make_its_parts(workers: int, device: torch.device | None) -> None:
    of_one = replace(CONFIG, part=1, parts=2)
    assert epoch(replace(of_one, workers=workers), device=device) == epoch(of_one, device=device)


def test_a_spread_epoch_is_taken_up_in_the_middle() -> None:
    assert of_all(CONFIG, 2, start_at=3) == epoch(CONFIG)[3:]
    assert of_all(CONFIG, 3, start_at=4) == []


def test_without_augmentation_and_in_their_order_parts_follow_each_other() -> None:
    config = replace(CONFIG, shuffle=False, part=1, parts=2)
    sources = [[sample[-1] for sample in batch] for batch in epoch(config, augment=none())]
    names = [[3, 4], [8, 9], [13, 14], [18, 19], [21]]
    assert sources == [[f"{number}.png" for number in batch] for batch in names]


@pytest.mark.parametrize(("drop_last", "count"), [(False, 4), (True, 4)])
def test_a_last_batch_smaller_than_the_processes_is_left_out_in_all(
    drop_last: bool, count: int
) -> None:
    config = replace(CONFIG, drop_last=drop_last, parts=3)
    for part in range(3):
        made = epoch(replace(config, part=part))
        assert [len(batch) for batch in made] == [2 if part < 2 else 1] * count


@given(
    count=st.integers(1, 60),
    batch_size=st.integers(1, 12),
    parts=st.integers(1, 12),
    drop_last=st.booleans(),
)
def test_spans_divide_each_batch_evenly_and_leave_none_out(
    count: int, batch_size: int, parts: int, drop_last: bool
) -> None:
    batch_size = max(batch_size, parts)
    configs = [
        LoaderConfig(batch_size=batch_size, part=part, parts=parts, drop_last=drop_last)
        for part in range(parts)
    ]
    spread = list(zip(*(config.spans(count) for config in configs), strict=True))
    for number, spans in enumerate(spread):
        sizes = [len(span) for span in spans]
        assert min(sizes) >= 1
        assert max(sizes) - min(sizes) <= 1
        start = number * batch_size
        whole = range(start, min(start + batch_size, count))
        assert [position for span in spans for position in span] == list(whole)
    left_out = count - sum(len(span) for spans in spread for span in spans)
    rest = count % batch_size
    assert left_out == (rest if drop_last or rest < parts else 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"part": -1}, "loader: part is -1; it should be 0 or more"),
        ({"parts": 0}, "loader: parts is 0; it should be 1 or more"),
        ({"part": 2, "parts": 2}, "loader: part 2 is outside 0..1"),
        (
            {"batch_size": 2, "parts": 3},
            "a batch of 2 cannot be spread over 3 processes; take at least 3",
        ),
    ],
)
def test_parts_out_of_range_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LoaderConfig(**settings)  # type: ignore[arg-type]
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            LoaderConfig(batch_size=4, drop_last=True),
            "3 images are fewer than a batch of 4, and drop_last leaves them all out; "
            "take smaller batches, or keep the last one",
        ),
        (
            LoaderConfig(batch_size=8, parts=4),
            "3 images give no batch for 4 processes; take at most 3",
        ),
    ],
)
def test_an_epoch_without_a_batch_is_refused(config: LoaderConfig, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Loader(Painted(3), config, preprocessing=PREPROCESSING)
    assert str(caught.value) == message
