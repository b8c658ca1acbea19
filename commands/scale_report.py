"""What scaling curves say, printed: tables of one, differences of several, early exit, classes; and as JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tetviz.results import ScalingCurve
    from tetviz.summaries import AccuracyDifference

NOT_SEEDS = "the intervals are over samples: another training seed would give another network"


def report_scaling(curves: "Sequence[ScalingCurve]", timestep: int | None = None) -> None:
    """Prints the table of each curve, and how each checkpoint differs from the first: what `tetviz compare` says.

    Args:
        curves: one for each checkpoint.
        timestep: the only T to show; the powers of two and the training T by default.

    Raises:
        ResultError: a curve does not hold that T.
    """
    from tetviz.errors import ResultError
    from tetviz.summaries.flatness import checkpoint_names
    from tetviz.summaries.scaling import differences_from_first

    names = checkpoint_names([curve.provenance for curve in curves])
    for name, curve in zip(names, curves, strict=True):
        if timestep and timestep > len(curve.timestep):
            raise ResultError(f"T = {timestep}: the scaling curve of {name} holds 1 to {len(curve.timestep)}")
    found = differences_from_first(curves)
    for name, curve in zip(names, curves, strict=True):
        click.echo(f"\n{name}: {len(curve.sample):,} samples [95 % Wilson interval]")
        click.echo(format_curve(curve, timestep))
    report_differences(curves, found, timestep)


def report_differences(
    curves: "Sequence[ScalingCurve]", differences: "Sequence[AccuracyDifference]", timestep: int | None = None
) -> None:
    """Prints how the accuracy of each checkpoint differs from that of the first, on the same samples.

    Args:
        curves: one for each checkpoint.
        differences: of each from the first; of none nothing is printed.
        timestep: the only T to show; the powers of two and the training T by default.
    """
    from tetviz.summaries.scaling import table_timesteps

    if not differences:
        return
    for difference, curve in zip(differences, curves[1:], strict=True):
        shared = {*table_timesteps(curves[0]), *table_timesteps(curve)}
        shown = [timestep] if timestep else sorted(t for t in shared if t <= len(difference.mean))
        click.echo(
            f"\n{difference.second} minus {difference.first}, in points of accuracy [95 % paired bootstrap over the "
            f"same {difference.samples:,} samples]"
        )
        click.echo(format_difference(difference, shown))
    for difference in differences:
        click.echo(difference.sentence(timestep))
    click.echo(NOT_SEEDS)


def format_curve(curve: "ScalingCurve", timestep: int | None = None) -> str:
    """A scaling curve as a table, at the powers of two and the T of training.

    Args:
        curve: the curve.
        timestep: the only T to show instead.

    Returns:
        The lines.
    """
    import pandas as pd

    from tetviz.figures import format_table
    from tetviz.summaries.scaling import table_timesteps

    tmax, trained = len(curve.timestep), curve.t_train
    shown = [timestep] if timestep else table_timesteps(curve)
    at = [t - 1 for t in shown]
    frame = pd.DataFrame(
        {
            "accuracy": shares(curve.accuracy[at], len(curve.sample)),
            "step T alone": shares(curve.step_accuracy[at], len(curve.sample)),
            "growth": ["-" if value != value else f"{value:+.2%}" for value in curve.relative_growth[at]],
            "L_SDT": curve.sdt_loss[at],
            "L_TET": curve.tet_loss[at],
        },
        index=pd.Index([f"{t} (trained)" if t == trained else str(t) for t in shown], name="T"),
    )
    table = format_table(frame, decimals=4)
    if timestep:
        return table
    if trained + 1 >= tmax:
        return f"{table}\nvariance of the step accuracy: needs two steps beyond the T of training, {trained}"
    variance = f"{1e4 * curve.temporal_variance:.4f} %^2"
    return f"{table}\nvariance of the step accuracy over t = {trained + 1}..{tmax}: {variance}"


def shares(accuracy: Any, samples: Any) -> list[str]:
    """Accuracies with their intervals.

    Args:
        accuracy: fractions.
        samples: number of samples of each.

    Returns:
        Such as ``99.16% [97.57, 99.71]``.
    """
    from tetviz.summaries import wilson

    ends = zip(accuracy, *wilson(accuracy, samples), strict=True)
    return ["-" if p != p else f"{p:.2%} [{100 * low:.2f}, {100 * high:.2f}]" for p, low, high in ends]


def format_difference(difference: "AccuracyDifference", timesteps: Sequence[int]) -> str:
    """A difference of accuracies as a table.

    Args:
        difference: the difference.
        timesteps: the T to show.

    Returns:
        The lines.
    """
    import pandas as pd

    from tetviz.figures import format_table

    at = [t - 1 for t in timesteps]
    d = difference
    ends = zip(100 * d.mean[at], 100 * d.low[at], 100 * d.high[at], strict=True)
    columns = {
        d.first: [f"{value:.2%}" for value in d.first_accuracy[at]],
        d.second: [f"{value:.2%}" for value in d.second_accuracy[at]],
        "difference": [f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]" for mean, low, high in ends],
        "": [d.words(t) for t in timesteps],
    }
    return format_table(pd.DataFrame(columns, index=pd.Index(list(map(str, timesteps)), name="T")))


def format_exits(curve: "ScalingCurve", rule: str) -> str:
    """Early exit as a table, at the thresholds that give round mean T.

    Args:
        curve: the curve.
        rule: ``margin`` or ``entropy``.

    Returns:
        The lines.
    """
    import pandas as pd

    from tetviz.figures import format_table
    from tetviz.summaries.exits import exit_curve, table_points

    found = exit_curve(curve, rule)
    at = table_points(found)
    sign = ">=" if rule == "margin" else "<="
    labels = [f"{sign} {abs(t):.4g}" if abs(t) < float("inf") else "never" for t in found.threshold[at]]
    columns = {
        "mean T": found.mean_timesteps[at],
        "accuracy": shares(found.accuracy[at], found.samples),
        f"unsure at T = {len(curve.timestep)}": [f"{share:.2%}" for share in found.unsure[at]],
    }
    return format_table(pd.DataFrame(columns, index=pd.Index(labels, name=f"exit: {rule}")))


def format_classes(curve: "ScalingCurve") -> str:
    """Accuracy of every class as a table, at the powers of two and the T of training.

    Args:
        curve: the curve.

    Returns:
        The lines.
    """
    import numpy as np
    import pandas as pd

    from tetviz.figures import format_table
    from tetviz.summaries import class_accuracy
    from tetviz.summaries.scaling import table_timesteps

    shown = table_timesteps(curve)
    table = 100 * class_accuracy(curve)[shown]
    counts = np.bincount(curve.label, minlength=curve.num_classes)
    names = [f"T={t}{' (trained)' * (t == curve.t_train)}" for t in shown]
    frame = pd.DataFrame(table.to_numpy(), index=table.index, columns=pd.Index(names))
    frame.insert(0, "samples", counts)
    return format_table(frame)


def scaling_records(
    curves: "Sequence[ScalingCurve]",
    differences: "Sequence[AccuracyDifference]",
    rules: Sequence[str] = (),
    per_class: bool = False,
) -> list[dict[str, Any]]:
    """Scaling curves as plain values.

    Args:
        curves: one for each checkpoint.
        differences: of each from the first, or none.
        rules: of early exit.
        per_class: whether to add the accuracy of each class.

    Returns:
        A record for each checkpoint: its origin, every number at every T, and from the second on the difference
        from the first.
    """
    from tetviz.summaries import class_accuracy
    from tetviz.summaries.exits import exit_curve

    records = [curve_record(curve) for curve in curves]
    for record, curve in zip(records, curves, strict=True):
        for rule in rules:
            exits = exit_curve(curve, rule)
            for name in ("threshold", "mean_timesteps", "accuracy", "low", "high", "unsure"):
                record[f"{rule}_exit_{name}"] = getattr(exits, name).tolist()
        if per_class:
            record["class_accuracy"] = class_accuracy(curve).to_numpy().tolist()
    for record, found in zip(records[1:], differences, strict=False):
        record |= {
            "baseline": found.first,
            "difference": found.mean.tolist(),
            "difference_low": found.low.tolist(),
            "difference_high": found.high.tolist(),
            "samples_told_apart": found.split.tolist(),
            "sentence": found.sentence(),
        }
    return records


def curve_record(curve: "ScalingCurve") -> dict[str, Any]:
    """A scaling curve as plain values.

    Args:
        curve: the curve.

    Returns:
        Its origin, every number at every T, and the intervals of both accuracies.
    """
    from tetviz.summaries import wilson

    record = {
        "checkpoint": curve.provenance.checkpoint,
        "samples": len(curve.sample),
        "t_train": curve.t_train,
        "temporal_variance": curve.temporal_variance,
        "temporal_variance_all": curve.temporal_variance_all,
        "prefix_test": curve.prefix_test,
        **{str(name): column.tolist() for name, column in curve.to_frame().reset_index().items()},
    }
    for name in ("accuracy", "step_accuracy"):
        low, high = wilson(getattr(curve, name), len(curve.sample))
        record |= {f"{name}_low": low.tolist(), f"{name}_high": high.tolist()}
    return record
