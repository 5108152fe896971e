"""Processes that make samples: light ones without torch, which hand images over in shared memory.

Pieces of work come back in their order. A process writes the pixels of a piece into a slot of
shared memory; only numbers and names are pickled. The slots are used again and again, so memory
does not grow. Processes are started afresh on every platform ("spawn"): what they need is pickled
once, and nothing of the main process (threads, CUDA) is inherited.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import connection, current_process, parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.shared_memory import SharedMemory
from multiprocessing.spawn import get_preparation_data
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from jaxtyping import UInt8

from gelan.data.augment.pieces import (
    Drawn,
    GetImage,
    Piece,
    Planned,
    Write,
    drawn_samples,
    planned_samples,
)
from gelan.data.augment.pipeline import Hook, SampleSource
from gelan.errors import ConfigError, LoaderError

Answer = TypeVar("Answer")
Bytes = UInt8[np.ndarray, " bytes"]
Image = UInt8[np.ndarray, "height width 3"]
_SHARED_MEMORY = Path("/dev/shm")  # of Linux
_ENDED = (
    "a worker process ended without an answer: killed for lack of memory, or started by a script "
    "that has no `if __name__ == '__main__':`; its own words, if any, stand above; take fewer "
    "workers, or none to see more"
)


class _Process(SpawnProcess):
    """Ends when it must: one that waits for a lock of a killed one would wait for ever."""

    def terminate(self) -> None:
        """Kill it, because `_begin` makes it deaf to SIGTERM."""
        self.kill()


class _Context(SpawnContext):
    Process = _Process


class _Slots(NamedTuple):
    """Names of the slots in use, and of the one to write to."""

    all: tuple[str, ...]
    mine: str


class _Stored(NamedTuple):
    """Where a decoded image lies in a slot."""

    offset: int
    height: int
    width: int

    def image(self, memory: Bytes) -> Image:
        """The image itself, not a copy."""
        end = self.offset + self.height * self.width * 3
        return memory[self.offset : end].reshape(self.height, self.width, 3)


class Pool:
    """Processes that make samples, each in its turn; close it when done.

    When one of them ends unasked, all do, and the pool is closed.
    """

    def __init__(self, source: SampleSource, *, hook: Hook | None, workers: int) -> None:
        """Processes start when there is work.

        Raises:
            ConfigError: the source or the hook cannot be sent to another process.
            LoaderError: this process may not start others.
        """
        _refuse_where_none_may_start()
        try:
            needed = pickle.dumps((source, hook))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"workers is {workers}, but the images or the hook cannot be sent to a process "
                f"({error}); define classes and functions at the top of a module, or set workers "
                "to 0"
            ) from error
        refuse_more_than_there_is(len(needed))
        shared = SharedMemory(create=True, size=len(needed))
        _bytes_of(shared)[: len(needed)] = np.frombuffer(needed, np.uint8)
        # As an argument, what is needed would go through a pipe, and a process that ends before it
        # has read a long argument leaves the main process writing for ever.
        self._executor = ProcessPoolExecutor(
            workers, mp_context=_Context(), initializer=_begin, initargs=(shared.name,)
        )
        self._num_slots = workers + 2  # one is being read, and one waits to be
        self._slots: list[SharedMemory] = []
        self.close = weakref.finalize(self, _end, self._executor, [shared], self._slots)

    @property
    def is_open(self) -> bool:
        """Whether it can be given work: it was not closed, nor has a process of it ended."""
        return self.close.alive

    def drawn_samples(self, pieces: Sequence[Piece]) -> Iterator[tuple[Drawn, Write]]:
        """Samples, and what writes their pixels, which works until the next step.

        Raises:
            LoaderError: a process ended without an answer.
            ConfigError: there is too little shared memory.
        """
        num_bytes = max((len(piece.places) * _image_bytes(piece) for piece in pieces), default=0)
        for number, (drawn, slot) in enumerate(self._run(_draw, pieces, num_bytes=num_bytes)):
            for place, sample in enumerate(drawn):
                yield sample, partial(_copy_planes, slot, pieces[number], place)

    def planned_samples(self, pieces: Sequence[Piece]) -> Iterator[tuple[Planned, GetImage]]:
        """Samples, and what copies the images that they are to be drawn from, until the next step.

        Raises:
            LoaderError: a process ended without an answer.
            ConfigError: there is too little shared memory.
        """
        num_bytes = max((len(piece.group) * _image_bytes(piece) for piece in pieces), default=0)
        for (planned, stored), slot in self._run(_plan, pieces, num_bytes=num_bytes):
            for sample in planned:
                yield sample, partial(_copied_image, slot, stored)

    def _run(
        self, work: Callable[[Piece, _Slots], Answer], pieces: Sequence[Piece], *, num_bytes: int
    ) -> Iterator[tuple[Answer, SharedMemory]]:
        """The answer to each piece, with the slot that its pixels are in."""
        self._make_slots(num_bytes, len(pieces))
        names = tuple(slot.name for slot in self._slots)
        free, remaining = list(self._slots), iter(pieces)
        waiting: deque[tuple[Future[Answer], SharedMemory]] = deque()
        try:
            while True:
                while free and (piece := next(remaining, None)):
                    slot = free.pop()
                    future = self._executor.submit(work, piece, _Slots(names, slot.name))
                    waiting.append((future, slot))
                if not waiting:
                    return
                future, slot = waiting.popleft()
                yield future.result(), slot
                free.append(slot)
        except BrokenProcessPool as error:
            self.close()
            raise LoaderError(_ENDED) from error
        finally:  # when it is left early, nobody writes any more into a slot that is used again
            futures = [future for future, _ in waiting]
            for future in futures:
                future.cancel()
            wait(futures)

    def _make_slots(self, num_bytes: int, num_pieces: int) -> None:
        count = min(self._num_slots, num_pieces)
        if len(self._slots) >= count and all(slot.size >= num_bytes for slot in self._slots):
            return
        _free(self._slots)
        refuse_more_than_there_is(count * num_bytes)
        self._slots.extend(SharedMemory(create=True, size=num_bytes) for _ in range(count))


def _refuse_where_none_may_start() -> None:
    """An executor whose processes do not start would wait for them for ever."""
    try:
        get_preparation_data("sample maker")
    except RuntimeError as error:
        raise LoaderError(
            "this script was about to start workers while one of its own workers read it: put "
            "what it does under `if __name__ == '__main__':`, or take no workers"
        ) from error
    if current_process().daemon:
        raise LoaderError("a daemonic process cannot start workers: take none")


def refuse_more_than_there_is(num_bytes: int) -> None:
    """A process that writes to shared memory where there is none is killed without a word."""
    if not _SHARED_MEMORY.is_dir():
        return
    free = shutil.disk_usage(_SHARED_MEMORY).free
    if free < num_bytes:
        raise ConfigError(
            f"the workers need {num_bytes / 1e6:.0f} MB of shared memory, and {_SHARED_MEMORY} has "
            f"{free / 1e6:.0f} MB left; give it more (docker run --shm-size=8g), or take fewer "
            "workers or partners"
        )


def _end(executor: ProcessPoolExecutor, *shared: list[SharedMemory]) -> None:
    executor.shutdown(wait=True, cancel_futures=True)
    for slots in shared:
        _free(slots)


def _free(slots: list[SharedMemory]) -> None:
    while slots:
        slot = slots.pop()
        slot.close()
        slot.unlink()


def _bytes_of(slot: SharedMemory) -> Bytes:
    assert slot.buf is not None, "the slot is open"
    return np.frombuffer(slot.buf, np.uint8)


def _copy_planes(
    slot: SharedMemory, piece: Piece, place: int, planes: UInt8[np.ndarray, "3 side side"]
) -> None:
    planes[:] = _planes(_bytes_of(slot), piece)[place]


def _copied_image(slot: SharedMemory, stored: dict[int, _Stored], index: int) -> Image:
    return stored[index].image(_bytes_of(slot)).copy()


def _image_bytes(piece: Piece) -> int:
    return 3 * piece.side**2


def _planes(memory: Bytes, piece: Piece) -> UInt8[np.ndarray, "samples 3 side side"]:
    """The samples of a piece in its slot."""
    used = memory[: len(piece.places) * _image_bytes(piece)]
    return used.reshape(len(piece.places), 3, piece.side, piece.side)


class _Worker:
    """What a process keeps from piece to piece."""

    source: SampleSource
    hook: Hook | None
    slots: dict[str, SharedMemory]

    def memory(self, slots: _Slots) -> Bytes:
        """The slot to write to."""
        for name in self.slots.keys() - slots.all:
            self.slots.pop(name).close()
        if slots.mine not in self.slots:
            self.slots[slots.mine] = SharedMemory(slots.mine)
        return _bytes_of(self.slots[slots.mine])


_worker = _Worker()


def _begin(needed_name: str) -> None:
    """Make ready a process that has just started."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):  # the main process hears it, and closes the pool
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    cv2.setNumThreads(1)
    needed = SharedMemory(needed_name)
    _worker.source, _worker.hook = pickle.loads(_bytes_of(needed).tobytes())
    _worker.slots = {}
    needed.close()


def _follow_parent() -> None:
    """End when the main process does, even if it was killed and could say nothing."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _draw(piece: Piece, slots: _Slots) -> list[Drawn]:
    """Make samples, with their planes in the slot."""
    drawn: list[Drawn] = []
    for sample, write in drawn_samples(_worker.source, [piece], hook=_worker.hook):
        write(_planes(_worker.memory(slots), piece)[len(drawn)])
        drawn.append(sample)
    return drawn


def _plan(piece: Piece, slots: _Slots) -> tuple[list[Planned], dict[int, _Stored]]:
    """Plan samples, with the images that they need in the slot."""
    planned: list[Planned] = []
    stored: dict[int, _Stored] = {}
    offset = 0
    for sample, get_image in planned_samples(_worker.source, [piece]):
        planned.append(sample)
        for index in sorted(sample.plan.indices - stored.keys()):
            image = get_image(index)
            stored[index] = _Stored(offset, image.shape[0], image.shape[1])
            stored[index].image(_worker.memory(slots))[:] = image
            offset += image.size
    return planned, stored
