"""``tetviz line``, ``tetviz interpolate`` and ``tetviz connect``: the loss along lines and between checkpoints."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.options import (
    SEED,
    FiniteRange,
    Parsed,
    bn_options,
    checkpoints_argument,
    data_options,
    direction_options,
    loss_option,
    output_paths,
    probe_options,
    run_options,
    samples_option,
    span_option,
)

if TYPE_CHECKING:
    from tetviz.results import Lines

ends_arguments = click.argument("checkpoints", metavar="CKPT CKPT", nargs=2, type=click.Path(path_type=Path))
calibration_option = click.option(
    "--calibration",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="Train samples that statistics are re-estimated on.",
)


@click.command()
@checkpoints_argument
@loss_option
@click.option("--planes", type=click.IntRange(1), default=5, show_default=True, help="Pairs of directions.")
@click.option("--grid", type=click.IntRange(3), default=41, show_default=True, help="Points a line, odd.")
@span_option
@direction_options
@bn_options
@probe_options
@samples_option(1024)
@data_options
@run_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HDF5 file; a folder for several.  [default: CKPT.line.h5]")
def line(
    checkpoints: tuple[Path, ...],
    loss: str,
    planes: int,
    grid: int,
    span: tuple[float, float] | float,
    norm: str,
    orthogonal: bool,
    policy: dict[str, str],
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure both losses along random lines through CKPT, two for each of --planes, and draw their band.

    Writes CKPT.line.h5 and CKPT.line.png, and prints the sharpness table of the lines.

    \b
    tetviz line tet.pt
    tetviz line sdt.pt tet.pt --planes 10 --range auto
    """
    from tetviz.commands.console import note, print_json
    from tetviz.commands.flatness import flatness_records, report_flatness
    from tetviz.commands.landscape import check_policy, even_grid, find_span
    from tetviz.commands.probing import check_inputs, open_probe, recording
    from tetviz.figures import draw, save_figure
    from tetviz.landscape import RandomPlanes, compute_lines
    from tetviz.results import Lines

    even_grid(grid, span if isinstance(span, tuple) else (-1.0, 1.0))
    check_policy(policy, orthogonal)
    targets = output_paths(checkpoints, output, "line")
    check_inputs(checkpoints, targets, Lines, force)
    opened = [open_probe(path, **options) for path in checkpoints]
    chosen = [RandomPlanes(each.model, options["seed"], planes, norm, policy, orthogonal) for each, _, _ in opened]
    axis = even_grid(grid, find_span(span, opened, chosen, loss))
    results = []
    for (subject, probe, seconds), through, target in zip(opened, chosen, targets, strict=True):
        with recording(subject, target, force, 2 * planes * axis.size, seconds) as record:
            results.append(compute_lines(probe, through, axis, loss, record))
        save_figure(draw([results[-1]]), target.with_suffix(".png"))
        note(f"wrote {target} and {target.with_suffix('.png')}")
    if as_json:
        print_json(flatness_records(results, None))
    else:
        report_flatness(results, None)


