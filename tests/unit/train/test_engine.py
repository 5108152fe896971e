from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from gelan.errors import ConfigError
from gelan.model.auxiliary import detach_auxiliary
from gelan.structures.batches import Batch
from gelan.train.engine import Engine, is_out_of_memory, require_precision
from tests.unit.train.little import (
    CPU,
    RATE,
    copied,
    differing,
    little_batch,
    little_engine,
    little_network,
    settings,
)


def still(engine: Engine) -> Engine:
    """With normalisations that do not look at the batch."""
    for module in engine.detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return engine


def part(batch: Batch, images: slice) -> Batch:
    return Batch(
        images=batch.images[images],
        annotations=batch.annotations[images],
        placements=batch.placements[images],
        sources=batch.sources[images],
    )


def gradients(engine: Engine) -> dict[str, torch.Tensor]:
    return {
        name: entry.grad.clone()
        for name, entry in engine.detector.named_parameters()
        if entry.grad is not None
    }


def flat(engine: Engine) -> torch.Tensor:
    return torch.cat([gradient.flatten() for gradient in gradients(engine).values()])


def weights(engine: Engine) -> dict[str, torch.Tensor]:
    return copied(engine.detector.state_dict())


def test_gradients_of_batches_add_up() -> None:
    whole = little_batch(4)
    halves = [part(whole, slice(0, 2)), part(whole, slice(2, 4))]

    each = []
    for half in halves:
        alone = still(little_engine())
        alone.backward(half, is_last=True)
        each.append(gradients(alone))
    both = still(little_engine())
    both.backward(halves[0], is_last=False)
    both.backward(halves[1], is_last=True)

    for name, gradient in gradients(both).items():
        torch.testing.assert_close(gradient, each[0][name] + each[1][name], rtol=1e-4, atol=1e-5)


def test_a_batch_seen_twice_is_a_batch_with_every_image_twice() -> None:
    # The loss is a mean over the scores to learn, times the images: the same in both cases.
    half = little_batch()
    twice = Batch(
        images=torch.cat([half.images, half.images]),
        annotations=half.annotations * 2,
        placements=half.placements * 2,
        sources=half.sources * 2,
    )
    large, small = still(little_engine()), still(little_engine())
    large.backward(twice, is_last=True)
    for is_last in (False, True):
        small.backward(half, is_last=is_last)
    torch.testing.assert_close(flat(small), flat(large), rtol=1e-3, atol=1e-4)


def test_a_step_forgets_the_gradients() -> None:
    engine = little_engine()
    engine.backward(little_batch(), is_last=True)
    engine.step(RATE)
    assert gradients(engine) == {}


def test_gradients_are_clipped_and_their_norm_before_is_told() -> None:
    engine = little_engine(
        clip=0.001, optimizer__momentum=0.0, optimizer__nesterov=False, optimizer__weight_decay=0.0
    )
    before = weights(engine)
    engine.backward(little_batch(), is_last=True)
    norm = engine.step(RATE._replace(momentum=0.0))
    moved = [
        (entry - before[name]).square().sum() for name, entry in engine.detector.named_parameters()
    ]
    assert norm.item() > 1
    # A rate of 0.01 times a gradient of norm 0.001.
    assert torch.stack(moved).sum().sqrt().item() == pytest.approx(1e-5, rel=0.02)


@pytest.mark.parametrize("count", [1, 3])
def test_the_weight_decay_is_that_of_the_images_of_a_step(count: int) -> None:
    engine = little_engine(batch=2, nominal_batch=2 * count, optimizer__weight_decay=0.001)
    decays = [group["weight_decay"] for group in engine.optimizer.param_groups]
    assert decays == [0.0, pytest.approx(0.001), 0.0]


def test_a_batch_larger_than_the_nominal_one_decays_more() -> None:
    engine = little_engine(batch=4, nominal_batch=2, optimizer__weight_decay=0.001)
    assert engine.optimizer.param_groups[1]["weight_decay"] == pytest.approx(0.002)


def test_bf16_agrees_with_fp32_to_its_precision() -> None:
    exact, coarse = still(little_engine()), still(little_engine(precision="bf16"))
    terms = [engine.backward(little_batch(), is_last=True) for engine in (exact, coarse)]
    assert terms[1].total.item() == pytest.approx(terms[0].total.item(), rel=0.02)
    assert torch.cosine_similarity(flat(exact), flat(coarse), dim=0).item() > 0.98
    assert all(entry.dtype == torch.float32 for entry in coarse.detector.parameters())


def test_the_memory_format_changes_nothing_but_rounding() -> None:
    losses = []
    for channels_last in (False, True):
        engine = little_engine(channels_last=channels_last)
        seen = []
        for seed in range(3):
            seen.append(engine.backward(little_batch(seed=seed), is_last=True).total.item())
            engine.step(RATE)
        losses.append(seen)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def momenta(engine: Engine) -> dict[str, torch.Tensor]:
    names = {id(entry): name for name, entry in engine.detector.named_parameters()}
    return {
        names[id(entry)]: state["momentum_buffer"].clone()
        for entry, state in engine.optimizer.state.items()
    }


