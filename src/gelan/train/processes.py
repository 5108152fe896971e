"""The processes that train together, on one machine or many; one alone is the simplest case.

`torchrun` and SLURM start them and tell each its rank in environment variables, which are read here
and nowhere else. PyTorch's distributed package does the rest: NCCL between GPUs, Gloo between CPUs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

import torch
from torch import Tensor, distributed

from gelan.errors import ConfigError

T = TypeVar("T")

_PATIENCE = timedelta(hours=2)
"""For the slowest process: one that evaluates a large split, or waits for a slow disk."""
_PORT = 29_531
"""On the first node of a SLURM job, where nothing names another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Processes:
    """Where this process stands among those that train together."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    """Among those of its machine: the number of its GPU."""

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes files and speaks."""
        return self.rank == 0

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, without a gradient."""
        if self.world == 1:
            return tensor
        whole = tensor.detach().clone()
        distributed.all_reduce(whole)
        return whole

    def gathered(self, value: T) -> list[T]:
        """What each process has, in the order of their ranks; for small things that pickle."""
        if self.world == 1:
            return [value]
        values: list[T | None] = [None] * self.world
        distributed.all_gather_object(values, value)
        return cast("list[T]", values)

    def first_says(self, value: T) -> T:
        """The value of the first process, in all of them."""
        if self.world == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]

    def any_says(self, value: bool) -> bool:
        """Whether it is true in any process."""
        if self.world == 1:
            return value
        return any(self.gathered(value))


def processes_of(environment: Mapping[str, str]) -> Processes:
    """What `torchrun` or SLURM says in the environment; one process alone if neither started it.

    >>> processes_of({})
    Processes(rank=0, world=1, local_rank=0)
    >>> processes_of({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"})
    Processes(rank=3, world=4, local_rank=1)

    Raises:
        ConfigError: they contradict themselves.
    """
    for names in (
        ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
        ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
    ):
        if all(name in environment for name in names):
            rank, world, local = (_number(environment, name) for name in names)
            if not 0 <= rank < world:
                raise ConfigError(f"{names[0]} is {rank}, outside 0..{world - 1} ({names[1]})")
            if names[0] == "RANK" or world > 1:
                return Processes(rank=rank, world=world, local_rank=local)
    return Processes()


@contextmanager
def joined(processes: Processes, device: torch.device) -> Iterator[None]:
    """The connection between the processes, as long as it lasts."""
    if processes.world == 1:
        yield
        return
    by_torchrun = "RANK" in os.environ  # which keeps a meeting place of its own
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method="env://" if by_torchrun else f"tcp://{_address(os.environ)}",
        rank=processes.rank,
        world_size=processes.world,
        timeout=_PATIENCE,
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def device_of(
    processes: Processes, choose: Callable[[str], torch.device], name: str
) -> torch.device:
    """The device of this process: its own GPU where several share a machine."""
    device = choose(name)
    if device.type != "cuda" or processes.world == 1:
        return device
    count = torch.cuda.device_count()
    if device.index is not None:
        found = f"device {name!r} is one GPU for {processes.world} processes"
        raise ConfigError(f"{found}; take --device cuda, and each process takes its own")
    if processes.local_rank >= count:
        found = f"{processes.local_rank + 1} processes on a machine with {count} GPUs"
        raise ConfigError(f"{found}; start one process for each GPU")
    own = torch.device("cuda", processes.local_rank)
    torch.cuda.set_device(own)
    return own


def _address(environment: Mapping[str, str]) -> str:
    """Host and port at which the processes meet.

    >>> _address({"SLURM_JOB_NODELIST": "gpu-[007-009,12]", "SLURM_NTASKS": "8"})
    'gpu-007:29531'
    """
    port = environment.get("MASTER_PORT", str(_PORT))
    host = environment.get("MASTER_ADDR")
    if host is None:
        nodes = environment.get("SLURM_JOB_NODELIST", "")
        first = re.match(r"([^,\[]+)(?:\[(\d+))?", nodes)
        if first is None:
            raise ConfigError("MASTER_ADDR names no host for the processes to meet: use torchrun")
        host = first[1] + (first[2] or "")
    return f"{host}:{port}"


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment[name]
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"the environment's {name} is {text!r}, which is no number")
    return int(text)