@click.command()
@ends_arguments
@loss_option
@click.option("--grid", type=click.IntRange(3), default=41, show_default=True, help="Points on the line.")
@click.option(
    "--range",
    "span",
    type=Parsed("LOW:HIGH", "tetviz.commands.parsers:parse_range"),
    default="-0.5:1.5",
    show_default=True,
    help="Coordinates; 0 is the first checkpoint, 1 the second.",
)
@calibration_option
@probe_options
@samples_option(1024)
@data_options
@run_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HDF5 file.  [default: CKPT-CKPT.path.h5]")
def interpolate(
    checkpoints: tuple[Path, Path],
    loss: str,
    grid: int,
    span: tuple[float, float],
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure both losses on the straight line between two checkpoints, and the barrier on it.

    Batch-norm statistics are held at the first checkpoint's, interpolated like the weights, and re-estimated at
    every point: three lines, since the choice decides what is seen. Writes CKPT-CKPT.path.h5 and its figure.

    \b
    tetviz interpolate sdt.pt tet.pt
    """
    from tetviz.commands.probing import check_inputs, open_probe, recording
    from tetviz.landscape import compute_interpolation
    from tetviz.landscape.batchnorm import batch_norms
    from tetviz.results import Lines
    from tetviz.training import Checkpoint

    target = between_path(checkpoints, output, "path")
    axis = with_ends(grid, span)
    check_inputs(checkpoints, [target], Lines, force)
    subject, probe, seconds = open_probe(checkpoints[0], loads_calibration=True, **options)
    other = Checkpoint.load(checkpoints[1])
    points = axis.size * (3 if batch_norms(probe.model) else 1)
    with recording(between(subject, checkpoints), target, force, points, seconds) as record:
        lines = compute_interpolation(probe, other.state, axis, loss, record)
    report_path(lines, target, as_json)


@click.command()
@ends_arguments
@loss_option
@click.option("--epochs", type=click.IntRange(1), default=5, show_default=True, help="Of training the curve.")
@click.option(
    "--lr", type=FiniteRange(0, min_open=True), default=1e-3, show_default=True, help="Initial learning rate."
)
@click.option("--train-batch-size", type=click.IntRange(1), default=64, show_default=True)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the training of the curve.")
@click.option("--grid", type=click.IntRange(3), default=21, show_default=True, help="Points on the curve.")
@calibration_option
@probe_options
@samples_option(1024)
@data_options
@run_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HDF5 file.  [default: CKPT-CKPT.curve.h5]")
def connect(
    checkpoints: tuple[Path, Path],
    loss: str,
    epochs: int,
    lr: float,
    train_batch_size: int,
    grid: int,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a Bezier curve of low loss between two checkpoints, and measure it beside the straight line.

    Trains the curve's middle point with --loss for --epochs on the train split, and keeps it as a checkpoint
    beside the result. Batch-norm statistics are re-estimated at every measured point. Writes
    CKPT-CKPT.curve.h5, its figure, and CKPT-CKPT.curve.pt.

    \b
    tetviz connect sdt.pt tet.pt --epochs 5 --loss tet
    """
    import numpy as np

    from tetviz.commands.console import note
    from tetviz.commands.probing import check_inputs, open_probe, recording
    from tetviz.landscape import compute_curve
    from tetviz.landscape.batchnorm import batch_norms
    from tetviz.results import Lines
    from tetviz.training import Checkpoint, file_sha256

    target = between_path(checkpoints, output, "curve")
    middle = target.with_suffix(".pt")
    if middle.exists() and any(path.exists() and middle.samefile(path) for path in checkpoints):
        raise click.UsageError(f"-o {target}: the curve would replace the checkpoint {middle}; name another file")
    check_inputs(checkpoints, [target], Lines, force)
    first, second = (Checkpoint.load(path) for path in checkpoints)
    has_norms = bool(batch_norms(first.model()))
    subject, probe, seconds = open_probe(
        checkpoints[0], loads_calibration=True, bn="recalibrate" if has_norms else "frozen", **options
    )
    settings = {
        "loss": loss,
        "epochs": epochs,
        "lr": lr,
        "batch_size": train_batch_size,
        "seed": options["seed"],
        "between": [file_sha256(path) for path in checkpoints],
    }
    if force or not middle.exists():
        note(f"training the curve for {epochs} epochs")
        control = _train_middle(subject, probe.origin, checkpoints, second, probe.t_train, settings)
        state = {**first.state, **control}
        Checkpoint(first.spec, state, first.timesteps, training=settings, data=first.data).save(middle)
    trained = Checkpoint.load(middle)
    check_middle(middle, trained.training, settings)
    with recording(between(subject, checkpoints), target, force, 2 * grid, seconds) as record:
        control = {name: trained.state[name] for name in probe.origin}
        lines = compute_curve(probe, second.state, control, np.linspace(0, 1, grid), loss, record)
    report_path(lines, target, as_json)
    note(f"the curve's middle point is {middle}")


def _train_middle(
    subject: Any, start: Any, paths: tuple[Path, Path], second: Any, timesteps: int, settings: dict[str, Any]
) -> Any:
    from tetviz.commands.console import note
    from tetviz.errors import CheckpointError
    from tetviz.landscape import train_curve

    missing = [n for n, w in start.items() if n not in second.state or second.state[n].shape != w.shape]
    if missing:
        raise CheckpointError(
            f"{paths[1]}: holds another network than {paths[0]} ({missing[0]} differs); take two of one architecture"
        )
    return train_curve(
        subject.model,
        start,
        {name: second.state[name].to(weight) for name, weight in start.items()},
        subject.calibration,
        timesteps,
        progress=lambda epoch, loss: note(f"epoch {epoch}/{settings['epochs']}  loss on the curve {loss:.4f}"),
        **{name: value for name, value in settings.items() if name != "between"},
    )


def check_middle(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Checks that a stored curve was trained as the command asks.

    Args:
        path: the checkpoint of its middle point.
        found: its settings.
        wanted: the settings asked for.

    Raises:
        CheckpointError: they differ.
    """
    from tetviz.errors import CheckpointError

    differ = [
        f"{name} (was {found.get(name)!r}, now {wanted[name]!r})" for name in wanted if found.get(name) != wanted[name]
    ]
    if differ:
        raise CheckpointError(
            f"{path}: holds a curve of other settings: {', '.join(differ)}; choose another name with -o, or replace it "
            "with --force"
        )


def between_path(checkpoints: tuple[Path, Path], output: Path | None, kind: str) -> Path:
    """Where the result of two checkpoints goes.

    Args:
        checkpoints: the two.
        output: what ``-o`` says.
        kind: middle part of the default name.

    Returns:
        The HDF5 path.
    """
    first, second = checkpoints
    if not first.name:
        raise click.UsageError(f"{first}: is a folder, expected a checkpoint")
    pair = first.with_name(f"{first.stem}-{second.stem}.pt")
    return output_paths((pair,), output, kind)[0]


def between(subject: Any, checkpoints: tuple[Path, ...]) -> Any:
    """The first checkpoint as the subject of a result about several.

    Args:
        subject: the first, opened.
        checkpoints: all of them.

    Returns:
        The subject, with a provenance that names them all.
    """
    import dataclasses

    from tetviz.training import file_sha256

    label = " to ".join(path.stem.encode(errors="replace").decode() for path in checkpoints)
    names, digests = ", ".join(map(str, checkpoints)), ", ".join(file_sha256(path) for path in checkpoints)
    provenance = dataclasses.replace(subject.provenance, label=label, checkpoint=names, checkpoint_sha256=digests)
    return dataclasses.replace(subject, provenance=provenance)


def with_ends(points: int, span: tuple[float, float]) -> Any:
    """Even coordinates with both checkpoints, 0 and 1, among them.

    Args:
        points: how many.
        span: first and last coordinate.

    Returns:
        The coordinates.

    Raises:
        click.UsageError: 0 or 1 is not among them.
    """
    import numpy as np

    low, high = span
    step = (high - low) / (points - 1)
    nodes = np.array([-low / step, (1 - low) / step]) if low <= 0 < 1 <= high < float("inf") else np.array([np.nan])
    if not np.allclose(nodes, np.round(nodes), atol=1e-6):
        raise click.UsageError(
            f"{points} points on {low:g}:{high:g} miss a checkpoint, 0 or 1; take a range that holds both and a grid "
            "that meets them, such as --range -0.5:1.5 --grid 41"
        )
    start, end = np.round(nodes).astype(int)
    return (np.arange(points) - start) / (end - start)


def report_path(lines: "Lines", target: Path, as_json: bool) -> None:
    """Draws lines between two checkpoints, and prints the barriers on them.

    Args:
        lines: the lines.
        target: the HDF5 file that holds them.
        as_json: print JSON in place of a table.
    """
    import pandas as pd

    from tetviz.commands.console import note, print_json
    from tetviz.commands.flatness import table_timestep
    from tetviz.figures import draw, format_table, save_figure
    from tetviz.summaries import barriers, mean_along

    step = table_timestep(lines, None)
    save_figure(draw([lines]), target.with_suffix(".png"))
    note(f"wrote {target} and {target.with_suffix('.png')}")
    records = []
    for loss in ("sdt", "tet"):
        ends = getattr(lines, f"end_{loss}_loss")[:, step - 1].tolist()
        means = mean_along(lines, loss, step)
        for name, height in barriers(lines, loss, step).items():
            records.append(
                {
                    "loss": f"L_{loss.upper()}",
                    "timesteps": step,
                    "line": name,
                    "at 0": ends[0],
                    "at 1": ends[1],
                    "barrier": height,
                    "mean along": means[name],
                }
            )
    if as_json:
        print_json(records)
        return
    frame = pd.DataFrame(records, index=pd.Index([r["loss"] for r in records], name=f"T = {step}"))
    click.echo(format_table(frame.drop(columns=["loss", "timesteps"]), decimals=4))
