"""Closed forms of phi = tr(J J^T) / d: of a block with normal potentials, and of a block's measured ones.

Factors multiply along a path and add up over parallel paths, which holds on average over independent weights (Z. Chen
et al. 2020; Zheng et al. 2021). Neurons at one step give the mean square of their surrogate derivative, a weighted
layer with its normalisation the mean squared norm of the rows of its matrix.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from scipy.stats import norm as normal
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from tetviz.analysis.activations import Activations, mean_by_step
from tetviz.analysis.jacobian import JacobianBlock
from tetviz.models import LIF, TdBN
from tetviz.models.blocks import BasicBlock, MSBlock, SEWBlock
from tetviz.models.layers import OverTime
from tetviz.models.surrogate import surrogate_slope
from tetviz.results.schema import FloatArray

_NODES = 400
_PASSING = (nn.Identity, nn.Flatten, nn.modules.dropout._DropoutNd)


def gaussian_mass(surrogate: str, gamma: float, threshold: float, mean: float, std: float) -> float:
    """E[h(u)^2] of normal potentials."""
    low, high = mean - 10 * std, mean + 10 * std
    kinks = [threshold + part * gamma for part in (-8, -1, -0.5, 0, 0.5, 1, 8)]
    edges = np.unique([low, *(kink for kink in kinks if low < kink < high), high])
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    total = 0.0
    for start, end in pairwise(edges):
        u = (start + end) / 2 + (end - start) / 2 * nodes
        slope = surrogate_slope(torch.from_numpy(u), surrogate, threshold, gamma).numpy()
        total += float((end - start) / 2 * np.sum(weights * slope**2 * normal.pdf(u, mean, std)))
    return total


def gaussian_phi(
    surrogate: str = "triangle",
    gamma: float = 1.0,
    threshold: float = 1.0,
    *,
    gain: float | None = None,
    mean: float = 0.0,
    std: float | None = None,
) -> float:
    """Phi of a block of neurons without leak, a linear layer and a normalisation, of normal potentials u.

    phi = gain^2 E[h(u)^2] / (p (1 - p)) with p = P(u > V_th): the normalisation divides by the variance of the sum of
    independent spikes, p (1 - p) times the squared norm of a row (block dynamical isometry: Zheng et al. 2021).

    >>> round(gaussian_phi("rectangle", 1, 0.5), 4), round(gaussian_phi(), 4)
    (0.8938, 1.2059)

    Args:
        surrogate: a name in :data:`tetviz.models.SURROGATES`.
        gamma: width of the surrogate.
        threshold: firing threshold V_th.
        gain: weight of the normalisation, standard deviation of what it gives; V_th, that of tdBN, by default.
        mean: mean of the potentials.
        std: their standard deviation; V_th by default.

    Returns:
        phi.
    """
    gain, std = threshold if gain is None else gain, threshold if std is None else std
    rate = normal.sf(threshold, mean, std)
    return float(gain**2 * gaussian_mass(surrogate, gamma, threshold, mean, std) / (rate * (1 - rate)))


class MeasuredRun:
    """What closed forms take from a run.

    Attributes:
        modules: those that were called, by name.
    """

    def __init__(self, activations: Activations, mass: Mapping[str, FloatArray]) -> None:
        self.modules = {name: activations.model.get_submodule(name) for name in activations.order}
        self.unknown: FloatArray = np.full(activations.timesteps, np.nan)
        self._names = {module: name for name, module in self.modules.items()}
        self._activations, self._mass = activations, mass

    def mass(self, neurons: nn.Module) -> FloatArray:
        """Mean square of the surrogate derivative of a layer of neurons, T long."""
        return self._mass.get(self._names[neurons], self.unknown)

    def square(self, module: nn.Module) -> FloatArray:
        """Mean square of the output of a module, T long."""
        last = [part for part in module.modules() if not any(part.children())][-1]
        output_TB = self._activations.by_step(self._activations.left[self._names[last]])
        return mean_by_step(output_TB.detach() ** 2)

    def entered(self, module: nn.Module) -> Tensor:
        """What went into a module without children, samples and steps merged or not."""
        return self._activations.entered[self._names[module]][0]

    def is_path(self, start: str, parts: Sequence[str]) -> bool:
        """Whether each module takes what the one before it gives, from the output of the first."""
        left, entered = self._activations.left, self._activations.entered
        return all(left[a][0].numel() == entered[b][0].numel() for a, b in pairwise([start, *parts]))


def closed_forms(
    activations: Activations, blocks: Sequence[JacobianBlock], mass: Mapping[str, FloatArray]
) -> FloatArray:
    """Phi of every block that potentials and weights predict.

    Returns:
        By block and step, NaN where there is no closed form.
    """
    run = MeasuredRun(activations, mass)
    forms = [
        _chain_form(block, run) if block.kind == "chain" else block_form(run.modules[block.name], run)
        for block in blocks
    ]
    return np.stack([np.broadcast_to(form, activations.timesteps) for form in forms])


def _chain_form(block: JacobianBlock, run: MeasuredRun) -> FloatArray:
    parts = [name for name in block.parts if not isinstance(run.modules[name], nn.Sequential | OverTime)]
    if not isinstance(run.modules[block.name], LIF) or not run.is_path(block.start, parts):
        return run.unknown
    return path_form([run.modules[name] for name in parts], run)


def block_form(block: nn.Module, run: MeasuredRun) -> FloatArray:
    """Phi of the Jacobian within a step that a block's potentials and weights predict.

    With g the gain of convolution and normalisation, m the mass of neurons and s the factor of the shortcut::

        BasicBlock      (g1 m1 g2 + s) m2
        SEWBlock  ADD   a + s             with a the product along the branch, A and S both outputs
                  AND   E[S^2] a + E[A^2] s
                  IAND  E[S^2] a + E[(1 - A)^2] s
        MSBlock         m1 g1 m2 g2 + s

    Returns:
        phi, T long; NaN for other modules.
    """
    if isinstance(block, BasicBlock):
        inner = path_form([block.conv1, block.lif1, block.conv2], run) + path_form([block.shortcut], run)
        return inner * run.mass(block.lif2)
    if isinstance(block, MSBlock):
        branch = path_form([block.lif1, block.conv1, block.lif2, block.conv2], run)
        return branch + path_form([block.shortcut], run)
    if isinstance(block, SEWBlock):
        branch, shortcut = path_form([block.branch], run), path_form([block.shortcut], run)
        if block.connect == "ADD":
            return branch + shortcut
        spikes = run.square(block.branch)  # of 0 and 1, so also their mean
        return run.square(block.shortcut) * branch + (spikes if block.connect == "AND" else 1 - spikes) * shortcut
    return np.full(1, np.nan)


def path_form(modules: Iterable[nn.Module], run: MeasuredRun) -> FloatArray:
    """The product of the factors of modules one behind the other.

    Returns:
        The product, T long or 1 long; NaN where a module is none of neurons, convolutions, linear layers, batch
        normalisations behind one, and average poolings.
    """
    parts = [part for module in modules for part in module.modules() if not any(part.children())]
    product = np.ones(1)
    for before, part in zip([None, *parts], parts, strict=False):
        product = product * _factor(part, before, parts, run)
    return product


def _factor(part: nn.Module, before: nn.Module | None, parts: Sequence[nn.Module], run: MeasuredRun) -> FloatArray:
    if isinstance(part, LIF):
        return run.mass(part)
    if isinstance(part, nn.Conv2d | nn.Linear):
        behind = parts[parts.index(part) + 1 :][:1]
        return np.array([_gain(part, behind[0] if behind else None, run)])
    if isinstance(part, nn.AvgPool2d):
        return np.array([_pooling_gain(part, run.entered(part))])
    normalises = isinstance(part, _BatchNorm) and isinstance(before, nn.Conv2d | nn.Linear)
    return np.array([1.0 if normalises or isinstance(part, _PASSING) else math.nan])


@torch.no_grad()
def _gain(layer: nn.Conv2d | nn.Linear, behind: nn.Module | None, run: MeasuredRun) -> float:
    # The mean squared norm of the rows of the layer's matrix, scaled by the normalisation behind it.
    weight = layer.weight.double()
    if isinstance(layer, nn.Linear):
        rows = (weight**2).sum(1)
    elif layer.padding_mode != "zeros":
        return math.nan
    else:
        ones = _ones(run.entered(layer))
        inside = F.conv2d(ones, weight**2, None, layer.stride, layer.padding, layer.dilation, layer.groups)
        rows = inside.mean((2, 3))[0]
    if isinstance(behind, _BatchNorm):
        rows = rows * _scale(behind, run) ** 2
    return float(rows.mean())


def _scale(norm: _BatchNorm, run: MeasuredRun) -> Tensor:
    x, var = run.entered(norm).double(), norm.running_var
    x = x.flatten(0, 1) if x.dim() == 5 else x
    if norm.training or var is None:
        var = x.transpose(0, 1).flatten(1).var(1, correction=0)
    branch = norm.alpha * norm.threshold if isinstance(norm, TdBN) else 1.0
    weight = torch.ones_like(var) if norm.weight is None else norm.weight
    return weight.double() * branch / torch.sqrt(var.double() + norm.eps)


@torch.no_grad()
def _pooling_gain(pool: nn.AvgPool2d, x: Tensor) -> float:
    # The mean squared norm of the rows; NaN where windows overlap, since rows are then not orthogonal.
    size = pool.kernel_size if isinstance(pool.kernel_size, tuple) else (pool.kernel_size,) * 2
    stride = pool.stride if isinstance(pool.stride, tuple) else (pool.stride,) * 2
    if size != stride or pool.padding not in (0, (0, 0)) or pool.divisor_override:
        return math.nan
    ones = _ones(x)
    cells = F.avg_pool2d(ones, pool.kernel_size, pool.stride, 0, pool.ceil_mode, divisor_override=1)
    return float((1 / cells).mean())


def _ones(x: Tensor) -> Tensor:
    return torch.ones(1, *x.shape[-3:], dtype=torch.float64, device=x.device)
