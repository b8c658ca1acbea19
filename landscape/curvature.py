"""Curvature, said honestly: the surrogate Hessian beside the true loss at finite radii."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse.linalg import ArpackError
from torch import Tensor

from tetviz.landscape.directions import (
    HOLD_ALL_BUT_WEIGHTS,
    Direction,
    inner,
    length,
    policy_text,
    random_noise,
    scaled_to,
)
from tetviz.landscape.evaluator import Evaluator
from tetviz.landscape.gradient import random_parameters, surrogate_gradient
from tetviz.landscape.store import Part, Point, Store, check_same, unmeasured
from tetviz.results import Curvature, load
from tetviz.results.schema import FloatArray
from tetviz.training import TemporalProfile

if TYPE_CHECKING:
    from tetviz.landscape.hessian import SurrogateHessian

DEFAULT_RADII = (0.01, 0.03, 0.1, 0.3)
BASES = 2
REPEATS = 4  # random starts of the density
NO_CURVATURE = "the surrogate Hessian is zero along every direction that was tried"
NOT_FINITE = "the double backward pass through the surrogates is not finite: there is no surrogate Hessian"


def compute_curvature(
    evaluator: Evaluator,
    directions: int = 32,
    radii: Sequence[float] = DEFAULT_RADII,
    *,
    eigenvalues: int = 5,
    trace_probes: int = 20,
    lanczos_steps: int = 30,
    bins: int = 256,
    loss: str = "sdt",
    policy: Mapping[str, str] = HOLD_ALL_BUT_WEIGHTS,
    seed: int = 0,
    store: Store | None = None,
) -> Curvature:
    """The surrogate Hessian, and what finite steps say of the loss that is measured.

    Directions are uniform on the sphere of all parameters that the policy moves at random; a radius is a share
    of their L2 norm. Measured are the loss at +r and -r along each direction, and the same steps from two
    independent random points at the distance r from the checkpoint.

    Args:
        evaluator: the network and how it is measured.
        directions: how many.
        radii: shares of the norm of the weights.
        eigenvalues: how many of the largest.
        trace_probes: random vectors for the trace.
        lanczos_steps: Lanczos vectors for the density.
        bins: places at which the density is given.
        loss: ``sdt`` or ``tet``, that gradient and Hessian are of.
        policy: role to treatment.
        seed: of the directions and of the Hessian's random vectors.
        store: where the points go; memory by default.

    Returns:
        The curvature.

    Raises:
        ResultError: the file holds another result.
        ValueError: an evaluator of another batch-norm policy.
    """
    if evaluator.bn != "frozen":
        raise ValueError(f"a curvature is measured with frozen batch-norm statistics, not {evaluator.bn!r}")
    store = store or Store()
    weights = random_parameters(evaluator, policy)
    settings = {
        "kind": "curvature",
        "radii": list(radii),
        "sizes": [directions, eigenvalues, trace_probes, lanczos_steps, bins],
        "loss": loss,
        "policy": dict(policy),
        "seed": seed,
    }
    size = sum(weight.numel() for weight in weights.values())
    words = np.random.SeedSequence(seed).generate_state(directions * (1 + BASES)).astype(np.int64)
    words = words.reshape(directions, 1 + BASES)
    steps, ranks = evaluator.timesteps, min(eigenvalues, size)
    shape, shifted = (directions, len(radii), 2), (directions, BASES, len(radii), 2)
    empty = Curvature(
        **unmeasured(*shape, steps),
        timestep=np.arange(1, steps + 1),
        sample=evaluator.samples,
        rank=np.arange(ranks),
        eigenvalue=np.full(ranks, np.nan),
        eigenvalue_residual=np.full(ranks, np.nan),
        trace_probe=np.arange(trace_probes),
        trace_estimate=np.full(trace_probes, np.nan),
        bin=np.arange(bins, dtype=np.float64),
        density=np.full(bins, np.nan),
        repeat=np.arange(REPEATS),
        repeat_density=np.full((REPEATS, bins), np.nan),
        direction=np.arange(directions),
        direction_seed=words[:, 0],
        slope=np.full(directions, np.nan),
        surrogate_curvature=np.full(directions, np.nan),
        radius=np.asarray(radii, dtype=np.float64),
        side=np.array([-1, 1]),
        base=np.arange(BASES),
        base_seed=words[:, 1:],
        shifted_sdt_loss=np.full((*shifted, steps), np.nan),
        shifted_tet_loss=np.full((*shifted, steps), np.nan),
        shifted_done=np.zeros(shifted, np.int8),
        center_sdt_loss=np.full(steps, np.nan),
        center_tet_loss=np.full(steps, np.nan),
        loss=loss,
        policy=policy_text(policy),
        parameters=size,
        weight_norm=length(weights),
        plane_seed=seed,
        t_train=evaluator.t_train,
        provenance=store.describe(evaluator, evaluator.request([], settings)),
    )
    if store.path is not None and not store.force and Path(store.path).exists():
        check_same(store.path, empty)
        begun = load(store.path, Curvature)
    else:
        centre = evaluator.measure({})
        units = [_unit(evaluator, word, policy) for word in words[:, 0]]
        begun = dataclasses.replace(
            empty,
            center_sdt_loss=centre.sdt_loss,
            center_tet_loss=centre.tet_loss,
            **_surrogate(evaluator, weights, units, empty, lanczos_steps),
        )
    return store.finish(begun, lambda result: _fill(result, evaluator, policy, store))


def _fill(result: Curvature, evaluator: Evaluator, policy: Mapping[str, str], store: Store) -> None:
    store.visit(result, evaluator, _parts(result, evaluator, policy))


def _parts(result: Curvature, evaluator: Evaluator, policy: Mapping[str, str]) -> Iterator[Part]:
    for index in range(len(result.direction)):
        if not (result.done[index].all() and result.shifted_done[index].all()):
            seeds = [result.direction_seed[index], *result.base_seed[index]]
            along, *bases = (scaled_to(_unit(evaluator, seed, policy), result.weight_norm) for seed in seeds)
            yield from _direction_parts(result, index, along, bases)


def _direction_parts(result: Curvature, index: int, along: Direction, bases: Sequence[Direction]) -> Iterator[Part]:
    radius, side = result.radius.tolist(), result.side.tolist()

    def step(i: int, j: int) -> tuple[float, Direction]:
        return side[j] * radius[i], along

    def at(evaluator: Evaluator, point: Point) -> TemporalProfile:
        _, i, j = point
        return evaluator.measure_along(step(i, j))

    def around(evaluator: Evaluator, point: Point) -> TemporalProfile:
        _, base, i, j = point
        return evaluator.measure_along((radius[i], bases[base]), step(i, j))

    places = list(itertools.product(range(len(radius)), range(2)))
    yield Part(at, [(index, i, j) for i, j in places])
    yield Part(around, [(index, b, i, j) for b in range(BASES) for i, j in places], "shifted_")


def _surrogate(
    evaluator: Evaluator,
    weights: Mapping[str, Tensor],
    units: Sequence[Direction],
    wanted: Curvature,
    lanczos_steps: int,
) -> dict[str, Any]:
    # All that the surrogate gradient and the surrogate Hessian say; NaN and a note where they are not finite.
    # Imported late: curvlinops takes a second and nothing else needs it.
    from tetviz.landscape.hessian import SurrogateHessian, spectral_density, top_eigenvalues, trace_estimates

    gradient = surrogate_gradient(evaluator, wanted.loss, weights)
    hessian = SurrogateHessian(evaluator, wanted.loss, weights)
    ranks, trace_probes, seed = len(wanted.rank), len(wanted.trace_probe), wanted.plane_seed
    fields: dict[str, Any] = {
        "slope": np.array([inner(unit, gradient) for unit in units]),
        "gradient_norm": length(gradient),
        "surrogate_curvature": _along(hessian, weights, units),
    }
    if not np.isfinite(fields["surrogate_curvature"]).all():
        return fields | {"note": NOT_FINITE}
    if not fields["surrogate_curvature"].any():
        zero = {"eigenvalue": np.zeros(ranks), "trace_estimate": np.zeros(trace_probes)}
        return fields | zero | {"eigenvalue_residual": np.zeros(ranks), "note": NO_CURVATURE}
    try:
        values, residuals = top_eigenvalues(hessian, ranks, seed)
        steps = min(lanczos_steps, hessian.shape[0])
        places, densities = spectral_density(hessian, steps, len(wanted.bin), REPEATS, seed)
    except ArpackError as error:
        return fields | {"note": f"the eigenvalues of the surrogate Hessian were not found: {error}"}
    return fields | {
        "eigenvalue": values,
        "eigenvalue_residual": residuals,
        "trace_estimate": trace_estimates(hessian, trace_probes, seed),
        "bin": places,
        "density": densities.mean(0),
        "repeat_density": densities,
    }


def _along(hessian: "SurrogateHessian", weights: Mapping[str, Tensor], units: Sequence[Direction]) -> FloatArray:
    curvatures = []
    for unit in units:  # one product at a time: a batch of them would hold as many graphs
        columns = [unit[name] for name in weights]
        products = hessian @ columns
        curvatures.append(math.fsum(float((u * v).sum()) for u, v in zip(columns, products, strict=True)))
    return np.array(curvatures)


def _unit(evaluator: Evaluator, seed: int, policy: Mapping[str, str]) -> Direction:
    return scaled_to(random_noise(evaluator.model, int(seed), policy), 1.0)
