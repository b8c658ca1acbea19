"""Loss surfaces: a temporal profile at every point of a plane, resumable point by point."""

import copy
import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from tetviz.errors import DataError, ResultError
from tetviz.landscape.directions import Plane
from tetviz.results import Provenance, Surface, load, open_result, save
from tetviz.results.schema import FloatArray, IntArray
from tetviz.training import measure, to_batches
from tetviz.training.profile import Batch, a_parameter

Grid = int | tuple[Any, Any]

_MEASURED = ("sdt_loss", "tet_loss", "accuracy", "step_accuracy", "sdt_loss_se", "tet_loss_se")


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
    plane: Plane,
    grid: Grid = 25,
    timesteps: int | None = None,
    *,
    indices: IntArray | None = None,
    batch_size: int = 256,
    loss: str = "sdt",
    path: str | Path | None = None,
    force: bool = False,
    provenance: Provenance | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Surface:
    """Both losses and both accuracies, at every number of timesteps, on a grid of a plane.

    At (x, y) every parameter is w + x * d_x + y * d_y, computed anew from w; batch-norm statistics stay those
    of the checkpoint ("frozen", as in Li et al. 2018). All of it happens on a copy: the model is not touched.

    Args:
        model: ``model(x, timesteps)`` gives logits_TBK.
        data: a Dataset, or batches, as in :func:`tetviz.training.to_batches`.
        plane: two directions over the model's parameters.
        grid: points a side on [-1, 1], or the pair (x values, y values).
        timesteps: T, the longest run; the model's own by default.
        indices: which samples of a Dataset, in which order; all by default. Of batches: what to record of them.
        batch_size: samples a batch.
        loss: the loss that the surface is about; both are stored.
        path: file that every finished point is written to. If it holds a part of the same surface, only the
            rest is computed.
        force: replace ``path`` instead.
        provenance: what the caller knows of the origin; device, precision and request are filled in.
        progress: called with (points done, points in all).

    Returns:
        The surface.

    Raises:
        DataError: no samples.
        ResultError: ``path`` holds another surface.
        ValueError: no timesteps are given and the model names none, an unknown loss, or another network's plane.
    """
    steps = timesteps or getattr(model, "timesteps", None)
    if not steps:
        raise ValueError("say for how many timesteps: the model names none")
    if loss not in ("sdt", "tet"):
        raise ValueError(f"unknown loss {loss!r}; a surface shows sdt or tet")
    x, y = (grid_coordinates(grid),) * 2 if isinstance(grid, int) else map(np.asarray, grid)
    moving = copy.deepcopy(model)
    weight = a_parameter(moving)
    _check_plane(moving, plane)
    batches = [(a.to(weight.device, weight.dtype), b) for a, b in to_batches(data, batch_size, indices)]
    samples = np.arange(sum(len(labels_B) for _, labels_B in batches)) if indices is None else indices
    if not len(samples):
        raise DataError("no samples to measure on: the data set is empty")
    provenance = dataclasses.replace(
        provenance or Provenance(),
        device=str(weight.device),
        dtype=str(weight.dtype).removeprefix("torch."),
        request=_fingerprint(moving, batches, plane, [x.tolist(), y.tolist(), steps, loss, weight.device.type]),
    )
    empty = _empty_surface(plane, x, y, steps, samples, loss, provenance, getattr(model, "timesteps", None) or steps)
    if path is None:
        _evaluate(empty, moving, plane, batches, progress)
        return empty
    if force or not Path(path).exists():
        save(path, empty)
    else:
        _check_same(path, load(path, Surface), empty)
    with open_result(path) as stored:
        _evaluate(cast(Surface, stored), moving, plane, batches, progress)
    return load(path, Surface)


