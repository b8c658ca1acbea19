"""Scaling curves as tables: every T, every step, differences, early exit, classes."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tetviz.figures.formatting import NO_NUMBER, interval, number, numbered, shares
from tetviz.figures.report.blocks import TextTable
from tetviz.results import ScalingCurve
from tetviz.summaries import AccuracyDifference, class_accuracy
from tetviz.summaries.exits import exit_curve, table_points
from tetviz.summaries.names import counted
from tetviz.summaries.scaling import table_timesteps

NOT_SEEDS = "the intervals are over samples: another training seed would give another network"


def curve_table(curve: ScalingCurve, timestep: int | None = None) -> TextTable:
    """A scaling curve at the powers of two and the T of training."""
    tmax, trained = len(curve.timestep), curve.t_train
    shown = [timestep] if timestep else table_timesteps(curve)
    at = [t - 1 for t in shown]
    frame = pd.DataFrame(
        {
            "accuracy": shares(curve.accuracy[at], len(curve.sample)),
            "step T alone": shares(curve.step_accuracy[at], len(curve.sample)),
            "growth": [number(value, "+.2%") for value in curve.relative_growth[at]],
            **{
                symbol: [number(value, ".4f") for value in values[at]]
                for symbol, values in (("L_SDT", curve.sdt_loss), ("L_TET", curve.tet_loss))
            },
        },
        index=pd.Index([f"{t} (trained)" if t == trained else str(t) for t in shown], name="T"),
    )
    caption = f"{counted(len(curve.sample), 'sample')} [95 % Wilson interval]"
    if timestep:
        return TextTable(caption, frame)
    if not trained:
        foot = "variance of the step accuracy beyond the T of training: that T is not recorded"
    elif trained + 1 >= tmax:
        foot = f"variance of the step accuracy: needs two steps beyond the T of training, {trained}"
    else:
        variance = number(1e4 * curve.temporal_variance, ".4f")
        variance = "not recorded" if variance == NO_NUMBER else f"{variance} %^2"
        foot = f"variance of the step accuracy over t = {trained + 1}..{tmax}: {variance}"
    return TextTable(caption, frame, (foot,))


def shown_timesteps(curves: Sequence[ScalingCurve], difference: AccuracyDifference, other: int) -> list[int]:
    """The T that a table of a difference has rows for."""
    shared = {*table_timesteps(curves[0]), *table_timesteps(curves[other])}
    return sorted(t for t in shared if t <= len(difference.mean))


def difference_table(difference: AccuracyDifference, timesteps: Sequence[int]) -> TextTable:
    """A difference of accuracies."""
    at, d = [t - 1 for t in timesteps], difference
    gaps = zip(100 * d.mean[at], 100 * d.low[at], 100 * d.high[at], strict=True)
    columns = {
        d.first: [number(share, ".2%") for share in d.first_accuracy[at]],
        d.second: [number(share, ".2%") for share in d.second_accuracy[at]],
        "difference": [interval(*gap, "+.2f") for gap in gaps],
        "": [d.words(t) for t in timesteps],
    }
    return TextTable(
        f"{d.second} minus {d.first}, in points of accuracy [95 % paired bootstrap over the same "
        f"{counted(d.samples, 'sample')}]",
        pd.DataFrame(columns, index=pd.Index(list(map(str, timesteps)), name="T")),
    )


def exit_table(curve: ScalingCurve, rule: str) -> TextTable:
    """Early exit at the thresholds that give round mean T."""
    found = exit_curve(curve, rule)
    at = table_points(found)
    labels = [threshold_words(threshold, rule) for threshold in found.threshold[at]]
    columns = {
        "mean T": [number(mean, ".2f") for mean in found.mean_timesteps[at]],
        "accuracy": shares(found.accuracy[at], found.samples),
        f"unsure at T = {len(curve.timestep)}": [number(share, ".2%") for share in found.unsure[at]],
    }
    return TextTable("", pd.DataFrame(columns, index=pd.Index(labels, name=f"exit: {rule}")))


def threshold_words(threshold: float, rule: str) -> str:
    """Where a rule of early exit stops a sample, such as ``>= 0.6``, or ``never``.

    Args:
        threshold: of the rule; infinite where no sample stops before the last step.
    """
    sign = ">=" if rule == "margin" else "<="
    return f"{sign} {abs(threshold):.4g}" if math.isfinite(threshold) else "never"


def class_table(curve: ScalingCurve) -> TextTable:
    """Accuracy of every class at the powers of two and the T of training.

    Returns:
        A row for each class, in percent.
    """
    shown = table_timesteps(curve)
    table = 100 * class_accuracy(curve)[shown]
    names = [f"T={t}{' (trained)' * (t == curve.t_train)}" for t in shown]
    frame = numbered(pd.DataFrame(table.to_numpy(), index=table.index, columns=pd.Index(names)), ".2f")
    frame.insert(0, "samples", list(map(str, np.bincount(curve.label, minlength=curve.num_classes))))
    return TextTable("", frame)
