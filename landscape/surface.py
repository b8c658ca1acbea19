"""Loss surfaces: a temporal profile at every point of planes through a checkpoint."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from tetviz.landscape.directions import moving, policy_text
from tetviz.landscape.evaluator import Evaluator
from tetviz.landscape.planes import Plane
from tetviz.landscape.store import Part, Point, Store, coarse_to_fine, unmeasured
from tetviz.results import Provenance, Surface
from tetviz.results.schema import FloatArray, IntArray
from tetviz.training import TemporalProfile

Grid = int | tuple[Any, Any]


def grid_coordinates(points: int, low: float = -1.0, high: float = 1.0) -> FloatArray:
    """Evenly spaced coordinates with the centre, 0, exactly among them.

    Args:
        points: how many, at least 3.
        low: first coordinate, below 0.
        high: last coordinate, above 0.

    Returns:
        The coordinates.

    Raises:
        ValueError: too few points, or 0 is not one of them.
    """
    if points < 3:
        raise ValueError(f"a grid needs at least 3 points a side, got {points}")
    if not -math.inf < low < 0 < high < math.inf:
        raise ValueError(f"the range must be finite and hold the centre 0 inside, got {low:g}:{high:g}")
    intervals = -low / (high - low) * (points - 1)
    left = round(intervals)
    if abs(intervals - left) > 1e-9 or not 0 < left < points - 1:
        symmetric = "; take an odd number" if low == -high else ""
        raise ValueError(f"{points} points on {low:g}:{high:g} miss the centre 0{symmetric}")
    return np.concatenate([np.linspace(low, 0, left + 1), np.linspace(0, high, points - left)[1:]])


def compute_surface(
    model: nn.Module,
    data: Any,
    plane: Plane | Sequence[Plane],
    grid: Grid = 25,
    timesteps: int | None = None,
    *,
    indices: IntArray | None = None,
    batch_size: int = 256,
    bn: str = "frozen",
    calibration: Any = None,
    calibration_indices: IntArray | None = None,
    loss: str = "sdt",
    path: str | Path | None = None,
    force: bool = False,
    provenance: Provenance | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Surface:
    """Both losses and both accuracies, at every number of timesteps, on the grids of planes.

    At (x, y) every parameter is w + x * d_x + y * d_y, computed anew from w. All of it happens on a copy: the
    model is not touched.

    Args:
        model: as in :class:`Evaluator`.
        data: as in :class:`Evaluator`.
        plane: two directions over the model's parameters, or several such planes, finished one after the other.
        grid: points a side on [-1, 1], or the pair (x values, y values).
        timesteps: as in :class:`Evaluator`.
        indices: as in :class:`Evaluator`.
        batch_size: samples a batch.
        bn: batch-norm policy, as in :class:`Evaluator`.
        calibration: as in :class:`Evaluator`.
        calibration_indices: as in :class:`Evaluator`.
        loss: the loss that the surface is about; both are stored.
        path: as in :class:`Store`.
        force: as in :class:`Store`.
        provenance: as in :class:`Store`.
        progress: as in :class:`Store`.

    Returns:
        The surface.

    Raises:
        CheckpointError: a batch-norm policy for a network without batch normalisation.
        DataError: no samples.
        ResultError: the file holds another result.
        ValueError: an unknown loss or policy, a plane of another network, or a grid without the centre 0.
    """
    evaluator = Evaluator(
        model,
        data,
        timesteps,
        indices=indices,
        batch_size=batch_size,
        bn=bn,
        calibration=calibration,
        calibration_indices=calibration_indices,
    )
    planes = [plane] if isinstance(plane, Plane) else plane
    axes = (grid_coordinates(grid),) * 2 if isinstance(grid, int) else grid
    x, y = (np.asarray(axis, dtype=np.float64) for axis in axes)
    return surface_on(evaluator, planes, x, y, loss, Store(path, force, provenance, progress))


def surface_on(
    evaluator: Evaluator, planes: Sequence[Plane], x: FloatArray, y: FloatArray, loss: str, store: Store
) -> Surface:
    """The surface that an evaluator finds on planes.

    Args:
        evaluator: the network and how it is measured.
        planes: two directions each.
        x: coordinates along the first.
        y: coordinates along the second.
        loss: the loss that the surface is about.
        store: where the points go.

    Returns:
        The surface.

    Raises:
        ResultError: the file holds another result.
        ValueError: an unknown loss, no planes, or one of another network.
    """
    empty = Surface(**surface_fields(evaluator, planes, x, y, loss, store))
    return store.finish(empty, lambda surface: fill_surface(surface, evaluator, planes, store))


def surface_fields(
    evaluator: Evaluator,
    planes: Sequence[Plane],
    x: FloatArray,
    y: FloatArray,
    loss: str,
    store: Store,
    tensors: Iterable[tuple[str, Tensor]] = (),
) -> dict[str, Any]:
    """The fields of a surface before it is measured."""
    if loss not in ("sdt", "tet"):
        raise ValueError(f"unknown loss {loss!r}; a surface shows sdt or tet")
    if not len(planes):
        raise ValueError("a surface needs at least one plane")
    cosines, seeds = [], []

    def directions() -> Iterator[tuple[str, Tensor]]:
        for index, plane in enumerate(planes):
            check_directions(evaluator, plane.x, plane.y)
            cosines.append(plane.cosine)
            seeds.append(plane.direction_seeds)
            for side, direction in (("x", plane.x), ("y", plane.y)):
                yield from ((f"{index} {side} {name}", tensor) for name, tensor in direction.items())

    # Several planes are many tensors; each is hashed as it is built and not kept.
    named = itertools.chain(directions(), tensors)
    request = evaluator.request(named, {"x": x.tolist(), "y": y.tolist(), "loss": loss})
    first = planes[0]
    return {
        "plane": np.arange(len(planes)),
        "y": y,
        "x": x,
        "timestep": np.arange(1, evaluator.timesteps + 1),
        "sample": evaluator.samples,
        "calibration": evaluator.calibration_samples,
        "axis": np.arange(2),
        "direction_seed": np.array(seeds),
        "axis_cosine": np.array(cosines),
        **unmeasured(len(planes), len(y), len(x), evaluator.timesteps),
        "loss": loss,
        "bn": evaluator.bn,
        "norm": first.norm,
        "policy": policy_text(first.policy),
        "orthogonal": int(first.orthogonal),
        "plane_seed": first.seed,
        "t_train": evaluator.t_train,
        "provenance": store.describe(evaluator, request),
    }


def fill_surface(surface: Surface, evaluator: Evaluator, planes: Sequence[Plane], store: Store) -> None:
    """Measures what a surface lacks, plane by plane, each from its centre, and then from coarse to fine."""
    left = (index for index, done in enumerate(surface.done) if not done.all())
    store.visit(surface, evaluator, (_plane_part(surface, planes[index], index) for index in left))


def _plane_part(surface: Surface, plane: Plane, index: int) -> Part:
    along_x, along_y = moving(plane.x), moving(plane.y)
    x, y = surface.x.tolist(), surface.y.tolist()

    def at(evaluator: Evaluator, point: Point) -> TemporalProfile:
        _, j, i = point
        return evaluator.measure_along((x[i], along_x), (y[j], along_y))

    centre = int(np.abs(surface.y).argmin()), int(np.abs(surface.x).argmin())
    return Part(at, [(index, j, i) for j, i in (centre, *coarse_to_fine(len(y), len(x)))])


def check_directions(evaluator: Evaluator, *directions: Mapping[str, Tensor]) -> None:
    """Checks that directions belong to the evaluator's network."""
    shapes = {name: tuple(p.shape) for name, p in evaluator.origin.items()}
    for direction in directions:
        if {name: tuple(d.shape) for name, d in direction.items()} != shapes:
            raise ValueError("the plane belongs to another network: its parameter names or shapes differ")
