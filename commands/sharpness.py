"""``tetviz sharpness``: flatness in numbers, with intervals over random planes."""

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
from tetviz.commands.values import Parsed, parse_numbers


@command(renamed=RENAMED_DIRECTIONS)
@checkpoints_argument
@loss_option()
@timestep_option("The T to draw and to print.")
@click.option(
    "--planes", type=click.IntRange(1), default=10, show_default=True, help="Independent pairs of directions."
)
@click.option("--grid", type=click.IntRange(3), default=41, show_default=True, help="Points a line, odd.")
@span_option
@click.option(
    "--rho",
    metavar="RHO,...",
    type=Parsed("numbers", parse_numbers),
    default="0.003,0.01,0.03,0.1",
    show_default=True,
    help="Steps of SAM and average sharpness, as shares of the weights' L2 norm.",
)
@direction_options
@bn_options
@movable_options
@samples_option(1024, "Every point takes a pass over them.")
@data_options
@run_options
@output_option("sharpness")
def sharpness(
    checkpoints: tuple[Path, ...],
    loss: str,
    timestep: int | None,
    rho: tuple[float, ...],
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure how flat the loss is around CKPT, in numbers with intervals over random planes.

    Moves the weights along both axes of every plane (the planes that `tetviz landscape` with the same --seed
    has), one step up the surrogate gradient (SAM), and random steps of the same length. Several checkpoints are
    compared plane by plane, on the same noise. Writes CKPT.sharpness.h5 and CKPT.sharpness.png.

    \b
    tetviz sharpness tet.pt
    tetviz sharpness sdt.pt tet.pt --planes 10 --bn recalibrate
    """
    if "random" not in options["policy"].values():
        raise click.UsageError("--params: a sharpness needs a role that is random")
    tetviz.commands.measure.run_measurement(
        tetviz.results.Sharpness,
        checkpoints,
        output_paths(checkpoints, output, "sharpness"),
        sessions=lambda jobs: tetviz.commands.movable.open_planes(jobs, loss=loss, timestep=timestep, **options),
        measure=tetviz.commands.measure.point_by_point(
            lambda each, store: tetviz.landscape.compute_sharpness(
                each.evaluator, each.planes, each.axis, rho, loss, store
            ),
            points=lambda each: len(each.planes) * (2 * each.axis.size + len(rho)) + len(rho),
        ),
        draw={"sharpness": lambda found: tetviz.figures.draw(found, timestep=timestep)},
        choices=tetviz.figures.Choices(timestep=timestep),
        force=force,
        as_json=as_json,
    )
