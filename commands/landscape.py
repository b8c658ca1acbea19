"""``tetviz landscape``: the loss surface around a checkpoint."""

from typing import Any

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.options import (
    RENAMED_DIRECTIONS,
    checkpoints_argument,
    loss_option,
    output_option,
    planes_options,
    timestep_option,
)
from tetviz.commands.values import WholeRange


@command(renamed=RENAMED_DIRECTIONS)
@checkpoints_argument
@loss_option()
@timestep_option("The T to draw.")
@click.option("--grid", type=WholeRange(3), default=25, show_default=True, help="Points a side, odd; 51 for print.")
@click.option("--planes", type=WholeRange(1), default=1, show_default=True, help="Independent pairs of directions.")
@planes_options
@output_option("landscape")
def landscape(loss: str, **options: Any) -> None:
    """Measure both losses on random planes through CKPT, and draw one.

    Writes CKPT.landscape.h5 with L_SDT, L_TET and both accuracies at every T up to --timesteps, and
    CKPT.landscape.png. A run that was stopped goes on when the same command is given again. Checkpoints of the
    same network and --seed are moved along the same noise; with several --planes the numbers get intervals, and
    several checkpoints are compared.

    \b
    tetviz landscape tet.pt --loss sdt
    tetviz landscape sdt.pt tet.pt --grid 51 --samples 512
    tetviz landscape sdt.pt tet.pt --planes 5 --grid 9 --bn recalibrate
    """
    tetviz.commands.movable.measure_on_planes(
        tetviz.results.Surface,
        lambda each, store: tetviz.landscape.surface_on(each.evaluator, each.planes, each.axis, each.axis, loss, store),
        points=lambda each: len(each.planes) * each.axis.size**2,
        loss=loss,
        **options,
    )
