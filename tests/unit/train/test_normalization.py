from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn

from gelan.errors import ConfigError
from gelan.model.variants import build
from gelan.train.freezing import HeldStill, freeze
from gelan.train.normalization import SharedBatchNorm2d, synchronize_batch_norm

PARTS = (3, 1)
"""Images of the two processes."""
SIZES = {"plain": (4, 5), "single": (1, 1), "shifted": (4, 5)}
"""Height and width of the maps; the last are far from 0, where sums of squares lose digits."""


def networks() -> dict[str, nn.Sequential]:
    torch.manual_seed(0)
    made = {name: nn.Sequential(nn.BatchNorm2d(3)) for name in SIZES}
    made["shifted"] = nn.Sequential(nn.BatchNorm2d(3, momentum=None))
    for network in made.values():
        nn.init.uniform_(network.get_parameter("0.weight"))
    return made


def images(name: str, step: int) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    maps = torch.rand(sum(PARTS), 3, *SIZES[name], generator=generator)
    return (maps + (100 if name == "shifted" else 0)).requires_grad_()


def loss_of(outputs: Tensor, first: int) -> Tensor:
    """Something that treats every number differently, and images by their place in the batch."""
    places = torch.arange(first, first + len(outputs)).view(-1, 1, 1, 1)
    return (outputs * torch.sin(7.0 * outputs + places)).sum()


def results(network: nn.Module, name: str, part: slice) -> dict[str, Tensor]:
    """Outputs, gradients and statistics of two steps on a part of the batch."""
    network.train()
    for step in range(2):
        network.zero_grad()
        whole = images(name, step)
        outputs = network(whole[part])
        loss_of(outputs, part.start).backward()
    assert whole.grad is not None
    found = {"outputs": outputs.detach(), "images": whole.grad[part]}
    found |= {
        f"gradient of {k}": p.grad for k, p in network.named_parameters() if p.grad is not None
    }
    found |= {k: buffer.clone() for k, buffer in network.named_buffers()}
    network.eval()
    return found | {"evaluated": network(images(name, 9)[part]).detach()}


def one_of_two(rank: int, folder: Path) -> None:
    """What one of two processes finds; the other has the rest of the batch."""
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    part = slice(0, PARTS[0]) if rank == 0 else slice(PARTS[0], sum(PARTS))
    found = {
        name: results(synchronize_batch_norm(network), name, part)
        for name, network in networks().items()
    }
    distributed.destroy_process_group()
    torch.save(found, folder / f"{rank}.pt")


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    folder = tmp_path_factory.mktemp("processes")
    spawn(one_of_two, args=(folder,), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("name", SIZES)
def test_two_processes_find_what_one_finds_on_the_joined_batch(
    of_two: list[dict[str, dict[str, Tensor]]], name: str
) -> None:
    joined = results(networks()[name], name, slice(0, sum(PARTS)))
    first, second = of_two[0][name], of_two[1][name]
    limit = 1e-3 if name == "shifted" else 1e-4  # beside 100, 4 digits of the fraction are left
    for key, expected in joined.items():
        if key.startswith("gradient"):
            ours = first[key] + second[key]
        elif key in ("outputs", "images", "evaluated"):
            ours = torch.cat([first[key], second[key]])
        else:
            assert torch.equal(first[key], second[key])
            ours = first[key]
        torch.testing.assert_close(ours, expected, rtol=limit, atol=limit, msg=f"{key}")


def test_alone_it_is_the_plain_normalisation() -> None:
    plain = networks()["plain"]
    shared = copy.deepcopy(plain)
    assert synchronize_batch_norm(shared) is shared
    expected = results(plain, "plain", slice(0, 4))
    for key, tensor in results(shared, "plain", slice(0, 4)).items():
        assert torch.equal(tensor, expected[key]), key


def test_names_and_tensors_of_a_detector_stay() -> None:
    detector = build("yolov9-t", num_classes=2)
    before = detector.state_dict(keep_vars=True)
    synchronize_batch_norm(detector)
    after = detector.state_dict(keep_vars=True)
    assert list(before) == list(after)
    assert all(before[key] is after[key] for key in before)
    norms = [module for module in detector.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 291
    assert all(isinstance(norm, SharedBatchNorm2d) for norm in norms)


def test_twice_is_once_and_frozen_ones_stay_frozen() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2))
    freeze(network, ["0"])
    synchronize_batch_norm(synchronize_batch_norm(network))
    assert isinstance(network[0], HeldStill)
    assert not isinstance(network[0], SharedBatchNorm2d)
    assert type(network[1]) is SharedBatchNorm2d


def test_a_normalisation_of_another_kind_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError) as caught:
        synchronize_batch_norm(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    assert str(caught.value) == (
        "1 is a BatchNorm1d, which cannot be shared between processes; train in one process, or "
        "freeze the part that it is in"
    )
