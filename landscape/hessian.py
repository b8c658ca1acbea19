"""The surrogate Hessian: the derivative of the gradient that a network's own backward pass gives."""

from collections.abc import Mapping

import numpy as np
import torch
from curvlinops import hutchinson_trace, lanczos_approximate_spectrum
from curvlinops._torch_base import PyTorchLinearOperator
from scipy.sparse.linalg import eigsh
from torch import Tensor

from tetviz.landscape.gradient import loss_shares
from tetviz.landscape.probe import Probe
from tetviz.results.schema import FloatArray
from tetviz.training.loop import seeded

TOLERANCE = 1e-3


class SurrogateHessian(PyTorchLinearOperator):  # type: ignore[misc]
    """H v = grad(grad(L) . v), by two backward passes through the surrogates, over all samples of a probe.

    curvlinops' own Hessian runs ``torch.func`` over the network, which spikes of other libraries do not allow;
    two backward passes work wherever training did. With a surrogate H is symmetric (its second derivatives
    commute), so Lanczos methods apply, but it is not the Hessian of the loss that is measured.

    Args:
        probe: the network, at the checkpoint.
        loss: ``sdt`` or ``tet``.
        weights: the parameters to differentiate by.
    """

    SELF_ADJOINT = True

    def __init__(self, probe: Probe, loss: str, weights: Mapping[str, Tensor]) -> None:
        shapes = [tuple(weight.shape) for weight in weights.values()]
        super().__init__(shapes, shapes)
        probe.place({})
        parameters = dict(probe.model.named_parameters())
        self._probe, self._loss = probe, loss
        self._parameters = [parameters[name] for name in weights]

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self._parameters[0].device

    @property
    def dtype(self) -> torch.dtype:
        """The network's precision."""
        return self._parameters[0].dtype

    def _matmat(self, X: list[Tensor]) -> list[Tensor]:
        columns = X[0].shape[-1]
        products = [torch.zeros_like(block) for block in X]
        for share in loss_shares(self._probe, self._loss):
            gradients = torch.autograd.grad(share(), self._parameters, create_graph=True)
            for k in range(columns):
                along = torch.stack([(g * block[..., k]).sum() for g, block in zip(gradients, X, strict=True)]).sum()
                second = torch.autograd.grad(along, self._parameters, retain_graph=True, materialize_grads=True)
                for product, part in zip(products, second, strict=True):
                    product[..., k] += part
        return products


def top_eigenvalues(hessian: SurrogateHessian, count: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """The largest eigenvalues, by the implicitly restarted Lanczos method (scipy's eigsh).

    Args:
        hessian: the operator.
        count: how many.
        seed: of the starting vector.

    Returns:
        Eigenvalues, the largest first, and the residuals ||H v - lambda v|| / |lambda|.
    """
    operator = hessian.to_scipy()
    start = np.random.default_rng(seed).standard_normal(hessian.shape[0]).astype(operator.dtype)
    values, vectors = eigsh(operator, k=count, which="LA", v0=start, tol=TOLERANCE)
    order = np.argsort(values)[::-1]
    values, vectors = values[order].astype(np.float64), vectors[:, order].astype(np.float64)
    off = np.linalg.norm(operator @ vectors.astype(operator.dtype) - vectors * values, axis=0)
    return values, off / np.abs(values)


def trace_estimates(hessian: SurrogateHessian, probes: int, seed: int = 0) -> FloatArray:
    """Independent estimates z'Hz of the trace, z random signs (Hutchinson 1989), by curvlinops.

    Args:
        hessian: the operator.
        probes: how many.
        seed: of the signs.

    Returns:
        The estimates; their mean has standard error s / sqrt(probes).
    """
    with seeded(seed):
        return np.array([float(hutchinson_trace(hessian, 1)) for _ in range(probes)])


def spectral_density(hessian: SurrogateHessian, steps: int, bins: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """The density of eigenvalues, by stochastic Lanczos quadrature (Papyan 2020, algorithm 2), by curvlinops.

    Args:
        hessian: the operator.
        steps: Lanczos vectors.
        bins: places on the axis.
        seed: of the starting vectors.

    Returns:
        Eigenvalues, and the density there, of integral 1 up to the tails that a Gaussian bump has beyond the
        axis.
    """
    with seeded(seed):
        places, density = lanczos_approximate_spectrum(hessian, steps, num_points=bins, num_repeats=3)
    return places.double().cpu().numpy(), density.double().cpu().numpy()
