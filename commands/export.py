"""``tetviz export``: results and networks for other programs."""

from pathlib import Path

import click

import tetviz
from tetviz.commands.choices import EXPORTS, NETWORK_EXPORTS
from tetviz.commands.command import command
from tetviz.commands.console import note
from tetviz.commands.graphs import export_graph, step_option
from tetviz.commands.options import force_option
from tetviz.commands.values import STEPS, Name, WholeRange
from tetviz.errors import ResultError


@command()
@click.argument("file", metavar="FILE.h5|CKPT", type=click.Path(path_type=Path))
@click.option("--to", type=Name((*EXPORTS, *NETWORK_EXPORTS)), required=True, help="Format.")
@click.option("--loss", type=click.Choice(["sdt", "tet"]), help="loss-landscape, vtk: the loss.")
@click.option("--t", "timestep", type=STEPS, help="loss-landscape, vtk: timesteps.  [default: the training T]")
@click.option("--plane", type=WholeRange(1), help="loss-landscape, vtk: which plane, from 1.  [default: 1]")
@step_option
@force_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write.  [default: beside the file]")
def export(
    file: Path,
    to: str,
    loss: str | None,
    timestep: int | None,
    plane: int | None,
    dt: float | None,
    force: bool,
    output: Path | None,
) -> None:
    """Write a result file, or the network of a checkpoint, for another program.

    A surface file of loss-landscape is read too.

    \b
    loss-landscape  surfaces: the HDF5 of tomgoldstein/loss-landscape, one loss at one T; a loss on
                    test samples is its test_loss, drawn with plot_2D.py --surf_name test_loss
    vtk             surfaces: a structured grid (.vts) for ParaView, one loss at one T as the height
    csv             any result: a table of its largest variables, a row for each element, nan for
                    what is not done; of a trajectory the surface, of lines the lines
    netcdf          any result: netCDF-4, with all there is; result files are netCDF-4 as they are,
                    so this is a copy that ends in .nc (or a loss-landscape file made a result)
    nir             a checkpoint of tetviz or of an imported graph: its network as a graph of NIR,
                    normalisations folded; refused where NIR does not say what the network does

    \b
    tetviz export tet.landscape.h5 --to vtk
    tetviz export tet.landscape.h5 --to loss-landscape --loss tet --t 4
    tetviz export tet.scale.h5 --to csv -o tet.csv
    tetviz export tet.pt --to nir
    """
    network = to in NETWORK_EXPORTS
    suffix = f".{to}" if network else tetviz.results.EXPORTS[to].suffix
    cuts = not network and tetviz.results.EXPORTS[to].cuts
    given = [name for name, value in (("--loss", loss), ("--t", timestep), ("--plane", plane)) if value is not None]
    if given and not cuts:
        whole = "a network" if network else "all losses, timesteps and planes"
        raise click.UsageError(f"--to {to} writes {whole}; leave out {', '.join(given)}")
    if dt is not None and not network:
        raise click.UsageError(f"--to {to} writes a result, which has no step in seconds; leave out --dt")
    if not file.name:
        raise ResultError(f"{file}: is a folder, expected a result file or a checkpoint")
    ending = Path(f"x{suffix}").suffix
    target = file.with_name(f"{file.stem}{suffix}") if output is None else output
    if target.suffix != ending:
        raise click.UsageError(f"-o {target}: --to {to} writes a file that ends in {ending}")
    if file.exists() and target.exists() and target.samefile(file):
        raise click.UsageError(f"{target}: is the file to export; name another with -o")
    tetviz.results.writable_target(target, force)
    if network:
        export_graph(file, target, dt)
    else:
        _export_result(file, target, to, loss, timestep, plane, force, cuts=cuts)
    note(f"wrote {target}")


def _export_result(
    file: Path,
    target: Path,
    to: str,
    loss: str | None,
    timestep: int | None,
    plane: int | None,
    force: bool,
    *,
    cuts: bool,
) -> None:
    result = tetviz.results.load_any(file)
    if cuts:
        cut = tetviz.results.choose_cut(result, loss, timestep, None if plane is None else plane - 1)
        tetviz.results.export_result(
            target, result, to, loss=cut.loss, timestep=cut.timestep, plane=cut.plane, force=force
        )
        assert isinstance(result, tetviz.results.Surface)
        left = int((result.done[cut.plane] != 1).sum())
        unfinished = f"; {left} of {result.done[cut.plane].size} points are not done" if left else ""
        what = f"L_{cut.loss.upper()} at T = {cut.timestep}, plane {cut.plane + 1} of {len(result.plane)}{unfinished}"
        key = f"; its data set is {tetviz.results.loss_landscape.loss_key(result)}" if to == "loss-landscape" else ""
        note(f"{what}{key}")
    else:
        tetviz.results.export_result(target, result, to, force=force)
