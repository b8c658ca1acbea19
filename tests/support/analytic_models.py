"""Tiny modules whose losses are known functions of their weights, to judge measurements by. Calls no tetviz."""

import copy
import functools

import numpy as np
import torch
from torch import Tensor, nn


class Analytic(nn.Module):
    """Two classes whose logits (z, 0) make the cross-entropy of class 0, log(1 + exp(-z)), equal to ``height()``.

    The same output at every step, so that L_SDT = L_TET. Heights must be positive.

    Args:
        start: the weights, a row of a matrix, so that their role is ``weight``.
    """

    def __init__(self, start):
        super().__init__()
        self.weight = nn.Parameter(torch.as_tensor(np.asarray(start, dtype=np.float64))[None])

    def height(self) -> Tensor:
        raise NotImplementedError

    def forward(self, x, timesteps):
        z = -torch.log(torch.expm1(self.height()))
        return torch.stack([z, torch.zeros_like(z)]).expand(timesteps, x.shape[-4], 2)

    def at(self, weights):
        """A copy of the module with other weights."""
        other = copy.deepcopy(self)
        with torch.no_grad():
            other.weight.copy_(torch.as_tensor(np.asarray(weights, dtype=np.float64))[None])
        return other


class Quadratic(Analytic):
    """L(w) = (w - w*)' H (w - w*) / 2 + floor."""

    def __init__(self, hessian, start, minimum=None, floor=0.1):
        super().__init__(start)
        self.hessian = torch.as_tensor(np.asarray(hessian, dtype=np.float64))
        minimum = np.zeros(len(self.hessian)) if minimum is None else minimum
        self.minimum, self.floor = torch.as_tensor(np.asarray(minimum, dtype=np.float64)), floor

    def height(self):
        away = self.weight[0] - self.minimum
        return away @ self.hessian @ away / 2 + self.floor

    def loss(self, w):
        """The loss in NumPy, at weights along the last axis."""
        away = np.asarray(w) - self.minimum.numpy()
        return np.einsum("...i,ij,...j->...", away, self.hessian.numpy(), away) / 2 + self.floor

    def gradient(self, w):
        """The gradient in NumPy."""
        return self.hessian.numpy() @ (np.asarray(w) - self.minimum.numpy())


class Ring(Analytic):
    """L(w) = (|w|^2 - 1)^2 + tilt w_1 + floor: a double well on each line through 0, a circular valley in the plane."""

    def __init__(self, start, tilt=0.0, floor=0.05):
        super().__init__(start)
        self.tilt, self.floor = tilt, floor

    def height(self):
        w = self.weight[0]
        return ((w**2).sum() - 1) ** 2 + self.tilt * w[0] + self.floor

    def loss(self, w):
        """The loss in NumPy, at weights along the last axis."""
        w = np.asarray(w)
        return ((w**2).sum(-1) - 1) ** 2 + self.tilt * w[..., 0] + self.floor


class PerStep(nn.Module):
    """Logits (a_t . w, 0) at step t: L_SDT = s(mean_t a_t . w), L_TET = mean_t s(a_t . w), s(z) = log(1 + exp(-z))."""

    def __init__(self, slopes, start):
        super().__init__()
        self.slopes = torch.as_tensor(np.asarray(slopes, dtype=np.float64))
        self.weight = nn.Parameter(torch.as_tensor(np.asarray(start, dtype=np.float64))[None])

    def forward(self, x, timesteps):
        z = self.slopes[:timesteps] @ self.weight[0]
        return torch.stack([z, torch.zeros_like(z)], 1)[:, None].expand(timesteps, x.shape[-4], 2)

    def loss(self, name, w, timesteps):
        """L_SDT or L_TET in NumPy."""
        z = self.slopes[:timesteps].numpy() @ np.asarray(w)
        return np.logaddexp(0, -z.mean()) if name == "sdt" else np.logaddexp(0, -z).mean()

    def gradient(self, name, w, timesteps):
        """Its gradient in NumPy."""
        a = self.slopes[:timesteps].numpy()
        z = a @ np.asarray(w)
        if name == "sdt":
            return -a.mean(0) / (1 + np.exp(z.mean()))
        return -(a / (1 + np.exp(z))[:, None]).mean(0)


class _OtherBackward(torch.autograd.Function):
    # a . w forward; backward pretends that it was b . w.
    @staticmethod
    def forward(ctx, w, a, b):
        ctx.save_for_backward(b)
        return a @ w

    @staticmethod
    def backward(ctx, gradient):
        (b,) = ctx.saved_tensors
        return gradient * b, None, None


class Misled(Quadratic):
    """A quadratic plus a slope a that the backward pass takes for b: a surrogate that is off by a known angle."""

    def __init__(self, hessian, start, slope, believed, floor=5.0):
        super().__init__(hessian, start, floor=floor)
        self.slope, self.believed = (torch.as_tensor(np.asarray(v, dtype=np.float64)) for v in (slope, believed))

    def height(self):
        return super().height() + _OtherBackward.apply(self.weight[0], self.slope, self.believed)


class _NaNTwice(torch.autograd.Function):
    # The identity whose backward is the identity, whose own backward is NaN.
    @staticmethod
    def forward(ctx, w):
        return w.clone()

    @staticmethod
    def backward(ctx, gradient):
        return _NaNOnce.apply(gradient)


class _NaNOnce(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gradient):
        return gradient.clone()

    @staticmethod
    def backward(ctx, gradient):
        return torch.full_like(gradient, torch.nan)


class NoSecond(Quadratic):
    """A quadratic whose gradient is right and whose double backward pass is NaN."""

    def height(self):
        away = _NaNTwice.apply(self.weight[0]) - self.minimum
        return away @ self.hessian @ away / 2 + self.floor


def batches(*sizes):
    """Batches of blank images of class 0."""
    return [(torch.zeros(size, 1, 1, 1), torch.zeros(size, dtype=torch.long)) for size in sizes or (3,)]


@functools.cache  # NumPy's products of matrices may differ in the last bit from one call to the next.
def spd(size, seed=0, low=0.5, high=4.0):
    """A symmetric matrix with evenly spaced eigenvalues and random eigenvectors."""
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))
    return rotation @ np.diag(np.linspace(low, high, size)) @ rotation.T


def vector(tensors):
    """All entries of a mapping of tensors, as one NumPy vector."""
    return np.concatenate([tensor.detach().double().numpy().ravel() for tensor in tensors.values()])
