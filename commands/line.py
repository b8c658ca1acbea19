"""``tetviz line``: the loss along random lines through a checkpoint."""

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
@timestep_option("The T to draw and to print.")
@click.option("--planes", type=WholeRange(1), default=5, show_default=True, help="Pairs of directions.")
@click.option("--grid", type=WholeRange(3), default=41, show_default=True, help="Points a line, odd.")
@planes_options
@output_option("line")
def line(loss: str, **options: Any) -> None:
    """Measure both losses along random lines through CKPT, two for each of --planes, and draw their band.

    Writes CKPT.line.h5 and CKPT.line.png, and prints the sharpness table of the lines.

    \b
    tetviz line tet.pt
    tetviz line sdt.pt tet.pt --planes 10 --range auto
    """
    tetviz.commands.movable.measure_on_planes(
        tetviz.results.Lines,
        lambda each, store: tetviz.landscape.compute_lines(each.evaluator, each.planes, each.axis, loss, store),
        points=lambda each: 2 * len(each.planes) * each.axis.size,
        loss=loss,
        **options,
    )
