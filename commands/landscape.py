"""``tetviz landscape``: the loss surface around a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.options import (
    Parsed,
    checkpoints_argument,
    data_options,
    output_paths,
    run_options,
    samples_option,
)

if TYPE_CHECKING:
    from tetviz.commands.subject import Subject
    from tetviz.results import Surface


@click.command()
@checkpoints_argument
@click.option("--loss", type=click.Choice(["sdt", "tet"]), default="sdt", show_default=True, help="The loss to draw.")
@click.option("--grid", type=click.IntRange(3), default=25, show_default=True, help="Points a side, odd; 51 for print.")
@click.option(
    "--range",
    "span",
    type=Parsed("LOW:HIGH", "tetviz.commands.options:parse_range"),
    default="-1:1",
    show_default=True,
    help="Coordinates, in filter norms.",
)
@click.option("--timesteps", type=click.IntRange(1), help="Longest run T.  [default: T of training]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the plane.")
@samples_option(1024)
@data_options
@run_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HDF5 file.  [default: CKPT.landscape.h5]")
def landscape(
    checkpoints: tuple[Path, ...],
    loss: str,
    grid: int,
    span: tuple[float, float],
    timesteps: int | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    batch_size: int,
    **options: Any,
) -> None:
    """Measure both losses on a filter-normalised random plane through CKPT, and draw one.

    Writes CKPT.landscape.h5 with L_SDT, L_TET and both accuracies at every T up to --timesteps, and
    CKPT.landscape.png. A run that was stopped goes on when the same command is given again. Checkpoints of the
    same network and --seed are moved along the same noise.

    \b
    tetviz landscape tet.pt --loss sdt
    tetviz landscape sdt.pt tet.pt --grid 51 --samples 512
    """
    from tetviz.commands.console import note
    from tetviz.commands.subject import open_subject
    from tetviz.landscape import grid_coordinates

    try:
        axis = grid_coordinates(grid, *span)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    for path, target in zip(checkpoints, output_paths(checkpoints, output, "landscape"), strict=True):
        check_target(target, force)
        subject = open_subject(path, **options)
        surface = measure_landscape(
            subject,
            target,
            axis,
            timesteps or subject.checkpoint.timesteps,
            options["seed"],
            loss,
            batch_size,
            force,
        )
        print_surface(surface, as_json)
        note(f"wrote {target} and {target.with_suffix('.png')}")


def check_target(target: Path, force: bool) -> None:
    """Refuses, before any work, to replace a finished surface or its figure.

    Args:
        target: the HDF5 file.
        force: whether to replace it after all.

    Raises:
        OutputError: it exists, finished.
    """
    from tetviz.errors import OutputError
    from tetviz.results import Surface, load, writable_target

    if target.exists() and not force and load(target, Surface).done.all():
        raise OutputError(
            f"{target}: exists already and is complete; redraw it with `tetviz plot {target}`, "
            "choose another name with -o, or replace it with --force"
        )
    writable_target(target, force=True)
    writable_target(target.with_suffix(".png"), force)


def measure_landscape(
    subject: "Subject",
    target: Path,
    axis: Any,
    timesteps: int,
    seed: int,
    loss: str,
    batch_size: int,
    force: bool,
) -> "Surface":
    """Measures a surface into a file and draws it, saying beforehand how long it takes.

    Args:
        subject: checkpoint and data.
        target: the HDF5 file; the figure stands beside it.
        axis: coordinates along both directions.
        timesteps: longest run T.
        seed: seed of the plane.
        loss: the loss to draw.
        batch_size: samples a batch.
        force: replace ``target``.

    Returns:
        The surface.
    """
    import time

    import numpy as np

    from tetviz.commands.console import note, progress_bar
    from tetviz.commands.subject import duration
    from tetviz.figures import draw_surface, save_figure
    from tetviz.landscape import compute_surface, random_plane
    from tetviz.training import measure, to_batches

    batches = list(to_batches(subject.dataset, batch_size, subject.indices))
    begin = time.perf_counter()
    centre = measure(subject.model, batches, timesteps)
    seconds = time.perf_counter() - begin
    note(
        f"{subject.path}: L_SDT {centre.sdt_loss[-1]:.4f}, L_TET {centre.tet_loss[-1]:.4f}, "
        f"accuracy {centre.accuracy[-1]:.2%} at T = {timesteps} on {centre.samples} {subject.provenance.split} samples"
    )
    if centre.sdt_loss[-1] >= np.log(subject.checkpoint.spec.num_classes):
        note("warning: this checkpoint is no better than chance; its surface says little")
    note(f"{axis.size}x{axis.size} points at {seconds:.2f} s each: about {duration(axis.size**2 * seconds)}")
    with progress_bar(subject.path.stem, axis.size**2) as (bar, task):
        surface = compute_surface(
            subject.model,
            subject.dataset,
            random_plane(subject.model, seed),
            (axis, axis),
            timesteps,
            indices=subject.indices,
            batch_size=batch_size,
            loss=loss,
            path=target,
            force=force,
            provenance=subject.provenance,
            progress=lambda done, _: bar.update(task, completed=done),
        )
    save_figure(draw_surface(surface), target.with_suffix(".png"))
    return surface


def print_surface(surface: "Surface", as_json: bool) -> None:
    """Prints the headline numbers of a surface.

    Args:
        surface: a finished surface.
        as_json: as JSON.
    """
    import json

    import numpy as np

    from tetviz.commands.console import format_rows

    centre = int(np.abs(surface.y).argmin()), int(np.abs(surface.x).argmin())
    rows = []
    for name, values in (("L_SDT", surface.sdt_loss[0, :, :, -1]), ("L_TET", surface.tet_loss[0, :, :, -1])):
        j, i = np.unravel_index(np.nanargmin(values), values.shape)
        lowest, where = float(values[j, i]), f"({surface.x[i]:g}, {surface.y[j]:g})"
        mean, highest = float(np.nanmean(values)), float(np.nanmax(values))
        rows.append([name, float(values[centre]), lowest, where, mean, highest, int(np.isnan(values).sum())])
    header = ["", "centre", "lowest", "at (x, y)", "mean", "highest", "not finite"]
    if as_json:
        click.echo(json.dumps([dict(zip(["loss", *header[1:]], row, strict=True)) for row in rows]))
    else:
        click.echo(format_rows(header, rows))
