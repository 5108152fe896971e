from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch

from gelan.data.augment.config import none, published
from gelan.data.augment.pool import refuse_more_than_there_is
from gelan.data.dataset import Dataset
from gelan.data.description import open_dataset
from gelan.data.loader import Loader, LoaderConfig, batches
from gelan.errors import ConfigError
from gelan.geometry.letterbox import Preprocessing
from gelan.structures.batches import Batch
from gelan.structures.samples import Annotations, Sample
from tests.shared_files import shared
from tests.unit.data.augment.painted import Painted

PREPROCESSING = Preprocessing(size=64)
CONFIG = LoaderConfig(batch_size=4, seed=3)
AUGMENT = replace(published(), partners=5)
CPU = torch.device("cpu")
"""Groups of 5 and batches of 4: most batches are made of two pieces."""


def loader(source: object, workers: int, *, device: torch.device | None = None) -> Loader:
    assert isinstance(source, Painted)
    return Loader(
        source, replace(CONFIG, workers=workers), preprocessing=PREPROCESSING, device=device
    )


def traces(found: Iterator[Batch]) -> list[object]:
    return [
        (
            batch.images.numpy().tobytes(),
            batch.sources,
            [a.boxes.tobytes() for a in batch.annotations],
            [[p.tobytes() for o in a.polygons for p in o] for a in batch.annotations],
        )
        for batch in found
    ]


def test_batches_are_the_same_with_any_number_of_workers() -> None:
    source = Painted(23, "outlines", 64)
    with loader(source, 0) as here:
        expected = [traces(here.epoch(epoch, augment=AUGMENT)) for epoch in range(2)]
    assert [len(epoch) for epoch in expected] == [6, 6]
    for workers in (1, 2):
        with loader(source, workers) as there:
            assert traces(there.epoch(0, augment=AUGMENT)) == expected[0]
            next(there.epoch(0, augment=AUGMENT))  # left early
            assert traces(there.epoch(1, augment=AUGMENT, start_at=2)) == expected[1][2:]
        assert not active_children()


def test_the_device_path_is_the_same_with_workers_and_agrees_with_the_other() -> None:
    source = Painted(9, "outlines", 64)
    made = {}
    for workers in (0, 1):
        with loader(source, workers, device=CPU) as there:
            made[workers] = list(there.epoch(0, augment=AUGMENT))
    assert traces(iter(made[0])) == traces(iter(made[1]))
    with loader(source, 0) as here:
        drawn = list(here.epoch(0, augment=AUGMENT))
    for ours, theirs in zip(made[0], drawn, strict=True):
        assert ours.sources == theirs.sources
        for a, b in zip(ours.annotations, theirs.annotations, strict=True):
            np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-3)
        gap = (ours.images.float() - theirs.images.float()).abs()
        assert gap.mean() < 1.5


def test_an_epoch_taken_up_in_the_middle_goes_on_with_the_same_batches() -> None:
    whole = list(batches(Painted(11), CONFIG, augment=AUGMENT, preprocessing=PREPROCESSING))
    rest = batches(Painted(11), CONFIG, augment=AUGMENT, preprocessing=PREPROCESSING, start_at=1)
    assert traces(rest) == traces(iter(whole[1:]))


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [4, 4, 2]), (True, [4, 4])])
def test_the_last_batch_is_shorter_or_left_out(drop_last: bool, sizes: list[int]) -> None:
    config = replace(CONFIG, drop_last=drop_last)
    with Loader(Painted(10), config, preprocessing=PREPROCESSING) as found:
        assert len(found) == len(sizes)
        assert [len(batch) for batch in found.epoch(0, augment=AUGMENT)] == sizes


def test_every_image_is_the_own_one_of_one_sample() -> None:
    made = batches(Painted(10), CONFIG, augment=AUGMENT, preprocessing=PREPROCESSING)
    sources = [source for batch in made for source in batch.sources]
    assert sorted(sources) == sorted(f"{index}.png" for index in range(10))
    assert sources != sorted(sources)


def test_without_shuffling_images_come_in_their_order_with_the_way_back() -> None:
    config, source = replace(CONFIG, shuffle=False), Painted(5)
    (first, _) = batches(source, config, augment=none(), preprocessing=PREPROCESSING)
    assert first.sources == ("0.png", "1.png", "2.png", "3.png")
    assert first.images.dtype == torch.uint8
    for index, placement in enumerate(first.placements):
        assert placement is not None
        original = placement.to_original(first.annotations[index].boxes)
        np.testing.assert_allclose(original, source[index].annotations.boxes, atol=1e-3)


