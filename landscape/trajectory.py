"""Checkpoints on a plane: the principal plane of a training run, the plane through three networks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tetviz.errors import CheckpointError
from tetviz.landscape.directions import inner, length
from tetviz.landscape.evaluator import Evaluator, split_state
from tetviz.landscape.planes import Plane
from tetviz.landscape.store import AT_CHECKPOINTS, Store
from tetviz.landscape.surface import fill_surface, surface_fields
from tetviz.results import Trajectory
from tetviz.results.schema import FloatArray

_MARGIN = 0.25
_FLAT = 1e-6

_State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Waypoint:
    """A checkpoint of a path.

    Attributes:
        name: what to call it.
        epoch: after which epoch.
        state: its state_dict.
    """

    name: str
    epoch: int
    state: Mapping[str, Tensor]


def displacements(evaluator: Evaluator, waypoints: Sequence[Waypoint]) -> list[dict[str, Tensor]]:
    """How far the checkpoints of a path are from the evaluator's."""
    states = [split_state(evaluator, point.state, point.name)[0] for point in waypoints]
    return [{name: state[name] - weight for name, weight in evaluator.origin.items()} for state in states]


def principal_plane(moves: Sequence[_State]) -> tuple[Plane, FloatArray, FloatArray]:
    """The plane through the reference that holds most of the squared displacements from it.

    The axes are the first two right singular vectors of the matrix whose rows are the displacements, which is
    not centred: the plane goes through the reference (Li et al. 2018, section 7, centre it and draw the plane
    through the last checkpoint all the same).

    Args:
        moves: displacements from the reference.

    Returns:
        The plane, of unit directions; the share of the squared displacements that each axis holds; the share of
        the variance around their mean, along the first two axes of the centred matrix.

    Raises:
        CheckpointError: the checkpoints lie on a line, or are all the same.
    """
    if len(moves) < 2:
        raise CheckpointError(f"{len(moves)} checkpoints span no plane; keep at least 3")
    products = np.array([[inner(a, b) for b in moves] for a in moves])
    squares, vectors = _largest(products)
    if squares[1] <= _FLAT**2 * squares[0]:
        raise CheckpointError(
            f"the {len(moves)} checkpoints lie on a line or are the same, they span no plane; keep more of them"
        )
    axes = [displaced_sum(moves, vectors[:, k] / math.sqrt(squares[k])) for k in (0, 1)]
    plane = Plane(axes[0], axes[1], -1, (-1, -1), "unit", {})
    centring = np.eye(len(moves)) - 1 / len(moves)
    centred = centring @ products @ centring
    return plane, squares / np.trace(products), _largest(centred)[0] / np.trace(centred)


def plane_through(moves: Sequence[_State]) -> Plane:
    """The plane through the reference and two other checkpoints, with axes at a right angle.

    Args:
        moves: displacements of the two from the reference; the first lies on the x axis.

    Returns:
        The plane, of unit directions.

    Raises:
        CheckpointError: the three lie on a line.
    """
    first, second = moves
    distance = length(first)
    if distance:
        x = {name: tensor / distance for name, tensor in first.items()}
        along = inner(x, second)
        y = {name: tensor - along * x[name] for name, tensor in second.items()}
        height = length(y)
        if height > _FLAT * length(second):
            return Plane(x, {n: tensor / height for n, tensor in y.items()}, -1, (-1, -1), "unit", {})
    raise CheckpointError("the three checkpoints lie on a line or two are the same, they span no plane")


