"""Spike functions: the Heaviside step with a surrogate gradient, and a smooth stand-in for it.

A spike function takes the membrane potential u, the threshold and the width gamma. Every surrogate is a
kernel of unit area and width gamma around the threshold, the derivative of a smooth step; x is the potential
minus the threshold. The backward pass is made of differentiable operations, so a second backward (the
surrogate Hessian) works.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Constant = float | Tensor  # of a layer, or one for every neuron
Kernel = Callable[[Tensor, Constant], Tensor]
SpikeFunction = Callable[[Tensor, Constant, Constant], Tensor]


def triangle_kernel(x: Tensor, gamma: Constant) -> Tensor:
    """max(0, gamma - |x|) / gamma^2 (Deng et al. 2022, eq. 5)."""
    return (gamma - x.abs()).clamp(min=0) / gamma**2


def rectangle_kernel(x: Tensor, gamma: Constant) -> Tensor:
    """1 / gamma where |x| < gamma / 2, else 0 (Wu et al. 2018, eq. 24 with a = gamma)."""
    return (x.abs() < gamma / 2).to(x.dtype) / gamma


def exponential_kernel(x: Tensor, gamma: Constant) -> Tensor:
    """exp(-|x| / gamma) / (2 gamma), the exponential of Shrestha and Orchard 2018 at unit area."""
    return torch.exp(-x.abs() / gamma) / (2 * gamma)


def arctan_kernel(x: Tensor, gamma: Constant) -> Tensor:
    """1 / (gamma (1 + (pi x / gamma)^2)) (Fang et al. 2021, eq. 12 with alpha = 2 / gamma)."""
    return 1 / (gamma * (1 + (math.pi * x / gamma) ** 2))


class _Spike(torch.autograd.Function):
    """1 where u > threshold, else 0, with a kernel in place of its derivative."""

    @staticmethod
    def forward(u: Tensor, threshold: Constant, gamma: Constant, kernel: Kernel) -> Tensor:
        return (u > threshold).to(u.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        u, ctx.threshold, ctx.gamma, ctx.kernel = inputs
        ctx.save_for_backward(u)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None, None]:
        (u,) = ctx.saved_tensors
        return gradients[0] * ctx.kernel(u - ctx.threshold, ctx.gamma), None, None, None


def _hard(kernel: Kernel) -> SpikeFunction:
    def spike(u: Tensor, threshold: Constant, gamma: Constant) -> Tensor:
        if not torch.is_grad_enabled():
            return (u > threshold).to(u.dtype)
        return _Spike.apply(u, threshold, gamma, kernel)  # type: ignore[no-untyped-call, no-any-return]

    return spike


def smooth_spike(u: Tensor, threshold: Constant, gamma: Constant) -> Tensor:
    """sigmoid(k (u - threshold)) with k = 1 / gamma, forward and backward (Deng et al. 2022, section 5.1)."""
    return torch.sigmoid((u - threshold) / gamma)


KERNELS: dict[str, Kernel] = {
    "triangle": triangle_kernel,
    "rectangle": rectangle_kernel,
    "exponential": exponential_kernel,
    "arctan": arctan_kernel,
}
SURROGATES: dict[str, SpikeFunction] = {
    **{name: _hard(kernel) for name, kernel in KERNELS.items()},
    "sigmoid": smooth_spike,
}


def surrogate_slope(u: Tensor, surrogate: str, threshold: Constant, gamma: Constant) -> Tensor:
    """The derivative that a backward pass takes for that of a spike."""
    with torch.enable_grad():
        u = u.detach().requires_grad_()
        (slope,) = torch.autograd.grad(SURROGATES[surrogate](u, threshold, gamma).sum(), u)
    return slope
