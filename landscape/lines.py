"""Lines through a checkpoint, along random directions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from tetviz.landscape.directions import length, moving, policy_text
from tetviz.landscape.evaluator import Evaluator
from tetviz.landscape.planes import Plane
from tetviz.landscape.store import AT_CHECKPOINTS, Part, Point, Store, coarse_to_fine, unmeasured
from tetviz.landscape.surface import check_directions
from tetviz.results import Lines
from tetviz.results.schema import FloatArray
from tetviz.training import TemporalProfile


def compute_lines(
    evaluator: Evaluator, planes: Sequence[Plane], x: FloatArray, loss: str = "sdt", store: Store | None = None
) -> Lines:
    """Both losses along the axes of random planes: two lines a plane, the same as in a surface of that seed.

    Args:
        evaluator: the network and how it is measured.
        planes: two directions each.
        x: coordinates along every line.
        loss: the loss that the lines are about; both are stored.
        store: where the points go; memory by default.

    Returns:
        The lines: number 2 k is along the first direction of plane k, number 2 k + 1 along the second.

    Raises:
        ResultError: the file holds another result.
        ValueError: an unknown loss, no planes, or one of another network.
    """
    store = store or Store()
    empty = Lines(**line_fields(evaluator, planes, x, loss, store))
    return store.finish(empty, lambda lines: fill_lines(lines, evaluator, planes, store))


def line_fields(
    evaluator: Evaluator,
    planes: Sequence[Plane],
    x: FloatArray,
    loss: str,
    store: Store,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The fields of random lines before they are measured."""
    if not len(planes):
        raise ValueError("random lines need at least one plane")
    seeds: list[int] = []
    lengths: list[float] = []

    def directions() -> Iterator[tuple[str, Tensor]]:
        for index, plane in enumerate(planes):
            check_directions(evaluator, plane.x, plane.y)
            seeds.extend(plane.direction_seeds)
            for side, direction in (("x", plane.x), ("y", plane.y)):
                lengths.append(length(direction))
                yield from ((f"{index} {side} {name}", tensor) for name, tensor in direction.items())

    request = evaluator.request(directions(), {"x": x.tolist(), "loss": loss, **(settings or {})})
    names = [f"plane {index + 1}, {side}" for index in range(len(planes)) for side in "xy"]
    first = planes[0]
    return {
        **common_fields(evaluator, names, x, loss),
        "arc": np.array(lengths)[:, None] * x,
        "direction_seed": np.array(seeds),
        "path": "random",
        "bn": evaluator.bn,
        "norm": first.norm,
        "policy": policy_text(first.policy),
        "orthogonal": int(first.orthogonal),
        "plane_seed": first.seed,
        "provenance": store.describe(evaluator, request),
    }


def fill_lines(lines: Lines, evaluator: Evaluator, planes: Sequence[Plane], store: Store) -> None:
    """Measures what random lines lack, line by line, each from coarse to fine."""
    store.visit(lines, evaluator, line_parts(lines, planes))


def line_parts(lines: Lines, planes: Sequence[Plane]) -> Iterator[Part]:
    """What random lines lack, line by line, each from coarse to fine."""
    for index in range(len(planes)):
        if lines.done[2 * index : 2 * index + 2].all():
            continue
        plane = planes[index]
        yield _line_part(lines, 2 * index, plane.x)
        yield _line_part(lines, 2 * index + 1, plane.y)


def _line_part(lines: Lines, line: int, direction: Mapping[str, Tensor]) -> Part:
    along, x = moving(direction), lines.x.tolist()

    def at(evaluator: Evaluator, point: Point) -> TemporalProfile:
        return evaluator.measure_along((x[point[1]], along))

    return Part(at, [(line, i) for (i,) in coarse_to_fine(len(x))])


def common_fields(evaluator: Evaluator, names: list[str], x: FloatArray, loss: str) -> dict[str, Any]:
    """The fields that lines of every path have, before they are measured."""
    if loss not in ("sdt", "tet"):
        raise ValueError(f"unknown loss {loss!r}; take sdt or tet")
    return {
        "line": np.arange(len(names)),
        "x": x,
        "timestep": np.arange(1, evaluator.timesteps + 1),
        "sample": evaluator.samples,
        "calibration": evaluator.calibration_samples,
        "end": np.arange(0),
        **unmeasured(len(names), len(x), evaluator.timesteps),
        **{f"end_{name}": np.empty((0, evaluator.timesteps)) for name in AT_CHECKPOINTS},
        "names": tuple(names),
        "loss": loss,
        "t_train": evaluator.t_train,
    }
