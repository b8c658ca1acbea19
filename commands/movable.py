"""Checkpoints whose weights are moved: examined beforehand, one by one or all along the same random planes."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import torch

from tetviz import figures
from tetviz.commands.console import note
from tetviz.commands.measure import Job, point_by_point, run_measurement
from tetviz.commands.session import Session, open_session
from tetviz.commands.targets import output_paths
from tetviz.errors import CheckpointError
from tetviz.landscape import Evaluator, RandomPlanes, Store, find_range, grid_coordinates
from tetviz.landscape.gradient import random_parameters
from tetviz.landscape.hessian import SurrogateHessian
from tetviz.results import Result
from tetviz.results.schema import FloatArray
from tetviz.training import TemporalProfile, examine, measure, to_batches
from tetviz.training.batches import Batch
from tetviz.training.doctor import CHECKS
from tetviz.training.recalibration import batch_norms

R = TypeVar("R", bound=Result)

# What a network may fail and still be measured with --allow-chance.
EXCUSABLE = [name for name, check in CHECKS.items() if check.excusable]


@dataclass(frozen=True, kw_only=True)
class MovableSession(Session):
    """A checkpoint with its data, ready to be moved.

    Attributes:
        evaluator: its network, and how it is measured.
        seconds: that a point takes; 0 where nothing is left to be measured.
    """

    evaluator: Evaluator
    seconds: float

    def has_batch_norm(self) -> bool:
        return bool(batch_norms(self.evaluator.model))


@dataclass(frozen=True, kw_only=True)
class PlanesSession(MovableSession):
    """The same, with the planes that it is moved along and the coordinates on them."""

    planes: RandomPlanes
    axis: FloatArray


def open_movable(
    path: Path,
    *,
    timesteps: int | None,
    batch_size: int,
    allow_chance: bool,
    bn: str = "frozen",
    calibration: int = 256,
    loads_calibration: bool = False,
    finished: bool = False,
    **options: Any,
) -> MovableSession:
    """Opens a checkpoint with its data, and examines it before hours are spent on it, as ``tetviz doctor`` does.

    Args:
        loads_calibration: whether train samples are needed even where ``bn`` does not ask for them.
        finished: whether the result is all there, so that nothing has to be examined.
        **options: those of :func:`open_session`.
    """
    wanted = calibration if loads_calibration or bn == "recalibrate" else 0
    session = open_session(path, batch_size=batch_size, calibration=wanted, **options)
    steps = timesteps or session.checkpoint.timesteps
    batches = list(to_batches(session.dataset, batch_size, session.indices))
    centre = None
    if not finished:
        centre = _centre(session, batches, steps)
        found = _examine(session, batches, steps, allow_chance)
        session = dataclasses.replace(session, provenance=dataclasses.replace(session.provenance, doctor=found))
    evaluator = Evaluator(
        session.model,
        batches,
        steps,
        indices=session.indices,
        batch_size=batch_size,
        bn=bn,
        calibration=session.calibration,
        calibration_indices=session.calibration_indices,
    )
    session.check_sources()
    seconds = _seconds_of_point(evaluator, centre) if centre else 0
    return MovableSession(**vars(session), evaluator=evaluator, seconds=seconds)


def _centre(session: Session, batches: Sequence[Batch], steps: int) -> TemporalProfile:
    centre = measure(session.model, batches, steps)
    note(
        f"{session.path}: L_SDT {centre.sdt_loss[-1]:.4f}, L_TET {centre.tet_loss[-1]:.4f}, accuracy "
        f"{centre.accuracy[-1]:.2%} at T = {steps} on {centre.samples} {session.provenance.split} samples"
    )
    return centre


def _examine(
    session: Session, batches: Sequence[Batch], steps: int, allow_chance: bool
) -> tuple[tuple[str, str, str], ...]:
    findings = examine(session.model, batches, steps)
    for finding in findings:
        lifted = allow_chance and finding.check in EXCUSABLE
        if finding.verdict == "failure" and not lifted:
            cure = ". Measure it all the same with --allow-chance" if finding.check in EXCUSABLE else ""
            raise CheckpointError(f"{session.path}: not fit to be measured ({finding.check}): {finding.message}{cure}")
        if finding.verdict != "ok":
            note(f"warning: {finding.check}: {finding.message}")
    # How long it takes here and now is no part of a result.
    return tuple((each.check, each.verdict, each.message) for each in findings if each.check != "time")


def _seconds_of_point(evaluator: Evaluator, centre: TemporalProfile) -> float:
    begin = time.perf_counter()
    moved = evaluator.measure({})
    seconds = time.perf_counter() - begin
    if evaluator.bn != "frozen":
        note(
            f"batch norm {evaluator.bn}: L_SDT {moved.sdt_loss[-1]:.4f}, L_TET {moved.tet_loss[-1]:.4f} at the centre, "
            f"with the checkpoint's statistics {centre.sdt_loss[-1]:.4f}, {centre.tet_loss[-1]:.4f}"
        )
    return seconds


def open_planes(
    jobs: Sequence[Job],
    *,
    loss: str,
    grid: int,
    span: tuple[float, float] | float,
    planes: int,
    norm: str,
    orthogonal: bool,
    policy: dict[str, str],
    timestep: int | None,
    **options: Any,
) -> list[PlanesSession]:
    """Opens the checkpoints of a command that moves them along the same random planes."""
    even_grid(grid, span if isinstance(span, tuple) else (-1.0, 1.0))
    if orthogonal and "random" not in policy.values():
        raise click.UsageError("--orthogonal: takes a role that is random, see --params")
    opened = []
    for job in jobs:
        session = open_movable(job.path, finished=job.finished, **options)
        _check_timestep(timestep, session.evaluator)
        opened.append((session, RandomPlanes(session.model, options["seed"], planes, norm, policy, orthogonal)))
    axis = even_grid(grid, span if isinstance(span, tuple) else _common_span(opened, loss, span))
    return [PlanesSession(**vars(session), planes=through, axis=axis) for session, through in opened]


def measure_on_planes(
    kind: type[R],
    compute: Callable[[PlanesSession, Store], R],
    points: Callable[[PlanesSession], int],
    *,
    checkpoints: tuple[Path, ...],
    timestep: int | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measures checkpoints along the same random planes, point by point.

    Args:
        compute: measures the result of a checkpoint into a store.
        points: how many points it takes.
        timestep: the T to draw and to print.
        **options: those of :func:`open_planes`.
    """
    name = click.get_current_context().info_name or ""
    run_measurement(
        kind,
        checkpoints,
        output_paths(checkpoints, output, name),
        sessions=lambda jobs: open_planes(jobs, timestep=timestep, **options),
        measure=point_by_point(compute, points),
        draw={name: lambda results: figures.draw(results, timestep=timestep)},
        choices=figures.Choices(timestep=timestep),
        force=force,
        as_json=as_json,
    )


