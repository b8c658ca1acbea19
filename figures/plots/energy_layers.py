"""The layers of a network: their energy, and their spikes per synapse beside those that break even."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from tetviz.figures.formatting import energy_unit
from tetviz.figures.plots.text import wrap
from tetviz.figures.plots.venues import points, text_lines
from tetviz.results.schema import FloatArray
from tetviz.summaries import MEMORY_AWARE_BAND, EnergyReport, break_even, layer_table

_PALETTE = seaborn.color_palette("colorblind").as_hex()
# Apart in lightness too, and other colours than the networks have.
_KINDS: dict[str, dict[str, Any]] = {"AC": {"color": _PALETTE[9]}, "MAC": {"color": "0.25"}}
_BREAK_EVEN: dict[str, Any] = {"color": "0.2", "linewidth": 1, "zorder": 1}
_BAND: dict[str, Any] = {"facecolor": "0.88", "edgecolor": "white", "hatch": "////", "linewidth": 0, "zorder": 0}
_SMALL = 6.5
MOST_LAYERS = 100  # that are drawn of a network: more would make a picture that nothing shows


def draw_layers(
    panels: tuple[Axes, Axes], report: EnergyReport, timestep: int, title: str, style: dict[str, Any]
) -> None:
    """Bars of the energy of each layer, and a marker for its spikes per synapse."""
    table = _drawn(layer_table(report, timestep).drop(index="total"))
    _draw_bars(panels[0], report, timestep, title)
    _draw_spikes(panels[1], table["spikes/synapse"].to_numpy(), break_even(report.cost), style)
    for axes in panels:
        axes.set_ylim(len(table) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x" if axes is panels[0] else "y", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)


def layer_height(report: EnergyReport) -> float:
    """The height that the layers of a network need."""
    return text_lines(3 + max(3, min(MOST_LAYERS, _count(report))))


def layer_keys(reports: Sequence[EnergyReport]) -> list[Line2D | Patch]:
    """The legend entries of both panels."""
    thresholds = ", ".join(dict.fromkeys(f"{break_even(report.cost):.3g}" for report in reports))
    low, high = MEMORY_AWARE_BAND
    return [
        *(Patch(**style, linewidth=0, label=f"{kind} of a layer") for kind, style in _KINDS.items()),
        Line2D([], [], **_BREAK_EVEN, label=f"break-even by compute, S* = {thresholds}"),
        Patch(**_BAND, label=f"break-even with memory, {low}-{high}"),
    ]


def left_out(reports: Sequence[EnergyReport]) -> str:
    """What is said where not all layers are drawn."""
    most = max(map(_count, reports))
    return f"Of {most:,} layers the {MOST_LAYERS} that take most are drawn" if most > MOST_LAYERS else ""


def _count(report: EnergyReport) -> int:
    return int((report.counts.dense_mac > 0).any(1).sum())


def _drawn(layers: pd.DataFrame) -> pd.DataFrame:
    # Those that take most, in the order of the network.
    most = np.argsort(-layers["energy (nJ)"].to_numpy(), kind="stable")[:MOST_LAYERS]
    return layers.iloc[np.sort(most)]


def _draw_bars(axes: Axes, report: EnergyReport, timestep: int, title: str) -> None:
    table = layer_table(report, timestep)
    total, layers = 1e3 * float(table["energy (nJ)"].iloc[-1]), _drawn(table.drop(index="total"))
    parts = {"AC": layers["AC"] * report.cost.ac, "MAC": layers["MAC"] * report.cost.mac}
    factor, unit = energy_unit(1e3 * float(layers["energy (nJ)"].max()))
    left: FloatArray = np.zeros(len(layers))
    for kind, pj in parts.items():
        axes.barh(np.arange(len(layers)), pj / factor, 0.72, left, **_KINDS[kind], linewidth=0, gid=kind)
        left = left + pj.to_numpy() / factor
    for row, (end, share) in enumerate(zip(left, layers["share (%)"], strict=True)):
        text = "" if np.isnan(share) else f" {share:.1f} %"
        axes.text(end, row, text, va="center", fontsize=points(_SMALL), gid="share")
    axes.set_yticks(range(len(layers)), [wrap(str(name), 40) for name in layers.index], fontsize=points(_SMALL))
    axes.set_xlim(0, 1.17 * max(float(left.max(initial=0)), 1e-9))
    axes.set_xlabel(f"energy of a sample at T = {timestep} ({unit}), share")
    scale, of = energy_unit(total)
    sums = f"{total / scale:.4g} {of} in all"
    if len(layers) < len(table) - 1:
        sums += f", {len(layers)} of {len(table) - 1:,} layers"
    axes.set_title(f"{title}: {sums}" if title else sums)


def _draw_spikes(axes: Axes, spikes: FloatArray, threshold: float, style: dict[str, Any]) -> None:
    rows, firing = np.arange(len(spikes)), spikes[spikes > 0]
    low = min(MEMORY_AWARE_BAND[0], float(firing.min(initial=np.inf))) / 1.6
    high = max(threshold, float(firing.max(initial=0))) * 1.9
    axes.axvspan(*MEMORY_AWARE_BAND, **_BAND, gid="band")
    axes.axvline(threshold, **_BREAK_EVEN, gid="break-even")
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0) if high / low < 200 else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    drawn = np.where(spikes > 0, spikes, np.nan)
    axes.plot(drawn, rows, **{**style, "linestyle": "none"}, gid="spikes per synapse")
    for row, value in enumerate(spikes):
        if np.isnan(value) or value == 0:
            text = "MAC" if np.isnan(value) else "0: silent"
            axes.text(low, row, f" {text}", va="center", fontsize=points(_SMALL), color="0.35", gid="none")
        else:
            beside = threshold / 2 < value <= threshold  # else the line would cross the number
            axes.annotate(
                f"{value:.2g}",
                (value, row),
                (-4 if beside else 4, 0),
                textcoords="offset points",
                ha="right" if beside else "left",
                va="center",
                fontsize=points(_SMALL),
                gid="value",
            )
    axes.set_yticks([])
    axes.set_xlabel("spikes per synapse per inference")
