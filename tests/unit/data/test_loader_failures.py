"""What goes wrong in an epoch is told, and the loader is as good as new afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gelan.data.augment.config import published
from gelan.data.dataset import Dataset
from gelan.data.formats.records import ImageRecord, Row, labels_of
from gelan.data.loader import Loader, LoaderConfig
from gelan.errors import ConfigError, ImageError, LoaderError
from gelan.geometry.letterbox import Preprocessing
from gelan.structures.samples import Sample
from tests.unit.data.augment.painted import Painted

PREPROCESSING = Preprocessing(size=64)
CONFIG = LoaderConfig(batch_size=4, seed=3)
AUGMENT = replace(published(), partners=5)
CPU = torch.device("cpu")
COUNT = 12


def photos(folder: Path) -> Dataset:
    """Images in files, each with one object."""
    labels = labels_of([Row((0.5, 0.5, 0.4, 0.4), 0)], layout="centre-fractions")
    records = []
    for number in range(COUNT):
        path = folder / f"{number}.jpg"
        assert cv2.imwrite(str(path), np.full((48, 64, 3), 20 * number, np.uint8))
        records.append(ImageRecord(path=path, labels=labels, label_file=None))
    return Dataset(records)


def loader(
    source: Dataset | Painted, workers: int, *, device: torch.device | None = None
) -> Loader:
    config = replace(CONFIG, workers=workers)
    return Loader(source, config, preprocessing=PREPROCESSING, device=device)


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_of_files_are_drawn_on_a_device_without_a_warning(
    tmp_path: Path, workers: int
) -> None:
    with loader(photos(tmp_path), workers, device=CPU) as found:
        images = [batch.images for batch in found.epoch(0, augment=AUGMENT)]
    assert [len(each) for each in images] == [4, 4, 4]
    assert all(len(each.unique()) > 10 for each in images)


@pytest.mark.parametrize(
    ("harm", "workers", "device"),
    [("gone", 0, None), ("damaged", 0, CPU), ("gone", 1, CPU), ("damaged", 1, None)],
)
def test_a_file_that_is_lost_in_the_middle_of_an_epoch_is_named(
    tmp_path: Path, harm: str, workers: int, device: torch.device | None
) -> None:
    with loader(photos(tmp_path), workers, device=device) as found:
        last = list(found.epoch(1, augment=AUGMENT))[-1].sources[-1]
        whole = Path(last).read_bytes()
        if harm == "gone":
            Path(last).unlink()
        else:
            Path(last).write_bytes(whole[:-100])
        made = found.epoch(1, augment=AUGMENT)
        next(made)
        what = "cannot be opened: No such file" if harm == "gone" else "the JPEG is cut short"
        with pytest.raises(ImageError) as caught:
            list(made)
        assert str(caught.value).startswith(f"{last}: {what}")
        assert list(made) == []
        Path(last).write_bytes(whole)
        assert [len(batch) for batch in found.epoch(2, augment=AUGMENT)] == [4, 4, 4]
    assert not active_children()


class Damaged(Painted):
    """A source one of whose images cannot be read."""

    def load(self, index: int, *, at_most: int) -> Sample:
        if index == 7:
            raise ImageError("photos/7.jpg: the JPEG is cut short; copy or download it again")
        return super().load(index, at_most=at_most)


class Deadly(Painted):
    """A source that ends the process which reads it."""

    def load(self, index: int, *, at_most: int) -> Sample:
        os._exit(3)


def test_what_goes_wrong_in_a_worker_names_the_file_and_leaves_it_at_work() -> None:
    with loader(Damaged(COUNT), 1) as found:
        workers = []
        for _ in range(2):
            with pytest.raises(ImageError, match=r"^photos/7.jpg: the JPEG is cut short"):
                list(found.epoch(0, augment=AUGMENT))
            workers.append([child.pid for child in active_children()])
        assert len(workers[0]) == 1
        assert workers[0] == workers[1]


def test_a_worker_that_dies_is_told_each_time() -> None:
    with loader(Deadly(COUNT), 1) as found:
        for _ in range(2):
            with pytest.raises(LoaderError, match="a worker process ended without an answer"):
                list(found.epoch(0, augment=AUGMENT))
            assert not active_children()


KILL_WORKERS = """
import os, signal, time
from multiprocessing import active_children
from pathlib import Path
import pytest
from gelan.errors import LoaderError
from tests.unit.data.test_loader_failures import AUGMENT, Painted, loader

source = Painted(40, largest=64)
with loader(source, 0) as here, loader(source, 2) as found:
    for when in ("reading", "waiting", "at once"):
        made = found.epoch(0, augment=AUGMENT)
        next(made)
        states = {}
        deadline = time.monotonic() + 10 * (when != "at once")
        while len(set(states.values())) < 2 and time.monotonic() < deadline:  # both are idle
            time.sleep(0.05)
            waits = {child.pid: Path(f"/proc/{child.pid}/wchan") for child in active_children()}
            states = {pid: "pipe" in path.read_text() for pid, path in waits.items()}
        pids = [child.pid for child in active_children()]
        wanted = [pid for pid in states if states[pid] == (when == "reading")] or pids
        os.kill(wanted[0], signal.SIGKILL)
        with pytest.raises(LoaderError):
            list(made)
            list(found.epoch(0, augment=AUGMENT))  # where the other one did all work that was left
        assert not active_children(), when
        there = list(found.epoch(1, augment=AUGMENT))
        assert [b.sources for b in there] == [b.sources for b in here.epoch(1, augment=AUGMENT)]
        assert len(active_children()) == 2
print("done")
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc")
def test_after_a_worker_was_killed_the_next_epoch_has_new_ones() -> None:
    # The one that holds the lock of the queue leaves the other waiting for ever: it must be ended.
    done = subprocess.run(
        [sys.executable, "-c", KILL_WORKERS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr


def test_a_source_that_cannot_be_sent_is_refused() -> None:
    class Local(Painted):
        """Defined where no other process finds it."""

    with pytest.raises(ConfigError, match="define classes and functions at the top of a module"):
        list(loader(Local(4), 1).epoch(0, augment=AUGMENT))


UNGUARDED = """
from gelan.data.augment.config import published
from gelan.data.loader import Loader, LoaderConfig
from tests.unit.data.augment.painted import Painted

big = Painted(4, loads=list(range(100_000)))  # longer than what a pipe holds
list(Loader(big, LoaderConfig(workers=1)).epoch(0, augment=published()))
"""


def test_a_script_without_a_guard_ends_and_is_told_what_to_write(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "put what it does under `if __name__ == '__main__':`" in done.stderr
    assert "LoaderError: a worker process ended without an answer" in done.stderr


KILLED = """
import os, signal
from multiprocessing import active_children
from gelan.data.augment.config import published
from gelan.data.loader import Loader, LoaderConfig
from gelan.geometry.letterbox import Preprocessing
from tests.unit.data.augment.painted import Painted

found = Loader(Painted(4), LoaderConfig(workers=1), preprocessing=Preprocessing(size=64))
next(found.epoch(0, augment=published()))
print(*(child.pid for child in active_children()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc")
def test_workers_end_with_a_process_that_is_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (pid,) = map(int, done.stdout.split())
    for _ in range(100):
        if not is_running(pid):
            return
        time.sleep(0.05)
    pytest.fail("the worker goes on without its parent")


def is_running(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"
