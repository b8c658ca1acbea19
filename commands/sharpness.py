"""``tetviz sharpness``: flatness in numbers, with intervals over random planes."""

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
from tetviz.commands.targets import output_paths
from tetviz.commands.values import Parsed, parse_numbers

if TYPE_CHECKING:
    from tetviz.results import Lines
    from tetviz.summaries import Difference


@click.command()
@checkpoints_argument
@loss_option
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
@probe_options
@samples_option(1024)
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
            lambda each, record: tetviz.landscape.compute_sharpness(
                each.probe, each.planes, each.axis, rho, loss, record
            ),
            points=lambda each: len(each.planes) * (2 * each.axis.size + len(rho)) + len(rho),
        ),
        draw={"sharpness": lambda found: tetviz.figures.draw(found, timestep=timestep)},
        report=lambda found: report_flatness(found, timestep, compared(found, timestep)),
        records=lambda found: flatness_records(found, timestep, compared(found, timestep)),
        force=force,
        as_json=as_json,
    )


def compared(results: "Sequence[Lines]", timestep: int | None) -> "list[Difference]":
    """How each checkpoint differs from the first, where they were measured on the same noise and samples."""
    from tetviz.commands.console import note
    from tetviz.errors import ResultError
    from tetviz.figures.report.tables_flatness import differences

    try:
        return differences(results, timestep)
    except ResultError as error:
        note(f"no difference is given: {error}")
        return []


def report_flatness(results: "Sequence[Lines]", timestep: int | None, found: "Sequence[Difference]") -> None:
    """Prints a table for each checkpoint and loss, and a sentence for each pair of checkpoints."""
    from tetviz.figures import format_table
    from tetviz.figures.report.tables_flatness import flatness_table, flatness_words
    from tetviz.summaries.names import network_names

    names = network_names(results)
    tables = [flatness_table(lines, timestep) for lines in results]
    for name, table in zip(names, tables, strict=True):
        click.echo(f"\n{name}: {table.caption}\n{format_table(table.frame)}")
    for sentence in flatness_words(results, found):
        click.echo(sentence + "; --json lists them" * sentence.endswith("no test)"))


def flatness_records(
    results: "Sequence[Lines]", timestep: int | None, found: "Sequence[Difference]"
) -> list[dict[str, Any]]:
    """Every number and every difference as plain values."""
    from tetviz.results import default_timestep
    from tetviz.summaries import sharpness_table

    records = []
    for lines in results:
        for loss in ("sdt", "tet"):
            step = timestep or default_timestep(lines)
            table = sharpness_table([lines], loss, step).droplevel(0, axis=1)
            head = {"checkpoint": lines.provenance.checkpoint, "loss": loss, "timesteps": step}
            records += [{**head, "quantity": q, **row.to_dict()} for q, row in table.iterrows()]
    for d in found:
        steps = dict(zip(("first_timesteps", "second_timesteps"), d.timesteps, strict=True))
        values = {"mean": d.mean, "low": d.low, "high": d.high, "planes": d.planes, **steps, "sentence": d.sentence()}
        records.append({"first": d.first, "second": d.second, "loss": d.loss, "quantity": d.quantity, **values})
    return records
