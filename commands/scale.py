"""``tetviz scale``: accuracy and losses of a checkpoint at every number of timesteps."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.options import (
    checkpoints_argument,
    data_options,
    output_option,
    output_paths,
    run_options,
    samples_option,
)

if TYPE_CHECKING:
    from tetviz.commands.subject import Subject
    from tetviz.results import ScalingCurve


@click.command()
@checkpoints_argument
@click.option("--tmax", type=click.IntRange(1), help="Longest run.  [default: 64; events: their frames]")
@samples_option(0)
@data_options
@run_options
@output_option("scale")
def scale(
    checkpoints: tuple[Path, ...],
    tmax: int | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    batch_size: int,
    **options: Any,
) -> None:
    """Measure CKPT at every T from 1 to --tmax, in one pass whose memory does not grow with T.

    Writes CKPT.scale.h5 and CKPT.scale.png: accuracy and losses of the mean output of steps 1..T, accuracy and
    loss of each step alone, and the growth of the accuracy relative to the T of training.

    \b
    tetviz scale tet.pt --tmax 64
    tetviz scale sdt.pt tet.pt && tetviz plot sdt.scale.h5 tet.scale.h5 -o figure8.pdf
    """
    from tetviz.commands.console import note, print_json, warn_at_chance
    from tetviz.commands.subject import open_subject
    from tetviz.figures import TABLE_CAPTION, format_table, step_accuracy_table
    from tetviz.results import writable_target
    from tetviz.training import Checkpoint

    targets = output_paths(checkpoints, output, "scale")
    for target in targets:
        writable_target(target, force)
        writable_target(target.with_suffix(".png"), force)
    for path in checkpoints:
        Checkpoint.load(path)
    records, curves = [], []
    for path, target in zip(checkpoints, targets, strict=True):
        subject = open_subject(path, batch_size=batch_size, **options)
        longest = tmax or (subject.dataset.spec.frames if subject.dataset.sequence else 64)
        curve = measure_scaling(subject, target, longest, batch_size)
        records.append(record(curve))
        curves.append(curve)
        warn_at_chance(curve.sdt_loss[-1], subject.checkpoint.spec.num_classes)
        if not as_json:
            click.echo(format_curve(curve))
        note(f"wrote {target} and {target.with_suffix('.png')}")
    if as_json:
        print_json(records)
    else:
        click.echo(f"\n{TABLE_CAPTION}\n{format_table(step_accuracy_table(curves))}")


def measure_scaling(subject: "Subject", target: Path, tmax: int, batch_size: int) -> "ScalingCurve":
    """Measures a scaling curve, writes and draws it.

    Args:
        subject: checkpoint and data.
        target: the HDF5 file; the figure stands beside it.
        tmax: longest run.
        batch_size: samples a batch.

    Returns:
        The curve.
    """
    from tetviz.analysis import compute_scaling
    from tetviz.commands.console import progress_bar
    from tetviz.figures import draw_scaling, save_figure
    from tetviz.results import save

    with progress_bar(subject.path.stem, len(subject.indices)) as (bar, task):
        curve = compute_scaling(
            subject.model,
            subject.dataset,
            tmax,
            indices=subject.indices,
            batch_size=batch_size,
            provenance=subject.provenance,
            progress=lambda samples: bar.advance(task, samples),
        )
    save(target, curve)
    save_figure(draw_scaling([curve]), target.with_suffix(".png"))
    return curve


def record(curve: "ScalingCurve") -> dict[str, Any]:
    """A scaling curve as plain values.

    Args:
        curve: the curve.

    Returns:
        Its origin and every number, at every T.
    """
    head = {
        "checkpoint": curve.provenance.checkpoint,
        "t_train": curve.t_train,
        "temporal_variance": curve.temporal_variance,
        "temporal_variance_all": curve.temporal_variance_all,
    }
    return {**head, **{str(name): column.tolist() for name, column in curve.to_frame().reset_index().items()}}


def format_curve(curve: "ScalingCurve") -> str:
    """A scaling curve as a table, at the powers of two and the T of training.

    Args:
        curve: the curve.

    Returns:
        The lines.
    """
    import pandas as pd

    from tetviz.figures import format_table

    tmax, trained = len(curve.timestep), curve.t_train
    shown = [t for t in range(1, tmax + 1) if t in (trained, tmax) or t & (t - 1) == 0]
    at = [t - 1 for t in shown]
    frame = pd.DataFrame(
        {
            "accuracy": [f"{value:.2%}" for value in curve.accuracy[at]],
            "step T alone": [f"{value:.2%}" for value in curve.step_accuracy[at]],
            "growth": ["-" if value != value else f"{value:+.2%}" for value in curve.relative_growth[at]],
            "L_SDT": curve.sdt_loss[at],
            "L_TET": curve.tet_loss[at],
        },
        index=pd.Index([f"{t} (trained)" if t == trained else str(t) for t in shown], name="T"),
    )
    table = format_table(frame, decimals=4)
    if trained + 1 >= tmax:
        return f"{table}\nvariance of the step accuracy: needs two steps beyond the T of training, {trained}"
    variance = f"{1e4 * curve.temporal_variance:.4f} %^2"
    return f"{table}\nvariance of the step accuracy over t = {trained + 1}..{tmax}: {variance}"