def darker(sample: Sample) -> Sample:
    return replace(sample, image=sample.image // 2)


def test_hooks_run_in_workers_too() -> None:
    source, config = Painted(3), replace(CONFIG, workers=1)
    made = [
        list(batches(source, each, augment=none(), preprocessing=PREPROCESSING, hook=hook))
        for each, hook in ((CONFIG, None), (config, darker))
    ]
    assert torch.equal(made[1][0].images, made[0][0].images // 2)


def resident_megabytes(pids: list[int]) -> float:
    """Memory of processes that is their own: shared memory is not counted."""
    pages = 0
    for pid in pids:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
        pages += int(resident) - int(shared)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_does_not_grow_over_epochs() -> None:
    with loader(Painted(16, "outlines", 64), 1) as found:
        used = []
        for epoch in range(24):
            for _ in found.epoch(epoch, augment=AUGMENT):
                pass
            if epoch % 8 == 7:
                gc.collect()
                pids = [os.getpid(), *(child.pid or 0 for child in active_children())]
                assert len(pids) == 2
                used.append(resident_megabytes(pids))
    assert used[2] - used[1] < 4


def test_too_little_shared_memory_is_told_before_a_process_dies_of_it() -> None:
    if not Path("/dev/shm").is_dir():
        pytest.skip("no /dev/shm here")
    with pytest.raises(ConfigError, match=r"the workers need 1000000000 MB of shared memory, and"):
        refuse_more_than_there_is(10**15)


def test_slots_follow_the_size_of_the_samples() -> None:
    with loader(Painted(6), 1) as found:
        assert next(found.epoch(0, augment=none())).images.shape == (4, 3, 64, 64)
        found.preprocessing = Preprocessing(size=96)
        assert next(found.epoch(1, augment=none())).images.shape == (4, 3, 96, 96)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "loader: batch_size is 0; it should be 1 or more"),
        ({"workers": -1}, "loader: workers is -1; it should be 0 or more"),
        ({"seed": -5}, "loader: seed is -5; it should be 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LoaderConfig(**settings)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_combinations_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="there are no images"):
        Loader(Painted(0), CONFIG)
    with pytest.raises(ConfigError, match="shape should be 'square'"):
        Loader(Painted(1), CONFIG, preprocessing=Preprocessing(shape="rectangle"))
    with pytest.raises(ConfigError, match="leave out the hook or device"):
        Loader(Painted(1), CONFIG, hook=darker, device=CPU)
    with pytest.raises(ConfigError, match="start_at is 3, and an epoch has 2 batches"):
        loader(Painted(8), 0).epoch(0, augment=AUGMENT, start_at=3)
    with pytest.raises(ConfigError, match="turn shuffle on"):
        Loader(Painted(8), replace(CONFIG, shuffle=False)).epoch(0, augment=AUGMENT)


def test_a_data_set_of_files_is_a_source() -> None:
    described = open_dataset(shared("data/coco128/annotations/instances_train2017.json"))
    source = Dataset(described.split("train")[:8])
    first = next(batches(source, CONFIG, augment=published()))
    assert first.images.shape == (4, 3, 640, 640)
    assert all(source.endswith(".jpg") for source in first.sources)
    assert any(outline for found in first.annotations for outline in found.polygons)


def test_an_image_of_the_batch_is_network_input_in_unit_range() -> None:
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 3, 1, 1)
    batch = one(pixels)
    assert batch.network_input().flatten().tolist() == pytest.approx([0, 0.2, 1])
    assert batch.network_input(CPU, dtype=torch.float16).dtype == torch.float16


def test_the_parts_of_a_batch_are_equally_long() -> None:
    with pytest.raises(ValueError, match=r"equally long, got \[1, 2\]"):
        replace(one(torch.zeros((1, 3, 2, 2), dtype=torch.uint8)), sources=("a", "b"))


def one(images: torch.Tensor) -> Batch:
    return Batch(
        images=images,
        annotations=(Annotations.of_boxes([], []),),
        placements=(None,),
        sources=("a.png",),
    )
