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
    output_paths,
    probe_options,
    run_options,
    samples_option,
    span_option,
)

if TYPE_CHECKING:
    from tetviz.commands.subject import Subject
    from tetviz.landscape import Probe
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
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HDF5 file; a folder for several.  [default: CKPT.landscape.h5]")
def landscape(
    checkpoints: tuple[Path, ...],
    loss: str,
    timestep: int | None,
    grid: int,
    span: tuple[float, float] | float,
    planes: int,
    norm: str,
    orthogonal: bool,
    policy: dict[str, str],
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
    from tetviz.commands.flatness import report_flatness
    from tetviz.commands.probing import check_inputs, open_probe
    from tetviz.landscape import RandomPlanes
    from tetviz.results import Surface
    from tetviz.summaries import axis_lines

    even_grid(grid, span if isinstance(span, tuple) else (-1.0, 1.0))
    check_policy(policy, orthogonal)
    targets = output_paths(checkpoints, output, "landscape")
    check_inputs(checkpoints, targets, Surface, force)
    opened = [open_probe(path, **options) for path in checkpoints]
    if timestep and any(timestep > probe.timesteps for _, probe, _ in opened):
        raise click.UsageError(f"--t {timestep}: the runs are shorter, T = {min(p.timesteps for _, p, _ in opened)}")
    chosen = [RandomPlanes(each.model, options["seed"], planes, norm, policy, orthogonal) for each, _, _ in opened]
    axis = even_grid(grid, find_span(span, opened, chosen, loss))
    records, surfaces = [], []
    for (subject, probe, seconds), through, target in zip(opened, chosen, targets, strict=True):
        surfaces.append(measure_landscape(subject, probe, seconds, through, target, axis, loss, force, timestep))
        records += headlines(surfaces[-1])
        if not as_json:
            click.echo(format_headlines(records[-2:]))
        note(f"wrote {target} and {target.with_suffix('.png')}")
    lines = [axis_lines(surface) for surface in surfaces] if planes > 1 else []
    if as_json:
        print_json(records)
    elif lines:
        report_flatness(lines, timestep)


def even_grid(points: int, span: tuple[float, float]) -> Any:
    """The coordinates of a grid.

    Args:
        points: a side.
        span: first and last coordinate.

    Returns:
        The coordinates, 0 among them.

    Raises:
        click.UsageError: 0 is not among them.
    """
    from tetviz.landscape import grid_coordinates

    try:
        return grid_coordinates(points, *span)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def check_policy(policy: dict[str, str], orthogonal: bool) -> None:
    """Refuses directions that no right angle can be made of.

    Args:
        policy: role to treatment.
        orthogonal: whether a right angle is asked for.

    Raises:
        click.UsageError: nothing is random.
    """
    if orthogonal and "random" not in policy.values():
        raise click.UsageError("--orthogonal: takes a role that is random, see --params")


def find_span(
    span: tuple[float, float] | float, opened: "list[tuple[Subject, Probe, float]]", planes: Any, loss: str
) -> tuple[float, float]:
    """The range that the option asks for; of several checkpoints the widest, so that they share it.

    Args:
        span: a range, or the factor by which the loss is to rise.
        opened: the checkpoints.
        planes: of each checkpoint; the first one is searched along.
        loss: ``sdt`` or ``tet``.

    Returns:
        First and last coordinate.
    """
    from tetviz.commands.console import note
    from tetviz.landscape import find_range

    if isinstance(span, tuple):
        return span
    found = [find_range(probe, each[0], loss, span) for (_, probe, _), each in zip(opened, planes, strict=True)]
    for (subject, _, _), distance in zip(opened, found, strict=True):
        note(f"{subject.path}: L_{loss.upper()} is {span:g} times as high at a distance of {distance:g}")
    return -max(found), max(found)


def measure_landscape(
    subject: "Subject",
    probe: "Probe",
    seconds: float,
    planes: Any,
    target: Path,
    axis: Any,
    loss: str,
    force: bool,
    timestep: int | None = None,
) -> "Surface":
    """Measures a surface into a file and draws it.

    Args:
        subject: checkpoint and data.
        probe: its network, and how it is measured.
        seconds: that a point takes.
        planes: pairs of directions.
        target: the HDF5 file; the figure stands beside it.
        axis: coordinates along both directions.
        loss: the loss to draw.
        force: replace ``target``.
        timestep: the T to draw.

    Returns:
        The surface.
    """
    from tetviz.commands.probing import recording
    from tetviz.figures import draw_surface, save_figure
    from tetviz.landscape import surface_on

    with recording(subject, target, force, len(planes) * axis.size**2, seconds) as record:
        surface = surface_on(probe, planes, axis, axis, loss, record)
    save_figure(draw_surface(surface, timestep=timestep), target.with_suffix(".png"))
    return surface


def headlines(surface: "Surface") -> list[dict[str, Any]]:
    """The headline numbers of a surface, at its longest T, over all its planes.

    Args:
        surface: a finished surface.

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
    """The headline numbers as a table.

    Args:
        records: from :func:`headlines`.

    Returns:
        The lines.
    """
    import pandas as pd

    from tetviz.figures import format_table

    frame = pd.DataFrame(records, index=pd.Index([r["loss"] for r in records], name=f"T = {records[0]['timesteps']}"))
    frame["at (x, y)"] = [f"({r['lowest_x']:.3g}, {r['lowest_y']:.3g})" for r in records]
    columns = ["centre", "lowest", "at (x, y)", "mean", "highest", "not_finite"]
    if records[0]["planes"] > 1:
        frame["on plane"] = [str(r["lowest_plane"]) for r in records]
        columns.insert(3, "on plane")
    return format_table(frame[columns].rename(columns={"not_finite": "not finite"}), decimals=4)
