"""Curves to point at: scaling, early exit, energy, training. Every value comes from the result or from a summary."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from tetviz.figures.formatting import number, shares
from tetviz.figures.plots.energy import by_convention
from tetviz.figures.plots.history import history_styles
from tetviz.figures.plots.style import energy_unit, series_styles
from tetviz.figures.report import plotly as marks
from tetviz.figures.report.blocks import Chart
from tetviz.figures.report.plotly import Trace
from tetviz.figures.report.tables_scaling import threshold_words
from tetviz.results import ScalingCurve, TrainingHistory, default_timestep
from tetviz.summaries import EnergyReport, baselines, exit_curve, wilson
from tetviz.summaries.exits import RULES
from tetviz.summaries.names import LOSSES, network_names

FEW_EPOCHS = 10  # each has a tick: plotly would put others between them
WIDE = 8.0  # a loss over a wider range has a logarithmic axis


def scaling_charts(curves: Sequence[ScalingCurve]) -> list[Chart]:
    """Accuracy and its relative growth against T: Figure 8 of the TET paper."""
    names = network_names(curves)
    accuracy: list[Trace] = []
    growth: list[Trace] = []
    for curve, name, style in zip(curves, names, series_styles(names), strict=True):
        samples = len(curve.sample)
        low, high = wilson(curve.accuracy, samples)
        whole, alone = (shares(accuracy, samples) for accuracy in (curve.accuracy, curve.step_accuracy))
        texts = [
            f"T = {t}<br>accuracy {share}<br>step {t} alone {step}"
            for t, share, step in zip(curve.timestep, whole, alone, strict=True)
        ]
        grown = [
            f"T = {t}<br>relative growth {number(value, '+.2%')}"
            for t, value in zip(curve.timestep, curve.relative_growth, strict=True)
        ]
        accuracy.append(marks.band(curve.timestep, low, high, name, style))
        accuracy += [
            marks.curve(curve.timestep, 100 * curve.step_accuracy, name, style, None, thin=True),
            marks.curve(curve.timestep, 100 * curve.accuracy, name, style, texts, shown=True),
        ]
        growth.append(marks.curve(curve.timestep, 100 * curve.relative_growth, name, style, grown, shown=True))
        at = curve.timestep == curve.t_train
        accuracy.append(marks.ring(curve.timestep[at], 100 * curve.accuracy[at], name, style))
        growth.append(marks.ring(curve.timestep[at], 100 * curve.relative_growth[at], name, style))
    last = max(int(curve.timestep[-1]) for curve in curves)
    keys = [
        marks.key("output of step t alone", thin=True),
        marks.key("training T", ring=True),
        marks.key("95 % Wilson interval over samples", band=True),
    ]
    shown = ", ".join(names)
    return [
        marks.make_chart(
            "Accuracy against T",
            f"Accuracy of {shown} against the number of timesteps, with 95 % intervals; a table below has them.",
            [*accuracy, *keys],
            marks.doubling("number of timesteps T", last),
            {"title": "accuracy (%)"},
        ),
        marks.make_chart(
            "Relative growth of the accuracy",
            f"Accuracy of {shown} over that at the training T, minus 1, against the number of timesteps.",
            [*growth, keys[1]],
            marks.doubling("number of timesteps T", last),
            {"title": "relative growth (%)", "zeroline": True},
        ),
    ]


def exit_charts(curves: Sequence[ScalingCurve]) -> list[Chart]:
    """Accuracy against mean T of early exit, over all thresholds, beside the same T for every sample."""
    names = network_names(curves)
    charts = []
    for rule in RULES:
        traces: list[Trace] = []
        for curve, name, style in zip(curves, names, series_styles(names), strict=True):
            found = exit_curve(curve, rule)
            texts = [
                f"exit: {rule} {html.escape(threshold_words(threshold, rule))}<br>mean T {mean:.2f}<br>accuracy {share}"
                for threshold, mean, share in zip(
                    found.threshold, found.mean_timesteps, shares(found.accuracy, found.samples), strict=True
                )
            ]
            traces.append(marks.band(found.mean_timesteps, found.low, found.high, name, style))
            fixed = [
                f"T = {t} for every sample<br>accuracy {number(share, '.2%')}"
                for t, share in zip(curve.timestep, curve.accuracy, strict=True)
            ]
            traces.append(marks.curve(curve.timestep, 100 * curve.accuracy, name, style, fixed, thin=True))
            traces.append(marks.curve(found.mean_timesteps, 100 * found.accuracy, name, style, texts, shown=True))
        keys = [
            marks.key("the same T for every sample", thin=True),
            marks.key("95 % Wilson interval over samples", band=True),
        ]
        last = max(int(curve.timestep[-1]) for curve in curves)
        charts.append(
            marks.make_chart(
                f"Early exit by {rule}",
                f"Accuracy of {', '.join(names)} against the mean number of timesteps if samples stop by {rule}.",
                [*traces, *keys],
                marks.doubling("mean number of timesteps", last),
                {"title": "accuracy (%)"},
            )
        )
    return charts


def energy_charts(reports: Sequence[EnergyReport]) -> list[Chart]:
    """Accuracy against energy at every T, and energy under each convention: Figure 4B of the TET paper."""
    names = network_names([report.counts for report in reports])
    factor, unit = energy_unit(max(float(report.total_pj[-1]) for report in reports))
    curves: list[Trace] = []
    choices: list[Trace] = []
    tables: list[tuple[EnergyReport, str, dict[str, Any], dict[str, float]]] = []
    for report, name, style in zip(reports, names, series_styles(names), strict=True):
        counts, t = report.counts, default_timestep(report.counts)
        energy = np.where(report.total_pj > 0, report.total_pj, np.nan) / factor
        low, high = wilson(counts.accuracy, report.samples)
        texts = [
            f"T = {step}<br>{number(pj, ',.4g')} {unit} a sample<br>accuracy {share}"
            for step, pj, share in zip(counts.timestep, energy, shares(counts.accuracy, report.samples), strict=True)
        ]
        curves.append(marks.band(energy, low, high, name, style))
        curves.append(marks.curve(energy, 100 * counts.accuracy, name, style, texts, shown=True, every=True))
        at = counts.timestep == counts.t_train
        curves.append(marks.ring(energy[at], 100 * counts.accuracy[at], name, style))
        tables.append((report, name, style, _beside_anns(report, t)))
    labels = list(dict.fromkeys(label for *_, rows in tables for label in rows))
    for index, (_, name, style, rows) in enumerate(tables):
        # Side by side in a row, as networks often cost the same.
        places = [labels.index(label) + 0.5 * ((index + 0.5) / len(tables) - 0.5) for label in rows]
        texts = [f"{html.escape(label)}<br>{pj / factor:,.4g} {unit} a sample" for label, pj in rows.items()]
        dots = marks.curve(np.array(list(rows.values())) / factor, places, name, style, texts, shown=True, every=True)
        choices.append({**dots, "mode": "markers"})
    headlines = {report.convention.label for report in reports}
    named = [f"<b>{label}</b>" if {label} == headlines else label for label in labels]
    title = f"energy of a sample ({unit})"
    shown = ", ".join(names)
    at = {default_timestep(report.counts) for report in reports}
    where = f"T = {at.pop()}" if len(at) == 1 else "the training T"
    return [
        marks.make_chart(
            "Accuracy against energy, a point for each T",
            f"Accuracy of {shown} against the energy of a sample's synaptic operations; tables below have both.",
            [*curves, marks.key("training T", ring=True), marks.key("95 % Wilson interval over samples", band=True)],
            marks.logarithmic(title, [trace["x"] for trace in curves]),
            {"title": "accuracy (%)"},
        ),
        marks.make_chart(
            f"Energy by convention, and of ANNs of the same shapes, at {where}",
            f"Energy of a sample of {shown} under each convention of counting, beside dense ANNs of the same shapes.",
            choices,
            marks.logarithmic(title, [trace["x"] for trace in choices]),
            {"tickvals": list(range(len(labels))), "ticktext": named, "range": [len(labels) - 0.4, -0.6]},
        ),
    ]


def _beside_anns(report: EnergyReport, timestep: int) -> dict[str, float]:
    # In pJ, with the ANNs in the same arithmetic.
    anns = baselines(report, timestep)["energy (nJ)"].iloc[:-1]
    return by_convention(report, timestep) | {str(ann): 1e3 * float(nj) for ann, nj in anns.items()}


def history_charts(histories: Sequence[TrainingHistory]) -> list[Chart]:
    """Losses and accuracy on the test split against the epoch: Figure 3 of the TET paper."""
    names = network_names(histories)
    last = max(int(run.epoch[-1]) for run in histories)
    epochs = {"title": "epoch", "tickformat": "d", **({"dtick": 1} if last <= FEW_EPOCHS else {})}
    charts = []
    for row in ("accuracy", *LOSSES):
        field, factor = ("test_accuracy", 100) if row == "accuracy" else (f"test_{row}_loss", 1)
        what = "accuracy" if row == "accuracy" else f"L_{row.upper()}"
        traces: list[Trace] = []
        shapes: list[dict[str, Any]] = []
        has_training = False
        for run, name, style in zip(histories, names, history_styles(histories), strict=True):
            values = getattr(run, field)
            texts = [
                f"epoch {epoch}, T = {steps}, trained on {html.escape(loss)}<br>{what} "
                + number(value, ".2%" if row == "accuracy" else ".4f")
                for epoch, steps, loss, value in zip(run.epoch, run.timesteps, run.trained_on(), values, strict=True)
            ]
            trained = np.where(np.array(run.trained_on()) == row, run.train_loss, np.nan)
            if np.isfinite(trained).any():
                traces.append(marks.curve(run.epoch, trained, name, style, None, thin=True))
                has_training = True
            traces.append(marks.curve(run.epoch, factor * values, name, style, texts, shown=True))
            at = run.epoch == run.best_epoch
            traces.append(marks.ring(run.epoch[at], factor * values[at], name, style))
            for ends, dash in (("loss_index", "dash"), ("stage", "dot")):
                line = {"color": marks.colour_of(style), "dash": dash, "width": 1}
                shapes += [
                    {"type": "line", "x0": end + 0.5, "x1": end + 0.5, "y0": 0, "y1": 1, "yref": "paper", "line": line}
                    for end in run.ends(ends)
                ]
        keys = [marks.key("chosen epoch", ring=True)]
        keys += [marks.key("training loss", thin=True)] * has_training
        title = f"{what} {'(%)' if row == 'accuracy' else '(nat)'}"
        drawn = [trace["y"] for trace in traces]
        known = np.concatenate(drawn)
        known = known[np.isfinite(known)]
        # What a switch changes shows late, where losses are small.
        wide = row != "accuracy" and len(known) > 0 and known.min() > 0 and known.max() / known.min() > WIDE
        chart = marks.make_chart(
            f"Test {what} over training",
            f"Test {what} of {', '.join(names)} after every epoch; a dashed line is a switch of the loss, a "
            "dotted one a new stage.",
            [*traces, *keys],
            epochs,
            marks.logarithmic(title, drawn) if wide else {"title": title, "nticks": 6},
        )
        chart.figure["layout"]["shapes"] = shapes
        charts.append(chart)
    return charts
