"""Time scalability: accuracy of networks that run for more or fewer timesteps than they were trained with."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from tetviz.errors import ResultError
from tetviz.figures.curves import finish
from tetviz.figures.labels import data_context, network_names, wrap
from tetviz.figures.style import WIDTH, paper_style, series_styles
from tetviz.results import ScalingCurve
from tetviz.results.schema import FloatArray
from tetviz.summaries.scaling import wilson


def draw_scaling(curves: Sequence[ScalingCurve]) -> Figure:
    """Accuracy and its relative growth against the number of timesteps: Figure 8 of the TET paper.

    A ring marks the number of timesteps that a network was trained with. Bands are 95 % Wilson intervals over
    samples; faint lines are the accuracy of the output of step t alone.

    Args:
        curves: one for each network.

    Returns:
        The figure.

    Raises:
        ResultError: there is no curve.
    """
    if not curves:
        raise ResultError("no scaling curve to draw")
    names = network_names(curves)
    contexts = [data_context(curve) for curve in curves]
    shared = len(set(contexts)) == 1
    with paper_style():
        figure = Figure(layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        handles: list[Line2D | Patch] = []
        for curve, name, context, style in zip(curves, names, contexts, series_styles(names), strict=True):
            text = name if shared or not context else f"{name}; {context}"
            label = wrap(f"{text} (trained at T={curve.t_train})" if curve.t_train else text, 100)
            left.plot(curve.timestep, 100 * curve.step_accuracy, **_faint(style), gid="step accuracy")
            draw_interval(left, curve.timestep, *wilson(curve.accuracy, len(curve.sample)), style)
            handles += _draw_line(left, curve, 100 * curve.accuracy, {**style, "label": label})
            _draw_line(right, curve, 100 * curve.relative_growth, style)
        handles.append(Line2D([], [], color="0.5", linewidth=0.8, alpha=0.6, label="output of step t alone"))
        handles.append(interval_key())
        if any(curve.t_train in curve.timestep for curve in curves):
            handles.append(Line2D([], [], **RING, color="0.3", label="training T"))
        if all(np.isnan(curve.relative_growth).all() for curve in curves):
            right.text(0.5, 0.6, "training T not measured", transform=right.transAxes, ha="center")
        right.axhline(0, color="0.4", linewidth=0.7, zorder=0)
        left.set_ylabel("accuracy (%)")
        right.set_ylabel("relative growth of accuracy (%)")
        for axes in (left, right):
            axes.set_xlabel("number of timesteps T")
            log2_axis(axes, max(int(curve.timestep[-1]) for curve in curves))
            finish(axes)
        _widen(left, 2)
        left.set_ylim(max(left.get_ylim()[0], -1), min(left.get_ylim()[1], 101))
        _widen(right, 1)
        columns = 2 if max(len(str(handle.get_label())) for handle in handles) < 50 else 1
        rows = sum(1 + str(handle.get_label()).count("\n") for handle in handles) / columns
        figure.set_size_inches(WIDTH, 2.75 + 0.17 * rows)
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, handlelength=3.2)
        if shared and contexts[0]:
            figure.suptitle(wrap(contexts[0], 100))
    return figure


RING: dict[str, Any] = {
    "marker": "o",
    "linestyle": "none",
    "markersize": 9,
    "markerfacecolor": "none",
    "markeredgewidth": 1.1,
}


def _draw_line(axes: Axes, curve: ScalingCurve, percent: FloatArray, style: dict[str, Any]) -> list[Line2D]:
    # Markers at the powers of two, the ticks; the ring only where the training T was measured.
    doubling = [index for index, t in enumerate(curve.timestep) if t & (t - 1) == 0]
    lines = axes.plot(curve.timestep, percent, markevery=doubling, **style)
    at = np.flatnonzero(curve.timestep == curve.t_train)
    if len(at):
        axes.plot(curve.timestep[at], percent[at], **RING, color=style["color"], gid="training T")
    return lines


def _faint(style: dict[str, Any]) -> dict[str, Any]:
    return {"color": style["color"], "linestyle": style["linestyle"], "linewidth": 0.6, "alpha": 0.35}


def draw_interval(axes: Axes, x: Any, low: FloatArray, high: FloatArray, style: dict[str, Any]) -> None:
    """A band between the ends of intervals of fractions, in percent.

    Args:
        axes: where to draw.
        x: coordinates.
        low: lower ends.
        high: upper ends.
        style: of the line that the band belongs to.
    """
    axes.fill_between(x, 100 * low, 100 * high, color=style["color"], alpha=0.15, linewidth=0, gid="interval")


def interval_key() -> Patch:
    """The legend entry of the bands.

    Returns:
        A grey patch.
    """
    return Patch(color="0.5", alpha=0.25, linewidth=0, label="95 % Wilson interval over samples")


def log2_axis(axes: Axes, t_max: int) -> None:
    """A logarithmic axis of numbers of timesteps, with the powers of two as ticks.

    Args:
        axes: its x axis is scaled.
        t_max: the largest number.
    """
    ticks = [2**power for power in range(t_max.bit_length())]
    if t_max >= 1.4 * ticks[-1]:
        ticks.append(t_max)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(1 / 1.15, t_max * 1.15)


def _widen(axes: Axes, span: float) -> None:
    """Keeps a flat curve from looking like a wild one: the axis covers at least so many percent."""
    low, high = axes.get_ylim()
    if high - low < span:
        axes.set_ylim((low + high - span) / 2, (low + high + span) / 2)
