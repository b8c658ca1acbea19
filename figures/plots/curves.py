"""Charts of lines and points for print, from the same data as those of a page."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from tetviz.figures.curves import Axis, Curves, Series
from tetviz.figures.formatting import shared_text
from tetviz.figures.plots.axes import finish, legend_below, marked
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import paper_style, series_styles
from tetviz.figures.plots.text import wrap, wrap_evenly
from tetviz.figures.plots.venues import COLUMN, WIDTH, inches, points, tall, text_lines

_THIN: dict[str, Any] = {"linewidth": 0.8, "alpha": 0.5}
_DASHED: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 0.9}
_DOTTED: dict[str, Any] = {"linestyle": ":", "linewidth": 0.9}
_DECADES = 4.0  # a logarithmic axis over more of them has its powers of ten alone as ticks


def draw_charts(
    charts: Sequence[Curves], labels: Sequence[str], title: str = "", *, height: float = 2.75, narrow: bool = False
) -> Picture:
    """Charts of the same networks side by side, with one legend below and a title above.

    Charts whose axes are alike share them, and have their titles.

    Args:
        labels: what the legend calls each network.
        height: of the panels, in inches of the design.
        narrow: whether it is for a column.
    """
    fit = 60 if narrow else 105
    shared = [len({getattr(chart, name) for chart in charts}) == 1 for name in ("x", "y")]
    told_apart = shared[1] and len(charts) > 1
    with paper_style():
        figure = Picture(layout="constrained")
        panels: list[Axes] = list(figure.subplots(1, len(charts), sharex=shared[0], sharey=shared[1], squeeze=False)[0])
        for axes, chart in zip(panels, charts, strict=True):
            draw_series(axes, chart)
        for axes, chart in zip(panels, charts, strict=True):
            set_axes(axes, chart)
            if told_apart:
                axes.set_title(wrap(chart.title, fit / len(charts), narrow=narrow))
                axes.label_outer()
                axes.xaxis.label.set_visible(True)
        handles: list[Line2D | Patch] = [
            Line2D([], [], **style, label=wrap(label, fit, narrow=narrow))
            for style, label in zip(styles_of(charts[0]), labels, strict=True)
        ]
        rows = legend_below(figure, [*handles, *curve_keys(*charts)], wrap_evenly(title, fit, narrow=narrow), narrow)
        width = inches(COLUMN, narrow=True) if narrow else inches(WIDTH)
        figure.set_size_inches(width, tall(height, narrow=narrow) + text_lines(rows))
    return figure


def labels_and_title(names: Sequence[str], contexts: Sequence[str]) -> tuple[list[str], str]:
    """What the legend calls each network, and what stands above: the choices, where networks share them."""
    shared = shared_text(contexts)
    pairs = zip(names, contexts, strict=True)
    return [name if shared or not context else f"{name}; {context}" for name, context in pairs], shared


def draw_series(axes: Axes, curves: Curves, gid: str = "curve") -> None:
    """The lines, bands, rings and marks of a chart."""
    styles = styles_of(curves)
    for series in curves.series:
        style = styles[series.network]
        if series.low is not None and series.high is not None:
            fill: dict[str, Any] = {"color": style["color"], "alpha": 0.15, "linewidth": 0, "gid": "interval"}
            axes.fill_between(series.x, series.low, series.high, **fill)
        if series.thin:
            # A single point has no line.
            alone = {"marker": ".", "markersize": points(3)} if np.isfinite(series.y).sum() == 1 else {}
            faint = {"color": style["color"], "linestyle": style["linestyle"], **_THIN, **alone}
            axes.plot(series.x, series.y, **faint, gid=curves.thin)
        else:
            line = style if series.joined else {**style, "linestyle": "none"}
            axes.plot(series.x, series.y, **line, markevery=_markers(curves.x, series), gid=gid)
        if series.ringed:
            ringed = list(series.ringed)
            axes.plot(series.x[ringed], series.y[ringed], **ring(), color=style["color"], gid=curves.ring)
    for mark in curves.marks:
        kind, meaning = (_DASHED, curves.dashed) if mark.dashed else (_DOTTED, curves.dotted)
        axes.axvline(mark.at, color=styles[mark.network]["color"], **kind, zorder=0, gid=meaning)
    for at in dict.fromkeys(mark.at for mark in curves.marks if mark.text):
        # Above the panel, where no curve is; once where several say the same.
        texts = dict.fromkeys(mark.text for mark in curves.marks if mark.text and mark.at == at)
        axes.annotate(
            "\n".join(texts),
            (at, 1),
            (0, points(2)),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=points(7),
            gid="mark",
        )


def styles_of(curves: Curves) -> list[dict[str, Any]]:
    """A line style for each network of a chart."""
    return series_styles(curves.methods or curves.networks)


def set_axes(axes: Axes, curves: Curves) -> None:
    """The scales, limits and titles of a chart."""
    _set_x(axes, curves.x, [series.x for series in curves.series])
    _set_y(axes, curves.y)
    axes.set_xlabel(wrap(curves.x.title, 105))
    axes.set_ylabel(wrap(curves.y.title, 105))
    finish(axes)


def curve_keys(*charts: Curves) -> list[Line2D | Patch]:
    """The legend entries of charts that belong to no network."""
    keys: dict[str, Line2D | Patch] = {}
    for chart in charts:
        keys[chart.thin] = Line2D([], [], color="0.5", **_THIN, label=chart.thin)
        keys[chart.band] = Patch(color="0.5", alpha=0.25, linewidth=0, label=chart.band)
        keys[chart.ring] = Line2D([], [], **ring(), color="0.3", label=chart.ring)
        keys[chart.dashed] = Line2D([], [], **_DASHED, color="0.3", label=chart.dashed)
        keys[chart.dotted] = Line2D([], [], **_DOTTED, color="0.3", label=chart.dotted)
    return [key for label, key in keys.items() if label]


def ring() -> dict[str, Any]:
    """The mark of a point that stands out."""
    size = {"markersize": points(9), "markeredgewidth": points(1.1)}
    return {"marker": "o", "linestyle": "none", "markerfacecolor": "none", **size}


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


def _markers(axis: Axis, series: Series) -> list[int] | tuple[int, int]:
    # At the powers of two of an axis of timesteps, which are its ticks; else evenly.
    if series.every or not series.joined:
        return list(range(len(series.x)))
    if axis.scale == "log2" and np.all(series.x == np.floor(series.x)):
        return [index for index, t in enumerate(series.x.tolist()) if int(t) & (int(t) - 1) == 0]
    return marked(len(series.x))


def _set_x(axes: Axes, axis: Axis, values: Sequence[Any]) -> None:
    last = max(float(np.nanmax(each)) for each in values)
    if axis.scale == "log2":
        log2_axis(axes, int(np.ceil(last)))
    elif axis.scale == "whole":
        beyond = max(0.5, 0.03 * last)
        axes.set_xlim(1 - beyond, last + beyond)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    elif axis.scale == "log":
        axes.set_xscale("log")
        _log_ticks(axes.xaxis, axes.get_xlim())


def _set_y(axes: Axes, axis: Axis) -> None:
    if axis.ticks:
        axes.set_yticks(range(len(axis.ticks)), [wrap(tick, 105) for tick in axis.ticks])
        for tick, label in zip(axis.ticks, axes.get_yticklabels(), strict=True):
            label.set_fontweight("bold" if tick == axis.bold else "normal")
        axes.set_ylim(len(axis.ticks) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        return
    if axis.zero:
        axes.axhline(0, color="0.4", linewidth=0.7, zorder=0)
    if axis.scale == "log":
        axes.set_yscale("log")
        _log_ticks(axes.yaxis, axes.get_ylim())
    low, high = axes.get_ylim()
    if high - low < axis.least:
        low, high = (low + high - axis.least) / 2, (low + high + axis.least) / 2
    least, most = axis.within or (low, high)
    if axis.least or axis.within:
        axes.set_ylim(max(low, least), min(high, most))


def _log_ticks(axis: Any, ends: tuple[float, float]) -> None:
    few = np.log10(ends[1] / ends[0]) < _DECADES
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
