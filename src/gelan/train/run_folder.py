"""The folder of a training run: its settings, its state, its weights.

    run/
      config.yaml          every setting, as resolved
      environment.json     versions and machine
      state.pt             from which the run goes on
      results.csv          one row an epoch
      best.safetensors     the averaged weights of the best epoch, for use: no auxiliary part
      last.safetensors     those of the last epoch, with the auxiliary part
      report.html          the story of the run

Files appear whole or not at all: a run that is killed leaves the last whole ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml  # type: ignore[import-untyped]

from gelan.config import from_mapping, to_mapping
from gelan.errors import CheckpointError, ConfigError, SourceError
from gelan.train.config import TrainConfig

STATE_VERSION = 2


class RunFolder:
    """Paths of a run, and its settings and state on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def config(self) -> Path:
        """Every setting, as resolved."""
        return self.path / "config.yaml"

    @property
    def environment(self) -> Path:
        """Versions and machine."""
        return self.path / "environment.json"

    @property
    def state(self) -> Path:
        """From which the run goes on."""
        return self.path / "state.pt"

    @property
    def results(self) -> Path:
        """One row an epoch."""
        return self.path / "results.csv"

    @property
    def best(self) -> Path:
        """The averaged weights of the best epoch, without the auxiliary part."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """The averaged weights of the last epoch, with the auxiliary part if it is attached."""
        return self.path / "last.safetensors"

    @property
    def report(self) -> Path:
        """The story of the run."""
        return self.path / "report.html"

    def clear_unfinished(self) -> None:
        """Take away what a killed run was writing."""
        for path in self.path.glob("*.unfinished"):
            path.unlink(missing_ok=True)

    def kept(self, epoch: int) -> Path:
        """The averaged weights of an epoch, counted from 1."""
        return self.path / f"epoch{epoch}.safetensors"

    def write_config(self, config: TrainConfig) -> None:
        """The settings, for people and for `--resume`."""
        text = yaml.safe_dump(to_mapping(config), sort_keys=False, allow_unicode=True)
        write_whole(self.config, text.encode())

    def read_config(self) -> TrainConfig:
        """The settings of the run.

        Raises:
            SourceError: the folder holds no run.
            ConfigError: its settings are damaged.
        """
        if not self.config.is_file():
            raise SourceError(
                f"{self.path}: holds no training run (there is no {self.config.name})"
            )
        values = _read_yaml(self.config)
        return from_mapping(TrainConfig, values, where=str(self.config))

    def write_environment(self, environment: Mapping[str, str]) -> None:
        """Versions and machine."""
        text = json.dumps(dict(environment), indent=1, ensure_ascii=False) + "\n"
        write_whole(self.environment, text.encode())

    def read_environment(self) -> dict[str, str]:
        """Versions and machine at the start of the run; nothing where they were not written."""
        if not self.environment.is_file():
            return {}
        return {str(k): str(v) for k, v in json.loads(self.environment.read_text("utf-8")).items()}

    def write_state(self, state: Mapping[str, Any]) -> None:
        """From which the run can go on, bit by bit."""
        unfinished = _unfinished(self.state)
        try:
            with unfinished.open("wb") as file:
                torch.save({"version": STATE_VERSION, **state}, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.state)
        finally:
            unfinished.unlink(missing_ok=True)

    def read_state(self) -> dict[str, Any]:
        """What `write_state` wrote, on the CPU; nothing in the file is run.

        Raises:
            SourceError: there is none: the run was stopped before its first state was saved.
            CheckpointError: it is damaged, or of another version.
        """
        if not self.state.is_file():
            raise SourceError(f"{self.state}: is not there: the run ended before it was saved")
        try:
            state = torch.load(self.state, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load raises many kinds for a damaged file
            cause = str(error).partition("\n")[0][:200]
            raise CheckpointError(f"{self.state}: cannot be read: {cause}") from error
        if not isinstance(state, dict) or state.get("version") != STATE_VERSION:
            raise CheckpointError(f"{self.state}: is no state of a run of this version of gelan")
        return state


def settings_from_file(path: Path) -> dict[str, object]:
    """The settings of a YAML file, such as a run's own `config.yaml`, by dotted names.

    Raises:
        ConfigError: it cannot be read, or holds something else.
    """
    return dict(_flat(_read_yaml(path), ""))


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        cause = " ".join(str(error).split())
        raise ConfigError(f"{path}: is no YAML: {cause}") from None
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path}: should hold the settings of a run, as NAME: VALUE")
    return values


def write_whole(path: Path, data: bytes) -> None:
    """A file that appears whole or not at all, in place of one of its name."""
    unfinished = _unfinished(path)
    try:
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.unfinished")
