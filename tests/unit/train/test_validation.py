from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch

from gelan.data.augment.config import none
from gelan.data.description import ImageRecord, open_dataset
from gelan.data.drawn.dataset import draw_dataset
from gelan.evaluate.evaluator import evaluate, predict_all
from gelan.geometry.letterbox import Preprocessing
from gelan.model.detector import Detector
from gelan.objective.objective import Objective
from gelan.objective.targets import targets_of
from gelan.predict.loading import load
from gelan.structures.classes import ClassTable
from gelan.structures.predictions import Predictions
from gelan.train import telling
from gelan.train.engine import Engine
from gelan.train.processes import Processes
from gelan.train.run_folder import RunFolder
from gelan.train.trainer import Silence, Trainer
from gelan.train.validation import Validation, Validator
from gelan.weights.loading import new_weights, save_weights
from tests.unit.data.augment.painted import Painted
from tests.unit.train.little import CPU, little_network, settings

T = TypeVar("T")
NAMES = ("starfish", "fish", "crab", "scallop", "snail", "nothing")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageRecord, ...]:
    folder = tmp_path_factory.mktemp("validation") / "set"
    data = draw_dataset(folder, images={"val": 5, "train": 1}, size_hw=(64, 96))
    return open_dataset(str(data)).split("val")


def validator(
    records: tuple[ImageRecord, ...], processes: Processes | None = None, **changes: object
) -> Validator:
    return Validator(
        records,
        classes=ClassTable(NAMES),
        config=settings(**changes),
        device=CPU,
        processes=processes or Processes(),
    )


def seeing_network() -> Detector:
    """That finds something: fresh, but not as sure that there is nothing."""
    network = little_network().eval()
    with torch.no_grad():
        for name, entry in network.head.named_parameters():
            if name.startswith("classes.") and name.endswith(".2.weight"):
                entry.mul_(30.0)
            if name.startswith("classes.") and name.endswith(".2.bias"):
                entry.fill_(-1.0)
    return network


def losses(found: Validation) -> tuple[float, float, float]:
    return found.box, found.classification, found.distribution


def test_the_loss_of_a_batch_is_what_the_objective_says(records: tuple[ImageRecord, ...]) -> None:
    checking = validator(records, batch=8)
    assert checking._loader is not None
    (batch,) = list(checking._loader.epoch(0, augment=none()))
    network = little_network().eval()
    with torch.inference_mode():
        main = network(batch.network_input()).main
        terms = Objective(settings().objective)(
            Predictions(main, None), targets_of(batch, CPU)
        ).main
    expected = [float(part) for part in terms]
    assert losses(checking(network)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
def test_the_figures_depend_on_the_batches_only_as_those_of_training_do(
    records: tuple[ImageRecord, ...], batch: int
) -> None:
    # This network has less than 1 to learn in all images together. In training, each batch is then
    # divided by 1, so that the mean over 5 / batch of them is what it is here.
    network = little_network().eval()
    whole, parted = validator(records, batch=5)(network), validator(records, batch=batch)(network)
    assert whole.report is not None
    assert parted.report is not None
    assert parted.report.headline.ap == pytest.approx(whole.report.headline.ap)
    expected = [value / (5 / batch) for value in losses(whole)]
    assert losses(parted) == pytest.approx(expected, rel=1e-4)


class Second(Processes):
    """The second of two processes: notes what it gives."""

    given: Any = None

    def gathered(self, value: T) -> list[T]:
        type(self).given = value
        return [value]


class First(Processes):
    """The first of two: has what the second gave."""

    def gathered(self, value: T) -> list[T]:
        return [value, Second.given]


def test_two_processes_share_the_images_and_find_the_same(
    records: tuple[ImageRecord, ...],
) -> None:
    network = seeing_network()
    alone = validator(records, batch=4)(network)
    second = validator(records, Second(rank=1, world=2), batch=4)(network)
    first = validator(records, First(rank=0, world=2), batch=4)(network)
    assert second.report is None
    assert first.report is not None
    assert alone.report is not None
    assert len(first.results) == len(alone.results) == 5
    assert first.report.headline.ap == pytest.approx(alone.report.headline.ap)
    assert losses(first) == pytest.approx(losses(alone), rel=1e-4)


def test_a_process_without_images_takes_part(records: tuple[ImageRecord, ...]) -> None:
    found = validator(records[:1], Second(rank=1, world=2))(seeing_network())
    assert found.results == ()
    assert Second.given[-1] == []


def test_ap_is_that_of_the_file_that_is_written(
    records: tuple[ImageRecord, ...], tmp_path: Path
) -> None:
    network, classes = seeing_network(), ClassTable(NAMES)
    found = validator(records)(network)
    path = tmp_path / "best.safetensors"
    weights = new_weights(
        network,
        classes,
        training={},
        metrics={},
        preprocessing=Preprocessing(size=64),
    )
    save_weights(path, weights)
    predictor = load(path, device="cpu")
    results = tuple(predict_all(predictor, telling._samples(records), batch=2))
    report = evaluate(results, classes=classes)
    assert found.report is not None
    assert sum(len(result.detections) for result in results) > 0
    for name in ("ap", "ap50", "ap75"):
        expected = getattr(report.headline, name)
        assert getattr(found.report.headline, name) == pytest.approx(expected, abs=0.01)


def test_the_network_is_not_changed(records: tuple[ImageRecord, ...]) -> None:
    network = little_network().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    validator(records)(network)
    assert network.training
    assert network.auxiliary is not None
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("every", "expected"),
    [(1, [True] * 5), (2, [False, True, False, True, True]), (0, [False] * 5)],
)
def test_the_split_is_validated_as_often_as_asked_and_at_the_end(
    records: tuple[ImageRecord, ...], tmp_path: Path, every: int, expected: list[bool]
) -> None:
    config = settings(epochs=5, validate_every=every)
    keep: Callable[..., None] = lambda detector, *, row, is_best, is_last: None  # noqa: E731
    trainer = Trainer(
        Engine(little_network(), config, device=CPU),
        source=Painted(2),
        validator=validator(records[:1], epochs=5),
        folder=RunFolder(tmp_path),
        identity={},
        save_weights=keep,
        listener=Silence(),
    )
    trainer.run()
    assert [row.validation_box is not None for row in trainer.progress.rows] == expected
    assert [row.ap is not None for row in trainer.progress.rows] == expected
