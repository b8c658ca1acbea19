"""Curves to point at: scaling, early exit, energy, training. Every value comes from the result or from a summary."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from tetviz.figures.formatting import energy_unit, number, shares
from tetviz.figures.plots.energy import by_convention
from tetviz.figures.plots.style import series_styles
from tetviz.figures.report import plotly as marks
from tetviz.figures.report.blocks import Chart
from tetviz.figures.report.plotly import Trace
from tetviz.results import default_timestep
from tetviz.summaries import EnergyReport, baselines, wilson
from tetviz.summaries.names import network_names

FEW_EPOCHS = 10  # each has a tick: plotly would put others between them
WIDE = 8.0  # a loss over a wider range has a logarithmic axis


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
