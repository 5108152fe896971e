from __future__ import annotations

import pytest
import torch

from gelan.errors import ConfigError
from gelan.model.auxiliary import detach_auxiliary
from gelan.train.cost import batch_that_fits, measure_pgi
from gelan.train.engine import Engine
from tests.unit.train.little import CPU, differing, little_network, settings


def test_pgi_costs_memory_and_the_network_is_not_changed() -> None:
    network = little_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    cost = measure_pgi(network, settings(batch=3), CPU)
    assert cost.images == 3
    assert cost.seconds_with > 0
    assert cost.seconds_without > 0
    # The weights of the part, with their gradients, are the least that it takes.
    assert network.auxiliary is not None
    weights = sum(entry.numel() * 4 for entry in network.auxiliary.parameters())
    assert cost.memory_mb_with - cost.memory_mb_without > 2 * weights / 2**20
    assert differing(before, dict(network.state_dict())) == []
    assert str(cost).startswith("PGI costs ")


def test_on_a_cpu_at_most_four_images_are_measured() -> None:
    assert measure_pgi(little_network(), settings(batch=16), CPU).images == 4


def test_a_step_that_does_not_fit_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Engine, "backward", fail)
    with pytest.raises(ConfigError) as caught:
        measure_pgi(little_network(), settings(), CPU)
    assert str(caught.value) == (
        "the memory of cpu is too small for a training step of 2 images at 64 pixels: take a "
        "smaller --batch or --size, or --pgi off"
    )


@pytest.mark.parametrize(("free_mb", "expected"), [(1.0, 1), (100.0, None), (1000.0, None)])
def test_the_batch_that_fits_is_a_power_of_two_below_the_free_memory(
    free_mb: float, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(free_mb * 2**20), 0))
    network = little_network()
    detach_auxiliary(network)
    fits = batch_that_fits(network, settings(pgi="off"), CPU)
    assert fits & (fits - 1) == 0
    if expected is not None:
        assert fits == expected
        return
    from gelan.train.cost import _measured

    needs = {count: _measured(network, settings(), CPU, count)[1] for count in (2, 4)}
    each = (needs[4] - needs[2]) / 2
    fixed = needs[2] - 2 * each
    assert fixed + fits * each <= 0.85 * free_mb < fixed + 2 * fits * each
