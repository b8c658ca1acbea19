"""``tetviz interpolate``: the straight line between two checkpoints."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.options import (
    between_options,
    ends_arguments,
    loss_option,
)
from tetviz.commands.targets import between_path
from tetviz.commands.values import Parsed, WholeRange, parse_range

if TYPE_CHECKING:
    from tetviz.commands.movable import MovableSession
    from tetviz.landscape import Store
    from tetviz.results import Lines


@command()
@ends_arguments
@loss_option()
@click.option("--grid", type=WholeRange(3), default=41, show_default=True, help="Points on the line.")
@click.option(
    "--range",
    "span",
    type=Parsed("LOW:HIGH", parse_range),
    default="-0.5:1.5",
    show_default=True,
    help="Coordinates; 0 is the first checkpoint, 1 the second.",
)
@between_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HDF5 file.  [default: CKPT-CKPT.path.h5]")
def interpolate(
    checkpoints: tuple[Path, Path],
    loss: str,
    grid: int,
    span: tuple[float, float],
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure both losses on the straight line between two checkpoints, and the barrier on it.

    Batch-norm statistics are held at the first checkpoint's, interpolated like the weights, and re-estimated at
    every point: three lines, since the choice decides what is seen. Writes CKPT-CKPT.path.h5 and its figure.

    \b
    tetviz interpolate sdt.pt tet.pt
    """
    axis = tetviz.commands.pair.with_ends(grid, span)

    def compute(each: "MovableSession", store: "Store") -> "Lines":
        other = tetviz.training.Checkpoint.load(checkpoints[1])
        return tetviz.landscape.compute_interpolation(each.evaluator, other.state, axis, loss, store)

    tetviz.commands.measure.run_measurement(
        tetviz.results.Lines,
        checkpoints[:1],
        [between_path(checkpoints, output, "path")],
        needed=checkpoints[1:],
        sessions=lambda jobs: [
            tetviz.commands.pair.open_pair(checkpoints, loads_calibration=True, finished=jobs[0].finished, **options)
        ],
        measure=tetviz.commands.measure.point_by_point(
            compute, points=lambda each: axis.size * (3 if each.has_batch_norm() else 1)
        ),
        draw={"path": tetviz.figures.draw},
        force=force,
        as_json=as_json,
    )
