"""``tetviz interpolate``, and what commands about several checkpoints have in common."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.options import (
    Parsed,
    calibration_option,
    data_options,
    loss_option,
    output_paths,
    probe_options,
    run_options,
    samples_option,
)

if TYPE_CHECKING:
    from tetviz.results import Lines

ends_arguments = click.argument("checkpoints", metavar="CKPT CKPT", nargs=2, type=click.Path(path_type=Path))


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
    require_one_network(checkpoints)
    subject, probe, seconds = open_probe(checkpoints[0], loads_calibration=True, **options)
    other = Checkpoint.load(checkpoints[1])
    points = axis.size * (3 if batch_norms(probe.model) else 1)
    with recording(between(subject, checkpoints), target, force, points, seconds) as record:
        lines = compute_interpolation(probe, other.state, axis, loss, record)
    report_path(lines, target, as_json)


def require_one_network(paths: tuple[Path, ...]) -> None:
    """Checks that checkpoints are weights of one and the same network: shapes, neurons and normalisation.

    Surrogates and the gradient of the reset may differ, they do not show in outputs.
    """
    from tetviz.errors import CheckpointError
    from tetviz.training import Checkpoint

    specs = [Checkpoint.load(path).spec.to_dict() for path in paths]
    for spec in (each for each in specs if "surrogate" in each):
        smooth = spec["surrogate"] == "sigmoid"
        spec |= {"surrogate": smooth, "gamma": spec["gamma"] if smooth else 0, "detach_reset": False}
    for path, spec in zip(paths[1:], specs[1:], strict=True):
        pairs = [(name, specs[0].get(name), value) for name, value in spec.items()]
        differ = [f"{name} {first!r} and {value!r}" for name, first, value in pairs if first != value]
        if differ:
            raise CheckpointError(
                f"{path}: holds another network than {paths[0]} ({'; '.join(differ)}); there is no path between two "
                "networks that compute different things with the same weights"
            )


def between_path(checkpoints: tuple[Path, Path], output: Path | None, kind: str) -> Path:
    """Where the result of two checkpoints goes."""
    first, second = checkpoints
    if not first.name:
        raise click.UsageError(f"{first}: is a folder, expected a checkpoint")
    pair = first.with_name(f"{first.stem}-{second.stem}.pt")
    return output_paths((pair,), output, kind)[0]


def between(subject: Any, checkpoints: tuple[Path, ...]) -> Any:
    """The first checkpoint as the subject of a result about several."""
    import dataclasses

    from tetviz.commands.subject import neuron_settings, training_settings
    from tetviz.training import Checkpoint, file_sha256

    label = " to ".join(path.stem.encode(errors="replace").decode() for path in checkpoints)
    names, digests = ", ".join(map(str, checkpoints)), ", ".join(file_sha256(path) for path in checkpoints)
    loaded = [Checkpoint.load(path) for path in checkpoints]
    training, neurons = ([tell(each) for each in loaded] for tell in (training_settings, neuron_settings))
    provenance = dataclasses.replace(
        subject.provenance,
        label=label,
        checkpoint=names,
        checkpoint_sha256=digests,
        training=training[0] if all(each == training[0] for each in training) else {},
        neurons=neurons[0] if all(each == neurons[0] for each in neurons) else {},
    )
    return dataclasses.replace(subject, provenance=provenance)


def with_ends(points: int, span: tuple[float, float]) -> Any:
    """Even coordinates with both checkpoints, 0 and 1, among them."""
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
    """Draws lines between two checkpoints, and prints the barriers on them."""
    from tetviz.commands.console import note, print_results
    from tetviz.figures import Choices, draw, save_figure

    save_figure(draw([lines]), target.with_suffix(".png"))
    note(f"wrote {target} and {target.with_suffix('.png')}")
    print_results([lines], Choices(), as_json)
