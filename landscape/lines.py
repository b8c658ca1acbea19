"""Lines through a checkpoint, along random directions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from tetviz.landscape.planes import Plane, inner
from tetviz.landscape.probe import Probe, displaced, moving
from tetviz.landscape.record import Point, Record, coarse_to_fine, unmeasured
from tetviz.landscape.surface import check_directions, policy_text
from tetviz.results import Lines
from tetviz.results.schema import FloatArray
from tetviz.training import TemporalProfile


def compute_lines(
    probe: Probe, planes: Sequence[Plane], x: FloatArray, loss: str = "sdt", record: Record | None = None
) -> Lines:
    """Both losses along the axes of random planes: two lines a plane, the same as in a surface of that seed.

    Args:
        probe: the network and how it is measured.
        planes: two directions each.
        x: coordinates along every line.
        loss: the loss that the lines are about; both are stored.
        record: where the points go; memory by default.

    Returns:
        The lines: number 2 k is along the first direction of plane k, number 2 k + 1 along the second.
    """
    record = record or Record()
    empty = Lines(**line_fields(probe, planes, x, loss, record))
    return record.finish(empty, lambda lines: fill_lines(lines, probe, planes, record))


def line_fields(
    probe: Probe,
    planes: Sequence[Plane],
    x: FloatArray,
    loss: str,
    record: Record,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The fields of random lines before they are measured."""
    if not len(planes):
        raise ValueError("random lines need at least one plane")
    seeds: list[int] = []
    lengths: list[float] = []

    def directions() -> Iterator[tuple[str, Tensor]]:
        for index, plane in enumerate(planes):
            check_directions(probe, plane.x, plane.y)
            seeds.extend(plane.direction_seeds)
            for side, direction in (("x", plane.x), ("y", plane.y)):
                lengths.append(np.sqrt(inner(direction, direction)))
                yield from ((f"{index} {side} {name}", tensor) for name, tensor in direction.items())

    request = probe.request(directions(), {"x": x.tolist(), "loss": loss, **(settings or {})})
    names = [f"plane {index + 1}, {side}" for index in range(len(planes)) for side in "xy"]
    first = planes[0]
    return {
        **common_fields(probe, names, x, loss),
        "arc": np.array(lengths)[:, None] * x,
        "direction_seed": np.array(seeds),
        "path": "random",
        "bn": probe.bn,
        "norm": first.norm,
        "policy": policy_text(first.policy),
        "orthogonal": int(first.orthogonal),
        "plane_seed": first.seed,
        "provenance": record.describe(probe, request),
    }


def fill_lines(lines: Lines, probe: Probe, planes: Sequence[Plane], record: Record) -> None:
    """Measures what random lines lack, line by line, each from coarse to fine."""
    for index in range(len(planes)):
        pair = (2 * index, 2 * index + 1)
        if lines.done[list(pair)].all():
            continue
        plane = planes[index]
        for line, along in zip(pair, (moving(plane.x), moving(plane.y)), strict=True):

            def at(point: Point, d: dict[str, Tensor] = along) -> TemporalProfile:
                return probe.measure(displaced(probe.origin, (float(lines.x[point[1]]), d)))

            record.visit(lines, [(line, i) for (i,) in coarse_to_fine(len(lines.x))], at)


def common_fields(probe: Probe, names: list[str], x: FloatArray, loss: str) -> dict[str, Any]:
    """The fields that lines of every path have, before they are measured."""
    if loss not in ("sdt", "tet"):
        raise ValueError(f"unknown loss {loss!r}; take sdt or tet")
    return {
        "line": np.arange(len(names)),
        "x": x,
        "timestep": np.arange(1, probe.timesteps + 1),
        "sample": probe.samples,
        "calibration": probe.calibration_samples,
        "end": np.arange(0),
        **unmeasured(len(names), len(x), probe.timesteps),
        **{f"end_{name}": np.empty((0, probe.timesteps)) for name in ("sdt_loss", "tet_loss", "accuracy")},
        "names": tuple(names),
        "loss": loss,
        "t_train": probe.t_train,
    }
