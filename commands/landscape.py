"""``tetviz landscape``: the loss surface around a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.options import (
    SEED,
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
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the plane.")
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
    from tetviz.commands.console import note, print_json
    from tetviz.commands.subject import open_subject
    from tetviz.landscape import grid_coordinates
    from tetviz.training import Checkpoint

    try:
        axis = grid_coordinates(grid, *span)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    targets = output_paths(checkpoints, output, "landscape")
    for path, target in zip(checkpoints, targets, strict=True):
        check_target(target, force)
        Checkpoint.load(path)
    records = []
    for path, target in zip(checkpoints, targets, strict=True):
        subject = open_subject(path, **options)
        steps = timesteps or subject.checkpoint.timesteps
        surface = measure_landscape(subject, target, axis, steps, options["seed"], loss, batch_size, force)
        records += headlines(surface)
        if not as_json:
            click.echo(format_headlines(records[-2:]))
        note(f"wrote {target} and {target.with_suffix('.png')}")
    if as_json:
        print_json(records)


def check_target(target: Path, force: bool) -> None:
    """Refuses, before any work, to replace a finished surface or its figure.

    Args:
        target: the HDF5 file.
        force: whether to replace it after all.

    Raises:
        OutputError: it exists, finished, or holds something else.
    """
    from tetviz.errors import OutputError, ResultError
    from tetviz.results import Surface, load, writable_target

    writable_target(target, force=True)
    if target.exists() and not force:
        try:
            complete = load(target, Surface).done.all()
        except ResultError as error:
            raise OutputError(f"{error}. Choose another name with -o, or replace it with --force") from error
        if complete:
            raise OutputError(
                f"{target}: exists already and is complete, with both losses; draw it with "
                f"`tetviz plot {target} --loss sdt|tet -o FIGURE`, choose another name with -o, or replace it "
                "with --force"
            )
    else:
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

    from tetviz.commands.console import note, progress_bar, warn_at_chance
    from tetviz.commands.subject import duration
    from tetviz.figures import draw_surface, save_figure
    from tetviz.landscape import compute_surface, random_plane
    from tetviz.results import Surface, load
    from tetviz.training import measure, to_batches

    batches = list(to_batches(subject.dataset, batch_size, subject.indices))
    centre = measure(subject.model, batches, timesteps)
    begin = time.perf_counter()
    measure(subject.model, batches, timesteps)  # a second time, warmed up: how long a point takes
    seconds = time.perf_counter() - begin
    note(
        f"{subject.path}: L_SDT {centre.sdt_loss[-1]:.4f}, L_TET {centre.tet_loss[-1]:.4f}, "
        f"accuracy {centre.accuracy[-1]:.2%} at T = {timesteps} on {centre.samples} {subject.provenance.split} samples"
    )
    warn_at_chance(centre.sdt_loss[-1], subject.checkpoint.spec.num_classes)
    done = int(load(target, Surface).done.sum()) if target.exists() and not force else 0
    resumed = f"resumed: {done} of {axis.size**2} are done, " if done else ""
    left = duration((axis.size**2 - done) * seconds)
    note(f"{axis.size}x{axis.size} points, {resumed}{seconds:.2f} s each: about {left}")
    try:
        with progress_bar(subject.path.stem, axis.size**2) as (bar, task):
            surface = compute_surface(
                subject.model,
                batches,
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
    except KeyboardInterrupt:
        note(f"stopped; every finished point is in {target}. Go on with the same command (without --force)")
        raise click.exceptions.Exit(130) from None
    save_figure(draw_surface(surface), target.with_suffix(".png"))
    return surface


def headlines(surface: "Surface") -> list[dict[str, Any]]:
    """The headline numbers of a surface, at its longest T.

    Args:
        surface: a finished surface.

    Returns:
        A record for each loss; NaN where no point is finite.
    """
    import numpy as np

    j, i = int(np.abs(surface.y).argmin()), int(np.abs(surface.x).argmin())
    records = []
    for name, grid in (("L_SDT", surface.sdt_loss), ("L_TET", surface.tet_loss)):
        values = grid[0, :, :, -1]
        finite = np.where(np.isfinite(values), values, np.nan)
        count = int(np.isfinite(values).sum())
        row, column = np.unravel_index(np.nanargmin(finite), finite.shape) if count else (j, i)
        records.append(
            {
                "checkpoint": surface.provenance.checkpoint,
                "loss": name,
                "timesteps": int(surface.timestep[-1]),
                "centre": float(values[j, i]),
                "lowest": float(finite[row, column]),
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
    return format_table(frame[columns].rename(columns={"not_finite": "not finite"}), decimals=4)
