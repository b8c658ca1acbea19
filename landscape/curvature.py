"""Curvature, said honestly: the surrogate Hessian beside the true loss at finite radii."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse.linalg import ArpackError
from torch import Tensor

from tetviz.landscape.directions import HOLD_ALL_BUT_WEIGHTS, random_direction
from tetviz.landscape.gradient import length, random_only, random_parameters, scaled_to, surrogate_gradient
from tetviz.landscape.planes import inner
from tetviz.landscape.probe import Probe, displaced, moving
from tetviz.landscape.record import Point, Record, check_same, unmeasured
from tetviz.landscape.surface import policy_text
from tetviz.results import Curvature, load
from tetviz.results.schema import FloatArray
from tetviz.training import TemporalProfile

if TYPE_CHECKING:
    from tetviz.landscape.hessian import SurrogateHessian

RADII = (0.01, 0.03, 0.1, 0.3)
BASES = 2
NO_CURVATURE = "the surrogate Hessian is zero along every direction that was tried"
NOT_FINITE = "the double backward pass through the surrogates is not finite: there is no surrogate Hessian"


def compute_curvature(
    probe: Probe,
    directions: int = 32,
    radii: Sequence[float] = RADII,
    *,
    eigenvalues: int = 5,
    trace_probes: int = 20,
    lanczos_steps: int = 30,
    bins: int = 256,
    loss: str = "sdt",
    policy: Mapping[str, str] = HOLD_ALL_BUT_WEIGHTS,
    seed: int = 0,
    record: Record | None = None,
) -> Curvature:
    """The surrogate Hessian, and what finite steps say of the loss that is measured.

    Directions are uniform on the sphere of all parameters that the policy moves at random; a radius is a share
    of their L2 norm. Measured are the loss at +r and -r along each direction, and the same steps from two
    independent random points at the distance r from the checkpoint.

    Args:
        probe: the network and how it is measured.
        directions: how many.
        radii: shares of the norm of the weights.
        eigenvalues: how many of the largest.
        trace_probes: random vectors for the trace.
        lanczos_steps: Lanczos vectors for the density.
        bins: places at which the density is given.
        loss: ``sdt`` or ``tet``, that gradient and Hessian are of.
        policy: role to treatment.
        seed: of the directions and of the Hessian's random vectors.
        record: where the points go; memory by default.

    Returns:
        The curvature.

    Raises:
        ValueError: a probe of another batch-norm policy.
    """
    if probe.bn != "frozen":
        raise ValueError(f"a curvature is measured with frozen batch-norm statistics, not {probe.bn!r}")
    record = record or Record()
    weights = random_parameters(probe, policy)
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
    steps, ranks = probe.timesteps, min(eigenvalues, size)
    shape, shifted = (directions, len(radii), 2), (directions, BASES, len(radii), 2)
    empty = Curvature(
        **unmeasured(*shape, steps),
        timestep=np.arange(1, steps + 1),
        sample=probe.samples,
        rank=np.arange(ranks),
        eigenvalue=np.full(ranks, np.nan),
        eigenvalue_residual=np.full(ranks, np.nan),
        trace_probe=np.arange(trace_probes),
        trace_estimate=np.full(trace_probes, np.nan),
        bin=np.arange(bins, dtype=np.float64),
        density=np.full(bins, np.nan),
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
        t_train=probe.t_train,
        provenance=record.describe(probe, probe.request([], settings)),
    )
    if record.path is not None and not record.force and Path(record.path).exists():
        check_same(record.path, empty)
        begun = load(record.path, Curvature)
    else:
        centre = probe.measure({})
        units = [_unit(probe, int(word), policy) for word in words[:, 0]]
        begun = dataclasses.replace(
            empty,
            center_sdt_loss=centre.sdt_loss,
            center_tet_loss=centre.tet_loss,
            **_surrogate(probe, weights, units, loss, ranks, trace_probes, lanczos_steps, bins, seed),
        )
    return record.finish(begun, lambda result: _fill(result, probe, policy, record))


def _fill(result: Curvature, probe: Probe, policy: Mapping[str, str], record: Record) -> None:
    for index, seed in enumerate(result.direction_seed):
        if result.done[index].all() and result.shifted_done[index].all():
            continue
        along = scaled_to(_unit(probe, int(seed), policy), result.weight_norm)
        bases = [scaled_to(_unit(probe, int(s), policy), result.weight_norm) for s in result.base_seed[index]]

        def step(i: int, j: int, d: dict[str, Tensor] = along) -> tuple[float, dict[str, Tensor]]:
            return float(result.side[j] * result.radius[i]), d

        def at(point: Point, step: Any = step) -> TemporalProfile:
            _, i, j = point
            return probe.measure(displaced(probe.origin, step(i, j)))

        def around(point: Point, step: Any = step, bases: Any = bases) -> TemporalProfile:
            _, base, i, j = point
            return probe.measure(displaced(probe.origin, (float(result.radius[i]), bases[base]), step(i, j)))

        places = [(i, j) for i in range(len(result.radius)) for j in range(2)]
        record.visit(result, ((index, i, j) for i, j in places), at)
        record.visit(result, ((index, b, i, j) for b in range(BASES) for i, j in places), around, "shifted_")


def _surrogate(
    probe: Probe,
    weights: Mapping[str, Tensor],
    units: Sequence[Mapping[str, Tensor]],
    loss: str,
    ranks: int,
    trace_probes: int,
    steps: int,
    bins: int,
    seed: int,
) -> dict[str, Any]:
    # All that the surrogate gradient and the surrogate Hessian say; NaN and a note where they are not finite.
    # Imported late: curvlinops takes a second and nothing else needs it.
    from tetviz.landscape.hessian import SurrogateHessian, spectral_density, top_eigenvalues, trace_estimates

    gradient = surrogate_gradient(probe, loss, weights)
    hessian = SurrogateHessian(probe, loss, weights)
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
        places, density = spectral_density(hessian, min(steps, hessian.shape[0]), bins, seed)
    except ArpackError as error:
        return fields | {"note": f"the eigenvalues of the surrogate Hessian were not found: {error}"}
    return fields | {
        "eigenvalue": values,
        "eigenvalue_residual": residuals,
        "trace_estimate": trace_estimates(hessian, trace_probes, seed),
        "bin": places,
        "density": density,
    }


def _along(
    hessian: "SurrogateHessian", weights: Mapping[str, Tensor], units: Sequence[Mapping[str, Tensor]]
) -> FloatArray:
    # One product at a time: a batch of them would hold as many graphs.
    return np.array(
        [
            math.fsum(float((unit[n] * product).sum()) for n, product in zip(weights, hessian @ columns, strict=True))
            for unit in units
            for columns in [[unit[n] for n in weights]]
        ]
    )


def _unit(probe: Probe, seed: int, policy: Mapping[str, str]) -> dict[str, Tensor]:
    noise = random_direction(probe.model, seed, "none", random_only(policy))
    return scaled_to(moving(noise), 1.0)
