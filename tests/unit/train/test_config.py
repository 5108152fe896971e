"""Each setting is checked, and each matters; those that are tested elsewhere are named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from gelan.config import from_mapping, to_mapping, with_settings
from gelan.data.cache import DiskCache, MemoryCache
from gelan.data.drawn.dataset import draw_dataset
from gelan.errors import ConfigError
from gelan.structures.classes import ClassTable
from gelan.train.config import TrainConfig, pgi_epochs
from gelan.train.engine import Engine
from gelan.train.network import arrange_auxiliary, starting_weights
from gelan.train.run_folder import RunFolder
from gelan.train.start import image_source, open_labelled, prepare
from gelan.train.trainer import Silence, Trainer
from tests.unit.data.augment.painted import Painted
from tests.unit.train.little import CPU, RATE, little_batch, little_network, settings

TESTS = Path(__file__).resolve().parents[2]
ELSEWHERE = {
    "optimizer": ("unit/train/test_optimizer.py", "test_settings_reach_the_groups"),
    "schedule": ("unit/train/test_schedule.py", "test_every_setting_matters"),
    "ema": ("unit/train/test_ema.py", "test_every_setting_matters"),
    "objective.assigner": (
        "unit/objective/test_objective.py",
        "test_each_setting_of_the_assigner_matters",
    ),
    "objective.assignment": (
        "unit/objective/test_objective.py",
        "test_lead_takes_the_assignment_of_the_main_head",
    ),
    "objective": ("unit/objective/test_objective.py", "test_a_gain_scales_its_term_alone"),
    "augment": ("unit/data/augment/test_config.py", "test_every_number_matters"),
    "freeze": ("unit/train/test_freezing.py", "test_frozen_tensors_stay_bit_identical"),
    "patience": ("unit/train/test_trainer.py", "test_a_run_stops_when_nothing_gets_better"),
    "save_minutes": ("unit/train/test_trainer.py", "test_the_state_is_saved_within_an_epoch"),
    "compile": ("unit/train/test_engine.py", "test_a_compiled_network_learns"),
    "precision": ("unit/train/test_engine.py", "test_bf16_agrees_with_fp32"),
    "clip": ("unit/train/test_engine.py", "test_gradients_are_clipped"),
    "keep_every": ("unit/train/test_keeping.py", "test_epochs_are_kept_as_often_as_asked"),
    "validate_every": ("unit/train/test_validation.py", "test_the_split_is_validated_as_often"),
}
"""By name or group: the file and the beginning of the name of its test."""


def leaves(value: object, prefix: str = "") -> list[str]:
    names: list[str] = []
    for field in fields(value):  # type: ignore[arg-type]
        inner = getattr(value, field.name)
        name = f"{prefix}{field.name}"
        names += leaves(inner, f"{name}.") if is_dataclass(inner) else [name]
    return names


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config") / "set"
    return draw_dataset(folder, images={"train": 2, "val": 1, "test": 3}, size_hw=(64, 64))


def network_bits(config: TrainConfig) -> list[float]:
    weights, _ = starting_weights(config, ClassTable(("a", "b")))
    arrange_auxiliary(weights.detector, config)
    return [float(tensor.double().sum()) for tensor in weights.detector.state_dict().values()]


def trainer_of(config: TrainConfig) -> Trainer:
    return Trainer(
        Engine(little_network(), config, device=CPU),
        source=Painted(5),
        validator=None,
        folder=RunFolder(Path("nowhere")),
        identity={},
        save_weights=lambda detector, *, row, is_best, is_last: None,
        listener=Silence(),
    )


def first_batches(config: TrainConfig) -> list[object]:
    """What a trainer takes in an epoch, and how it steps in two."""
    trainer = trainer_of(config)
    batches = trainer._loader.epoch(0, augment=config.augment)
    schedule = trainer._schedule
    return [
        [(tuple(batch.images.shape), batch.images.sum().item()) for batch in batches],
        [(schedule.at(n), schedule.steps_at(n)) for n in range(2 * len(trainer._loader))],
        trainer._loader._device,
        [group["weight_decay"] for group in trainer._engine.optimizer.param_groups],
    ]


def memory_format(config: TrainConfig) -> bool:
    engine = Engine(little_network(), config, device=CPU)
    kernel = engine.detector.backbone.get_submodule("base.stage1")
    first = next(entry for entry in kernel.parameters() if entry.ndim == 4 and entry.shape[2] > 1)
    return first.is_contiguous(memory_format=torch.channels_last)


def cache_of(config: TrainConfig, folder: Path = Path("nowhere")) -> tuple[str, int]:
    source = image_source((), config, folder=folder)
    cache = source._cache
    if isinstance(cache, MemoryCache | DiskCache):
        return type(cache).__name__, cache.max_bytes
    return "none", 0


def running_mean(config: TrainConfig) -> float:
    engine = Engine(little_network(), config, device=CPU)
    engine.backward(little_batch(), is_last=True)
    means = [tensor for name, tensor in engine.detector.named_buffers() if "running_mean" in name]
    return means[0].abs().sum().item()


HERE: dict[str, tuple[object, object, Callable[[TrainConfig], object]]] = {
    "seed": (0, 1, network_bits),
    "model": ("gelan-t", "yolov9-t", network_bits),
    "pgi": ("on", "off", network_bits),
    "pgi_kind": ("fpn", "pfh", network_bits),
    "epochs": (2, 4, first_batches),
    "batch": (2, 3, first_batches),
    "nominal_batch": (2, 4, first_batches),
    "size": (64, 96, first_batches),
    "workers": (0, 1, lambda config: trainer_of(config)._loader.config.workers),
    "device_augment": (False, True, first_batches),
    "channels_last": (False, True, memory_format),
    "norm_momentum": (0.03, 0.1, running_mean),
    "cache": ("none", "ram", cache_of),
}


@pytest.mark.parametrize("name", HERE)
def test_a_setting_matters(name: str) -> None:
    one, other, effect = HERE[name]
    base = {"model": "yolov9-t"} if effect is network_bits and name != "model" else {}
    effects = [effect(settings(**{**base, name: value})) for value in (one, other)]
    assert effects[0] != effects[1]
    assert effects[0] == effect(settings(**{**base, name: one}))


@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_a_cache_is_as_large_as_asked(kind: str, tmp_path: Path) -> None:
    assert cache_of(settings(cache=kind, cache_gb=2.0), tmp_path)[1] == 2_000_000_000
    assert cache_of(settings(cache=kind, cache_gb=1.0), tmp_path)[1] == 1_000_000_000


def test_data_and_splits_say_which_images(drawings: Path) -> None:
    counts = [
        (len(found.train), len(found.validation))
        for found in (
            open_labelled(str(drawings), train=train, validation=validation)
            for train, validation in (("train", "val"), ("test", "val"), ("train", "test"))
        )
    ]
    assert counts == [(2, 1), (3, 1), (2, 3)]


def test_data_splits_and_device_are_read_when_a_run_is_prepared(drawings: Path) -> None:
    asked: list[str] = []

    def choose(name: str) -> torch.device:
        asked.append(name)
        return CPU

    given = {"data": str(drawings), "model": "gelan-t", "device": "cpu", "train_split": "test"}
    prepared = prepare({**given, "val_split": "train"}, choose=choose)
    assert asked == ["cpu"]
    assert (len(prepared.data.train), len(prepared.data.validation)) == (3, 2)
    assert prepared.data.description.place.name == "data.yaml"


def test_no_setting_is_without_a_test() -> None:
    prepared = {"data", "train_split", "val_split", "device"}  # the test before
    started = {"weights"}  # test_network.py
    known = set(HERE) | prepared | started | {"cache_gb"}
    for name in leaves(TrainConfig(data="")):
        assert name in known or any(name == key or name.startswith(f"{key}.") for key in ELSEWHERE)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_test_that_is_named_is_there(name: str) -> None:
    path, test = ELSEWHERE[name]
    assert f"def {test}" in (TESTS / path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "kind", ["optimizer", "schedule", "ema", "objective", "objective.assigner", "augment"]
)
def test_a_group_of_settings_reaches_what_it_is_for(kind: str) -> None:
    other: dict[str, Any] = {
        "optimizer": {"optimizer.learning_rate": 0.5},
        "schedule": {"schedule.kind": "constant"},
        "ema": {"ema.ramp": 1.0},
        "objective": {"objective.box": 1.0},
        "objective.assigner": {"objective.assigner.topk": 1},
        "augment": {"augment.hue": 0.5},
    }

    def effect(config: TrainConfig) -> object:
        if kind in ("optimizer", "schedule", "augment"):
            return first_batches(config)
        engine = Engine(little_network(), config, device=CPU)
        loss = engine.backward(little_batch(), is_last=True).total.item()
        engine.step(RATE)
        return loss, [float(entry.double().sum()) for entry in engine.averaged.parameters()]

    assert effect(settings()) != effect(settings(**other[kind]))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", 0, "epochs is 0; it should be from 1 to 1e+06"),
        ("batch", 0, "batch is 0; it should be from 1 to 65536"),
        ("nominal_batch", 0, "nominal_batch is 0; it should be from 1 to 65536"),
        ("size", 32, "size is 32; it should be from 64 to 8192"),
        ("size", 100, "size is 100; it should be a multiple of 32"),
        ("seed", -1, "seed is -1; it should be from 0 to 2.14748e+09"),
        ("workers", -1, "workers is -1; it should be from 0 to 512"),
        ("cache_gb", 0.0, "cache_gb is 0.0; it should be from 0.01 to 100000"),
        ("norm_momentum", 0.0, "norm_momentum is 0.0; it should be from 0.001 to 1"),
        ("clip", 0.0, "clip is 0.0; it should be from 1e-06 to 1e+09"),
        ("patience", -1, "patience is -1; it should be from 0 to 1e+06"),
        ("validate_every", -1, "validate_every is -1; it should be from 0 to 1e+06"),
        ("keep_every", -1, "keep_every is -1; it should be from 0 to 1e+06"),
        ("save_minutes", -1.0, "save_minutes is -1.0; it should be from 0 to 100000"),
        ("pgi", "until:0", "pgi is 'until:0'; it should be on, off, or until:N (until:50)"),
        ("pgi", "maybe", "pgi is 'maybe'; it should be on, off, or until:N (until:50)"),
        ("optimizer.learning_rate", 0.0, "learning_rate is 0.0; it should be from 1e-08 to 10"),
        ("optimizer.momentum", 1.0, "optimizer.momentum is 1.0; it should be from 0 to 0.9999"),
        ("optimizer.weight_decay", -0.1, "optimizer.weight_decay is -0.1"),
        ("schedule.final_factor", 1.5, "schedule.final_factor is 1.5; it should be from 0 to 1"),
        ("schedule.warmup_epochs", -1.0, "schedule.warmup_epochs is -1.0"),
        ("schedule.warmup_least_iterations", -1, "schedule.warmup_least_iterations is -1"),
        ("schedule.warmup_momentum", 1.0, "schedule.warmup_momentum is 1.0"),
        ("schedule.warmup_bias_rate", 11.0, "schedule.warmup_bias_rate is 11.0"),
        ("ema.decay", 1.1, "ema.decay is 1.1; it should be from 0 to 1"),
        ("ema.ramp", 0.5, "ema.ramp is 0.5; it should be from 1 to 1e+09"),
        ("objective.box", -1.0, "objective: box is -1.0, outside 0..1000"),
        ("augment.hue", 0.6, "augment: hue is 0.6, outside 0..0.5"),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_settings(TrainConfig(data=""), {name: value}, where="settings")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("pgi", "expected"), [("on", 9), ("off", 0), ("until:5", 5), ("until:50", 9)]
)
def test_pgi_is_attached_in_the_first_epochs(pgi: str, expected: int) -> None:
    assert pgi_epochs(TrainConfig(data="", epochs=9, pgi=pgi)) == expected


def test_settings_go_to_plain_values_and_back() -> None:
    config = settings(freeze=["backbone"], weights="a.pt", pgi="until:3")
    assert from_mapping(TrainConfig, to_mapping(config), where="here") == config
