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
    from tetviz.commands.console import note, print_json
    from tetviz.commands.flatness import compared, report_flatness
    from tetviz.commands.probing import open_planes
    from tetviz.results import Surface
    from tetviz.summaries import axis_lines

    opened, axis = open_planes(
        checkpoints, output, Surface, "landscape", loss=loss, timestep=timestep, force=force, **options
    )
    records, surfaces = [], []
    for each in opened:
        surfaces.append(measure_landscape(each, axis, loss, force, timestep))
        records += headlines(surfaces[-1])
        if not as_json:
            click.echo(format_headlines(records[-2:]))
        note(f"wrote {each.target} and {each.target.with_suffix('.png')}")
    if as_json:
        print_json(records)
    elif options["planes"] > 1:
        lines = [axis_lines(surface) for surface in surfaces]
        report_flatness(lines, timestep, compared(lines, timestep))


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


def headlines(surface: "Surface") -> list[dict[str, Any]]:
    """The headline numbers of a surface, at its longest T, over all its planes.

    Returns:
        A record for each loss; NaN where no point is finite.
    """
    import numpy as np

    j, i = int(np.abs(surface.y).argmin()), int(np.abs(surface.x).argmin())
    records = []
    for name, grid in (("L_SDT", surface.sdt_loss), ("L_TET", surface.tet_loss)):
        values = grid[..., -1]
        finite = np.where(np.isfinite(values), values, np.nan)
        count = int(np.isfinite(values).sum())
        plane, row, column = np.unravel_index(np.nanargmin(finite), finite.shape) if count else (0, j, i)
        records.append(
            {
                "checkpoint": surface.provenance.checkpoint,
                "loss": name,
                "timesteps": int(surface.timestep[-1]),
                "planes": len(surface.plane),
                "centre": float(values[0, j, i]),
                "lowest": float(finite[plane, row, column]),
                "lowest_plane": int(plane) + 1,
                "lowest_x": float(surface.x[column]),
                "lowest_y": float(surface.y[row]),
                "mean": float(np.nanmean(finite)) if count else float("nan"),
                "highest": float(np.nanmax(finite)) if count else float("nan"),
                "not_finite": finite.size - count,
            }
        )
    return records


def format_headlines(records: list[dict[str, Any]]) -> str:
    """The headline numbers as a table."""
    import pandas as pd

    from tetviz.figures import format_table

    frame = pd.DataFrame(records, index=pd.Index([r["loss"] for r in records], name=f"T = {records[0]['timesteps']}"))
    frame["at (x, y)"] = [f"({r['lowest_x']:.3g}, {r['lowest_y']:.3g})" for r in records]
    columns = ["centre", "lowest", "at (x, y)", "mean", "highest", "not_finite"]
    if records[0]["planes"] > 1:
        frame["on plane"] = [str(r["lowest_plane"]) for r in records]
        columns.insert(3, "on plane")
    return format_table(frame[columns].rename(columns={"not_finite": "not finite"}), decimals=4)
