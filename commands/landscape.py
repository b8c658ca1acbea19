"""``tetviz landscape``: the loss surface around a checkpoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
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
    timestep_option,
)
from tetviz.commands.sharpness import compared, report_flatness
from tetviz.commands.targets import output_paths

if TYPE_CHECKING:
    from tetviz.results import Surface


@click.command()
@checkpoints_argument
@loss_option
@timestep_option("The T to draw.")
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

    def report(surfaces: "Sequence[Surface]") -> None:
        for surface in surfaces:
            click.echo(format_headlines(headlines(surface)))
        if options["planes"] > 1:
            lines = [tetviz.summaries.axis_lines(surface) for surface in surfaces]
            report_flatness(lines, timestep, compared(lines, timestep))

    tetviz.commands.measure.run_measurement(
        tetviz.results.Surface,
        checkpoints,
        output_paths(checkpoints, output, "landscape"),
        sessions=lambda jobs: tetviz.commands.movable.open_planes(jobs, loss=loss, timestep=timestep, **options),
        measure=tetviz.commands.measure.point_by_point(
            lambda each, record: tetviz.landscape.surface_on(
                each.probe, each.planes, each.axis, each.axis, loss, record
            ),
            points=lambda each: len(each.planes) * each.axis.size**2,
        ),
        draw={"landscape": lambda surfaces: tetviz.figures.draw(surfaces, timestep=timestep)},
        report=report,
        records=lambda surfaces: [record for surface in surfaces for record in headlines(surface)],
        force=force,
        as_json=as_json,
    )


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
