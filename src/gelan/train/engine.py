"""A network with all that changes its weights: objective, gradients, optimizer, moving average."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from gelan.errors import ConfigError
from gelan.model.auxiliary import detach_auxiliary
from gelan.model.detector import Detector
from gelan.objective.objective import LossTerms, Objective
from gelan.objective.targets import targets_of
from gelan.structures.batches import Batch
from gelan.train.config import TrainConfig
from gelan.train.ema import Ema
from gelan.train.freezing import freeze
from gelan.train.normalization import synchronize_batch_norm
from gelan.train.optimizer import (
    apply_settings,
    clip_gradients,
    drop_parameters,
    make_optimizer,
    scaled_decay,
)
from gelan.train.processes import Processes
from gelan.train.schedule import StepSettings

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


_LEAST_SCALE = 2.0**-8
"""Of the loss in fp16; with a smaller one its gradients would be too small to be told from 0."""


class Engine:
    """Takes batches, keeps gradients, and makes steps of them.

    The detector is moved to the device and changed in place. With several processes it normalises
    over the whole batch, so that they do what one alone would do.
    """

    def __init__(
        self,
        detector: Detector,
        config: TrainConfig,
        *,
        device: torch.device,
        processes: Processes | None = None,
    ) -> None:
        self.config = config
        self.device = device
        self.processes = processes or Processes()
        detector.to(device)
        if config.channels_last:
            detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = Ema(detector, config.ema)
        for module in detector.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = config.norm_momentum
        if self.processes.world > 1:
            synchronize_batch_norm(detector)
        freeze(detector, config.freeze)
        self.detector = detector.train()
        self.objective = Objective(
            config.objective,
            shared_sum=self.processes.summed if self.processes.world > 1 else None,
        )
        accumulate = max(1, round(config.nominal_batch / config.batch))
        decay = scaled_decay(
            config.optimizer.weight_decay,
            batch=config.batch,
            accumulate=accumulate,
            nominal_batch=config.nominal_batch,
        )
        self.optimizer = make_optimizer(detector, config.optimizer, weight_decay=decay)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self._statistics = _Statistics(detector)
        self._network = self._wrapped()

    def _wrapped(self) -> nn.Module:
        """What is called in training: compiled, and with gradients averaged over the processes."""
        network: nn.Module = self.detector
        if self.config.compile:
            network = torch.compile(network)  # type: ignore[assignment]
        if self.processes.world > 1:
            ids = None if self.device.type == "cpu" else [self.device]
            network = DistributedDataParallel(network, device_ids=ids, gradient_as_bucket_view=True)
        return network

    @property
    def averaged(self) -> Detector:
        """The moving average of the network, in evaluation mode."""
        return cast(Detector, self.ema.module)

    def backward(self, batch: Batch, *, is_last: bool) -> LossTerms:
        """The loss of a batch; its gradient is added to what is there.

        `is_last` says that a step follows: only then are gradients exchanged between processes.
        """
        images = batch.network_input(self.device)
        if self.config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with self._without_exchange(not is_last):
            with self.autocast():
                predictions = self._network(images)
            terms = self.objective(predictions, targets_of(batch, self.device))
            # Gradients are averaged over the processes, and each has a part of the sum.
            self.scaler.scale(terms.total * self.processes.world).backward()
        return terms

    def step(self, settings: StepSettings) -> Tensor:
        """Change the weights by the gradients so far; returns the norm of these before clipping.

        Nothing is changed where that norm is not finite; what the normalisations learnt from
        these batches is undone.
        """
        apply_settings(self.optimizer, settings)
        self.scaler.unscale_(self.optimizer)
        norm = clip_gradients(self._trained(), limit=self.config.clip)
        is_finite = bool(torch.isfinite(norm))
        if self.scaler.is_enabled():
            self.scaler.step(self.optimizer)
            self.scaler.update()
        elif is_finite:
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if is_finite:
            self.ema.update(self.detector)
            self._statistics.keep()
        else:
            self._statistics.restore()
        return norm

    def is_lost(self, norm: Tensor) -> bool:
        """Whether a step failed that should not: its gradient, of that norm, is not finite.

        In fp16 that happens now and then, and the scale of the loss is lowered; unless that has
        been tried too often.
        """
        if self.scaler.is_enabled():
            return float(self.scaler.get_scale()) < _LEAST_SCALE
        return not bool(torch.isfinite(norm))

    def detach_auxiliary(self) -> None:
        """Go on without PGI: its part is taken off the network, the average and the optimizer."""
        auxiliary = detach_auxiliary(self.detector)
        if auxiliary is None:
            return
        self.ema.drop("auxiliary")
        drop_parameters(self.optimizer, auxiliary.parameters())
        self._statistics = _Statistics(self.detector)
        self._network = self._wrapped()

    def autocast(self) -> torch.autocast:
        """The arithmetic of forward passes."""
        lowered = self.config.precision != "fp32"
        return torch.autocast(
            self.device.type,
            dtype=DTYPES[self.config.precision] if lowered else None,
            enabled=lowered,
        )

    def state(self) -> dict[str, Any]:
        """All that a step depends on, weights among it, as it was after the last step."""
        return {
            "detector": {**self.detector.state_dict(), **self._statistics.kept},
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of an engine of the same network and settings."""
        self.detector.load_state_dict(state["detector"], strict=True)
        self._statistics.keep()
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])

    def _trained(self) -> list[nn.Parameter]:
        return [entry for group in self.optimizer.param_groups for entry in group["params"]]

    def _without_exchange(self, wanted: bool) -> AbstractContextManager[None]:
        if wanted and isinstance(self._network, DistributedDataParallel):
            return _no_sync(self._network)
        return nullcontext()


class _Statistics:
    """What forward passes change in a network (means and variances), as it was after a step."""

    def __init__(self, network: nn.Module) -> None:
        self._now = dict(network.named_buffers())
        self.kept = {name: buffer.clone() for name, buffer in self._now.items()}

    def keep(self) -> None:
        """Remember them as they are now; 0.3 ms for yolov9-t."""
        if self.kept:
            torch._foreach_copy_([*self.kept.values()], [*self._now.values()])

    def restore(self) -> None:
        """Make them what they were."""
        if self.kept:
            torch._foreach_copy_([*self._now.values()], [*self.kept.values()])


@contextmanager
def _no_sync(network: DistributedDataParallel) -> Iterator[None]:
    with network.no_sync():
        yield


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is used up; on the CPU that is a plain RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)


def require_precision(config: TrainConfig, device: torch.device) -> None:
    """Nothing, if the device has the arithmetic.

    Raises:
        ConfigError: it has not.
    """
    if config.precision == "fp16" and device.type == "cpu":
        raise ConfigError("precision fp16 is slow and coarse on a CPU: take bf16 or fp32")
    if config.precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise ConfigError("this GPU has no bf16: take fp16 or fp32")
