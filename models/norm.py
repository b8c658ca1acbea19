"""Threshold-dependent batch normalisation, and its folding into the convolution before it."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TdBN(nn.BatchNorm2d):
    """Threshold-dependent batch normalisation (Zheng et al. 2021).

    Per channel, with mean and variance over time x batch x space::

        y = weight * (alpha * threshold * (x - mean) / sqrt(var + eps)) + bias

    With alpha = threshold = 1 this is batch normalisation over T x B. The state is that of
    ``nn.BatchNorm2d``, so their weights are interchangeable.

    Args:
        channels: number of channels C.
        alpha: 1 on a serial path, 1 / sqrt(n) where n branches meet in an addition.
        threshold: the firing threshold V_th of the neuron that follows.
    """

    def __init__(self, channels: int, alpha: float = 1.0, threshold: float = 1.0) -> None:
        super().__init__(channels)
        self.alpha, self.threshold = alpha, threshold

    @property
    def gain(self) -> Tensor:
        """Weight * alpha * threshold, what batch normalisation calls its weight."""
        return self.weight * (self.alpha * self.threshold)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises T x B x C x H x W, or time and batch merged, TB x C x H x W."""
        if x.dim() == 5:
            return self.forward(x.flatten(0, 1)).view_as(x)
        self._check_input_dim(x)
        tracking = self.training and self.track_running_stats
        if tracking and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:
            momentum = 1 / max(1, int(self.num_batches_tracked or 1))
        mean, var = (self.running_mean, self.running_var) if tracking or not self.training else (None, None)
        return F.batch_norm(x, mean, var, self.gain, self.bias, self.training or mean is None, momentum, self.eps)

    def extra_repr(self) -> str:
        """The constants, for print(model)."""
        return f"{self.num_features}, alpha={self.alpha:.4g}, threshold={self.threshold}"


class ConvNorm(nn.Module):
    """A convolution and the normalisation behind it, over merged time and batch.

    Args:
        conv: the convolution.
        norm: batch normalisation, or ``nn.Identity`` once folded.

    Attributes:
        constants: scale and shift of the normalisation, C x 1 x 1 in float64, in its place where set.
        held: what it gives for an input that stays the same, in place of computing it where set.
        firing: gives, of what the convolution gave and T, the spikes of the neurons behind, in place of the
            normalisation where set.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm = conv, norm
        self.constants: tuple[Tensor, Tensor] | None = None
        self.held: Tensor | None = None
        self.firing: Callable[[Tensor, int], Tensor] | None = None

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        """Convolves every step and normalises over all of them."""
        if self.held is not None:
            return self.held
        merged: Tensor = self.conv(x_TBCHW.flatten(0, 1))
        if self.firing is not None:
            return self.firing(merged, len(x_TBCHW))
        merged = self.norm(merged) if self.constants is None else _scaled(merged, *self.constants)
        return merged.view(*x_TBCHW.shape[:2], *merged.shape[1:])


def _scaled(x_BCHW: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    # In float64 products are exact: the sum is rounded once, as by the fused operation that torch normalises with.
    return (x_BCHW.double() * scale + shift).to(x_BCHW.dtype)


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a normalisation with running statistics multiplies by and adds, one number a channel, as torch rounds it."""
    gain = norm.gain if isinstance(norm, TdBN) else norm.weight
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    none, one = torch.zeros_like(mean), torch.ones_like(mean)[None]
    scale = F.batch_norm(one, none, variance, gain, none, eps=norm.eps)
    shift = F.batch_norm(none[None], mean, variance, gain, norm.bias, eps=norm.eps)
    return scale[0], shift[0]


def fold(model: nn.Module) -> nn.Module:
    """Merges every batch normalisation into the convolution before it (Deng et al. 2022, eq. 6).

    With sigma = sqrt(running_var + eps) and g = weight (times alpha * V_th in tdBN)::

        W' = W * g / sigma        b' = (b - running_mean) * g / sigma + bias

    The folded network gives the same outputs in eval mode, up to rounding: in float32 a rounded potential
    beside the threshold may flip a spike.

    Args:
        model: a network whose normalisations all stand in :class:`ConvNorm`.

    Returns:
        A copy without batch normalisation; the model itself is left as it is.

    Raises:
        ValueError: a normalisation stands elsewhere, or keeps no running statistics.
    """
    folded = copy.deepcopy(model)
    for module in folded.modules():
        if isinstance(module, ConvNorm) and isinstance(module.norm, nn.BatchNorm2d):
            module.conv, module.norm = _folded_conv(module.conv, module.norm), nn.Identity()
    left = [name for name, module in folded.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if left:
        raise ValueError(
            f"cannot fold {', '.join(left)}: a normalisation must stand behind its convolution in a ConvNorm"
        )
    return folded


@torch.no_grad()
def _folded_conv(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("cannot fold a batch normalisation that keeps no running statistics")
    gain = norm.weight if norm.affine else torch.ones_like(norm.running_mean)
    offset = norm.bias if norm.affine else torch.zeros_like(norm.running_mean)
    branch = norm.alpha * norm.threshold if isinstance(norm, TdBN) else 1.0
    scale = gain * branch / torch.sqrt(norm.running_var + norm.eps)
    bias = torch.zeros_like(offset) if conv.bias is None else conv.bias
    folded, trained = copy.deepcopy(conv), conv.weight.requires_grad
    folded.weight = nn.Parameter(conv.weight * scale[:, None, None, None], requires_grad=trained)
    folded.bias = nn.Parameter((bias - norm.running_mean) * scale + offset, requires_grad=trained)
    return folded