def _check_timestep(timestep: int | None, evaluator: Evaluator) -> None:
    if timestep and timestep > evaluator.timesteps:
        raise click.UsageError(f"--t {timestep}: the runs are shorter, T = {evaluator.timesteps}")
    if timestep and evaluator.only_longest and timestep < evaluator.timesteps:
        why = "the network runs for that alone" if evaluator.bn != "batch" else "with --bn batch"
        raise click.UsageError(f"--t {timestep}: only T = {evaluator.timesteps} has a value, {why}")


def even_grid(points: int, span: tuple[float, float]) -> FloatArray:
    """The coordinates of a grid."""
    try:
        return grid_coordinates(points, *span)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _common_span(
    opened: Sequence[tuple[MovableSession, RandomPlanes]], loss: str, factor: float
) -> tuple[float, float]:
    found = [find_range(session.evaluator, through[0], loss, factor) for session, through in opened]
    for (session, _), distance in zip(opened, found, strict=True):
        note(f"{session.path}: L_{loss.upper()} is {factor:g} times as high at a distance of {distance:g}")
    return -max(found), max(found)


def seconds_of_product(evaluator: Evaluator, loss: str, policy: dict[str, str]) -> float:
    """How long a product of the surrogate Hessian with a vector takes."""
    hessian = SurrogateHessian(evaluator, loss, random_parameters(evaluator, policy))
    vector = torch.ones(hessian.shape[0], dtype=hessian.dtype, device=hessian.device)
    float((hessian @ vector).sum())  # the first one warms up
    begin = time.perf_counter()
    float((hessian @ vector).sum())
    return time.perf_counter() - begin
