"""What scaling curves say, printed: tables of one, differences of several, early exit, classes; and as JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tetviz.results import ScalingCurve
    from tetviz.summaries import AccuracyDifference


def report_scaling(curves: "Sequence[ScalingCurve]", timestep: int | None = None) -> None:
    """Prints the table of each curve, and how each checkpoint differs from the first: what `tetviz compare` says."""
    from tetviz.errors import ResultError
    from tetviz.summaries.names import network_names
    from tetviz.summaries.scaling import differences_from_first

    names = network_names(curves)
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
    """Prints how the accuracy of each checkpoint differs from that of the first, on the same samples."""
    from tetviz.figures import format_table
    from tetviz.figures.report.tables_scaling import NOT_SEEDS, difference_table, shown_timesteps

    if not differences:
        return
    for other, difference in enumerate(differences, start=1):
        shown = [timestep] if timestep else shown_timesteps(curves, difference, other)
        table = difference_table(difference, shown)
        click.echo(f"\n{table.caption}\n{format_table(table.frame)}")
    for difference in differences:
        click.echo(difference.sentence(timestep))
    click.echo(NOT_SEEDS)


def format_curve(curve: "ScalingCurve", timestep: int | None = None) -> str:
    """A scaling curve as a table, at the powers of two and the T of training."""
    from tetviz.figures import format_table
    from tetviz.figures.report.tables_scaling import curve_table

    table = curve_table(curve, timestep)
    return "\n".join([format_table(table.frame), *table.feet])


def format_exits(curve: "ScalingCurve", rule: str) -> str:
    """Early exit as a table, at the thresholds that give round mean T."""
    from tetviz.figures import format_table
    from tetviz.figures.report.tables_scaling import exit_table

    return format_table(exit_table(curve, rule).frame)


def format_classes(curve: "ScalingCurve") -> str:
    """Accuracy of every class as a table, at the powers of two and the T of training."""
    from tetviz.figures import format_table
    from tetviz.figures.report.tables_scaling import class_table

    return format_table(class_table(curve).frame)


def scaling_records(
    curves: "Sequence[ScalingCurve]",
    differences: "Sequence[AccuracyDifference]",
    rules: Sequence[str] = (),
    per_class: bool = False,
) -> list[dict[str, Any]]:
    """Scaling curves as plain values."""
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
    """A scaling curve as plain values."""
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
