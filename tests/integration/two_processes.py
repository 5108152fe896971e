"""Three steps of training, alone or as one of several processes that torchrun starts.

Prints the losses of the whole batches and the sums of gradients and weights, as JSON. The network
is in double precision: in single precision its own rounding grows a thousandfold in a few steps.
"""

from __future__ import annotations

import json
import os
import sys
from unittest import mock

import torch
from torch import Tensor

from gelan.data.dataset import Dataset
from gelan.data.description import open_dataset
from gelan.data.loader import Loader, LoaderConfig
from gelan.geometry.letterbox import Preprocessing
from gelan.model.variants import build
from gelan.structures.batches import Batch
from gelan.train.config import TrainConfig
from gelan.train.engine import Engine
from gelan.train.processes import joined, processes_of
from gelan.train.schedule import StepSettings

STEPS = 3


def double_input(batch: Batch, device: torch.device | None = None) -> Tensor:
    """The images in [0, 1] in double precision."""
    return batch.images.to(device).double() / 255


def main() -> None:
    """Train on the data set that the command line names."""
    processes = processes_of(os.environ)
    config = TrainConfig(data=sys.argv[1], model="yolov9-t", batch=4, size=64)
    device = torch.device("cpu")
    torch.manual_seed(0)
    source = Dataset(open_dataset(config.data).split("train"))
    detector = build(config.model, num_classes=5).double()
    loading = LoaderConfig(batch_size=config.batch, part=processes.rank, parts=processes.world)
    said = []
    with (
        mock.patch.object(Batch, "network_input", double_input),
        joined(processes, device),
        Loader(source, loading, preprocessing=Preprocessing(size=config.size)) as loader,
    ):
        engine = Engine(detector, config, device=device, processes=processes)
        batches = loader.epoch(0, augment=config.augment)
        for _ in range(STEPS):
            terms = engine.backward(next(batches), is_last=True)
            total = processes.summed(terms.total.detach()).item()
            norm = engine.step(StepSettings((0.01, 0.01, 0.01), 0.9, 1)).item()
            weights = sum(entry.abs().sum().item() for entry in detector.parameters())
            said.append([total, norm, weights])
    if processes.is_first:
        sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
