"""``tetviz connect``: a curve of low loss between two checkpoints."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.console import note
from tetviz.commands.options import (
    between_options,
    ends_arguments,
    loss_option,
)
from tetviz.commands.targets import between_path
from tetviz.commands.values import EPOCHS, POSITIVE, SEED, WholeRange

if TYPE_CHECKING:
    from tetviz.commands.measure import Job
    from tetviz.commands.movable import MovableSession
    from tetviz.landscape import Store
    from tetviz.results import Lines


@command()
@ends_arguments
@loss_option("The loss that the curve is trained on, and the one to draw; both are stored.")
@click.option("--epochs", type=EPOCHS, default=5, show_default=True, help="Of training the curve.")
@click.option("--lr", type=POSITIVE, default=1e-3, show_default=True, help="Initial learning rate.")
@click.option(
    "--train-batch-size", type=WholeRange(1), default=64, show_default=True, help="Samples an update of the curve."
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the training of the curve.")
@click.option("--grid", type=WholeRange(3), default=21, show_default=True, help="Points on the curve.")
@between_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HDF5 file.  [default: CKPT-CKPT.curve.h5]")
def connect(
    checkpoints: tuple[Path, Path],
    loss: str,
    epochs: int,
    lr: float,
    train_batch_size: int,
    grid: int,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a Bezier curve of low loss between two checkpoints, and measure it beside the straight line.

    Trains the curve's middle point with --loss for --epochs on the train split, and keeps it as a checkpoint
    beside the result. Batch-norm statistics are re-estimated at every measured point. Writes
    CKPT-CKPT.curve.h5, its figure, and CKPT-CKPT.curve.pt.

    \b
    tetviz connect sdt.pt tet.pt --epochs 5 --loss tet
    """
    target = between_path(checkpoints, output, "curve")
    middle = target.with_suffix(".pt")

    def sessions(jobs: "Sequence[Job]") -> "list[MovableSession]":
        first = tetviz.training.Checkpoint.load(checkpoints[0])
        if middle.exists() and "between" not in tetviz.training.Checkpoint.load(middle).training:
            raise click.UsageError(f"-o {target}: the curve would replace the checkpoint {middle}; name another file")
        has_norms = any(name.endswith("running_mean") for name in first.state)
        session = tetviz.commands.pair.open_pair(
            checkpoints,
            loads_calibration=True,
            bn="recalibrate" if has_norms else "frozen",
            finished=jobs[0].finished,
            **options,
        )
        training = {"loss": loss, "epochs": epochs, "lr": lr, "batch_size": train_batch_size, "seed": options["seed"]}
        tetviz.commands.pair.train_middle(session, checkpoints, middle, force, **training)
        return [session]

    def compute(each: "MovableSession", store: "Store") -> "Lines":
        second, trained = (tetviz.training.Checkpoint.load(path) for path in (checkpoints[1], middle))
        control = {name: trained.state[name] for name in each.evaluator.origin}
        axis = tetviz.commands.pair.curve_axis(grid)
        return tetviz.landscape.compute_curve(each.evaluator, second.state, control, axis, loss, store)

    tetviz.commands.measure.run_measurement(
        tetviz.results.Lines,
        checkpoints[:1],
        [target],
        needed=checkpoints[1:],
        sessions=sessions,
        measure=tetviz.commands.measure.point_by_point(compute, points=lambda each: 2 * grid),
        draw={"curve": tetviz.figures.draw},
        force=force,
        as_json=as_json,
    )
    note(f"the curve's middle point is {middle}")
