"""What the commands that move a network have in common: the checks before, the estimate, the outputs."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.console import note, progress_bar
from tetviz.commands.options import output_paths
from tetviz.commands.subject import Subject, duration, open_subject
from tetviz.errors import CheckpointError, OutputError, ResultError
from tetviz.landscape import Evaluator, RandomPlanes, Store, find_range, grid_coordinates
from tetviz.results import load, writable_target
from tetviz.training import Checkpoint, measure, to_batches
from tetviz.training.doctor import CHECKS, examine

if TYPE_CHECKING:
    from tetviz.results import Result

# What a network may fail and still be measured with --allow-chance.
EXCUSABLE = [name for name, check in CHECKS.items() if check.excusable]


def is_complete(target: Path, kind: "type[Result]", force: bool) -> bool:
    """Refuses to replace what is not the beginning of the result, and says whether it is all there."""
    writable_target(target, force=True)
    if force or not target.exists():
        writable_target(target.with_suffix(".png"), force)
        return False
    try:
        done, total = load(target, kind).progress()
    except ResultError as error:
        raise OutputError(f"{error}. Choose another name with -o, or replace it with --force") from error
    return done == total


def check_inputs(checkpoints: Sequence[Path], targets: list[Path], kind: "type[Result]", force: bool) -> None:
    """Checks all outputs and checkpoints before the first is measured."""
    for path in checkpoints:
        Checkpoint.load(path)
    complete = [is_complete(target, kind, force) for target in targets]
    if all(complete):
        finished: Any = load(targets[0])
        made = finished.provenance.command
        raise OutputError(
            f"{', '.join(map(str, targets))}: exists already and is complete, with both losses, made by `{made}`; draw "
            f"it with `tetviz plot {targets[0]} -o FIGURE`, choose another name with -o, or replace it with --force"
        )


def open_probe(
    path: Path,
    *,
    timesteps: int | None,
    batch_size: int,
    allow_chance: bool,
    bn: str = "frozen",
    calibration: int = 256,
    loads_calibration: bool = False,
    **options: Any,
) -> tuple[Subject, Evaluator, float]:
    """Opens a checkpoint with its data, and examines it before hours are spent on it, as ``tetviz doctor`` does."""
    wanted = calibration if loads_calibration or bn == "recalibrate" else 0
    subject = open_subject(path, batch_size=batch_size, calibration=wanted, **options)
    steps = timesteps or subject.checkpoint.timesteps
    batches = list(to_batches(subject.dataset, batch_size, subject.indices))
    centre = measure(subject.model, batches, steps)
    note(
        f"{path}: L_SDT {centre.sdt_loss[-1]:.4f}, L_TET {centre.tet_loss[-1]:.4f}, accuracy "
        f"{centre.accuracy[-1]:.2%} at T = {steps} on {centre.samples} {subject.provenance.split} samples"
    )
    findings = examine(subject.model, batches, steps)
    for finding in findings:
        lifted = allow_chance and finding.check in EXCUSABLE
        if finding.verdict == "failure" and not lifted:
            cure = ". Measure it all the same with --allow-chance" if finding.check in EXCUSABLE else ""
            raise CheckpointError(f"{path}: not fit to be measured ({finding.check}): {finding.message}{cure}")
        if finding.verdict != "ok":
            note(f"warning: {finding.check}: {finding.message}")
    found = tuple((each.check, each.verdict, each.message) for each in findings)
    subject = dataclasses.replace(subject, provenance=dataclasses.replace(subject.provenance, doctor=found))
    probe = Evaluator(
        subject.model,
        batches,
        steps,
        indices=subject.indices,
        batch_size=batch_size,
        bn=bn,
        calibration=subject.calibration,
        calibration_indices=subject.calibration_indices,
    )
    begin = time.perf_counter()
    moved = probe.measure({})
    seconds = time.perf_counter() - begin
    if bn != "frozen":
        note(
            f"batch norm {bn}: L_SDT {moved.sdt_loss[-1]:.4f}, L_TET {moved.tet_loss[-1]:.4f} at the centre, "
            f"with the checkpoint's statistics {centre.sdt_loss[-1]:.4f}, {centre.tet_loss[-1]:.4f}"
        )
    return subject, probe, seconds


@dataclass(frozen=True)
class Opened:
    """A checkpoint that is ready to be moved along random planes.

    Attributes:
        subject: checkpoint and data.
        probe: its network, and how it is measured.
        seconds: that a point takes.
        planes: pairs of directions.
        target: the HDF5 file.
    """

    subject: Subject
    probe: Evaluator
    seconds: float
    planes: RandomPlanes
    target: Path


def open_planes(
    checkpoints: tuple[Path, ...],
    output: Path | None,
    kind: "type[Result]",
    name: str,
    *,
    loss: str,
    grid: int,
    span: tuple[float, float] | float,
    planes: int,
    norm: str,
    orthogonal: bool,
    policy: dict[str, str],
    timestep: int | None,
    force: bool,
    **options: Any,
) -> tuple[list[Opened], Any]:
    """Opens the checkpoints of a command that moves them along random planes, after checking all that it asks for."""
    even_grid(grid, span if isinstance(span, tuple) else (-1.0, 1.0))
    if orthogonal and "random" not in policy.values():
        raise click.UsageError("--orthogonal: takes a role that is random, see --params")
    targets = output_paths(checkpoints, output, name)
    check_inputs(checkpoints, targets, kind, force)
    opened = []
    for path, target in zip(checkpoints, targets, strict=True):
        subject, probe, seconds = open_probe(path, **options)
        if timestep and timestep > probe.timesteps:
            raise click.UsageError(f"--t {timestep}: the runs are shorter, T = {probe.timesteps}")
        if timestep and options["bn"] == "batch" and timestep < probe.timesteps:
            raise click.UsageError(
                f"--t {timestep}: with --bn batch only the longest run, T = {probe.timesteps}, has a value"
            )
        through = RandomPlanes(subject.model, options["seed"], planes, norm, policy, orthogonal)
        opened.append(Opened(subject, probe, seconds, through, target))
    return opened, even_grid(grid, _span(span, opened, loss))


def even_grid(points: int, span: tuple[float, float]) -> Any:
    """The coordinates of a grid."""
    try:
        return grid_coordinates(points, *span)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _span(span: tuple[float, float] | float, opened: list[Opened], loss: str) -> tuple[float, float]:
    # Of several checkpoints the widest range, so that they share it.
    if isinstance(span, tuple):
        return span
    found = [find_range(each.probe, each.planes[0], loss, span) for each in opened]
    for each, distance in zip(opened, found, strict=True):
        note(f"{each.subject.path}: L_{loss.upper()} is {span:g} times as high at a distance of {distance:g}")
    return -max(found), max(found)


@contextmanager
def recording(subject: Subject, target: Path, force: bool, points: int, seconds: float) -> Iterator[Store]:
    """Says how long a measurement takes, shows its progress, and says how to go on when it is stopped."""
    done = load(target).progress()[0] if target.exists() and not force else 0
    before = target.stat().st_mtime_ns if target.exists() else 0
    resumed = f"resumed: {done} of {points} are done, " if done else ""
    note(f"{points} points, {resumed}{seconds:.2f} s each: about {duration((points - done) * seconds)}")
    try:
        with progress_bar(subject.path.stem, points) as (bar, task):

            def report(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            yield Store(target, force, subject.provenance, report)
    except KeyboardInterrupt:
        if target.exists() and not (force and target.stat().st_mtime_ns == before):
            note(f"stopped; every finished point is in {target}. Go on with the same command (without --force)")
        else:
            note("stopped before the first point was finished")
        raise click.exceptions.Exit(130) from None
