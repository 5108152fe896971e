"""The network on images that it does not learn from: AP and the loss that is comparable to it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gelan.data.augment.config import none
from gelan.data.dataset import Dataset
from gelan.data.description import ImageRecord
from gelan.data.loader import Loader, LoaderConfig
from gelan.evaluate.evaluator import evaluate
from gelan.evaluate.report import Report
from gelan.evaluate.results import ImageResult
from gelan.evaluate.settings import EvaluationSettings
from gelan.geometry.letterbox import Preprocessing
from gelan.model.detector import Detector
from gelan.model.head import decode
from gelan.objective.objective import Objective
from gelan.objective.targets import targets_of
from gelan.predict.backends.pytorch import deployed
from gelan.predict.postprocess import EVALUATION, postprocess
from gelan.structures.batches import Batch
from gelan.structures.classes import ClassTable
from gelan.structures.predictions import HeadOutput, Predictions
from gelan.train.config import TrainConfig
from gelan.train.engine import DTYPES
from gelan.train.processes import Processes

_SETTINGS = EvaluationSettings(replicas=0, worst_images=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """What was found; `report` is there in the first process alone."""

    box: float
    classification: float
    distribution: float
    report: Report | None
    results: tuple[ImageResult, ...]


class Validator:
    """Evaluates a network on a split, shared out over the processes.

    Images are fitted into squares of the training size. The loss is that of the main head on them,
    without augmentation: if it rises while the training loss falls, the network learns by heart.
    AP follows the published protocol (confidence 0.001, IoU 0.7, at most 300 detections).
    """

    def __init__(
        self,
        records: tuple[ImageRecord, ...],
        *,
        classes: ClassTable,
        config: TrainConfig,
        device: torch.device,
        processes: Processes,
    ) -> None:
        self._records = records[processes.rank :: processes.world]
        self._classes, self._config = classes, config
        self._device, self._processes = device, processes
        self._scores = 0.0
        self._objective = Objective(config.objective, shared_sum=self._set_aside)
        preprocessing = Preprocessing(size=config.size)
        batch = max(1, config.batch // processes.world)
        self._loader = (
            Loader(
                Dataset(self._records),
                LoaderConfig(batch_size=batch, workers=config.workers, shuffle=False),
                preprocessing=preprocessing,
            )
            if self._records
            else None
        )

    def _set_aside(self, sums: Tensor) -> Tensor:
        """Keep the sum of the scores to learn, and leave the loss of a batch undivided by it.

        So the loss is that of the whole split, whatever the batches and the processes.
        """
        self._scores += float(sums[1])
        return torch.ones_like(sums)

    def close(self) -> None:
        """End the processes that read images."""
        if self._loader is not None:
            self._loader.close()

    def __call__(self, detector: Detector) -> Validation:
        """Evaluate a detector; it is not changed."""
        network = deployed(detector, device=self._device, precision=self._config.precision)
        results: list[ImageResult] = []
        sums, self._scores = torch.zeros(3, dtype=torch.float64), 0.0
        if self._loader is not None:
            for batch in self._loader.epoch(0, augment=none()):
                output = self._output(network, batch)
                targets = targets_of(batch, self._device)
                terms = self._objective(Predictions(output, None), targets).main
                sums += torch.stack([part.detach() for part in terms]).double().cpu()
                results += self._results(output, batch, len(results))
        parts = self._processes.gathered((*sums.tolist(), self._scores, results))
        *whole, scores = (sum(part[number] for part in parts) for number in range(4))
        everything = [result for part in parts for result in part[4]]
        report = None
        if self._processes.is_first:
            report = evaluate(everything, classes=self._classes, settings=_SETTINGS)
        # In training S is at least 1 in each batch; so it is here, on average.
        least = len(everything) / self._config.batch
        box, classification, distribution = (value / max(scores, least, 1.0) for value in whole)
        return Validation(
            box=box,
            classification=classification,
            distribution=distribution,
            report=report,
            results=tuple(everything),
        )

    def _output(self, network: Detector, batch: Batch) -> HeadOutput:
        with torch.inference_mode():
            images = batch.network_input(self._device, dtype=DTYPES[self._config.precision])
            images = images.contiguous(memory_format=torch.channels_last)
            main = network(images).main
            return HeadOutput(*(part.float() for part in main))

    def _results(self, output: HeadOutput, batch: Batch, first: int) -> list[ImageResult]:
        """What was found in each image beside what is there, in pixels of the original."""
        with torch.inference_mode():
            boxes, scores = decode(output, (batch.images.shape[2], batch.images.shape[3]))
        all_boxes, all_scores = boxes.cpu().numpy(), scores.cpu().numpy()
        results = []
        for number, placement in enumerate(batch.placements):
            assert placement is not None  # images of a validation batch are not mixed
            found = postprocess(
                all_boxes[number],
                all_scores[number],
                placement=placement,
                names=self._classes.names,
                source=batch.sources[number],
                settings=EVALUATION,
            )
            truth = self._records[first + number].annotations(placement.size_hw)
            results.append(ImageResult(found, truth))
        return results
