"""``tetviz compare``: checkpoints beside one another, from their results."""

from pathlib import Path
from typing import Any

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.console import print_results
from tetviz.commands.options import json_option, timestep_option
from tetviz.errors import ResultError


@command()
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
    loaded: list[Any] = [tetviz.results.load(file) for file in files]
    choices = tetviz.figures.Choices(timestep=timestep)
    if all(isinstance(found, tetviz.results.ScalingCurve) for found in loaded):
        tetviz.summaries.scaling.differences_from_first(loaded)  # refuses those that do not compare
        print_results(loaded, as_json, choices, ["differences"])
        return
    results: list[tetviz.results.Lines] = []
    for file, found in zip(files, loaded, strict=True):
        along_lines = isinstance(found, tetviz.results.Lines) and found.path == "random"
        if not along_lines and type(found) is not tetviz.results.Surface:
            raise ResultError(
                f"{file}: holds a result of kind {found.view!r}, expected sharpness, lines or surface, or scaling "
                "alone; name what `tetviz sharpness`, `tetviz line`, `tetviz landscape` or `tetviz scale` wrote"
            )
        results.append(found if along_lines else tetviz.summaries.axis_lines(found))
    tetviz.summaries.flatness.differences_from_first(results, timestep)  # refuses those that do not compare
    print_results(results, as_json, choices)
