"""``tetviz report``: one page for results, as a file, or served and drawn again as they grow."""

from pathlib import Path

import click
from click.core import ParameterSource

import tetviz
from tetviz.commands.command import command
from tetviz.commands.console import note
from tetviz.commands.options import force_option
from tetviz.errors import OutputError, ResultError


@command()
@click.argument("files", metavar="[FILE.h5...]", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The page.  [default: report.html]")
@click.option("--title", help="Heading of the page.")
@force_option
@click.option(
    "--watch",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Serve a page of all results under DIR to a browser, and draw it again as they grow.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="--watch: address to serve at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="--watch: port; 0 takes a free one."
)
def report(
    files: tuple[Path, ...],
    output: Path | None,
    title: str | None,
    force: bool,
    folder: Path | None,
    host: str,
    port: int,
) -> None:
    """Gather result files of any kinds in one page for a browser, which needs no network and fetches nothing.

    Surfaces can be turned and read off, with a slider over T and a switch between the losses; those along the same
    directions share axes and colours. Curves, tables and figures of all other kinds follow, with the provenance of
    every number and what tetviz doctor warned of.

    With --watch nothing is written: the page is served to this machine alone until Ctrl-C, and is drawn again as
    results grow, also those that are half-written, and OUTPUT.epochs.h5 of a training run in progress.

    \b
    tetviz report sdt.landscape.h5 tet.landscape.h5 sdt.scale.h5 tet.scale.h5 -o report.html
    tetviz report --watch .
    """
    given = click.get_current_context().get_parameter_source
    if files and folder:
        raise click.UsageError("name result files or a folder with --watch, not both")
    if not (files or folder):
        raise click.UsageError("name result files, or a folder with --watch")
    if folder:
        if output or force:
            raise click.UsageError("--watch writes no file: leave out -o and --force")
        if not host.strip():
            raise click.UsageError("--host: is empty, expected an address of this machine such as 127.0.0.1")
        tetviz.commands.report_server.watch(folder, host, port, title)
        return
    if ParameterSource.COMMANDLINE in (given("host"), given("port")):
        raise click.UsageError("--host and --port say where --watch serves: name a folder with it")
    for file in files:
        if file.is_dir():
            raise ResultError(f"{file}: is a folder, expected a result file; --watch {file} shows what is in it")
    target = output or Path("report.html")
    if target.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{target}: a report is written as .html; choose another name with -o")
    tetviz.results.writable_target(target, force)
    size = tetviz.commands.report_server.write_report(files, target, title)
    note(f"wrote {target}, {size / 1e6:.1f} MB")
