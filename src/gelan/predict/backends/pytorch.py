"""The network in PyTorch, made as fast as it goes without changing what it computes."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32

from gelan.errors import ConfigError
from gelan.model.auxiliary import detach_auxiliary
from gelan.model.detector import Detector
from gelan.model.head import decode
from gelan.model.reparameterize import reparameterize
from gelan.predict.backends.raw import RawOutput

Precision = Literal["fp32", "bf16", "fp16"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchModel:
    """A folded copy of a detector, without its auxiliary part, in channels-last memory.

    Later changes of the detector do not reach the copy: make a new one.
    """

    def __init__(
        self, detector: Detector, *, device: str = "auto", precision: Precision = "fp32"
    ) -> None:
        self.device = choose_device(device)
        self.precision = precision
        if precision == "fp16" and self.device.type == "cpu":
            raise ConfigError("fp16 is slow and coarse on a CPU: take bf16 or fp32")
        self._network = deployed(detector, device=self.device, precision=precision)

    def __call__(self, images: Float32[np.ndarray, "batch 3 height width"]) -> RawOutput:
        """Boxes and scores; on the CPU without a copy of either.

        Raises:
            ConfigError: the batch does not fit into the memory of the device.
        """
        try:
            return self._answer(images)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise self._too_large(images) from error
        except RuntimeError as error:
            if "not enough memory" in str(error) or "can't allocate memory" in str(error):
                raise self._too_large(images) from error
            raise

    def _answer(self, images: Float32[np.ndarray, "batch 3 height width"]) -> RawOutput:
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(
                self.device, _DTYPES[self.precision], memory_format=torch.channels_last
            )
            output = self._network(batch).main
            boxes, scores = decode(output, (images.shape[2], images.shape[3]))
        return RawOutput(
            np.ascontiguousarray(boxes.cpu().numpy()), np.ascontiguousarray(scores.cpu().numpy())
        )

    def _too_large(self, images: Float32[np.ndarray, "batch 3 height width"]) -> ConfigError:
        number, _, height, width = images.shape
        return ConfigError(
            f"the memory of {self.device} is too small for {number} images of {width} x {height} "
            "together; take fewer in a batch, or a smaller input size"
        )

    def __str__(self) -> str:
        """For example "torch 2.13.0, cpu, fp32"."""
        return f"torch {torch.__version__}, {self.device}, {self.precision}"


def deployed(detector: Detector, *, device: torch.device, precision: Precision) -> Detector:
    """A new network for inference: no auxiliary part, folded, channels-last, on the device."""
    twin = reparameterize(detector)
    detach_auxiliary(twin)
    twin.to(device, _DTYPES[precision])
    twin.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stubs
    return twin


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is the first GPU, else the CPU.

    Raises:
        ConfigError: torch does not know the name, does not see such a device here, or cannot get
            results back from it ("meta").
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return torch.device("cpu") if accelerator is None else accelerator
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).partition("\n")[0].rstrip(". ")
        raise ConfigError(
            f"device {name!r} cannot be used here ({reason}); try auto, cpu or cuda:0"
        ) from None
    return device
