"""TensorBoard, with a stand-in for the package, which is optional."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest

from gelan.errors import MissingDependencyError
from gelan.report.tensorboard import TAGS, TensorboardLog
from gelan.structures.history import EpochRow
from tests.unit.report.made_up_runs import row


class Writer:
    """As much of a SummaryWriter as is used."""

    made: ClassVar[list[Writer]] = []

    def __init__(self, log_dir: str, purge_step: int | None) -> None:
        self.log_dir, self.purge_step, self.closed = log_dir, purge_step, False
        self.scalars: dict[str, tuple[float, int]] = {}
        self.made.append(self)

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        self.scalars[tag] = (scalar_value, global_step)

    def flush(self) -> None: ...

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[Writer]:
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorboard", ModuleType("tensorboard"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(Writer, "made", [])
    return Writer.made


def test_every_field_but_the_epoch_has_a_name_of_its_own() -> None:
    fields = {field.name for field in dataclasses.fields(EpochRow)} - {"epoch"}
    assert set(TAGS) == fields
    assert len(set(TAGS.values())) == len(TAGS)


def test_an_epoch_is_logged_under_its_number_without_what_was_not_measured(
    tmp_path: Path, writers: list[Writer]
) -> None:
    with TensorboardLog(tmp_path, resumed_in=7) as log:
        log.write(row(7, validation=None, ap=0.25))
    (writer,) = writers
    assert (writer.log_dir, writer.purge_step, writer.closed) == (str(tmp_path), 7, True)
    assert writer.scalars["ap/ap"] == (0.25, 7)
    assert writer.scalars["loss/box"] == (1.0, 7)
    assert writer.scalars["run/pgi"] == (1.0, 7)
    assert not [tag for tag in writer.scalars if tag.startswith("validation_loss")]


def test_it_says_how_to_get_it_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'gelan\[tensorboard\]'"):
        TensorboardLog(tmp_path)