def project(plane: Plane, moves: Sequence[_State]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Where checkpoints are on a plane, by least squares, for directions of any length and angle.

    Args:
        plane: two directions.
        moves: displacements from the reference.

    Returns:
        Coordinates, n x 2; L2 distances from the reference; residuals, the distance from the plane over the
        distance from the reference (0 for the reference itself).
    """
    axes = (plane.x, plane.y)
    gram = np.array([[inner(a, b) for b in axes] for a in axes])
    along = np.array([[inner(axis, move) for axis in axes] for move in moves])
    coordinates = np.linalg.solve(gram, along.T).T
    distance = np.array([length(move) for move in moves])
    left = [
        {name: tensor - a * plane.x[name] - b * plane.y[name] for name, tensor in move.items()}
        for move, (a, b) in zip(moves, coordinates.tolist(), strict=True)
    ]
    off = np.array([length(rest) for rest in left])
    return coordinates, distance, np.divide(off, distance, out=np.zeros_like(off), where=distance > 0)


def covering(values: FloatArray, points: int) -> FloatArray:
    """Evenly spaced coordinates around some values, with a margin, with 0 among them."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    if low == high:
        low, high = -1.0, 1.0
    margin = _MARGIN * (high - low)
    step = (high - low + 2 * margin) / (points - 1)
    first, last = math.floor((low - margin) / step + 0.5), math.ceil((high + margin) / step - 0.5)
    return np.arange(first, last + 1) * np.float64(step)


def compute_trajectory(
    evaluator: Evaluator,
    waypoints: Sequence[Waypoint],
    plane: Plane | None = None,
    points: int = 25,
    loss: str = "sdt",
    store: Store | None = None,
    *,
    path: str = "training",
) -> Trajectory:
    """Checkpoints on a plane with the surface under them, and how much the plane hides.

    Args:
        evaluator: the reference, in the middle of the plane, and how it is measured.
        waypoints: the checkpoints, in order.
        plane: two directions; the principal plane of the checkpoints by default.
        points: about how many grid points a side.
        loss: the loss that the surface is about; both are stored.
        store: where the points go; memory by default.
        path: ``training``, or ``checkpoints`` that are no path.

    Returns:
        The surface of the plane and, for every checkpoint, its place, its residual, its true loss (with its own
        batch-norm statistics) and the loss at its projection (with the evaluator's policy).

    Raises:
        CheckpointError: a checkpoint of another network, or checkpoints that span no plane.
        ResultError: the file holds another result.
        ValueError: an unknown loss, or a plane of another network.
    """
    store = store or Store()
    moves = displacements(evaluator, waypoints)
    explained, centred = np.full(2, np.nan), np.full(2, np.nan)
    if plane is None:
        plane, explained, centred = principal_plane(moves)
    where, distance, residual = project(plane, moves)
    x, y = (covering(where[:, axis], points) for axis in (0, 1))
    states = [(f"{i} {n}", t) for i, point in enumerate(waypoints) for n, t in point.state.items()]
    fields: dict[str, Any] = {
        **surface_fields(evaluator, [plane], x, y, loss, store, states),
        "point": np.arange(len(waypoints)),
        "epoch": np.array([point.epoch for point in waypoints]),
        "point_x": where[:, 0],
        "point_y": where[:, 1],
        "distance": distance,
        "residual": residual,
        **{
            f"{k}_{name}": np.full((len(waypoints), evaluator.timesteps), np.nan)
            for k in ("true", "projected")
            for name in AT_CHECKPOINTS
        },
        "explained": explained,
        "explained_centred": centred,
        "names": tuple(point.name for point in waypoints),
        "path": path,
    }

    def fill(result: Trajectory) -> None:
        _fill_waypoints(result, evaluator, waypoints, plane)
        fill_surface(result, evaluator, [plane], store)

    return store.finish(Trajectory(**fields), fill)


def _fill_waypoints(result: Trajectory, evaluator: Evaluator, waypoints: Sequence[Waypoint], plane: Plane) -> None:
    for i, point in enumerate(waypoints):
        if not np.isnan(result.projected_accuracy[i, -1]):
            continue
        terms = ((float(result.point_x[i]), plane.x), (float(result.point_y[i]), plane.y))
        profiles = {
            "true": evaluator.measure_checkpoint(point.state),
            "projected": evaluator.measure_along(*terms),
        }
        for name, profile in profiles.items():
            for quantity in AT_CHECKPOINTS:
                getattr(result, f"{name}_{quantity}")[i] = getattr(profile, quantity)


def displaced_sum(moves: Sequence[_State], coefficients: FloatArray) -> dict[str, Tensor]:
    """A weighted sum of directions, summed in float64."""
    terms = list(zip(coefficients.tolist(), moves, strict=True))
    return {n: torch.stack([c * move[n].double() for c, move in terms]).sum(0).to(t) for n, t in moves[0].items()}


def _largest(products: FloatArray) -> tuple[FloatArray, FloatArray]:
    # The two largest eigenvalues, and their vectors as columns.
    values, vectors = np.linalg.eigh(products)
    return np.maximum(values[:-3:-1], 0), vectors[:, :-3:-1]
