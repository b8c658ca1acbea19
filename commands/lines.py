"""``tetviz line``: the loss along random lines through a checkpoint."""

from pathlib import Path
from typing import Any

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


@click.command()
@checkpoints_argument
@loss_option
@click.option("--t", "timestep", type=click.IntRange(1), help="The T of the table.  [default: T of training]")
@click.option("--planes", type=click.IntRange(1), default=5, show_default=True, help="Pairs of directions.")
@click.option("--grid", type=click.IntRange(3), default=41, show_default=True, help="Points a line, odd.")
@span_option
@direction_options
@bn_options
@probe_options
@samples_option(1024)
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
    from tetviz.commands.console import note, print_results
    from tetviz.commands.probing import open_planes, recording
    from tetviz.figures import Choices, draw, save_figure
    from tetviz.landscape import compute_lines
    from tetviz.results import Lines

    opened, axis = open_planes(checkpoints, output, Lines, "line", loss=loss, timestep=timestep, force=force, **options)
    results = []
    for each in opened:
        with recording(each.subject, each.target, force, 2 * len(each.planes) * axis.size, each.seconds) as record:
            results.append(compute_lines(each.probe, each.planes, axis, loss, record))
        save_figure(draw([results[-1]], timestep=timestep), each.target.with_suffix(".png"))
        note(f"wrote {each.target} and {each.target.with_suffix('.png')}")
    print_results(results, Choices(timestep=timestep), as_json)
