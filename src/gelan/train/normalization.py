"""BatchNorm over the images of all processes that train together.

With few images in each process, the mean and variance of each alone are noisy. Here they are those
of all images together, so that two processes learn what one would from the joined batch.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn

from gelan.errors import ConfigError
from gelan.train.freezing import HeldStill

Map = Float[Tensor, "batch channels height width"]


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes; the gradients are summed in the same way."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ANN401
        whole = tensor.clone()
        distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        whole = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(whole)
        return whole


def _summed(tensor: Tensor) -> Tensor:
    whole: Tensor = _SumOverProcesses.apply(tensor)  # type: ignore[no-untyped-call]
    return whole


class SharedBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` over the images of all processes, on any device.

    The same as the plain one in evaluation and where there is one process. Processes may have
    different numbers of images. Statistics are in float32 at least, computed in two passes (mean,
    then squares around it), which costs a second exchange and no digits.
    """

    def forward(self, maps: Map) -> Map:
        """The maps, normalised over all images of all processes."""
        is_alone = not distributed.is_initialized() or distributed.get_world_size() == 1
        if is_alone or not self.training:
            return super().forward(maps)
        values = maps.float() if maps.dtype.itemsize < 4 else maps
        mean, variance, count = _statistics(values)
        self._remember(mean.detach(), variance.detach(), count)
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        out = (values - mean[:, None, None]) * scale[:, None, None]
        if self.affine:
            out = out + self.bias[:, None, None]
        return out.to(maps.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: float) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        part = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), part)
        unbiased = variance * (count / (count - 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), part)


def _statistics(
    values: Map,
) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"], float]:
    """Mean and variance of each channel over all processes, and over how many numbers."""
    own = values.new_tensor([values.numel() // values.shape[1]])
    whole = _summed(torch.cat([values.sum(dim=(0, 2, 3)), own]))
    count = whole[-1].item()
    if count < 2:
        raise ValueError(f"expected at least 2 numbers in each channel, got {count:g} in all")
    mean = whole[:-1] / count
    squares = (values - mean[:, None, None]).square().sum(dim=(0, 2, 3))
    return mean, _summed(squares) / count, count


def synchronize_batch_norm(module: nn.Module) -> nn.Module:
    """The module, whose every BatchNorm is now over all processes; names in its state stay.

    The module is changed in place. On a GPU its normalisations become PyTorch's `SyncBatchNorm`,
    which is fused but refuses CPUs (a module that is itself a BatchNorm comes back as another one);
    elsewhere they become `SharedBatchNorm2d`. Frozen ones (`freeze`) stay.

    Raises:
        ConfigError: a normalisation is of a kind that cannot be exchanged.
    """
    if _is_to_be_shared(module, ""):
        return _shared(module)
    for path, inner in list(module.named_modules()):
        if path and _is_to_be_shared(inner, path):
            owner, _, name = path.rpartition(".")
            setattr(module.get_submodule(owner), name, _shared(inner))
    return module


def _is_to_be_shared(module: nn.Module, path: str) -> bool:
    if isinstance(module, HeldStill | SharedBatchNorm2d | nn.SyncBatchNorm):
        return False
    if not isinstance(module, nn.modules.batchnorm._BatchNorm):
        return False
    if type(module) is not nn.BatchNorm2d:
        raise ConfigError(
            f"{path or 'the module'} is a {type(module).__name__}, which cannot be shared between "
            "processes; train in one process, or freeze the part that it is in"
        )
    return True


def _shared(module: nn.Module) -> nn.Module:
    if any(tensor.is_cuda for tensor in module.state_dict().values()):
        synchronized: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return synchronized
    module.__class__ = SharedBatchNorm2d  # nothing but `forward` differs
    return module
