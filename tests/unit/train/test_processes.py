from __future__ import annotations

import pytest
import torch

from gelan.errors import ConfigError
from gelan.train import processes
from gelan.train.processes import Processes, device_of, processes_of


def torchrun(**changes: str) -> dict[str, str]:
    return {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", **changes}


def slurm(**changes: str) -> dict[str, str]:
    return {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1", **changes}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Processes()),
        (torchrun(), Processes(rank=1, world=4, local_rank=1)),
        (slurm(), Processes(rank=5, world=8, local_rank=1)),
        ({**slurm(), **torchrun()}, Processes(rank=1, world=4, local_rank=1)),
        # A shell in an allocation of one task trains alone.
        (slurm(SLURM_PROCID="0", SLURM_NTASKS="1", SLURM_LOCALID="0"), Processes()),
    ],
)
def test_the_environment_says_which_process_this_is(
    environment: dict[str, str], expected: Processes
) -> None:
    assert processes_of(environment) == expected


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (torchrun(RANK="4"), "RANK is 4, outside 0..3 (WORLD_SIZE)"),
        (torchrun(RANK="-1"), "the environment's RANK is '-1', which is no number"),
        (torchrun(WORLD_SIZE="four"), "WORLD_SIZE is 'four', which is no number"),
        (slurm(SLURM_PROCID="8"), "SLURM_PROCID is 8, outside 0..7 (SLURM_NTASKS)"),
    ],
)
def test_an_environment_that_contradicts_itself_is_refused(
    environment: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        processes_of(environment)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SLURM_JOB_NODELIST": "alone"}, "alone:29531"),
        ({"SLURM_JOB_NODELIST": "one,two"}, "one:29531"),
        ({"SLURM_JOB_NODELIST": "gpu-[007-009,12]"}, "gpu-007:29531"),
        ({"MASTER_ADDR": "here", "MASTER_PORT": "7"}, "here:7"),
    ],
)
def test_processes_meet_at_the_first_node(environment: dict[str, str], expected: str) -> None:
    assert processes._address(environment) == expected


def test_without_a_meeting_place_torchrun_is_named() -> None:
    with pytest.raises(ConfigError, match="use torchrun"):
        processes._address({})


def test_one_process_alone_has_everything_and_exchanges_nothing() -> None:
    alone, tensor = Processes(), torch.ones(2)
    assert alone.is_first
    assert alone.summed(tensor) is tensor
    assert alone.gathered("it") == ["it"]
    assert alone.first_says("it") == "it"
    assert (alone.any_says(True), alone.any_says(False)) == (True, False)


def test_each_process_takes_the_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    second = Processes(rank=5, world=8, local_rank=1)
    assert device_of(second, torch.device, "cuda") == torch.device("cuda", 1)
    assert chosen == [torch.device("cuda", 1)]
    assert device_of(second, torch.device, "cpu") == torch.device("cpu")
    assert device_of(Processes(), torch.device, "cuda:1") == torch.device("cuda", 1)
    with pytest.raises(ConfigError) as caught:
        device_of(second, torch.device, "cuda:1")
    assert str(caught.value) == (
        "device 'cuda:1' is one GPU for 8 processes; take --device cuda, and each process takes "
        "its own"
    )
    with pytest.raises(ConfigError, match="3 processes on a machine with 2 GPUs"):
        device_of(Processes(rank=2, world=3, local_rank=2), torch.device, "cuda")
