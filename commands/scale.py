"""``tetviz scale``: accuracy and losses of a checkpoint at every number of timesteps."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.options import (
    checkpoints_argument,
    data_options,
    output_paths,
    run_options,
    samples_option,
)

if TYPE_CHECKING:
    from tetviz.commands.subject import Subject
    from tetviz.results import ScalingCurve


@click.command()
@checkpoints_argument
@click.option("--tmax", type=click.IntRange(1), default=64, show_default=True, help="Longest run.")
@samples_option(0)
@data_options
@run_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HDF5 file.  [default: CKPT.scale.h5]")
def scale(
    checkpoints: tuple[Path, ...],
    tmax: int,
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
    from tetviz.commands.console import note
    from tetviz.commands.subject import open_subject
    from tetviz.results import writable_target

    targets = output_paths(checkpoints, output, "scale")
    for target in targets:
        writable_target(target, force)
        writable_target(target.with_suffix(".png"), force)
    for path, target in zip(checkpoints, targets, strict=True):
        subject = open_subject(path, **options)
        curve = measure_scaling(subject, target, tmax, batch_size)
        print_curve(curve, as_json)
        note(f"wrote {target} and {target.with_suffix('.png')}")


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


def print_curve(curve: "ScalingCurve", as_json: bool) -> None:
    """Prints a scaling curve at the powers of two and the T of training.

    Args:
        curve: the curve.
        as_json: as JSON, at every T.
    """
    import json

    from tetviz.commands.console import format_rows

    tmax, trained = len(curve.timestep), curve.t_train
    if as_json:
        table = curve.to_frame().reset_index().to_dict("list")
        variance = {"temporal_variance": curve.temporal_variance, "t_train": trained}
        click.echo(json.dumps({**variance, **table}))
        return
    shown = sorted({t for t in (*(2**k for k in range(20)), trained, tmax) if t <= tmax})
    rows = []
    for t in shown:
        name = f"{t} (trained)" if t == trained else str(t)
        percent = [f"{100 * float(values[t - 1]):.2f} %" for values in (curve.accuracy, curve.step_accuracy)]
        growth = f"{100 * float(curve.relative_growth[t - 1]):+.2f} %"
        rows.append([name, *percent, growth, float(curve.sdt_loss[t - 1]), float(curve.tet_loss[t - 1])])
    click.echo(format_rows(["T", "accuracy", "step T alone", "growth", "L_SDT", "L_TET"], rows))
    if trained + 1 < tmax:
        click.echo(
            f"variance of the step accuracy over t = {trained + 1}..{tmax}: {1e4 * curve.temporal_variance:.4f} %^2"
        )
    else:
        click.echo(f"variance of the step accuracy: needs two steps beyond the T of training, {trained}")
