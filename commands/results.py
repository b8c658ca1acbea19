"""``tetviz plot`` and ``tetviz info``: what result files and checkpoints hold."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.options import Parsed

if TYPE_CHECKING:
    from tetviz.results import Result, ScalingCurve, Surface


@click.command()
@click.argument("files", metavar="FILE.h5...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--loss", type=click.Choice(["sdt", "tet"]), help="The loss to draw; not for scaling curves.")
@click.option("--t", "timestep", type=click.IntRange(1), help="Surfaces, lines, energy, --scatter: the T to draw.")
@click.option("--plane", metavar="K", type=click.IntRange(1), help="Surfaces: the plane to draw, from 1.  [default: 1]")
@click.option("--all-t", is_flag=True, help="One surface: a panel for every number of timesteps.")
@click.option("--all-planes", is_flag=True, help="One surface: a panel for every plane.")
@click.option("--scatter", is_flag=True, help="Scaling curves: overall against mean step accuracy, a point for each.")
@click.option("--exits", is_flag=True, help="Scaling curves: accuracy against mean T of early exit.")
@click.option("--per-class", is_flag=True, help="Scaling curves: the accuracy of each class.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="[NAME=]PATTERN",
    type=Parsed("[NAME=]PATTERN", "tetviz.commands.parsers:parse_group"),
    help="--scatter: a colour for the networks so named, such as SDT=sdt*; repeat it, the first that fits counts.",
)
@click.option("--force", is_flag=True, help="Replace an existing figure.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Figure: .pdf, .svg or .png; .gif animates one surface over the number of timesteps.",
)
def plot(
    files: tuple[Path, ...],
    loss: str | None,
    timestep: int | None,
    plane: int | None,
    all_t: bool,
    all_planes: bool,
    scatter: bool,
    groups: tuple[tuple[str, str], ...],
    exits: bool,
    per_class: bool,
    force: bool,
    output: Path,
) -> None:
    """Draw result files again, without measuring anything.

    One surface gives a contour map and a 3-D view; several surfaces of the same directions give panels that
    share levels and axes (the TET paper's Figure 2); scaling curves share one plot (Figure 8). Lines along the
    same random directions and sharpnesses are overlaid; a line between checkpoints, a trajectory and a curvature
    have a figure each. Training histories share one figure (Figure 3); with --scatter, scaling curves become the
    points of Figure 7, with --exits they show early exit, with --per-class every class. Operation counts show energy
    against accuracy (Figure 4B) under the convention and cost model that they name. A surface file of
    loss-landscape is drawn too, and so is a file that is still being written: what is missing is hatched.

    \b
    tetviz plot sdt.landscape.h5 tet.landscape.h5 -o figure2.pdf
    tetviz plot sdt.scale.h5 tet.scale.h5 -o figure8.pdf
    tetviz plot sdt.energy.h5 tet.energy.h5 -o figure4b.pdf
    tetviz plot sdt.last.history.h5 tet.last.history.h5 -o figure3.pdf
    tetviz plot *.scale.h5 --scatter --group "SDT=sdt*" --group "TET=tet*" -o figure7.pdf
    tetviz plot sdt.scale.h5 tet.scale.h5 --exits -o exits.pdf
    tetviz plot tet.landscape.h5 --all-t -o timesteps.pdf
    tetviz plot tet.landscape.h5 -o timesteps.gif
    """
    from tetviz.figures import (
        animate_timesteps,
        draw,
        draw_classes,
        draw_exits,
        draw_planes,
        draw_scatter,
        draw_timesteps,
        save_figure,
    )
    from tetviz.results import writable_target
    from tetviz.results.loss_landscape import load_any

    animated = output.suffix.lower() == ".gif"
    of_curves = {"--scatter": scatter, "--exits": exits, "--per-class": per_class}
    many = {".gif": animated, "--all-t": all_t, "--all-planes": all_planes, **of_curves}
    _check_plot_options(many, timestep, plane)
    _check_scatter_options(scatter, groups, loss, plane)
    if (exits or per_class) and (loss, timestep, plane) != (None, None, None):
        option = "--exits" if exits else "--per-class"
        raise click.UsageError(f"{option} draws accuracies at every T: leave out --loss, --t and --plane")
    writable_target(output, force)
    results: list[Result] = [load_any(file) for file in files]
    at = None if plane is None else plane - 1
    if animated:
        animate_timesteps(_one_surface(results, ".gif"), output, loss, at or 0)
    elif scatter:
        save_figure(draw_scatter(_scaling_curves(results, "--scatter"), timestep, dict(groups)), output)
    elif exits:
        save_figure(draw_exits(_scaling_curves(results, "--exits")), output)
    elif per_class:
        save_figure(draw_classes(_scaling_curves(results, "--per-class")), output)
    elif all_t:
        save_figure(draw_timesteps(_one_surface(results, "--all-t"), loss, at or 0), output)
    elif all_planes:
        save_figure(draw_planes(_one_surface(results, "--all-planes"), loss, timestep), output)
    else:
        save_figure(draw(results, loss, timestep, at), output)
    click.echo(f"wrote {output}", err=True)


def _check_plot_options(many: dict[str, bool], timestep: int | None, plane: int | None) -> None:
    asked = [name for name, given in many.items() if given]
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(asked)} exclude each other")
    for name, value, clash in (("--t", timestep, (".gif", "--all-t")), ("--plane", plane, ("--all-planes",))):
        if value is not None and asked and asked[0] in clash:
            raise click.UsageError(f"{asked[0]} draws all of them: leave out {name}")


def _check_scatter_options(
    scatter: bool, groups: Sequence[tuple[str, str]], loss: str | None, plane: int | None
) -> None:
    if groups and not scatter:
        raise click.UsageError("--group colours the points of --scatter: give both")
    if scatter and (loss, plane) != (None, None):
        raise click.UsageError("--scatter draws the accuracies of scaling curves: leave out --loss and --plane")
    names = [name for name, _ in groups]
    if len(set(names)) < len(names):
        raise click.UsageError("--group: two groups have the same name")


def _scaling_curves(results: "Sequence[Result]", option: str) -> "list[ScalingCurve]":
    from tetviz.errors import ResultError
    from tetviz.results import ScalingCurve

    other = sorted({result.kind for result in results if not isinstance(result, ScalingCurve)})
    if other:
        raise ResultError(f"{option}: takes scaling curves alone, got results of kind {', '.join(other)}")
    return [result for result in results if isinstance(result, ScalingCurve)]


def _one_surface(results: "Sequence[Result]", option: str) -> "Surface":
    from tetviz.errors import ResultError
    from tetviz.results import Surface, Trajectory

    if len(results) == 1 and isinstance(results[0], Surface) and not isinstance(results[0], Trajectory):
        return results[0]
    found = f"{len(results)} results" if len(results) > 1 else f"one of kind {results[0].kind}"
    raise ResultError(f"{option}: draws one surface, got {found}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def info(file: Path) -> None:
    """Say what FILE is and how it was made: a checkpoint or a result.

    \b
    tetviz info tet.pt
    tetviz info tet.landscape.h5
    """
    from tetviz.results import looks_like_result

    lines = _result_lines(file) if looks_like_result(file) else _checkpoint_lines(file)
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        click.echo(f"{name:<{width}}  {value}".rstrip())


def _checkpoint_lines(file: Path) -> list[tuple[str, Any]]:
    from tetviz.models import ForeignSpec
    from tetviz.training import Checkpoint, file_sha256

    checkpoint = Checkpoint.load(file)
    spec = checkpoint.spec
    if isinstance(spec, ForeignSpec):  # not built: info runs no code
        parameters, called = spec.parameters, [("model is called with", spec.calling.options())]
    else:
        parameters, called = sum(p.numel() for p in checkpoint.model().parameters()), []
    lines: list[tuple[str, Any]] = [("file", f"{file}, a tetviz checkpoint"), ("sha256", file_sha256(file))]
    lines += [(f"model {name}", v) for name, v in spec.to_dict().items() if name not in ("calling", "parameters")]
    lines += called
    lines += [("parameters", f"{parameters:,}"), ("timesteps", checkpoint.timesteps)]
    lines += [(f"data {name}", value) for name, value in checkpoint.data.items()]
    lines += [(f"training {name}", value) for name, value in checkpoint.training.items()]
    lines += [("epoch", f"{checkpoint.epoch}" + (" (can be resumed)" if checkpoint.resume else ""))]
    if checkpoint.history:
        lines += [(f"at epoch {checkpoint.epoch}", "")]
        lines += [(f"  {name}", value) for name, value in checkpoint.history[-1].items() if name != "epoch"]
    return lines


def _result_lines(file: Path) -> list[tuple[str, Any]]:
    import dataclasses

    from tetviz.results.loss_landscape import load_any, looks_like_loss_landscape
    from tetviz.results.schema import array_fields, attribute_fields

    result: Any = load_any(file)
    what = "a surface of loss-landscape" if looks_like_loss_landscape(file) else "a tetviz result"
    lines: list[tuple[str, Any]] = [("file", f"{file}, {what}"), ("kind", result.kind)]
    lines += [(name, getattr(result, name)) for name in attribute_fields(type(result))]
    done, total = result.progress()
    if total:
        lines += [("points done", f"{done} of {total}")]
    lines += [(f"provenance {name}", value) for name, value in dataclasses.asdict(result.provenance).items()]
    for name, schema in array_fields(type(result)).items():
        shape = ", ".join(f"{dim} {n}" for dim, n in zip(schema["dims"], getattr(result, name).shape, strict=True))
        lines += [(f"array {name}", f"({shape}) {schema['long_name']} [{schema['units']}]")]
    return lines
