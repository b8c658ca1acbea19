"""``tetviz trajectory`` and ``tetviz plane``: checkpoints on a plane, with the surface under them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.options import (
    bn_options,
    compile_option,
    data_options,
    loss_option,
    movable_options,
    run_options,
    samples_option,
)
from tetviz.commands.targets import output_paths
from tetviz.commands.values import WholeRange
from tetviz.errors import CheckpointError

if TYPE_CHECKING:
    from tetviz.commands.measure import Job
    from tetviz.commands.movable import MovableSession
    from tetviz.landscape import Store
    from tetviz.results import Trajectory


@command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@loss_option()
@click.option("--grid", type=WholeRange(5), default=21, show_default=True, help="About how many points a side.")
@bn_options
@movable_options
@samples_option(512, "Every point takes a pass over them, and every checkpoint two.")
@data_options
@compile_option
@run_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HDF5 file.  [default: RUN.trajectory.h5]")
def trajectory(
    run: Path, loss: str, grid: int, output: Path | None, force: bool, as_json: bool, **options: Any
) -> None:
    """Draw the path of a training run on its principal plane, with the surface under it.

    RUN is the checkpoint that `tetviz train --keep-every N` wrote, beside its folder RUN.kept. The plane goes
    through the last kept checkpoint. For every checkpoint the table gives how far off the plane it is, and its
    true loss beside that of its shadow on the plane: the share of variance that a plane explains says little.

    \b
    tetviz train --data digits --epochs 10 --keep-every 1 -o tet.pt
    tetviz trajectory tet.pt --bn recalibrate
    """
    if run.is_dir():
        raise CheckpointError(f"{run}: is a folder, expected a checkpoint")
    folder = tetviz.training.loop.kept_folder(run)
    kept = tuple(sorted(folder.glob("epoch-*.pt")))
    if len(kept) < 3:
        raise CheckpointError(
            f"{folder}: holds {len(kept)} checkpoints, a plane takes at least 3; train with --keep-every 1"
        )
    target = output_paths((run,), output, "trajectory")[0]
    tetviz.commands.pair.require_same_run(run, kept[-1])

    def sessions(jobs: "Sequence[Job]") -> "list[MovableSession]":
        session = tetviz.commands.movable.open_movable(kept[-1], finished=jobs[0].finished, **options)
        return [tetviz.commands.pair.about_run(session, run.stem)]

    _measure(kept, kept[-1], target, "training", sessions, loss=loss, grid=grid, force=force, as_json=as_json)


@command()
@click.argument("checkpoints", metavar="CKPT CKPT CKPT", nargs=3, type=click.Path(path_type=Path))
@loss_option()
@click.option("--grid", type=WholeRange(5), default=21, show_default=True, help="About how many points a side.")
@bn_options
@movable_options
@samples_option(512, "Every point takes a pass over them, and every checkpoint two.")
@data_options
@compile_option
@run_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HDF5 file.  [default: CKPT.plane.h5]")
def plane(
    checkpoints: tuple[Path, Path, Path],
    loss: str,
    grid: int,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure both losses on the plane through three checkpoints of one architecture.

    The first is at (0, 0), the second on the x axis; distances are L2 distances of the weights.

    \b
    tetviz plane sdt.pt tet.pt other.pt --bn recalibrate
    """

    def sessions(jobs: "Sequence[Job]") -> "list[MovableSession]":
        return [tetviz.commands.pair.open_pair(checkpoints, finished=jobs[0].finished, **options)]

    target = output_paths((checkpoints[0],), output, "plane")[0]
    _measure(
        checkpoints, checkpoints[0], target, "checkpoints", sessions, loss=loss, grid=grid, force=force, as_json=as_json
    )


def _measure(
    checkpoints: tuple[Path, ...],
    reference: Path,
    target: Path,
    path: str,
    sessions: "Callable[[Sequence[Job]], list[MovableSession]]",
    *,
    loss: str,
    grid: int,
    force: bool,
    as_json: bool,
) -> None:
    def compute(each: "MovableSession", store: "Store") -> "Trajectory":
        waypoints = [tetviz.commands.pair.waypoint(checkpoint, path) for checkpoint in checkpoints]
        steps = tetviz.landscape.trajectory.displacements(each.evaluator, waypoints[1:])
        through = tetviz.landscape.plane_through(steps) if path == "checkpoints" else None
        return tetviz.landscape.compute_trajectory(each.evaluator, waypoints, through, grid, loss, store, path=path)

    tetviz.commands.measure.run_measurement(
        tetviz.results.Trajectory,
        [reference],
        [target],
        needed=checkpoints,
        sessions=sessions,
        measure=tetviz.commands.measure.point_by_point(compute, points=lambda each: grid**2),
        draw={"trajectory": tetviz.figures.draw},
        force=force,
        as_json=as_json,
    )