def test_detaching_pgi_midway_changes_nothing_of_the_rest() -> None:
    engine = little_engine()
    engine.backward(little_batch(), is_last=True)
    engine.step(RATE)
    before, momentum, average = weights(engine), momenta(engine), copied(engine.ema.state_dict())
    images = little_batch().network_input()
    with torch.no_grad():
        output = engine.averaged(images).main

    engine.detach_auxiliary()

    gone = {name for name in before if name.startswith("auxiliary.")}
    assert gone
    assert set(differing(before, weights(engine))) == gone
    assert set(differing(momentum, momenta(engine))) == gone & momentum.keys()
    assert set(differing(average, engine.ema.state_dict())) == gone
    with torch.no_grad():
        again = engine.averaged(images)
    assert again.auxiliary is None
    assert torch.equal(again.main.logits, output.logits)
    assert torch.equal(again.main.distances, output.distances)


def test_training_goes_on_without_pgi_and_detaching_twice_is_once() -> None:
    engine = little_engine()
    engine.detach_auxiliary()
    engine.detach_auxiliary()
    terms = engine.backward(little_batch(), is_last=True)
    engine.step(RATE)
    assert terms.auxiliary is None
    assert engine.ema.updates == 1


def spoilt_batch() -> tuple[Engine, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """An engine after a good batch and one whose forward pass gives NaN; its state before."""
    engine = little_engine()
    engine.backward(little_batch(), is_last=True)
    engine.step(RATE)
    before, average = weights(engine), copied(engine.ema.state_dict())
    poison = engine.detector.backbone.register_forward_pre_hook(
        lambda _module, inputs: (inputs[0] * torch.nan,)
    )
    engine.backward(little_batch(), is_last=True)
    poison.remove()
    return engine, before, average


def test_a_gradient_that_is_not_finite_leaves_weights_statistics_and_average_as_they_are() -> None:
    engine, before, average = spoilt_batch()
    norm = engine.step(RATE)
    assert not torch.isfinite(norm)
    assert engine.is_lost(norm)
    assert differing(before, weights(engine)) == []
    assert differing(average, engine.ema.state_dict()) == []


def test_a_state_is_that_of_the_last_step_even_after_a_batch_that_made_none() -> None:
    engine, before, _ = spoilt_batch()
    assert differing(before, engine.state()["detector"]) == []


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_an_engine_goes_on_from_a_state_to_the_same_bits(kind: str) -> None:
    engine = little_engine(optimizer__kind=kind, ema__ramp=2.0)
    for seed in range(2):
        engine.backward(little_batch(seed=seed), is_last=True)
        engine.step(RATE)
    twin = little_engine(seed=9, optimizer__kind=kind, ema__ramp=2.0)
    twin.load_state(copy.deepcopy(engine.state()))
    for each in (engine, twin):
        each.backward(little_batch(seed=5), is_last=True)
        each.step(RATE)
    assert differing(weights(engine), weights(twin)) == []
    assert differing(engine.ema.state_dict(), twin.ema.state_dict()) == []


def test_frozen_parts_stay_bit_identical_in_the_network_and_its_average() -> None:
    engine = little_engine(freeze=["backbone", "neck.top_down"])
    before = weights(engine)
    for seed in range(2):
        engine.backward(little_batch(seed=seed), is_last=True)
        engine.step(RATE)
    changed, averaged = differing(before, weights(engine)), engine.ema.state_dict()
    frozen = [name for name in before if name.startswith(("backbone.", "neck.top_down."))]
    assert any(name.endswith("running_mean") for name in frozen)
    assert set(changed).isdisjoint(frozen)
    assert {"head.boxes.0.2.bias", "head.classes.0.2.bias"} <= set(changed)
    assert all(torch.equal(before[name], averaged[name]) for name in frozen)


def test_the_average_is_on_the_device_in_float32_and_without_gradients() -> None:
    engine = little_engine(precision="bf16")
    for entry in engine.averaged.parameters():
        assert (entry.device, entry.dtype, entry.requires_grad) == (CPU, torch.float32, False)
    assert not engine.averaged.training


@pytest.mark.slow
def test_a_compiled_network_learns_what_a_plain_one_does() -> None:
    # In a process of its own, without the checks of shapes, which the compiler cannot see through.
    if shutil.which("c++") is None and shutil.which("g++") is None:
        pytest.skip("there is no C++ compiler here, which torch.compile needs")
    code = """
from tests.unit.train.little import little_batch, little_engine
for compiled in (False, True):
    engine = little_engine(compile=compiled)
    total = engine.backward(little_batch(), is_last=True).total
    print(total.item(), len(engine.state()["detector"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    plain, compiled = (line.split() for line in done.stdout.splitlines())
    assert float(compiled[0]) == pytest.approx(float(plain[0]), rel=1e-4)
    assert compiled[1] == plain[1]


def test_without_pgi_no_part_of_it_is_in_the_optimizer() -> None:
    network = little_network()
    detach_auxiliary(network)
    engine = Engine(network, settings(pgi="off"), device=CPU)
    names = [name for group in engine.optimizer.param_groups for name in group["parameter_names"]]
    assert names
    assert not any(name.startswith("auxiliary.") for name in names)


def test_fp16_on_a_cpu_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        require_precision(settings(precision="fp16"), CPU)
    assert str(caught.value) == "precision fp16 is slow and coarse on a CPU: take bf16 or fp32"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory"), True),
        (RuntimeError("shapes differ"), False),
    ],
)
def test_memory_errors_are_told_from_others(error: Any, expected: bool) -> None:  # noqa: ANN401
    assert is_out_of_memory(error) is expected
