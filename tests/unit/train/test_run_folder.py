from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gelan.errors import CheckpointError, ConfigError, SourceError
from gelan.train.config import TrainConfig
from gelan.train.run_folder import RunFolder, settings_from_file, write_whole
from tests.unit.train.little import settings


def test_settings_and_environment_come_back(tmp_path: Path) -> None:
    folder, config = RunFolder(tmp_path), settings(freeze=["backbone"], weights="a.pt")
    folder.write_config(config)
    folder.write_environment({"torch": "2.13", "gpu 0": "Größe"})
    assert folder.read_config() == config
    assert folder.read_environment() == {"torch": "2.13", "gpu 0": "Größe"}
    assert RunFolder(tmp_path / "none").read_environment() == {}


def test_a_folder_without_a_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        RunFolder(tmp_path).read_config()
    assert str(caught.value) == f"{tmp_path}: holds no training run (there is no config.yaml)"
    with pytest.raises(SourceError, match="the run ended before it was saved"):
        RunFolder(tmp_path).read_state()


@pytest.mark.parametrize("text", ["epochs: [", "- 1", "\x80"])
def test_damaged_settings_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        RunFolder(tmp_path).read_config()
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        settings_from_file(path)


def test_a_file_gives_settings_by_dotted_names_and_drops_none(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("epochs: 3\noptimizer: {kind: adamw}\nfoo: null\nbar: {}\nfreeze: [neck]\n")
    assert settings_from_file(path) == {
        "epochs": 3,
        "optimizer.kind": "adamw",
        "foo": None,
        "bar": {},
        "freeze": ["neck"],
    }
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        settings_from_file(tmp_path / "none.yaml")


def test_the_settings_of_a_run_are_settings_of_another(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_config(TrainConfig(data="set", epochs=7))
    given = settings_from_file(folder.config)
    assert given["epochs"] == 7
    assert given["optimizer.learning_rate"] == 0.01


def test_a_state_comes_back_and_replaces_the_last(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_state({"engine": {"weight": torch.ones(2)}})
    folder.write_state({"engine": {"weight": torch.zeros(2)}})
    assert folder.read_state()["engine"]["weight"].tolist() == [0.0, 0.0]
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_a_damaged_state_is_refused(tmp_path: Path, cut: int) -> None:
    folder = RunFolder(tmp_path)
    folder.write_state({"engine": {}})
    folder.state.write_bytes(folder.state.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match=r"state\.pt: cannot be read"):
        folder.read_state()


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    torch.save({"version": 1}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="is no state of a run of this version"):
        RunFolder(tmp_path).read_state()


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, ("bang",)


def test_nothing_in_a_state_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"version": 2, "bomb": Bomb()}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError):
        RunFolder(tmp_path).read_state()
    assert not (tmp_path / "bang").exists()


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path)
    folder.write_state({"epoch": 1})
    write_whole(folder.config, b"old")

    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write_state({"epoch": 2})
    with pytest.raises(OSError, match="No space left"):
        write_whole(folder.config, b"new")
    assert folder.read_state()["epoch"] == 1
    assert folder.config.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "state.pt"]


def test_what_a_killed_run_was_writing_can_be_cleared(tmp_path: Path) -> None:
    for name in (".state.pt.123.unfinished", "results.csv.unfinished", "state.pt"):
        (tmp_path / name).write_bytes(b"half")
    RunFolder(tmp_path).clear_unfinished()
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]
