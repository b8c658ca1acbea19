"""``tetviz sharpness``: flatness in numbers, with intervals over random planes."""

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
from tetviz.commands.values import Parsed, WholeRange, parse_numbers


@command(renamed=RENAMED_DIRECTIONS)
@checkpoints_argument
@loss_option()
@timestep_option("The T to draw and to print.")
@click.option("--planes", type=WholeRange(1), default=10, show_default=True, help="Independent pairs of directions.")
@click.option("--grid", type=WholeRange(3), default=41, show_default=True, help="Points a line, odd.")
@click.option(
    "--rho",
    metavar="RHO,...",
    type=Parsed("numbers", parse_numbers),
    default="0.003,0.01,0.03,0.1",
    show_default=True,
    help="Steps of SAM and average sharpness, as shares of the weights' L2 norm.",
)
@planes_options
@output_option("sharpness")
def sharpness(loss: str, rho: tuple[float, ...], **options: Any) -> None:
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
    tetviz.commands.movable.measure_on_planes(
        tetviz.results.Sharpness,
        lambda each, store: tetviz.landscape.compute_sharpness(
            each.evaluator, each.planes, each.axis, rho, loss, store
        ),
        points=lambda each: len(each.planes) * (2 * each.axis.size + len(rho)) + len(rho),
        loss=loss,
        **options,
    )
