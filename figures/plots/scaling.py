"""Time scalability: accuracy of networks that run for more or fewer timesteps than they were trained with."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption, training_t_words
from tetviz.figures.formatting import shared_text
from tetviz.figures.plots.axes import finish, legend_below
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import paper_style, series_styles
from tetviz.figures.plots.text import wrap, wrap_evenly
from tetviz.figures.plots.venues import COLUMN, WIDTH, inches, points, tall, text_lines
from tetviz.results import OperationCounts, ScalingCurve
from tetviz.results.schema import FloatArray, IntArray
from tetviz.summaries.names import data_context, network_names
from tetviz.summaries.scaling import wilson


def draw_scaling(curves: Sequence[ScalingCurve]) -> Picture:
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
    labels, caption = _labels(curves)
    with paper_style():
        figure = Picture(layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        handles = _draw_accuracy(left, curves, labels)
        for curve, style in zip(curves, series_styles(network_names(curves)), strict=True):
            _draw_line(right, curve.timestep, curve.t_train, 100 * curve.relative_growth, style)
        if all(np.isnan(curve.relative_growth).all() for curve in curves):
            right.text(0.5, 0.6, "training T not measured", transform=right.transAxes, ha="center")
        right.axhline(0, color="0.4", linewidth=0.7, zorder=0)
        right.set_ylabel("relative growth of accuracy (%)")
        for axes in (left, right):
            log2_axis(axes, max(int(curve.timestep[-1]) for curve in curves))
        right.set_xlabel("number of timesteps T")
        finish(right)
        _widen(right, 1)
        rows = legend_below(figure, handles, caption)
        figure.set_size_inches(inches(WIDTH), tall(2.75) + text_lines(rows))
        figure.caption = compose_caption(
            "Accuracy (left) and its growth relative to the training T (right) against the number of timesteps T",
            curves,
            [data_context(curve) for curve in curves],
            *_marks(curves),
        )
    return figure


def draw_accuracy(curves: Sequence[ScalingCurve], last: int = 8) -> Picture:
    """Accuracy against a few numbers of timesteps: Figure 4A of the TET paper, which goes to 8.

    Args:
        curves: one for each network.
        last: the largest T to show.

    Returns:
        The figure, for a column.

    Raises:
        ResultError: there is no curve.
    """
    labels, caption = _labels(curves, narrow=True)
    with paper_style():
        figure = Picture(layout="constrained")
        axes = figure.subplots()
        handles = _draw_accuracy(axes, curves, labels, last)
        axes.set_xlim(0.6, min(last, max(int(curve.timestep[-1]) for curve in curves)) + 0.4)
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        rows = legend_below(figure, handles, caption, narrow=True)
        figure.set_size_inches(inches(COLUMN, narrow=True), tall(2.75, narrow=True) + text_lines(rows))
        one = training_t_words(curves)
        figure.caption = compose_caption(
            f"Accuracy against the number of timesteps T, up to {last}{', of networks ' * bool(one)}{one}",
            curves,
            [data_context(curve) for curve in curves],
            *_marks(curves, last),
        )
    return figure


def _marks(curves: Sequence[ScalingCurve], last: int | None = None) -> list[str]:
    rings = "Rings mark the training T" if ring_keys(curves, last) else ""
    return ["Bands are 95 % Wilson intervals over samples; faint lines are single steps", rings]


def _labels(curves: Sequence[ScalingCurve], *, narrow: bool = False) -> tuple[list[str], str]:
    # What the legend calls each network, and what stands above: the data, where they are the same.
    if not curves:
        raise ResultError("no scaling curve to draw")
    contexts = [data_context(curve) for curve in curves]
    shared, fit = shared_text(contexts), 50 if narrow else 100
    labels = []
    for curve, name, context in zip(curves, network_names(curves), contexts, strict=True):
        text = name if shared or not context else f"{name}; {context}"
        text = f"{text} (trained at T={curve.t_train})" if curve.t_train else text
        labels.append(wrap(text, fit, narrow=narrow))
    return labels, wrap_evenly(shared, fit, narrow=narrow)


def _draw_accuracy(
    axes: Axes, curves: Sequence[ScalingCurve], labels: Sequence[str], last: int | None = None
) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = []
    for curve, label, style in zip(curves, labels, series_styles(network_names(curves)), strict=True):
        shown = slice(last)
        t, percent = curve.timestep[shown], 100 * curve.accuracy[shown]
        axes.plot(t, 100 * curve.step_accuracy[shown], **_faint(style), gid="step accuracy")
        low, high = wilson(curve.accuracy[shown], len(curve.sample))
        draw_interval(axes, t, low, high, style)
        handles += _draw_line(axes, t, curve.t_train, percent, {**style, "label": label}, every=last is not None)
    handles.append(Line2D([], [], color="0.5", linewidth=0.8, alpha=0.6, label="output of step t alone"))
    handles += [interval_key(), *ring_keys(curves, last)]
    axes.set_xlabel("number of timesteps T")
    axes.set_ylabel("accuracy (%)")
    finish(axes)
    _widen(axes, 2)
    axes.set_ylim(max(axes.get_ylim()[0], -1), min(axes.get_ylim()[1], 101))
    return handles


def ring() -> dict[str, Any]:
    """The mark of the T that a network was trained with."""
    size = {"markersize": points(9), "markeredgewidth": points(1.1)}
    return {"marker": "o", "linestyle": "none", "markerfacecolor": "none", **size}


def ring_keys(results: Sequence[ScalingCurve | OperationCounts], last: int | None = None) -> list[Line2D]:
    """The legend entry of the rings.

    Args:
        last: the largest T that is drawn; None for all.
    """
    drawn = any(result.t_train in result.timestep[slice(last)] for result in results)
    return [Line2D([], [], **ring(), color="0.3", label="training T")] * drawn


def _draw_line(
    axes: Axes, timestep: IntArray, t_train: int, percent: FloatArray, style: dict[str, Any], every: bool = False
) -> list[Line2D]:
    # Markers at the powers of two, the ticks; the ring only where the training T was measured.
    marked = [index for index, t in enumerate(timestep) if every or t & (t - 1) == 0]
    lines = axes.plot(timestep, percent, markevery=marked, **style)
    at = np.flatnonzero(timestep == t_train)
    if len(at):
        axes.plot(timestep[at], percent[at], **ring(), color=style["color"], gid="training T")
    return lines


def _faint(style: dict[str, Any]) -> dict[str, Any]:
    return {"color": style["color"], "linestyle": style["linestyle"], "linewidth": 0.6, "alpha": 0.35}


def draw_interval(axes: Axes, x: Any, low: FloatArray, high: FloatArray, style: dict[str, Any]) -> None:
    """A band between the ends of intervals of fractions, in percent."""
    axes.fill_between(x, 100 * low, 100 * high, color=style["color"], alpha=0.15, linewidth=0, gid="interval")


def interval_key() -> Patch:
    """The legend entry of the bands."""
    return Patch(color="0.5", alpha=0.25, linewidth=0, label="95 % Wilson interval")


def log2_axis(axes: Axes, t_max: int) -> None:
    """A logarithmic axis of numbers of timesteps, with the powers of two as ticks."""
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
