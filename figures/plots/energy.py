"""Energy against accuracy at every T, under each convention and beside ANNs, with the layers below."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from tetviz.figures.captions import compose_caption
from tetviz.figures.curves import Curves
from tetviz.figures.formatting import shared_text
from tetviz.figures.plots.axes import finish, legend_below
from tetviz.figures.plots.curves import curve_keys, draw_series
from tetviz.figures.plots.energy_layers import draw_layers, layer_height, layer_keys, left_out
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.step_labels import name_steps
from tetviz.figures.plots.style import paper_style, series_styles
from tetviz.figures.plots.text import wrap, wrap_evenly
from tetviz.figures.plots.venues import COLUMN, WIDTH, inches, tall, text_lines
from tetviz.figures.view import Pricing
from tetviz.figures.views.energy import accuracy_curves, at_words, convention_curves, priced, unit_of
from tetviz.results import OperationCounts, default_timestep
from tetviz.summaries import EnergyReport, baselines
from tetviz.summaries.names import data_context, network_names

# Dense ANNs of the same shapes, rows of the table of baselines.
_ANN_LINES: dict[str, Any] = {"ANN, in-bounds": (0, (4, 2)), "ANN, padded": (0, (1, 1.5))}
_MARKS = (
    "Energy of synaptic operations alone, by exact counts; bands are 95 % Wilson intervals of the accuracy over samples"
)


def draw_energy(
    counts: Sequence[OperationCounts], timestep: int | None = None, pricing: Pricing | None = None
) -> Picture:
    """Energy of networks: Figure 4B of the TET paper, and what it is made of.

    Above, accuracy against the energy of the synaptic operations of a sample, a marker for each T, under the
    convention and the cost model that the counts name, unless others are asked for. On the same axis, the energy at
    one T under each convention; vertical lines are dense ANNs of the same shapes. Below, for each network, the energy
    of its layers, and their spikes per synapse beside those at which an ANN costs the same.

    Args:
        counts: one for each network.
        timestep: T of all but the curves; by default that of training.
        pricing: ``cost``, ``convention``, ``first_layer`` and ``pool`` of
            :func:`tetviz.summaries.estimate_energy`, as far as others than those of the counts are asked for.

    Returns:
        The figure.

    Raises:
        ResultError: there are no counts, or they do not hold that T.
        TetvizError: a cost model that is not known.
    """
    reports = priced(counts, pricing)
    steps = [default_timestep(each) if timestep is None else timestep for each in counts]
    names, captions = network_names(counts), list(map(_context, reports, steps))
    shared = shared_text(captions)
    chart, rows = accuracy_curves(reports), convention_curves(reports, steps, anns=False)
    unit = unit_of(reports)[1]
    with paper_style():
        heights = [inches(2.2), text_lines(1.2 * len(rows.y.ticks)), *map(layer_height, reports)]
        figure = Picture(layout="constrained")
        grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=[1.6, 1])
        curves: Axes = figure.add_subplot(grid[0, :])
        choices = figure.add_subplot(grid[1, :], sharex=curves)
        styles = series_styles(names)
        labels = [wrap(name if shared else f"{name}; {text}", 105) for name, text in zip(names, captions, strict=True)]
        handles = _draw_accuracy(curves, chart, labels)
        draw_series(choices, rows, gid="conventions")
        _name_rows(choices, rows)
        anns = _draw_anns([curves, choices], reports, steps, styles)
        keys = [*anns, *curve_keys(chart), *layer_keys(reports)]
        _energy_axis(curves, choices)
        curves.tick_params(axis="x", labelbottom=False)
        choices.set_xlabel(f"{chart.x.title}: above at every T, here {at_words(steps)}")
        for row, (report, name, t, style) in enumerate(zip(reports, names, steps, styles, strict=True), start=2):
            panels = figure.add_subplot(grid[row, 0]), figure.add_subplot(grid[row, 1])
            draw_layers(panels, report, t, wrap_evenly(name if len(reports) > 1 else "", 90), style)
        below = legend_below(figure, handles, wrap_evenly(shared, 105), keys=keys)
        figure.set_size_inches(inches(WIDTH), sum(heights) + text_lines(3 + below))
        name_steps(curves, chart, [each.timestep for each in counts])
        figure.caption = compose_caption(
            f"Accuracy against the energy of a sample ({unit}) at every T, the energy {at_words(steps)} under each "
            "convention, and below, by layer, energy and spikes per synapse",
            counts,
            captions,
            _MARKS,
            *_keyed(chart, anns),
            left_out(reports),
        )
    return figure


def draw_accuracy_per_energy(counts: Sequence[OperationCounts], pricing: Pricing | None = None) -> Picture:
    """Accuracy against energy alone, a marker for each T: Figure 4B of the TET paper as it stands there.

    Args:
        counts: one for each network.
        pricing: as in :func:`draw_energy`.

    Returns:
        The figure, for a column.

    Raises:
        ResultError: there are no counts.
        TetvizError: a cost model that is not known.
    """
    reports = priced(counts, pricing)
    names, captions = network_names(counts), [_context(report) for report in reports]
    shared = shared_text(captions)
    chart = accuracy_curves(reports)
    with paper_style():
        figure = Picture(layout="constrained")
        axes: Axes = figure.subplots()
        texts = [name if shared else f"{name}; {text}" for name, text in zip(names, captions, strict=True)]
        handles = _draw_accuracy(axes, chart, [wrap(text, 56, narrow=True) for text in texts])
        steps = [default_timestep(each) for each in counts]
        anns = _draw_anns([axes], reports, steps, series_styles(names))
        keys = [*anns, *curve_keys(chart)]
        _energy_axis(axes, axes)
        axes.set_xlabel(f"{chart.x.title}, at every T")
        below = legend_below(figure, handles, wrap_evenly(shared, 60, narrow=True), narrow=True, keys=keys)
        figure.set_size_inches(inches(COLUMN, narrow=True), tall(2.75, narrow=True) + text_lines(below))
        name_steps(axes, chart, [each.timestep for each in counts])
        figure.caption = compose_caption(
            f"Accuracy against the energy of a sample ({unit_of(reports)[1]}) at every T",
            counts,
            captions,
            _MARKS,
            *_keyed(chart, anns),
        )
    return figure


def _keyed(chart: Curves, anns: Sequence[Line2D]) -> list[str]:
    # What is told of the marks that the legend has a key of.
    return [
        f"Rings mark the {chart.ring}" if chart.ring else "",
        "Vertical lines are dense ANNs of the same shapes, which run once" if anns else "",
    ]


def _draw_accuracy(axes: Axes, chart: Curves, labels: Sequence[str]) -> list[Line2D | Patch]:
    draw_series(axes, chart, gid="energy")
    axes.set_ylabel(chart.y.title)
    styles = series_styles(chart.networks)
    return [Line2D([], [], **style, label=label) for style, label in zip(styles, labels, strict=True)]


def _name_rows(axes: Axes, chart: Curves) -> None:
    rows = chart.y.ticks
    axes.set_yticks(range(len(rows)), rows)
    for tick in axes.get_yticklabels():
        tick.set_fontweight("bold" if tick.get_text() == chart.y.bold else "normal")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_anns(
    panels: Sequence[Axes],
    reports: Sequence[EnergyReport],
    steps: Sequence[int],
    styles: Sequence[dict[str, Any]],
) -> list[Line2D]:
    factor = unit_of(reports)[0]
    tables = [baselines(report, t)["energy (nJ)"] * 1e3 / factor for report, t in zip(reports, steps, strict=True)]
    handles = []
    for kind, dashes in _ANN_LINES.items():
        if not all(report.complete for report in reports):  # beside what is missing, an ANN would look dear
            break
        same = len({float(table[kind]) for table in tables}) == 1
        for table, style in list(zip(tables, styles, strict=True))[: 1 if same else None]:
            if table[kind] > 0:
                for axes in panels:
                    colour = "0.35" if same else style["color"]
                    axes.axvline(table[kind], color=colour, linestyle=dashes, linewidth=1, zorder=1, gid=kind)
        if any(table[kind] > 0 for table in tables):
            handles.append(Line2D([], [], color="0.35", linestyle=dashes, linewidth=1, label=f"dense {kind}"))
    return handles


def _energy_axis(axes: Axes, shared: Axes) -> None:
    finish(axes)
    low, high = np.transpose([each.dataLim.intervalx for each in (axes, shared)])
    low, high = float(low.min()), float(high.max())
    if not (np.isfinite(low) and low > 0):
        return
    axes.set_xscale("log")
    # At least a factor of 4, so that there are two ticks.
    middle = np.sqrt(low * high)
    axes.set_xlim(min(low / 1.15, middle / 2), max(high * 1.15, middle * 2))
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _context(report: EnergyReport, timestep: int | None = None) -> str:
    choices = [f"convention {report.convention.label}", report.cost.constants()]
    choices += [] if timestep is None else [f"layers at T = {timestep}"]
    return "; ".join(filter(None, [*choices, data_context(report.counts), *report.notes]))
