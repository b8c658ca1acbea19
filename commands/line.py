"""``tetviz line``: the loss along random lines through a checkpoint."""

from pathlib import Path
from typing import Any

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.options import (
    RENAMED_DIRECTIONS,
    bn_options,
    checkpoints_argument,
    data_options,
    direction_options,
    loss_option,
    movable_options,
    output_option,
    run_options,
    samples_option,
    span_option,
    timestep_option,
)
from tetviz.commands.targets import output_paths


@command(renamed=RENAMED_DIRECTIONS)
@checkpoints_argument
@loss_option()
@timestep_option("The T to draw and to print.")
@click.option("--planes", type=click.IntRange(1), default=5, show_default=True, help="Pairs of directions.")
@click.option("--grid", type=click.IntRange(3), default=41, show_default=True, help="Points a line, odd.")
@span_option
@direction_options
@bn_options
@movable_options
@samples_option(1024, "Every point takes a pass over them.")
@data_options
@run_options
@output_option("line")
def line(
    checkpoints: tuple[Path, ...],
    loss: str,
    timestep: int | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure both losses along random lines through CKPT, two for each of --planes, and draw their band.

    Writes CKPT.line.h5 and CKPT.line.png, and prints the sharpness table of the lines.

    \b
    tetviz line tet.pt
    tetviz line sdt.pt tet.pt --planes 10 --range auto
    """
    tetviz.commands.measure.run_measurement(
        tetviz.results.Lines,
        checkpoints,
        output_paths(checkpoints, output, "line"),
        sessions=lambda jobs: tetviz.commands.movable.open_planes(jobs, loss=loss, timestep=timestep, **options),
        measure=tetviz.commands.measure.point_by_point(
            lambda each, store: tetviz.landscape.compute_lines(each.evaluator, each.planes, each.axis, loss, store),
            points=lambda each: 2 * len(each.planes) * each.axis.size,
        ),
        draw={"line": lambda lines: tetviz.figures.draw(lines, timestep=timestep)},
        choices=tetviz.figures.Choices(timestep=timestep),
        force=force,
        as_json=as_json,
    )
