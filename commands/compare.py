"""``tetviz compare``: checkpoints beside one another, from their results."""

from pathlib import Path
from typing import Any

import click

import tetviz
from tetviz.commands.console import print_json
from tetviz.commands.options import json_option, timestep_option
from tetviz.commands.scale_report import report_scaling, scaling_records
from tetviz.commands.sharpness import flatness_records, report_flatness
from tetviz.errors import ResultError


@click.command()
@click.argument("files", metavar="FILE.h5 FILE.h5...", nargs=-1, required=True, type=click.Path(path_type=Path))
@timestep_option("The T to print.")
@json_option
def compare(files: tuple[Path, ...], timestep: int | None, as_json: bool) -> None:
    """Compare checkpoints from their results, without measuring anything.

    Flatness, from what `tetviz sharpness`, `tetviz line` and `tetviz landscape` wrote on the same planes; accuracy
    at every T, from what `tetviz scale` wrote on the same samples. One file gives its table alone.

    \b
    tetviz compare sdt.sharpness.h5 tet.sharpness.h5
    tetviz compare sdt.landscape.h5 tet.landscape.h5 --t 2
    tetviz compare sdt.scale.h5 tet.scale.h5
    """
    from tetviz.figures.report.tables_flatness import differences

    loaded: list[Any] = [tetviz.results.load(file) for file in files]
    if all(isinstance(found, tetviz.results.ScalingCurve) for found in loaded):
        if as_json:
            print_json(scaling_records(loaded, tetviz.summaries.scaling.differences_from_first(loaded)))
        else:
            report_scaling(loaded, timestep)
        return
    results: list[tetviz.results.Lines] = []
    for file, found in zip(files, loaded, strict=True):
        if not isinstance(found, tetviz.results.Lines) and type(found) is not tetviz.results.Surface:
            raise ResultError(
                f"{file}: holds a result of kind {found.kind!r}, expected sharpness, lines or surface, or scaling "
                "alone; name what `tetviz sharpness`, `tetviz line`, `tetviz landscape` or `tetviz scale` wrote"
            )
        results.append(found if isinstance(found, tetviz.results.Lines) else tetviz.summaries.axis_lines(found))
    found = differences(results, timestep)
    if as_json:
        print_json(flatness_records(results, timestep, found))
    else:
        report_flatness(results, timestep, found)
