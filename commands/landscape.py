"""``tetviz landscape``: the loss surface around a checkpoint."""

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
@timestep_option("The T to draw.")
@click.option("--grid", type=click.IntRange(3), default=25, show_default=True, help="Points a side, odd; 51 for print.")
@span_option
@click.option("--planes", type=click.IntRange(1), default=1, show_default=True, help="Independent pairs of directions.")
@direction_options
@bn_options
@movable_options
@samples_option(1024, "Every point takes a pass over them.")
@data_options
@run_options
@output_option("landscape")
def landscape(
    checkpoints: tuple[Path, ...],
    loss: str,
    timestep: int | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
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
    tetviz.commands.measure.run_measurement(
        tetviz.results.Surface,
        checkpoints,
        output_paths(checkpoints, output, "landscape"),
        sessions=lambda jobs: tetviz.commands.movable.open_planes(jobs, loss=loss, timestep=timestep, **options),
        measure=tetviz.commands.measure.point_by_point(
            lambda each, store: tetviz.landscape.surface_on(
                each.evaluator, each.planes, each.axis, each.axis, loss, store
            ),
            points=lambda each: len(each.planes) * each.axis.size**2,
        ),
        draw={"landscape": lambda surfaces: tetviz.figures.draw(surfaces, timestep=timestep)},
        choices=tetviz.figures.Choices(timestep=timestep),
        force=force,
        as_json=as_json,
    )
