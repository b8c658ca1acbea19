"""``tetviz plot`` and ``tetviz info``: what result files and checkpoints hold."""

from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("files", metavar="FILE.h5...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--loss", type=click.Choice(["sdt", "tet"]), help="Surfaces: the loss to draw.")
@click.option("--t", "timestep", type=click.IntRange(1), help="Surfaces: the number of timesteps to draw.")
@click.option("--force", is_flag=True, help="Replace an existing figure.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Figure: .pdf, .svg or .png.")
def plot(files: tuple[Path, ...], loss: str | None, timestep: int | None, force: bool, output: Path) -> None:
    """Draw result files again, without measuring anything.

    One surface gives a contour map and a 3-D view; several surfaces of the same directions give panels that
    share levels and axes (the TET paper's Figure 2); scaling curves share one plot (Figure 8).

    \b
    tetviz plot sdt.landscape.h5 tet.landscape.h5 -o figure2.pdf
    tetviz plot sdt.scale.h5 tet.scale.h5 -o figure8.pdf
    """
    from tetviz.figures import draw, save_figure
    from tetviz.results import load, writable_target

    writable_target(output, force)
    save_figure(draw([load(file) for file in files], loss=loss, timestep=timestep), output)
    click.echo(f"wrote {output}", err=True)


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
    from tetviz.training import Checkpoint, file_sha256

    checkpoint = Checkpoint.load(file)
    parameters = sum(p.numel() for p in checkpoint.model().parameters())
    lines: list[tuple[str, Any]] = [("file", f"{file}, a tetviz checkpoint"), ("sha256", file_sha256(file))]
    lines += [(f"model {name}", value) for name, value in checkpoint.spec.to_dict().items()]
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

    from tetviz.results import Surface, load
    from tetviz.results.schema import array_fields, attribute_fields

    result: Any = load(file)
    lines: list[tuple[str, Any]] = [("file", f"{file}, a tetviz result"), ("kind", result.kind)]
    lines += [(name, getattr(result, name)) for name in attribute_fields(type(result))]
    if isinstance(result, Surface):
        lines += [("points done", f"{int(result.done.sum())} of {result.done.size}")]
    lines += [(f"provenance {name}", value) for name, value in dataclasses.asdict(result.provenance).items()]
    for name, schema in array_fields(type(result)).items():
        shape = ", ".join(f"{dim} {n}" for dim, n in zip(schema["dims"], getattr(result, name).shape, strict=True))
        lines += [(f"array {name}", f"({shape}) {schema['long_name']} [{schema['units']}]")]
    return lines
