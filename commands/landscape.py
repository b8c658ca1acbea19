"""``tetviz landscape``: the loss surface around a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.options import (
    bn_options,
    checkpoints_argument,
    data_options,
    direction_options,
    loss_option,
    output_option,
    probe_options,
    run_options,
    samples_option,
    span_option,
)

if TYPE_CHECKING:
    from tetviz.commands.probing import Opened
    from tetviz.results import Surface


@click.command()
@checkpoints_argument
@loss_option
@click.option("--t", "timestep", type=click.IntRange(1), help="The T to draw.  [default: T of training]")
@click.option("--grid", type=click.IntRange(3), default=25, show_default=True, help="Points a side, odd; 51 for print.")
@span_option
@click.option("--planes", type=click.IntRange(1), default=1, show_default=True, help="Independent pairs of directions.")
@direction_options
@bn_options
@probe_options
@samples_option(1024)
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
    from tetviz.commands.console import note, print_results
    from tetviz.commands.probing import open_planes
    from tetviz.figures import Choices
    from tetviz.results import Surface
    from tetviz.summaries import axis_lines

    opened, axis = open_planes(
        checkpoints, output, Surface, "landscape", loss=loss, timestep=timestep, force=force, **options
    )
    surfaces = []
    for each in opened:
        surfaces.append(measure_landscape(each, axis, loss, force, timestep))
        note(f"wrote {each.target} and {each.target.with_suffix('.png')}")
    choices = Choices(timestep=timestep)
    print_results(surfaces, choices, as_json)
    if options["planes"] > 1 and not as_json:
        click.echo()
        print_results([axis_lines(surface) for surface in surfaces], choices, as_json)


def measure_landscape(opened: "Opened", axis: Any, loss: str, force: bool, timestep: int | None = None) -> "Surface":
    """Measures a surface into a file and draws it."""
    from tetviz.commands.probing import recording
    from tetviz.figures import draw_surface, save_figure
    from tetviz.landscape import surface_on

    points = len(opened.planes) * axis.size**2
    with recording(opened.subject, opened.target, force, points, opened.seconds) as record:
        surface = surface_on(opened.probe, opened.planes, axis, axis, loss, record)
    save_figure(draw_surface(surface, timestep=timestep), opened.target.with_suffix(".png"))
    return surface
