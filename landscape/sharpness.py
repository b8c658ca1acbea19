"""Sharpness, measured: lines along random planes, one step up the gradient, and random steps of the same length."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from tetviz.errors import CheckpointError
from tetviz.landscape.directions import random_direction
from tetviz.landscape.gradient import length, random_only, random_parameters, scaled_to, surrogate_gradient
from tetviz.landscape.lines import fill_lines, line_fields
from tetviz.landscape.planes import Plane
from tetviz.landscape.probe import Probe, displaced, moving
from tetviz.landscape.record import Point, Record
from tetviz.results import Sharpness
from tetviz.results.schema import FloatArray
from tetviz.training import TemporalProfile

DEFAULT_RHO = (0.003, 0.01, 0.03, 0.1)
LOSSES = ("sdt", "tet")


def compute_sharpness(
    probe: Probe,
    planes: Sequence[Plane],
    x: FloatArray,
    rho: Sequence[float] = DEFAULT_RHO,
    loss: str = "sdt",
    record: Record | None = None,
) -> Sharpness:
    """Everything that the sharpness table is made of.

    Beside the lines of :func:`compute_lines`, the loss at w + rho |w| g / |g| with the surrogate gradient g of
    that loss (the one step of SAM; Foret et al. 2021, eq. 2, where rho is the length itself), and at w + rho
    |w| z / |z| for a standard normal z for each plane (average sharpness; Andriushchenko et al. 2023, with steps
    of a fixed length). |w| is the L2 norm of all parameters that are moved at random.

    Args:
        probe: the network and how it is measured.
        planes: two directions each, of one random seed.
        x: coordinates along every line.
        rho: lengths of the steps as shares of |w|.
        loss: the loss that the table is about; both are stored.
        record: where the points go; memory by default.

    Returns:
        The sharpness.
    """
    record = record or Record()
    weights = random_parameters(probe, planes[0].policy)
    lengths = np.asarray(rho, dtype=np.float64)
    # A stream of its own, so that no draw repeats the noise of a plane.
    seeds = np.random.SeedSequence([planes[0].seed, 1]).generate_state(len(planes)).astype(np.int64)
    shape = (len(planes), len(lengths), probe.timesteps)
    fields: dict[str, Any] = {
        **line_fields(probe, planes, x, loss, record, {"rho": lengths.tolist()}),
        "rho": lengths,
        "draw": np.arange(len(planes)),
        "draw_seed": seeds,
        **{f"sam_{name}_loss": np.full(shape[1:], np.nan) for name in LOSSES},
        **{f"average_{name}_loss": np.full(shape, np.nan) for name in LOSSES},
        "sam_done": np.zeros(shape[1], np.int8),
        "average_done": np.zeros(shape[:2], np.int8),
        "weight_norm": length(weights),
    }

    def fill(result: Sharpness) -> None:
        _fill_steps(result, probe, planes[0].policy, weights, record)
        fill_lines(result, probe, planes, record)

    return record.finish(Sharpness(**fields), fill)


def _fill_steps(
    result: Sharpness, probe: Probe, policy: Mapping[str, str], weights: Mapping[str, Tensor], record: Record
) -> None:
    if not result.sam_done.all():
        ascents = {name: _ascent(probe, name, weights, result.weight_norm) for name in LOSSES}
        for i, rho in enumerate(result.rho):
            if result.sam_done[i]:
                continue
            for name, ascent in ascents.items():
                profile = probe.measure(displaced(probe.origin, (float(rho), ascent)))
                getattr(result, f"sam_{name}_loss")[i] = getattr(profile, f"{name}_loss")
            result.sam_done[i] = 1
            record.report(result)
    for draw, seed in enumerate(result.draw_seed):
        if result.average_done[draw].all():
            continue
        noise = moving(random_direction(probe.model, int(seed), "none", random_only(policy)))
        noise = scaled_to(noise, result.weight_norm)

        def at(point: Point, d: dict[str, Tensor] = noise) -> TemporalProfile:
            return probe.measure(displaced(probe.origin, (float(result.rho[point[1]]), d)))

        record.visit(result, ((draw, i) for i in range(len(result.rho))), at, "average_")


def _ascent(probe: Probe, loss: str, weights: Mapping[str, Tensor], norm: float) -> dict[str, Tensor]:
    gradient = surrogate_gradient(probe, loss, weights)
    if not np.isfinite(length(gradient)) or not length(gradient):
        raise CheckpointError(
            f"the surrogate gradient of L_{loss.upper()} is {length(gradient)} at the checkpoint: there is no way up; "
            "is the network alive (tetviz doctor)?"
        )
    return scaled_to(gradient, norm)
