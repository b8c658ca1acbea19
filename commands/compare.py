"""``tetviz compare``: checkpoints beside one another, from their results."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.console import naming_kinds, print_results
from tetviz.commands.options import json_option, timestep_option
from tetviz.errors import KindError, ResultError

if TYPE_CHECKING:
    from tetviz.figures.view import Comparison


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
    choices, given, results = tetviz.figures.Choices(timestep=timestep), list[Any](), list[Any]()
    for file in files:
        given.append(tetviz.results.load(file))
        comparison = tetviz.figures.registry.view_of(given[-1:]).comparison
        if comparison is None:
            raise ResultError(
                f"{file}: holds a result of kind {given[-1].view!r}, of which nothing is compared; name what `tetviz "
                "sharpness`, `tetviz line` and `tetviz landscape`, or what `tetviz scale` wrote"
            )
        results.append(comparison.of(given[-1]))
    with naming_kinds(files, given):
        shared = _shared(results)
    assert shared is not None  # as of each
    shared.check(results, choices)
    print_results(results, as_json, choices, shared.asked)


def _shared(results: list[Any]) -> "Comparison[Any] | None":
    # A surface is compared by its lines: what is told of it is what its file holds.
    try:
        return tetviz.figures.registry.view_of(results).comparison
    except KindError as error:
        raise KindError("flatness is compared with flatness, and accuracy at every T with its like") from error
