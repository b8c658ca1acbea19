"""The surrogate Hessian: the derivative of the gradient that a network's own backward pass gives."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from curvlinops import lanczos_approximate_spectrum
from curvlinops._torch_base import PyTorchLinearOperator
from curvlinops.papyan2020traces.spectrum import lanczos_approximate_spectrum_from_iter
from curvlinops.sampling import random_vector
from scipy.sparse.linalg import eigsh
from torch import Tensor

from tetviz.landscape.evaluator import Evaluator
from tetviz.landscape.gradient import loss_shares
from tetviz.models.foreign.isolation import differentiating
from tetviz.results.schema import FloatArray
from tetviz.training.loop import seeded
from tetviz.training.profile import exact_kernels

_TOLERANCE = 1e-3
_ROUGH = 1e-2  # of the ends of the spectrum, which get a margin
DENSE_ROWS = 256  # up to which a matrix is decomposed whole
_MARGIN = 0.1


class SurrogateHessian(PyTorchLinearOperator):  # type: ignore[misc]
    """H v = grad(grad(L) . v), by two backward passes through the surrogates, over all samples of an evaluator.

    curvlinops' own Hessian runs ``torch.func`` over the network, which spikes of other libraries do not allow;
    two backward passes work wherever training did. With a surrogate H is symmetric (its second derivatives
    commute), so Lanczos methods apply, but it is not the Hessian of the loss that is measured.
    """

    SELF_ADJOINT = True

    def __init__(self, evaluator: Evaluator, loss: str, weights: Mapping[str, Tensor]) -> None:
        shapes = [tuple(weight.shape) for weight in weights.values()]
        super().__init__(shapes, shapes)
        evaluator.place({})
        parameters = dict(evaluator.model.named_parameters())
        self._evaluator, self._loss = evaluator, loss
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
        with exact_kernels():
            for value in loss_shares(self._evaluator, self._loss):
                with differentiating(value):
                    gradients = torch.autograd.grad(value, self._parameters, create_graph=True, materialize_grads=True)
                for k in range(columns):
                    along = torch.stack(
                        [(g * block[..., k]).sum() for g, block in zip(gradients, X, strict=True)]
                    ).sum()
                    if not along.requires_grad:
                        continue
                    with differentiating(along):
                        second = torch.autograd.grad(along, self._parameters, retain_graph=True, materialize_grads=True)
                    for product, part in zip(products, second, strict=True):
                        product[..., k] += part
        return products


def top_eigenvalues(hessian: SurrogateHessian, count: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """The largest eigenvalues, by the implicitly restarted Lanczos method (scipy's eigsh)."""
    values, vectors = _eigenpairs(hessian, count, "LA", seed)
    off = np.linalg.norm(hessian.to_scipy() @ vectors - vectors * values, axis=0)
    order = np.argsort(values)[::-1]
    residuals = np.divide(off, np.abs(values), out=np.zeros_like(off), where=off > 0)
    return values[order].astype(np.float64), residuals[order].astype(np.float64)


def trace_estimates(hessian: SurrogateHessian, probes: int, seed: int = 0) -> FloatArray:
    """Independent estimates z'Hz of the trace, z random signs (Hutchinson 1989)."""
    with seeded(seed):
        signs = [random_vector(hessian.shape[0], "rademacher", hessian.device, hessian.dtype) for _ in range(probes)]
    return np.array([float(z @ (hessian @ z)) for z in signs])


def spectral_density(
    hessian: SurrogateHessian, steps: int, bins: int, repeats: int, seed: int = 0
) -> tuple[FloatArray, FloatArray]:
    """The density of eigenvalues, by stochastic Lanczos quadrature (Papyan 2020, algorithm 2), by curvlinops.

    Of a matrix of up to 256 rows all eigenvalues are taken, with the same Gaussian bumps.

    Returns:
        The places, and the density there from each of the random starts, repeat x bin.
    """
    if hessian.shape[0] <= DENSE_ROWS:
        values, _ = _eigenpairs(hessian, hessian.shape[0], "LA", seed)
        low, high = float(values[0]), float(values[-1])
        values = np.repeat(values, 2)  # the width of the bumps takes at least two
        even = torch.full((1, len(values)), len(values) ** -0.5, dtype=torch.float64)
        iteration = torch.from_numpy(values).double(), even
        span = (low, high) if high > low else (low - abs(low) - 1, high + abs(high) + 1)
        places, density = lanczos_approximate_spectrum_from_iter(iteration, span, bins, 3.0, _MARGIN)
        densities = density.expand(repeats, -1)
    else:
        # Given, because curvlinops would look for them from a start that no seed reaches.
        low, high = (float(_eigenpairs(hessian, 1, end, seed, _ROUGH)[0][0]) for end in ("SA", "LA"))
        with seeded(seed):
            runs = [
                lanczos_approximate_spectrum(hessian, steps, num_points=bins, boundaries=(low, high), margin=_MARGIN)
                for _ in range(repeats)
            ]
        places, densities = runs[0][0], torch.stack([density for _, density in runs])
    return places.double().cpu().numpy(), densities.double().cpu().numpy()


def _eigenpairs(
    hessian: SurrogateHessian, count: int, which: str, seed: int, tolerance: float = _TOLERANCE
) -> tuple[Any, Any]:
    # In increasing order. A small matrix is decomposed whole: Lanczos fails where few eigenvalues differ.
    operator, size = hessian.to_scipy(), hessian.shape[0]
    if size <= DENSE_ROWS:
        matrix = operator @ np.eye(size, dtype=operator.dtype)
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
        chosen = slice(size - count, size) if which == "LA" else slice(0, count)
        return values[chosen], vectors[:, chosen]
    start = np.random.default_rng(seed).standard_normal(size).astype(operator.dtype)
    values, vectors = eigsh(operator, k=count, which=which, v0=start, tol=tolerance)
    order = np.argsort(values)
    return values[order], vectors[:, order]
