"""Sharpness, measured: lines along random planes, one step up the gradient, and random steps of the same length."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from tetviz.errors import CheckpointError
from tetviz.landscape.directions import length, random_noise, scaled_to
from tetviz.landscape.evaluator import Evaluator
from tetviz.landscape.gradient import random_parameters, surrogate_gradient
from tetviz.landscape.lines import line_fields, line_parts
from tetviz.landscape.planes import Plane
from tetviz.landscape.store import Part, Point, Store
from tetviz.results import Sharpness
from tetviz.results.schema import FloatArray
from tetviz.training import TemporalProfile

DEFAULT_RHO = (0.003, 0.01, 0.03, 0.1)
_LOSSES = ("sdt", "tet")


def compute_sharpness(
    evaluator: Evaluator,
    planes: Sequence[Plane],
    x: FloatArray,
    rho: Sequence[float] = DEFAULT_RHO,
    loss: str = "sdt",
    store: Store | None = None,
) -> Sharpness:
    """Everything that the sharpness table is made of.

    Beside the lines of :func:`compute_lines`, the loss at w + rho |w| g / |g| with the surrogate gradient g of
    that loss (the one step of SAM; Foret et al. 2021, eq. 2, where rho is the length itself), and at w + rho
    |w| z / |z| for a standard normal z for each plane (average sharpness; Andriushchenko et al. 2023, with steps
    of a fixed length). |w| is the L2 norm of all parameters that are moved at random.

    Args:
        evaluator: the network and how it is measured.
        planes: two directions each, of one random seed.
        x: coordinates along every line.
        rho: lengths of the steps as shares of |w|.
        loss: the loss that the table is about; both are stored.
        store: where the points go; memory by default.

    Returns:
        The sharpness.

    Raises:
        CheckpointError: the surrogate gradient is 0 or not finite.
        ResultError: the file holds another result.
        ValueError: an unknown loss, no planes, or one of another network.
    """
    store = store or Store()
    weights = random_parameters(evaluator, planes[0].policy)
    lengths = np.asarray(rho, dtype=np.float64)
    # A stream of its own, so that no draw repeats the noise of a plane.
    seeds = np.random.SeedSequence([planes[0].seed, 1]).generate_state(len(planes)).astype(np.int64)
    shape = (len(planes), len(lengths), evaluator.timesteps)
    fields: dict[str, Any] = {
        **line_fields(evaluator, planes, x, loss, store, {"rho": lengths.tolist()}),
        "rho": lengths,
        "draw": np.arange(len(planes)),
        "draw_seed": seeds,
        **{f"sam_{name}_loss": np.full(shape[1:], np.nan) for name in _LOSSES},
        **{f"average_{name}_loss": np.full(shape, np.nan) for name in _LOSSES},
        "sam_done": np.zeros(shape[1], np.int8),
        "average_done": np.zeros(shape[:2], np.int8),
        "weight_norm": length(weights),
    }

    def fill(result: Sharpness) -> None:
        parts = (
            _ascent_parts(result, evaluator, weights),
            _draw_parts(result, evaluator, planes[0].policy),
            line_parts(result, planes),
        )
        store.visit(result, evaluator, itertools.chain.from_iterable(parts))

    return store.finish(Sharpness(**fields), fill)


def _ascent_parts(result: Sharpness, evaluator: Evaluator, weights: Mapping[str, Tensor]) -> Iterator[Part]:
    if result.sam_done.all():
        return
    sdt, tet = (_ascent(evaluator, name, weights, result.weight_norm) for name in _LOSSES)
    rho = result.rho.tolist()

    def at(evaluator: Evaluator, point: Point) -> TemporalProfile:
        up_sdt, up_tet = (evaluator.measure_along((rho[point[0]], ascent)) for ascent in (sdt, tet))
        return dataclasses.replace(up_sdt, tet_loss=up_tet.tet_loss)  # each loss on its own way up

    yield Part(at, [(i,) for i in range(len(rho))], "sam_")


def _draw_parts(result: Sharpness, evaluator: Evaluator, policy: Mapping[str, str]) -> Iterator[Part]:
    for draw, done in enumerate(result.average_done):
        if not done.all():
            noise = random_noise(evaluator.model, int(result.draw_seed[draw]), policy)
            yield _draw_part(result, draw, scaled_to(noise, result.weight_norm))


def _draw_part(result: Sharpness, draw: int, along: Mapping[str, Tensor]) -> Part:
    rho = result.rho.tolist()

    def at(evaluator: Evaluator, point: Point) -> TemporalProfile:
        return evaluator.measure_along((rho[point[1]], along))

    return Part(at, [(draw, i) for i in range(len(rho))], "average_")


def _ascent(evaluator: Evaluator, loss: str, weights: Mapping[str, Tensor], norm: float) -> dict[str, Tensor]:
    gradient = surrogate_gradient(evaluator, loss, weights)
    if not np.isfinite(length(gradient)) or not length(gradient):
        raise CheckpointError(
            f"the surrogate gradient of L_{loss.upper()} is {length(gradient)} at the checkpoint: there is no way up; "
            "is the network alive (tetviz doctor)?"
        )
    return scaled_to(gradient, norm)
