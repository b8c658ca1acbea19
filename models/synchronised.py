"""Batch normalisation whose statistics in training are over the batches of all processes."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tetviz.models.norm import TdBN


class SynchronisedBN(TdBN):
    """:class:`TdBN` over the samples of all processes: each has a share of a batch, and normalises as if it had all.

    ``torch.nn.SyncBatchNorm`` is for GPUs alone. In eval mode, and in its state, it is the layer that it stands for.

    Args:
        norm: the layer that it stands for, whose parameters and statistics it goes on with.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        branch, threshold = (norm.alpha, norm.threshold) if isinstance(norm, TdBN) else (1.0, 1.0)
        super().__init__(norm.num_features, branch, threshold)
        self.eps, self.momentum = norm.eps, norm.momentum
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked

    def forward(self, x: Tensor) -> Tensor:
        """Normalises T x B x C x H x W, or time and batch merged, TB x C x H x W."""
        if x.dim() == 5:
            return self.forward(x.flatten(0, 1)).view_as(x)
        if not self.training:
            return super().forward(x)
        gain = self.weight * (self.alpha * self.threshold)
        y, mean, var, count = _Normalise.apply(x, gain, self.bias, self.eps)  # type: ignore[no-untyped-call]
        self._follow(mean, var * count / (count - 1))
        return y  # type: ignore[no-any-return]

    @torch.no_grad()
    def _follow(self, mean: Tensor, var: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), momentum)
        self.running_var.lerp_(var.to(self.running_var), momentum)


def synchronised(model: nn.Module) -> nn.Module:
    """Makes every batch normalisation of a network one over all processes; its state keeps its names."""
    for name, child in model.named_children():
        setattr(model, name, SynchronisedBN(child) if isinstance(child, nn.BatchNorm2d) else synchronised(child))
    return model


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps) * gain + offset by channel, with mean and variance over all processes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, offset: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, float]:
        x = x.to(gain.dtype)
        mean_C, var_C, count = _moments(x)
        scale_C = torch.rsqrt(var_C + eps)
        ctx.save_for_backward(x, gain, mean_C, scale_C)
        ctx.count = count
        factor_C = (gain.double() * scale_C).to(gain)
        y = (x - _by_channel(mean_C.to(gain), x)) * _by_channel(factor_C, x) + _by_channel(offset, x)
        ctx.mark_non_differentiable(mean_C, var_C)
        return y, mean_C, var_C, count

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, gain, mean_C, scale_C = ctx.saved_tensors
        grad_y = grads[0]
        normal = (x - _by_channel(mean_C.to(gain), x)) * _by_channel(scale_C.to(gain), x)
        own_2C = torch.stack([_sum(grad_y), _sum(grad_y * normal)])
        total_2C = own_2C.clone()
        dist.all_reduce(total_2C)
        shift_C, stretch_C = (total_2C / ctx.count).to(gain)
        centred = grad_y - _by_channel(shift_C, x) - normal * _by_channel(stretch_C, x)
        grad_x = _by_channel((gain.double() * scale_C).to(gain), x) * centred
        return grad_x, own_2C[1].to(gain), own_2C[0].to(gain), None


def _moments(x: Tensor) -> tuple[Tensor, Tensor, float]:
    # Means and biased variances by channel in float64, and the number of values, over all processes (Chan et al. 1983).
    count = x.numel() // x.shape[1]
    sums_C = _sum(x)
    mean_C = sums_C / max(count, 1)
    squares_C = _sum((x - _by_channel(mean_C.to(x), x)) ** 2)
    own = torch.stack([torch.full_like(mean_C, count), mean_C, squares_C])
    every = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(every, own)
    counts, means, squares = torch.stack(every).unbind(1)
    total = float(counts[:, 0].sum())
    mean_C = (counts * means).sum(0) / total
    var_C = (squares + counts * (means - mean_C) ** 2).sum(0) / total
    return mean_C, var_C, total


def _sum(x: Tensor) -> Tensor:
    return x.sum([0, *range(2, x.dim())], dtype=torch.float64)


def _by_channel(values_C: Tensor, x: Tensor) -> Tensor:
    return values_C.view(-1, *[1] * (x.dim() - 2))
