"""``tetviz plot``: figures and tables from result files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.choices import CONVENTIONS, FIGURES, STYLES
from tetviz.commands.command import command
from tetviz.commands.console import naming_kinds, note, print_json
from tetviz.commands.options import combined
from tetviz.commands.values import COST, STEPS, Name, Parsed, WholeRange, parse_group
from tetviz.errors import ResultError

if TYPE_CHECKING:
    from tetviz.figures import Choices
    from tetviz.figures.plots.picture import Picture
    from tetviz.figures.table import Table
    from tetviz.results import Result

# Options that are a figure's name.
_FLAGS = {"--scatter": "fig7", "--exits": "exits", "--per-class": "classes", "--all-t": "timesteps"}
_FLAGS |= {"--all-planes": "planes"}


_choice_options = combined(
    click.option(
        "--figure",
        "name",
        metavar="NAME",
        type=Name(FIGURES),
        help="A figure or table by its name, such as fig2 or table4.  [default: what fits the files]",
    ),
    click.option("--list", "listed", is_flag=True, help="Show the names, and exit."),
    click.option("--json", "as_json", is_flag=True, help="With --list: as a JSON list."),
    click.option("--style", type=click.Choice(STYLES), help="Width and fonts of a venue.  [default: 7.2 inches]"),
    click.option("--loss", type=click.Choice(["sdt", "tet"]), help="The loss to draw; not for scaling curves."),
    click.option("--t", "timestep", type=STEPS, help="Surfaces, lines, energy, --scatter: the T to draw."),
    click.option("--plane", metavar="K", type=WholeRange(1), help="Surfaces: the plane to draw, from 1.  [default: 1]"),
    click.option("--all-t", is_flag=True, help="One surface: a panel for every number of timesteps."),
    click.option("--all-planes", is_flag=True, help="One surface: a panel for every plane."),
    click.option("--scatter", is_flag=True, help="Scaling curves: run against mean step accuracy, a point for each."),
    click.option("--exits", is_flag=True, help="Scaling curves: accuracy against mean T of early exit."),
    click.option("--per-class", is_flag=True, help="Scaling curves: the accuracy of each class."),
    click.option(
        "--group",
        "groups",
        multiple=True,
        metavar="[NAME=]PATTERN",
        type=Parsed("[NAME=]PATTERN", parse_group),
        help="--scatter: a colour for the networks so named, such as SDT=sdt*; repeat it, the first that fits counts.",
    ),
    click.option("--cost", type=COST, help="Energy: another cost model than the files name."),
    click.option("--convention", type=click.Choice(CONVENTIONS), help="Energy: another convention."),
    click.option("--first-layer", type=click.Choice(["per-step", "once"]), help="Energy: how often it computes."),
    click.option("--pool", type=click.Choice(["fold", "mac"]), help="Energy: what means of spikes are."),
)


@command()
@click.argument("files", metavar="FILE.h5...", nargs=-1, type=click.Path(path_type=Path))
@_choice_options
@click.option("--force", is_flag=True, help="Replace an existing figure or table, and the caption beside it.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Figure: .pdf, .svg or .png, .gif for one surface over T; table: .tex, .csv or .md.  [required]",
)
def plot(
    files: tuple[Path, ...],
    listed: bool,
    as_json: bool,
    name: str | None,
    style: str | None,
    loss: str | None,
    timestep: int | None,
    plane: int | None,
    groups: tuple[tuple[str, str], ...],
    cost: str | None,
    convention: str | None,
    first_layer: str | None,
    pool: str | None,
    force: bool,
    output: Path | None,
    **flags: bool,
) -> None:
    """Draw result files, without measuring anything: figures and tables, with their captions.

    What is drawn follows from the files. One surface gives a map and a 3-D view; several surfaces of the same
    directions give panels that share levels and axes; scaling curves, energies, histories, sharpnesses, training
    energies and isometries of several networks share one figure each; trajectories, curvatures and lines between
    checkpoints are drawn alone. With --figure it is a figure or table of the TET paper, or another that has a name;
    --list shows all of them. A name that ends in .tex, .csv or .md asks for a table.

    A surface file of loss-landscape is drawn too, and so is a file that is still being written: what is missing is
    hatched. Beside figure2.pdf stands figure2.txt, plain text: what is shown, of which networks, under which
    conventions. A .tex or .md has its caption inside, a .csv beside it (table4.csv.txt).

    \b
    tetviz plot sdt.landscape.h5 tet.landscape.h5 --figure fig2 --style neurips -o figure2.pdf
    tetviz plot sdt.last.history.h5 tet.last.history.h5 --figure fig3 -o figure3.pdf
    tetviz plot sdt.energy.h5 tet.energy.h5 --figure fig4b --cost 45nm-int8 -o figure4b.pdf
    tetviz plot *.scale.h5 --figure fig7 --group "SDT=sdt*" --group "TET=tet*" -o figure7.pdf
    tetviz plot sdt.scale.h5 tet.scale.h5 --figure table4 -o table4.tex
    tetviz plot sdt.scale.h5 tet.scale.h5 --exits -o exits.pdf
    tetviz plot tet.landscape.h5 --all-t -o timesteps.pdf
    tetviz plot tet.landscape.h5 -o timesteps.gif
    """
    if listed:
        _list_figures(as_json)
        return
    if as_json:
        raise click.UsageError("--json is about --list: give both")
    output = _given(files, output)
    animated = output.suffix.lower() == ".gif"
    name = _chosen_name(name, animated, flags, timestep, plane)
    _check_groups(name, groups)
    tabular = (
        isinstance(tetviz.figures.named_figures()[name][1], tetviz.figures.view.TableOf)
        if name
        else output.suffix.lower() in tetviz.figures.table.TABLE_SUFFIXES
    )
    if not animated:
        tetviz.figures.output.check_suffix(output, name or "", table=tabular)
    twice = [str(file) for number, file in enumerate(files) if file.resolve() in map(Path.resolve, files[:number])]
    if twice:
        raise click.UsageError(f"{twice[0]} is given twice: a figure takes each network once")
    pricing = {"cost": cost, "convention": convention, "first_layer": first_layer, "pool": pool}
    choices = tetviz.figures.Choices(
        loss=loss,
        timestep=timestep,
        plane=None if plane is None else plane - 1,
        groups=dict(groups),
        pricing={key: value for key, value in pricing.items() if value is not None},
    )
    _check_heeded(name, choices)
    tetviz.results.writable_target(output, force)
    results: list[Result] = [tetviz.results.load_any(file) for file in files]
    with tetviz.figures.use_style(style or "tetviz"), naming_kinds(files, results):
        for path in _draw(results, name, choices, output, tabular, force):
            note(f"wrote {path}")


def _list_figures(as_json: bool) -> None:
    view_named = tetviz.figures.registry.view_named
    figures = {
        name: {"name": name, "about": each.about, "takes": each.takes or view_named(view).takes}
        for name, (view, each) in tetviz.figures.named_figures().items()
    }
    if as_json:
        print_json(list(figures.values()))
        return
    width = max(map(len, figures))
    for name, named in figures.items():
        click.echo(f"{name:<{width}}  {named['about']}; takes {named['takes']}")


def _given(files: Sequence[Path], output: Path | None) -> Path:
    # --list takes neither, so that click cannot ask for them.
    context = click.get_current_context()
    missing = {"files": not files, "output": output is None}
    for param in context.command.params:
        if missing.get(str(param.name)):
            raise click.MissingParameter(ctx=context, param=param)
    assert output is not None
    return output


def _draw(
    results: "Sequence[Result]", name: str | None, choices: "Choices", output: Path, tabular: bool, force: bool
) -> list[Path]:
    if output.suffix.lower() == ".gif":
        surface = _one_surface(results)
        caption = tetviz.figures.animation_caption(surface, choices.loss, choices.plane or 0)
        tetviz.figures.output.write_caption(output, caption, force=force, write=False)
        return [
            tetviz.figures.animate_timesteps(surface, output, choices.loss, choices.plane or 0),
            tetviz.figures.output.write_caption(output, caption, force=True),
        ]
    if name is None and tabular:
        name = tetviz.figures.registry.default_table(results)
    if name is not None:
        drawn: Picture | Table = tetviz.figures.draw_named(name, results, choices)
    else:
        drawn = tetviz.figures.draw(results, choices.loss, choices.timestep, choices.plane, choices.pricing)
    source = tetviz.figures.output.source_digest(results)
    return tetviz.figures.output.save_with_caption(drawn, output, force=force, source=source)


def _chosen_name(
    name: str | None, animated: bool, flags: dict[str, bool], timestep: int | None, plane: int | None
) -> str | None:
    asked = [option for option in _FLAGS if flags[option[2:].replace("-", "_")]]
    many = [*([".gif"] if animated else []), *asked, *(["--figure"] if name is not None else [])]
    if len(many) > 1:
        raise click.UsageError(f"{' and '.join(many)} exclude each other")
    for option, value, clash in (("--t", timestep, (".gif", "--all-t")), ("--plane", plane, ("--all-planes",))):
        if value is not None and many and many[0] in clash:
            raise click.UsageError(f"{many[0]} draws all of them: leave out {option}")
    return _FLAGS[asked[0]] if asked else name


def _check_heeded(name: str | None, choices: "Choices") -> None:
    known = tetviz.figures.registry.OPTIONS
    heeds = tetviz.figures.named_figures()[name][1].heeds if name else tuple(known)
    ignored = [known[given] for given in choices.given() if given not in heeds]
    if ignored:
        raise click.UsageError(f"{name} has nothing to choose there: leave out {' and '.join(ignored)}")


def _check_groups(name: str | None, groups: Sequence[tuple[str, str]]) -> None:
    if groups and name != "fig7":
        raise click.UsageError("--group colours the points of --scatter, which is --figure fig7: give both")
    names = [group for group, _ in groups]
    if len(set(names)) < len(names):
        raise click.UsageError("--group: two groups have the same name")


def _one_surface(results: "Sequence[Result]") -> Any:
    found: Any = results[0]
    if len(results) == 1 and tetviz.figures.registry.view_of(results).animated:
        return found
    what = f"{len(results)} results" if len(results) > 1 else f"one of kind {found.kind}"
    raise ResultError(f".gif: draws one surface, got {what}")
