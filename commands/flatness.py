"""``tetviz sharpness`` and ``tetviz compare``: flatness in numbers, with intervals over random planes."""

from pathlib import Path
from typing import Any

import click

from tetviz.commands.options import (
    Parsed,
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
@click.option(
    "--planes", type=click.IntRange(1), default=10, show_default=True, help="Independent pairs of directions."
)
@click.option("--grid", type=click.IntRange(3), default=41, show_default=True, help="Points a line, odd.")
@span_option
@click.option(
    "--rho",
    metavar="RHO,...",
    type=Parsed("numbers", "tetviz.commands.parsers:parse_numbers"),
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
    from tetviz.commands.console import note, print_results
    from tetviz.commands.probing import open_planes, recording
    from tetviz.figures import Choices, draw, save_figure
    from tetviz.landscape import compute_sharpness
    from tetviz.results import Sharpness

    if "random" not in options["policy"].values():
        raise click.UsageError("--params: a sharpness needs a role that is random")
    opened, axis = open_planes(
        checkpoints, output, Sharpness, "sharpness", loss=loss, timestep=timestep, force=force, **options
    )
    results = []
    for each in opened:
        points = len(each.planes) * (2 * axis.size + len(rho)) + len(rho)
        with recording(each.subject, each.target, force, points, each.seconds) as record:
            results.append(compute_sharpness(each.probe, each.planes, axis, rho, loss, record))
        save_figure(draw([results[-1]], timestep=timestep), each.target.with_suffix(".png"))
        note(f"wrote {each.target} and {each.target.with_suffix('.png')}")
    print_results(results, Choices(timestep=timestep), as_json)


@click.command()
@click.argument("files", metavar="FILE.h5 FILE.h5...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--t", "timestep", type=click.IntRange(1), help="The T of the table.  [default: T of training]")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as a JSON list.")
def compare(files: tuple[Path, ...], timestep: int | None, as_json: bool) -> None:
    """Compare checkpoints from their results, without measuring anything.

    Flatness, from what `tetviz sharpness`, `tetviz line` and `tetviz landscape` wrote on the same planes; accuracy
    at every T, from what `tetviz scale` wrote on the same samples. One file gives its table alone.

    \b
    tetviz compare sdt.sharpness.h5 tet.sharpness.h5
    tetviz compare sdt.landscape.h5 tet.landscape.h5 --t 2
    tetviz compare sdt.scale.h5 tet.scale.h5
    """
    from tetviz.commands.console import print_json, print_results
    from tetviz.errors import ResultError
    from tetviz.figures import Choices, printed, records
    from tetviz.results import Lines, ScalingCurve, Surface, load
    from tetviz.summaries import axis_lines, flatness

    loaded: list[Any] = [load(file) for file in files]
    if all(isinstance(found, ScalingCurve) for found in loaded):
        choices, asked = Choices(timestep=timestep), ["differences"]
        if as_json:
            print_json(records(loaded, choices, asked))
        else:
            click.echo(printed(loaded, choices, asked))
        return
    results: list[Lines] = []
    for file, found in zip(files, loaded, strict=True):
        if not isinstance(found, Lines) and type(found) is not Surface:
            raise ResultError(
                f"{file}: holds a result of kind {found.kind!r}, expected sharpness, lines or surface, or scaling "
                "alone; name what `tetviz sharpness`, `tetviz line`, `tetviz landscape` or `tetviz scale` wrote"
            )
        results.append(found if isinstance(found, Lines) else axis_lines(found))
    flatness.differences_from_first(results, timestep)  # refuses those that do not compare
    print_results(results, Choices(timestep=timestep), as_json)
