"""``tetviz trajectory`` and ``tetviz plane``: checkpoints on a plane, with the surface under them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.between import between, require_one_network
from tetviz.commands.options import (
    bn_options,
    data_options,
    loss_option,
    output_paths,
    probe_options,
    run_options,
    samples_option,
)

if TYPE_CHECKING:
    from tetviz.landscape import Waypoint


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@loss_option
@click.option("--grid", type=click.IntRange(5), default=21, show_default=True, help="About how many points a side.")
@bn_options
@probe_options
@samples_option(512)
@data_options
@run_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HDF5 file.  [default: RUN.trajectory.h5]")
def trajectory(run: Path, output: Path | None, force: bool, **options: Any) -> None:
    """Draw the path of a training run on its principal plane, with the surface under it.

    RUN is the checkpoint that `tetviz train --keep-every N` wrote, beside its folder RUN.kept. The plane goes
    through the last kept checkpoint. For every checkpoint the table gives how far off the plane it is, and its
    true loss beside that of its shadow on the plane: the share of variance that a plane explains says little.

    \b
    tetviz train --data digits --epochs 10 --keep-every 1 -o tet.pt
    tetviz trajectory tet.pt --bn recalibrate
    """
    from tetviz.errors import CheckpointError
    from tetviz.training.loop import kept_folder

    if not run.name:
        raise click.UsageError(f"{run}: is a folder, expected a checkpoint")
    folder = kept_folder(run)
    kept = sorted(folder.glob("epoch-*.pt"))
    if len(kept) < 3:
        raise CheckpointError(
            f"{folder}: holds {len(kept)} checkpoints, a plane takes at least 3; train with --keep-every 1"
        )
    target = output_paths((run,), output, "trajectory")[0]
    require_same_run(run, kept[-1])
    _measure(tuple(kept), target, kept[-1], "training", run.stem, force, **options)


@click.command()
@click.argument("checkpoints", metavar="CKPT CKPT CKPT", nargs=3, type=click.Path(path_type=Path))
@loss_option
@click.option("--grid", type=click.IntRange(5), default=21, show_default=True, help="About how many points a side.")
@bn_options
@probe_options
@samples_option(512)
@data_options
@run_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HDF5 file.  [default: CKPT.plane.h5]")
def plane(checkpoints: tuple[Path, Path, Path], output: Path | None, force: bool, **options: Any) -> None:
    """Measure both losses on the plane through three checkpoints of one architecture.

    The first is at (0, 0), the second on the x axis; distances are L2 distances of the weights.

    \b
    tetviz plane sdt.pt tet.pt other.pt --bn recalibrate
    """
    target = output_paths((checkpoints[0],), output, "plane")[0]
    require_one_network(checkpoints)
    _measure(checkpoints, target, checkpoints[0], "checkpoints", "", force, **options)


def _measure(
    checkpoints: tuple[Path, ...],
    target: Path,
    reference: Path,
    path: str,
    run: str,
    force: bool,
    *,
    loss: str,
    grid: int,
    as_json: bool,
    **options: Any,
) -> None:
    from tetviz.commands.console import note, print_results
    from tetviz.commands.probing import check_inputs, open_probe, recording
    from tetviz.figures import Choices, draw, save_figure
    from tetviz.landscape import compute_trajectory, plane_through
    from tetviz.landscape.trajectory import displacements
    from tetviz.results import Trajectory

    check_inputs(checkpoints, [target], Trajectory, force)
    subject, probe, seconds = open_probe(reference, **options)
    waypoints = [waypoint(each, path) for each in checkpoints]
    through = plane_through(displacements(probe, waypoints[1:])) if path == "checkpoints" else None
    about = between(subject, checkpoints) if path == "checkpoints" else named(subject, run)
    with recording(about, target, force, grid**2, seconds) as record:
        result = compute_trajectory(probe, waypoints, through, grid, loss, record, path=path)
    save_figure(draw([result]), target.with_suffix(".png"))
    note(f"wrote {target} and {target.with_suffix('.png')}")
    print_results([result], Choices(), as_json)


def require_same_run(run: Path, kept: Path) -> None:
    """Checks that kept checkpoints are those of a run."""
    from tetviz.errors import CheckpointError
    from tetviz.training import Checkpoint

    first, second = Checkpoint.load(run), Checkpoint.load(kept)
    differ = [name for name in ("spec", "training", "data") if getattr(first, name) != getattr(second, name)]
    if differ:
        raise CheckpointError(
            f"{kept}: was kept by another run than {run}, its {', '.join(differ)} differ; train again with --keep-every"
        )


def named(subject: Any, run: str) -> Any:
    """The last kept checkpoint as the subject of a result about its run."""
    import dataclasses

    return dataclasses.replace(subject, provenance=dataclasses.replace(subject.provenance, label=run))


def waypoint(path: Path, kind: str) -> "Waypoint":
    """A checkpoint as a point of a path."""
    from tetviz.landscape import Waypoint
    from tetviz.training import Checkpoint

    checkpoint = Checkpoint.load(path)
    return Waypoint(
        f"epoch {checkpoint.epoch}" if kind == "training" else path.stem, checkpoint.epoch, checkpoint.state
    )