def coarse_to_fine(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """Every point of a grid once, so that any start of the sequence is a picture of the whole.

    Args:
        rows: points along y.
        columns: points along x.

    Yields:
        (row, column).
    """
    seen = set()
    stride = 1 << max(rows, columns).bit_length()
    while stride := stride // 2:
        for point in ((j, i) for j in range(0, rows, stride) for i in range(0, columns, stride)):
            if point not in seen:
                seen.add(point)
                yield point


def _evaluate(
    surface: Surface,
    model: nn.Module,
    plane: Plane,
    batches: list[Batch],
    progress: Callable[[int, int], None] | None,
) -> None:
    """Fills the points that are not done, each marked done only once it is written."""
    origin = {name: p.detach().clone() for name, p in model.named_parameters() if _moves(name, plane)}
    x_axis, y_axis = ({n: d[n].to(start) for n, start in origin.items()} for d in (plane.x, plane.y))
    done, total = int(surface.done.sum()), surface.done.size
    for j, i in coarse_to_fine(len(surface.y), len(surface.x)):
        if surface.done[0, j, i]:
            continue
        x, y = float(surface.x[i]), float(surface.y[j])
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in origin:
                    parameter.copy_(origin[name] + x * x_axis[name] + y * y_axis[name])
        profile = measure(model, batches, len(surface.timestep))
        for name in _MEASURED:
            getattr(surface, name)[0, j, i] = getattr(profile, name)
        surface.done[0, j, i] = 1
        done += 1
        if progress is not None:
            progress(done, total)


def _moves(name: str, plane: Plane) -> bool:
    return bool(plane.x[name].any() or plane.y[name].any())


def _check_same(path: str | Path, found: Surface, wanted: Surface) -> None:
    if found.provenance.request == wanted.provenance.request:
        return
    names = ("plane_seed", "norm", "policy", "loss", "x", "y", "timestep", "sample")
    differ = [n for n in names if not np.array_equal(getattr(found, n), getattr(wanted, n))]
    origin = ("checkpoint_sha256", "dataset", "data_settings", "split", "dtype", "device")
    differ += [n for n in origin if getattr(found.provenance, n) != getattr(wanted.provenance, n)]
    raise ResultError(
        f"{path}: holds another surface, with another {', '.join(differ) or 'network, data or batch size'}; "
        "choose another name with -o, or replace it with --force"
    )


def _check_plane(model: nn.Module, plane: Plane) -> None:
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    for direction in (plane.x, plane.y):
        if {name: tuple(d.shape) for name, d in direction.items()} != shapes:
            raise ValueError("the plane belongs to another network: its parameter names or shapes differ")


def _empty_surface(
    plane: Plane,
    x: FloatArray,
    y: FloatArray,
    timesteps: int,
    samples: IntArray,
    loss: str,
    provenance: Provenance,
    t_train: int,
) -> Surface:
    unknown = {name: np.full((1, len(y), len(x), timesteps), np.nan) for name in _MEASURED}
    return Surface(
        plane=np.arange(1),
        y=y,
        x=x,
        timestep=np.arange(1, timesteps + 1),
        sample=samples,
        axis=np.arange(2),
        direction_seed=np.array([plane.direction_seeds]),
        done=np.zeros((1, len(y), len(x)), np.int8),
        **unknown,
        loss=loss,
        bn="frozen",
        norm=plane.norm,
        policy=_policy_text(plane.policy),
        plane_seed=plane.seed,
        t_train=t_train,
        provenance=provenance,
    )


def _fingerprint(model: nn.Module, batches: list[Batch], plane: Plane, settings: list[Any]) -> str:
    # SHA-256 of all that decides the result: network, weights, samples and their batches, directions, grid, T, loss.
    digest = hashlib.sha256(json.dumps([repr(model), settings]).encode())
    named = [*model.state_dict().items(), *plane.x.items(), *plane.y.items()]
    named += [("batch", tensor) for batch in batches for tensor in batch]
    for name, tensor in named:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _policy_text(policy: Mapping[str, str]) -> str:
    # Such as "random weight; hold bias, norm, neuron".
    groups = {treatment: [r for r, t in policy.items() if t == treatment] for treatment in policy.values()}
    return "; ".join(f"{treatment} {', '.join(roles)}" for treatment, roles in groups.items())
