"""Paths from one checkpoint to another: the straight line and a Bezier curve."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from tetviz.landscape.evaluator import Evaluator, split_state
from tetviz.landscape.lines import common_fields
from tetviz.landscape.store import AT_CHECKPOINTS, Part, Point, Store, coarse_to_fine
from tetviz.results import MEASURED, Lines
from tetviz.results.schema import FloatArray
from tetviz.training import TemporalProfile
from tetviz.training.recalibration import batch_norms

_State = Mapping[str, Tensor]


def compute_interpolation(
    evaluator: Evaluator, other: _State, x: FloatArray, loss: str = "sdt", store: Store | None = None
) -> Lines:
    """Both losses on the straight line from one checkpoint to another, (1 - x) w_0 + x w_1.

    There is a line for each treatment of the batch-norm statistics: ``held`` at those of the first checkpoint,
    ``interpolated`` like the weights (outside [0, 1] a variance may turn negative, which gives NaN) and, if the
    evaluator has calibration data, ``recalibrated`` at every point. A network without batch normalisation has one
    line, ``straight``.

    Args:
        evaluator: the first checkpoint, with the policy ``frozen``.
        other: state_dict of the second.
        x: coordinates; 0 is the first checkpoint, 1 the second.
        loss: the loss that the lines are about; both are stored.
        store: where the points go; memory by default.

    Returns:
        The lines, and in ``end_*`` both checkpoints with their own statistics.

    Raises:
        CheckpointError: the second checkpoint holds another network.
        ResultError: the file holds another result.
        ValueError: an unknown loss, or an evaluator of another policy.
    """
    if evaluator.bn != "frozen":
        raise ValueError(
            f"the lines have policies of their own: take an evaluator with bn 'frozen', not {evaluator.bn!r}"
        )
    store = store or Store()
    weights, buffers = split_state(evaluator, other)
    names = ["straight"]
    if batch_norms(evaluator.model):
        names = ["held", "interpolated", *(["recalibrated"] if evaluator.calibration else [])]

    places = x.tolist()

    def at(evaluator: Evaluator, point: Point) -> TemporalProfile:
        line, t = point[0], places[point[1]]
        statistics = {} if names[line] == "held" else _mixed(evaluator.buffers, buffers, t)
        calibrated = names[line] == "recalibrated"
        profile = evaluator.measure(_mixed(evaluator.origin, weights, t), statistics, calibrated=calibrated)
        # A neuron whose potential is NaN stays silent, and its network would have a finite loss.
        negative = any(name.endswith("running_var") and bool((b < 0).any()) for name, b in statistics.items())
        return _unknown(profile) if negative and not calibrated else profile

    length = _distance(evaluator.origin, weights)
    arc = np.repeat(length * x[None], len(names), axis=0)
    return _between(evaluator, weights, buffers, names, x, arc, {"path": "linear", "loss": loss}, at, store)


def compute_curve(
    evaluator: Evaluator,
    other: _State,
    control: _State,
    x: FloatArray,
    loss: str = "sdt",
    store: Store | None = None,
) -> Lines:
    """Both losses on the straight line and on a quadratic Bezier curve between two checkpoints.

    (1 - x)^2 w_0 + 2 x (1 - x) c + x^2 w_1 (Garipov et al. 2018, eq. 6), batch-norm statistics as the evaluator's
    policy says.

    Args:
        evaluator: the first checkpoint.
        other: state_dict of the second.
        control: parameter name to the control point c.
        x: coordinates in [0, 1].
        loss: the loss that the lines are about; both are stored.
        store: where the points go; memory by default.

    Returns:
        The lines ``straight`` and ``curve``.

    Raises:
        CheckpointError: the second checkpoint holds another network.
        ResultError: the file holds another result.
        ValueError: an unknown loss.
    """
    store = store or Store()
    weights, buffers = split_state(evaluator, other)
    control = {name: tensor.to(evaluator.origin[name]) for name, tensor in control.items()}

    places = x.tolist()

    def place(start: _State, line: int, t: float) -> dict[str, Tensor]:
        return bezier(start, control, weights, t) if line else _mixed(start, weights, t)

    def at(evaluator: Evaluator, point: Point) -> TemporalProfile:
        return evaluator.measure(place(evaluator.origin, point[0], places[point[1]]))

    steps = [
        [_distance(*(place(evaluator.origin, line, t) for t in ends)) for ends in itertools.pairwise(places)]
        for line in (0, 1)
    ]
    arc = np.concatenate([np.zeros((2, 1)), np.cumsum(steps, axis=1)], axis=1)
    tensors = {f"control {name}": tensor for name, tensor in control.items()}
    settings = {"path": "bezier", "loss": loss}
    return _between(evaluator, weights, buffers, ["straight", "curve"], x, arc, settings, at, store, tensors)


def bezier(start: _State, control: _State, end: _State, t: float) -> dict[str, Tensor]:
    """A point of a quadratic Bezier curve in parameter space (Garipov et al. 2018, eq. 6).

    Args:
        start: parameter name to tensor, t = 0.
        control: the control point.
        end: t = 1.
        t: place on the curve.

    Returns:
        (1 - t)^2 start + 2 t (1 - t) control + t^2 end.
    """
    return {n: (1 - t) ** 2 * w + 2 * t * (1 - t) * control[n] + t**2 * end[n] for n, w in start.items()}


def _between(
    evaluator: Evaluator,
    weights: _State,
    buffers: _State,
    names: list[str],
    x: FloatArray,
    arc: FloatArray,
    settings: dict[str, str],
    at: Callable[[Evaluator, Point], TemporalProfile],
    store: Store,
    tensors: _State | None = None,
) -> Lines:
    moved = [(f"other {name}", tensor) for name, tensor in [*weights.items(), *buffers.items()]]
    request = evaluator.request([*moved, *(tensors or {}).items()], {**settings, "x": x.tolist(), "names": names})
    fields = {
        **common_fields(evaluator, names, x, settings["loss"]),
        "end": np.arange(2),
        **{f"end_{name}": np.full((2, evaluator.timesteps), np.nan) for name in AT_CHECKPOINTS},
        "arc": arc,
        "direction_seed": np.full(len(names), -1),
        "path": settings["path"],
        "bn": evaluator.bn if settings["path"] == "bezier" else ", ".join(names),
        "norm": "checkpoints",
        "provenance": store.describe(evaluator, request),
    }

    def fill(lines: Lines) -> None:
        for end, state in enumerate([{}, {**weights, **buffers}]):
            if np.isnan(lines.end_accuracy[end, -1]):
                profile = evaluator.measure_checkpoint(state)
                for name in AT_CHECKPOINTS:
                    getattr(lines, f"end_{name}")[end] = getattr(profile, name)
        store.visit(lines, evaluator, [Part(at, _columns(lines))])

    return store.finish(Lines(**fields), fill)


def _columns(lines: Lines) -> list[Point]:
    # All lines at a coordinate, from coarse to fine.
    return [(line, i) for (i,) in coarse_to_fine(len(lines.x)) for line in range(len(lines.line))]


def _unknown(profile: TemporalProfile) -> TemporalProfile:
    nothing: dict[str, Any] = {name: np.full_like(getattr(profile, name), np.nan) for name in MEASURED}
    return dataclasses.replace(profile, **nothing)


def _mixed(start: _State, end: _State, t: float) -> dict[str, Tensor]:
    # Exact at both ends, which start + t * (end - start) is not. Counters are not interpolated.
    return {n: (1 - t) * w + t * end[n] if w.is_floating_point() else w for n, w in start.items()}


def _distance(a: _State, b: _State) -> float:
    return math.sqrt(math.fsum(float(((b[n].double() - w.double()) ** 2).sum()) for n, w in a.items()))
