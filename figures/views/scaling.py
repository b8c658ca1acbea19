"""What scaling curves show: accuracy and losses at fewer and more timesteps, early exit, classes, differences."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tetviz.errors import ResultError
from tetviz.figures.curves import ACCURACY, Axis, Curves, Series, position
from tetviz.figures.doubts import losses_of, not_finite
from tetviz.figures.formatting import NO_NUMBER, number, shares
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, Comparison, FigureOf, TableOf, View, require_same_data
from tetviz.figures.views.exits import EXIT_TABLES, WILSON, exit_chart
from tetviz.figures.views.runs import RUN_TABLES, RUNS
from tetviz.results import ScalingCurve
from tetviz.summaries import AccuracyDifference, class_accuracy, wilson
from tetviz.summaries.exits import RULES
from tetviz.summaries.names import counted, data_context, network_name, network_names, samples_of
from tetviz.summaries.scaling import differences_from_first, step_accuracy_table, table_timesteps

_T = Axis("number of timesteps T", "log2")
_NOT_SEEDS = "the intervals are over samples: another training seed would give another network"


def accuracy_chart(curves: Sequence[ScalingCurve], last: int | None = None) -> Curves:
    """Accuracy against T, up to the last one to show: left half of Figure 8 of the TET paper, and Figure 4A."""
    names = network_names(curves)
    series = []
    for network, curve in enumerate(curves):
        t, accuracy, alone = curve.timestep[:last], curve.accuracy[:last], curve.step_accuracy[:last]
        samples = len(samples_of(curve))
        low, high = wilson(accuracy, samples)
        texts = tuple(
            f"T = {step}\naccuracy {share}\nstep {step} alone {single}"
            for step, share, single in zip(
                t, shares(accuracy, samples), shares(alone, curve.step_samples[:last]), strict=True
            )
        )
        ringed = position(t, curve.t_train)
        series.append(Series(network, t, 100 * alone, thin=True))
        series.append(Series(network, t, 100 * accuracy, 100 * low, 100 * high, texts, ringed))
    return Curves(
        "Accuracy against T",
        f"Accuracy of {', '.join(names)} against the number of timesteps, with 95 % intervals; a table below has them.",
        tuple(names),
        _T if last is None else Axis(_T.title, "whole"),
        ACCURACY,
        tuple(series),
        ring="training T" if any(each.ringed for each in series) else "",
        band=WILSON,
        thin="output of step t alone",
    )


def growth_chart(curves: Sequence[ScalingCurve]) -> Curves:
    """Accuracy relative to that at the training T: right half of Figure 8 of the TET paper."""
    names = network_names(curves)
    series = tuple(
        Series(
            network,
            curve.timestep,
            100 * curve.relative_growth,
            texts=tuple(
                f"T = {t}\nrelative growth {number(value, '+.2%')}"
                for t, value in zip(curve.timestep, curve.relative_growth, strict=True)
            ),
            ringed=position(curve.timestep, curve.t_train),
        )
        for network, curve in enumerate(curves)
    )
    return Curves(
        "Relative growth of the accuracy",
        f"Accuracy of {', '.join(names)} over that at the training T, minus 1, against the number of timesteps.",
        tuple(names),
        _T,
        Axis("relative growth of accuracy (%)", least=1.0, lines=(0.0,)),
        series,
        ring="training T" if any(each.ringed for each in series) else "",
    )


def scale_table(curves: Sequence[ScalingCurve], choices: Choices) -> Table:
    """Networks at every T."""
    padded = any(curve.length is not None for curve in curves)
    return stacked(network_names(curves), [_every_t(curve, choices.timestep, padded) for curve in curves])


def _every_t(curve: ScalingCurve, timestep: int | None, padded: bool) -> Table:
    last, samples = len(curve.timestep), len(samples_of(curve))
    if timestep and timestep > last:
        name = network_name(curve.provenance)
        raise ResultError(f"T = {timestep}: the scaling curve of {name} holds 1 to {last}")
    numbers: dict[str, Any] = {"trained": curve.timestep == curve.t_train, "samples": samples}
    if padded:
        numbers["step samples"] = curve.step_samples
    for head, values, of in (
        ("accuracy", curve.accuracy, samples),
        ("step accuracy", curve.step_accuracy, curve.step_samples),
    ):
        low, high = wilson(values, of)
        numbers |= {f"{head} (%)": 100 * values, f"{head} low (%)": 100 * low, f"{head} high (%)": 100 * high}
    numbers |= {"growth (%)": 100 * curve.relative_growth, "L_SDT (nat)": curve.sdt_loss}
    numbers |= {"L_TET (nat)": curve.tet_loss, "step loss (nat)": curve.step_loss}
    return Table(
        pd.DataFrame(numbers, index=pd.Index(curve.timestep, name="T")),
        (
            _percent("accuracy"),
            _percent("step accuracy", "step T alone"),
            *([Column("samples with a step T", of="step samples")] if padded else []),
            Column("growth (%)", form="+.2f"),
            Column("L_SDT (nat)", form=".4f"),
            Column("L_TET (nat)", form=".4f"),
        ),
        about="Accuracy at T timesteps, that of step T alone, growth over the training T, and losses",
        note="In brackets 95 % Wilson intervals over samples",
        feet=(*_padding(curve), *(() if timestep else (_variance(curve),))),
        rows=[t - 1 for t in ([timestep] if timestep else table_timesteps(curve))],
        key=Column("T", marked="trained"),
        label="scale",
    )


def _padding(curve: ScalingCurve) -> list[str]:
    if curve.length is None:
        return []
    low, high = curve.length.min(), curve.length.max()
    return [
        f"samples have {low} to {high} of {len(curve.timestep)} steps, what is behind is padding: at T a sample counts "
        "as at its last step up to T, and step T alone is over the samples that have it"
    ]


def _variance(curve: ScalingCurve) -> str:
    last, trained = len(curve.timestep), curve.t_train
    if not trained:
        return "variance of the step accuracy beyond the T of training: that T is not recorded"
    if trained + 1 >= last:
        return f"variance of the step accuracy: needs two steps beyond the T of training, {trained}"
    variance = 1e4 * curve.temporal_variance
    known = f"{variance:.4f} %^2" if math.isfinite(variance) else "not recorded"
    return f"variance of the step accuracy over t = {trained + 1}..{last}: {known}"


def class_table(curves: Sequence[ScalingCurve], choices: Choices) -> Table:
    """Accuracy of every class of networks, at the powers of two and the T of training."""
    shown = sorted({t for curve in curves for t in table_timesteps(curve)})
    trained = {curve.t_train for curve in curves}
    columns = tuple(Column(f"T={t}{' (trained)' if trained == {t} else ''}", of=f"T={t} (%)") for t in shown)
    last = max(len(curve.timestep) for curve in curves)
    tables = []
    for curve in curves:
        numbers = (100 * class_accuracy(curve)).reindex(columns=range(1, last + 1))
        frame = numbers.rename(columns=lambda t: f"T={t} (%)").rename_axis(columns=None)
        frame.insert(0, "samples", np.bincount(curve.label, minlength=curve.num_classes))
        tables.append(
            Table(
                frame,
                (Column("samples"), *columns),
                about="Accuracy in %, of the mean output of steps 1..T, on the samples of each class",
                label="classes",
            )
        )
    return stacked(network_names(curves), tables)


def step_table(curves: Sequence[ScalingCurve], choices: Choices) -> Table:
    """Accuracy of each step alone and its variance over time: Table 4 of the TET paper."""
    frame = step_accuracy_table(curves)
    trained, *others = map(str, frame.columns)
    columns = [Column(f"{name} (%^2)" if name.startswith("var") else name, of=name) for name in others]
    return Table(
        frame,
        (Column("trained at T", of=trained, named={"0": NO_NUMBER}), *columns),
        about="Accuracy of each step t alone, in %, and its sample variance over steps, in %^2 (TET paper, Table 4)",
        label="steps",
    )


def difference_table(curves: Sequence[ScalingCurve], choices: Choices) -> Table:
    """How the accuracy of each network differs from that of the first on the same samples, at every T."""
    found = differences_from_first(curves)
    others = found[0].second if len(found) == 1 else "each network"
    head = found[0].second if len(found) == 1 else "accuracy"
    tables = [
        _difference(each, head, sorted({*table_timesteps(curves[0]), *table_timesteps(other)}), choices.timestep)
        for each, other in zip(found, curves[1:], strict=True)
    ]
    return dataclasses.replace(
        stacked([each.second for each in found], tables),
        about=f"Accuracy, {others} minus {found[0].first}, in points [95 % paired interval over the same "
        f"{counted(found[0].samples, 'sample')}]",
        feet=(*(each.sentence(choices.timestep) for each in found), _NOT_SEEDS),
    )


def _difference(found: AccuracyDifference, head: str, timesteps: Sequence[int], timestep: int | None) -> Table:
    steps = range(1, len(found.mean) + 1)
    numbers = {
        "baseline accuracy (%)": 100 * found.first_accuracy,
        "accuracy (%)": 100 * found.second_accuracy,
        "difference (points)": 100 * found.mean,
        "difference low (points)": 100 * found.low,
        "difference high (points)": 100 * found.high,
        "told apart by": found.split,
        "samples": found.samples,
        "verdict": [found.words(t) for t in steps],
    }
    return Table(
        pd.DataFrame(numbers, index=pd.Index(steps, name="T")),
        (
            Column(f"{found.first} (%)", of="baseline accuracy (%)"),
            Column(f"{head} (%)", of="accuracy (%)"),
            Column("difference (points)", form="+.2f", low="difference low (points)", high="difference high (points)"),
            Column("", of="verdict"),
        ),
        rows=[t - 1 for t in ([timestep] if timestep else timesteps) if t in steps],
        label="difference",
    )


def _percent(name: str, head: str = "") -> Column:
    return Column(f"{head or name} (%)", of=f"{name} (%)", low=f"{name} low (%)", high=f"{name} high (%)")


def scaling_charts(curves: Sequence[ScalingCurve], choices: Choices) -> list[Curves]:
    """Accuracy, its growth, and early exit by both rules."""
    exits = [] if any(curve.recalibrated for curve in curves) else [exit_chart(curves, rule) for rule in RULES]
    return [accuracy_chart(curves), growth_chart(curves), *exits]


def record(curves: Sequence[ScalingCurve], choices: Choices) -> list[dict[str, Any]]:
    """Origin, all that is known at every T, and its intervals."""
    return [_record(curve) for curve in curves]


def _record(curve: ScalingCurve) -> dict[str, Any]:
    found = {
        "checkpoint": curve.provenance.checkpoint,
        "samples": len(samples_of(curve)),
        "t_train": curve.t_train,
        "temporal_variance": curve.temporal_variance,
        "temporal_variance_all": curve.temporal_variance_all,
        "prefix_test": curve.prefix_test,
        **{str(name): column.tolist() for name, column in curve.to_frame().reset_index().items()},
    }
    if curve.recalibrated:
        found["calibration"] = curve.recalibrated
    if curve.length is not None:
        found["step_samples"] = curve.step_samples.tolist()
    for name, of in (("accuracy", len(samples_of(curve))), ("step_accuracy", curve.step_samples)):
        low, high = wilson(getattr(curve, name), of)
        found |= {f"{name}_low": low.tolist(), f"{name}_high": high.tolist()}
    return found


def class_record(curves: Sequence[ScalingCurve]) -> list[dict[str, Any]]:
    """The accuracy of each class."""
    return [{"class_accuracy": class_accuracy(curve).to_numpy().tolist()} for curve in curves]


def difference_record(curves: Sequence[ScalingCurve]) -> list[dict[str, Any]]:
    """How each but the first differs from it."""
    return [{}, *map(_difference_record, differences_from_first(curves))]


def _difference_record(found: AccuracyDifference) -> dict[str, Any]:
    return {
        "baseline": found.first,
        "difference": found.mean.tolist(),
        "difference_low": found.low.tolist(),
        "difference_high": found.high.tolist(),
        "samples_told_apart": found.split.tolist(),
        "sentence": found.sentence(),
    }


def _doubts(curve: ScalingCurve) -> list[str]:
    alone = np.where(curve.step_samples > 0, curve.step_loss, 0.0)  # NaN of a step that no sample has is no doubt
    return not_finite({**losses_of(curve), "the loss of a step alone": alone}, "at", "timestep")


VIEW = View[ScalingCurve](
    title="Fewer and more timesteps",
    takes="files of tetviz scale",
    describe=lambda curve: f"Time scalability up to T = {curve.timestep[-1]}",
    context=data_context,
    doubts=_doubts,
    tables={
        "scale-table": TableOf("accuracy, growth and losses at every T", scale_table, heeds=("timestep",)),
        **EXIT_TABLES,
        "class-table": TableOf(
            "accuracy of each class at the powers of two",
            class_table,
            fold="Accuracy of each class",
            asked="per-class",
            record=class_record,
        ),
        "table4": TableOf(
            "Table 4: accuracy of each step alone and its variance over time", step_table, each=False, asked="steps"
        ),
        "difference-table": TableOf(
            "accuracy minus that of the first network, on the same samples",
            difference_table,
            heeds=("timestep",),
            each=False,
            least=2,
            asked="differences",
            record=difference_record,
        ),
        **RUN_TABLES,
    },
    record=record,
    figure="tetviz.figures.plots.scaling:draw_scaling",
    figures={
        "fig4a": FigureOf(
            "Figure 4A: accuracy against T up to 8, of networks trained with one T",
            "tetviz.figures.plots.scaling:draw_accuracy",
        ),
        "fig6": FigureOf(
            "Figure 6: accuracy against lambda, the weight of the regulariser of L_TOTAL",
            "tetviz.figures.plots.sweep:draw_sweep",
            takes=RUNS,
            least=2,
        ),
        "fig7": FigureOf(
            "Figure 7: accuracy of a run against the mean accuracy of its steps, a point for each network",
            "tetviz.figures.plots.scatter:draw_scatter",
            takes=RUNS,
            heeds=("timestep", "groups"),
        ),
        "fig8": FigureOf(
            "Figure 8: accuracy and its relative growth against T, up to the T_max of the files",
            "tetviz.figures.plots.scaling:draw_scaling",
        ),
        "exits": FigureOf("accuracy against mean T of early exit", "tetviz.figures.plots.exits:draw_exits"),
        "classes": FigureOf("accuracy of each class against T", "tetviz.figures.plots.classes:draw_classes"),
    },
    curves=scaling_charts,
    together=require_same_data,
    comparison=Comparison(lambda curves, choices: differences_from_first(curves), asked=("differences",)),
)
