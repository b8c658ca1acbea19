"""Where training spends: the three phases of every layer, dense beside effective, and what is not 0."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption
from tetviz.figures.formatting import NO_NUMBER, energy_unit
from tetviz.figures.plots.axes import legend_below
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import COLORMAP, paper_style
from tetviz.figures.plots.text import wrap, wrap_evenly
from tetviz.figures.plots.venues import WIDTH, inches, points, text_lines
from tetviz.figures.views.training_cost import context_parts
from tetviz.results import TrainingOperations
from tetviz.results.schema import FloatArray
from tetviz.summaries.names import network_names
from tetviz.summaries.training import PHASES, densities, neuron_energy, optimizer_energy, phase_energy

_PALETTE = seaborn.color_palette("colorblind").as_hex()
# Apart in lightness too, and other colours than the networks have elsewhere.
_PHASE_STYLES: dict[str, dict[str, Any]] = {
    "FP": {"color": _PALETTE[9]},
    "BP": {"color": "0.25"},
    "WU": {"color": _PALETTE[2]},
}
_WORDS = {"FP": "forward (FP)", "BP": "input gradient (BP)", "WU": "weight gradient (WU)"}
_OTHER: dict[str, Any] = {"color": "0.7"}
_PALE: dict[str, Any] = {"alpha": 0.35, "hatch": "////", "edgecolor": "white"}
_COLUMNS = {
    "d_in": "input\n(d_in)",
    "d_err": "error\n(d_err)",
    "d_need": "need\n(d_need)",
    "dual": "both\n(BP)",
    "product": "error\nx need",
    "d_wu": "input and\nerror (WU)",
}
_HEIGHT = 0.36


def draw_training_cost(results: Sequence[TrainingOperations]) -> Picture:
    """Energy of the three phases of training for every layer, dense beside effective, and the densities behind it.

    Args:
        results: one for each network.

    Returns:
        The figure, with a row of two panels for each network.

    Raises:
        ResultError: there is no result.
    """
    if not results:
        raise ResultError("no training energy to draw")
    rows = [len(result.layer) + 2 for result in results]
    parts = [context_parts(result) for result in results]
    shared = [part for part in parts[0] if all(part in others for others in parts)]
    own = [[part for part in of_one if part not in shared] for of_one in parts]
    names = network_names(results)
    with paper_style():
        figure = Picture(layout="constrained")
        grid: Any = figure.subplots(
            len(results), 2, squeeze=False, gridspec_kw={"width_ratios": [1.25, 1], "height_ratios": rows}
        )
        for (bars, shares), result, name, words in zip(grid, results, names, own, strict=True):
            _draw_bars(bars, result, "; ".join([name, *words]) if len(results) > 1 else "")
            _draw_densities(shares, result)
        handles = [Patch(**_PHASE_STYLES[phase], label=_WORDS[phase]) for phase in PHASES]
        handles += [
            Patch(facecolor="0.3", **_PALE, linewidth=0, label="dense: all pairs, a MAC each"),
            Patch(**_OTHER, label="outside layers"),
        ]
        caption = "; ".join([*names, *shared] if len(results) == 1 else shared)
        below = legend_below(figure, handles, wrap_evenly(caption, 105))
        figure.set_size_inches(inches(WIDTH), text_lines(4.6 * len(results) + 1.65 * sum(rows) + below))
        figure.caption = compose_caption(
            "Energy of the three phases of training for a sample, by layer: forward (FP), input gradient (BP) and "
            "weight gradient (WU), all pairs (pale) beside those that are not 0; right, the shares that are not 0",
            results,
            ["; ".join([*shared, *words]) for words in own],
            "Exact counts of backpropagation through time; a MAC for each pair where it is dense",
        )
    return figure


def _draw_bars(axes: Axes, result: TrainingOperations, name: str) -> None:
    dense = phase_energy(result, "dense").sum(2)
    effective = phase_energy(result).sum(2)
    others = _outside(result)
    factor, unit = energy_unit(float(np.nanmax([*dense.sum(0), *others.values()])))
    places = np.arange(len(result.layer), dtype=float)
    _stack(axes, places - _HEIGHT / 2, dense / factor, _PALE, "dense")
    _stack(axes, places + _HEIGHT / 2, effective / factor, {}, "effective")
    for place, part, whole in zip(places, effective.sum(0), dense.sum(0), strict=True):
        axes.text(
            part / factor, place + 0.6 * _HEIGHT, f" {part / whole:.1%}", va="center", fontsize=points(6), gid="share"
        )
    names = result.names
    for row, (label, energy) in enumerate(others.items(), start=len(names)):
        axes.barh(row, 0 if np.isnan(energy) else energy / factor, _HEIGHT, **_OTHER, gid=label)
        text = "not recorded" if np.isnan(energy) else f"{energy / factor:.3g}"
        axes.text(0 if np.isnan(energy) else energy / factor, row, f" {text}", va="center", fontsize=points(6))
    axes.set_yticks(range(len(names) + 2), [wrap(label, 40) for label in [*names, *others]])
    axes.set_ylim(len(names) + 1.5, -0.5)
    axes.set_xlabel(f"energy of a sample ({unit})")
    total, all_pairs = effective.sum(), dense.sum()
    scale, of = energy_unit(float(all_pairs))
    title = f"layers: {total / scale:.3g} of {all_pairs / scale:.3g} {of} ({total / all_pairs:.1%})"
    axes.set_title(f"{wrap_evenly(name, 60)}\n{title}" if name else title)
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def _outside(result: TrainingOperations) -> dict[str, float]:
    update = optimizer_energy(result) / (result.train_batch_size or np.nan)
    return {"neurons, backward": float(neuron_energy(result).sum()), "optimiser": float(update)}


def _stack(axes: Axes, places: FloatArray, phases: FloatArray, style: dict[str, Any], gid: str) -> None:
    left = np.zeros(len(places))
    for phase, widths in zip(PHASES, phases, strict=True):
        axes.barh(places, widths, _HEIGHT, left, **{**_PHASE_STYLES[phase], "linewidth": 0, **style}, gid=gid)
        left = left + widths


def _draw_densities(axes: Axes, result: TrainingOperations) -> None:
    frame = densities(result)[list(_COLUMNS)]
    values = frame.to_numpy()
    mesh = axes.imshow(values, cmap=COLORMAP, vmin=0, vmax=1, aspect="auto")
    colours = matplotlib.colormaps[COLORMAP]
    for (row, column), value in np.ndenumerate(values):
        text = NO_NUMBER if np.isnan(value) else f"{value:.0%}" if value >= 0.0995 or value == 0 else f"{value:.1%}"
        light = float(np.dot(colours(value)[:3], (0.299, 0.587, 0.114))) >= 0.55
        colour = "0.15" if np.isnan(value) else "black" if light else "white"
        axes.text(column, row, text, ha="center", va="center", fontsize=points(6.5), color=colour)
    axes.set_xticks(range(len(_COLUMNS)), list(_COLUMNS.values()))
    axes.xaxis.tick_top()
    axes.set_yticks([])
    axes.set_ylim(len(values) + 1.5, -0.5)
    axes.tick_params(length=0, labelsize=points(6))
    axes.spines[:].set_visible(False)
    axes.set_title("share that is not 0")
    mesh.set_gid("densities")
