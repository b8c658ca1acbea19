"""What early exit shows: accuracy against the mean number of timesteps, if samples stop when the network is sure."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd

from tetviz.figures.curves import ACCURACY, Axis, Curves, Series, position
from tetviz.figures.formatting import number, shares
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, TableOf
from tetviz.results import ScalingCurve
from tetviz.summaries import exit_curve
from tetviz.summaries.exits import table_points
from tetviz.summaries.names import network_names

WILSON = "95 % Wilson interval over samples"
_SURE = {"margin": "the softmax margin is large", "entropy": "the entropy of the softmax is small"}
_EXITS = "Early exit: each sample stops as soon as the network is sure of it"


def exit_chart(curves: Sequence[ScalingCurve], rule: str) -> Curves:
    """Accuracy against mean T of early exit, over all thresholds, beside the same T for every sample."""
    names = network_names(curves)
    series = []
    for network, curve in enumerate(curves):
        found = exit_curve(curve, rule)
        fixed = tuple(
            f"T = {t} for every sample\naccuracy {number(share, '.2%')}"
            for t, share in zip(curve.timestep, curve.accuracy, strict=True)
        )
        points = zip(found.threshold, found.mean_timesteps, shares(found.accuracy, found.samples), strict=True)
        texts = tuple(
            f"exit: {rule} {threshold_words(rule, threshold)}\nmean T {mean:.2f}\naccuracy {share}"
            for threshold, mean, share in points
        )
        ringed = position(curve.timestep, curve.t_train)
        series.append(Series(network, curve.timestep, 100 * curve.accuracy, texts=fixed, ringed=ringed, thin=True))
        ends = 100 * found.low, 100 * found.high
        series.append(Series(network, found.mean_timesteps, 100 * found.accuracy, *ends, texts))
    return Curves(
        f"Early exit where {_SURE[rule]}",
        f"Accuracy of {', '.join(names)} against the mean number of timesteps if samples stop by {rule}.",
        tuple(names),
        Axis("mean number of timesteps", "log2"),
        ACCURACY,
        tuple(series),
        ring="training T" if any(each.ringed for each in series) else "",
        band=WILSON,
        thin="the same T for every sample",
        fold=_EXITS,
    )


def threshold_words(rule: str, threshold: float) -> str:
    """Where a rule of early exit stops a sample, such as ``>= 0.6``; ``never`` where it is infinite."""
    sign = ">=" if rule == "margin" else "<="
    return f"{sign} {abs(threshold):.4g}" if math.isfinite(threshold) else "never"


def exit_table(curves: Sequence[ScalingCurve], choices: Choices, rule: str) -> Table:
    """Early exit of networks at the thresholds that give round mean T."""
    return stacked(network_names(curves), [_exits(curve, rule) for curve in curves])


def _exits(curve: ScalingCurve, rule: str) -> Table:
    found = exit_curve(curve, rule)
    numbers = {
        "mean T": found.mean_timesteps,
        "accuracy (%)": 100 * found.accuracy,
        "accuracy low (%)": 100 * found.low,
        "accuracy high (%)": 100 * found.high,
        "unsure at the last T (%)": 100 * found.unsure,
        "last T": len(curve.timestep),
        "samples": found.samples,
    }
    return Table(
        pd.DataFrame(numbers, index=pd.Index(found.threshold, name="threshold")),
        (
            Column("mean T"),
            Column("accuracy (%)", low="accuracy low (%)", high="accuracy high (%)"),
            Column("unsure at the last T (%)"),
        ),
        about=f"Early exit where {_SURE[rule]}: mean T, accuracy [95 % Wilson interval over samples], and the samples "
        "that run to the last T",
        rows=table_points(found),
        key=Column(f"exit: {rule}", of="threshold", form=partial(threshold_words, rule), missing="never"),
        label=f"{rule}-exit",
    )


def exit_record(curves: Sequence[ScalingCurve], rule: str) -> list[dict[str, Any]]:
    """The points of early exit, over all thresholds."""
    names = ("threshold", "mean_timesteps", "accuracy", "low", "high", "unsure")
    exits = [exit_curve(curve, rule) for curve in curves]
    return [{f"{rule}_exit_{name}": getattr(found, name).tolist() for name in names} for found in exits]


EXIT_TABLES = {
    f"{rule}-exit-table": TableOf[ScalingCurve](
        f"accuracy against mean T of early exit where {sure}",
        partial(exit_table, rule=rule),
        fold=_EXITS,
        asked=rule,
        fits=lambda curve: not curve.recalibrated,
        record=partial(exit_record, rule=rule),
    )
    for rule, sure in _SURE.items()
}
