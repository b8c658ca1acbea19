"""Charts of lines and points for print, from the same data as those of a page."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from tetviz.figures.curves import GAP, Axis, Curves, Series, marked
from tetviz.figures.formatting import shared_text
from tetviz.figures.plots.axes import finish, legend_below
from tetviz.figures.plots.contours import HOLE
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import paper_style, series_styles
from tetviz.figures.plots.text import wrap, wrap_evenly
from tetviz.figures.plots.venues import COLUMN, WIDTH, inches, points, tall, text_lines, venue

_THIN: dict[str, Any] = {"linewidth": 0.8, "alpha": 0.5}
_FAINT: dict[str, Any] = {"linewidth": 0.5, "alpha": 0.3}  # of networks that have many
_PREDICTED: dict[str, Any] = {"linestyle": ":", "linewidth": 1.1}
_DASHED: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 0.9}
_DOTTED: dict[str, Any] = {"linestyle": ":", "linewidth": 0.9}
_NO_NETWORK: dict[str, Any] = {"color": "0.15", "linestyle": "-", "marker": "o"}
_DECADES = 4.0  # a logarithmic axis over more of them has powers of ten as ticks, written as such
_FEW = 12  # points that are not joined; of more the markers are small
_ROW = 2.75  # inches of the design
_OF_SEVERAL = 2.15
_CHARACTERS = 13  # of an inch of the design
_ON_A_SLIDE = 3  # charts, which has no height for two rows of few


def draw_charts(
    charts: Sequence[Curves], labels: Sequence[str], title: str = "", *, height: float = 0.0, narrow: bool = False
) -> Picture:
    """Charts of the same networks in the rows that they name, with one legend below and a title above.

    Charts side by side whose axes are alike share them, and have their titles.

    Args:
        labels: what the legend calls each network.
        height: of the panels of a row, in inches of the design; 0 for what their number asks for.
        narrow: whether it is for a column.
    """
    fit = 60 if narrow else 105
    rows = _rows(charts)
    panels_high = tall((height or (_ROW if len(rows) == 1 else _OF_SEVERAL)) * len(rows), narrow=narrow)
    high = _CHARACTERS * panels_high / len(rows) / inches(1, narrow=narrow)
    told_apart = len(rows) == 1 < len(charts) and len({chart.y for chart in charts}) == 1
    with paper_style():
        figure = Picture(layout="constrained")
        panels = _panels(figure, rows)
        for axes, chart in zip(panels, charts, strict=True):
            draw_series(axes, chart)
        for axes, chart in zip(panels, charts, strict=True):
            set_axes(axes, chart, fit / max(map(len, rows)), high)
            if told_apart:
                axes.set_title(wrap(chart.title, fit / len(charts), narrow=narrow))
                axes.label_outer()
                axes.xaxis.label.set_visible(True)
        shown = {series.network for chart in charts for series in chart.series}
        handles: list[Line2D | Patch] = [
            Line2D([], [], **style, label=wrap(label, fit, narrow=narrow))
            for network, (style, label) in enumerate(zip(styles_of(charts[0]), labels, strict=True))
            if network in shown
        ]
        title = wrap_evenly(title, fit, narrow=narrow)
        below = legend_below(figure, handles, title, narrow, curve_keys(*charts))
        width = inches(COLUMN, narrow=True) if narrow else inches(WIDTH)
        figure.set_size_inches(width, panels_high + text_lines(below))
    return figure


def _rows(charts: Sequence[Curves]) -> list[list[Curves]]:
    if venue().slide and len(charts) <= _ON_A_SLIDE:
        return [list(charts)]
    return [[chart for chart in charts if chart.row == row] for row in sorted({chart.row for chart in charts})]


def _panels(figure: Picture, rows: Sequence[Sequence[Curves]]) -> list[Axes]:
    columns = math.lcm(*map(len, rows))
    grid = figure.add_gridspec(len(rows), columns)
    panels: list[Axes] = []
    for row, charts in enumerate(rows):
        width, above = columns // len(charts), panels[-len(charts) :] if row and len(charts) == len(rows[0]) else []
        first: Axes | None = None
        for column, chart in enumerate(charts):
            upper = above[column] if above and rows[row - 1][column].x == chart.x else None
            one = len({each.x for each in charts}) == 1
            alike = len({each.y for each in charts}) == 1
            axes = figure.add_subplot(
                grid[row, column * width : (column + 1) * width],
                sharex=upper or (first if one else None),
                sharey=first if alike else None,
            )
            first = first or axes
            if upper:
                upper.tick_params(axis="x", which="both", labelbottom=False)
                upper.xaxis.label.set_visible(False)
            panels.append(axes)
    return panels


def labels_and_title(names: Sequence[str], contexts: Sequence[str]) -> tuple[list[str], str]:
    """What the legend calls each network, and what stands above: the choices, where networks share them.

    Names that are not those of the networks one by one stay as they are.
    """
    shared = shared_text(contexts)
    if len(names) != len(contexts):
        return list(names), shared
    pairs = zip(names, contexts, strict=True)
    return [name if shared or not context else f"{name}; {context}" for name, context in pairs], shared


def draw_series(axes: Axes, curves: Curves, gid: str = "curve") -> None:
    """The lines, bands, rings and marks of a chart."""
    styles = styles_of(curves)
    thin = _FAINT if sum(series.thin for series in curves.series) > 2 * len(styles) else _THIN
    for start, end in curves.gaps:
        axes.axvspan(start, end, **HOLE, linewidth=0, zorder=0, gid="gap")
    for series in curves.series:
        style = _NO_NETWORK if series.network is None else styles[series.network]
        _draw_intervals(axes, series, style["color"])
        # A single point has no line.
        point = np.isfinite(series.y).sum() == 1
        if series.predicted:
            alone: dict[str, Any] = {"marker": "_", "markersize": points(16)} if point else {}
            axes.plot(series.x, series.y, color=style["color"], **_PREDICTED, **alone, zorder=1.8, gid="predicted")
        elif series.thin:
            alone = {"marker": ".", "markersize": points(3)} if point else {}
            faint = {"color": style["color"], "linestyle": style["linestyle"], **thin, **alone}
            axes.plot(series.x, series.y, **faint, gid=curves.thin)
        else:
            line = style if series.joined else {**style, "linestyle": "none", **_sizes(series)}
            axes.plot(series.x, series.y, **line, markevery=marked(curves, series), gid=gid)
        if series.ringed:
            ringed = list(series.ringed)
            axes.plot(series.x[ringed], series.y[ringed], **ring(), color=style["color"], gid=curves.ring)
    for mark in curves.marks:
        kind, meaning = (_DASHED, curves.dashed) if mark.dashed else (_DOTTED, curves.dotted)
        color = (_NO_NETWORK if mark.network is None else styles[mark.network])["color"]
        axes.axvline(mark.at, color=color, **kind, zorder=0, gid=meaning)
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


def _sizes(series: Series) -> dict[str, Any]:
    return {"markersize": points(2.5)} if len(series.x) > _FEW else {}


def _draw_intervals(axes: Axes, series: Series, color: Any) -> None:
    if series.low is None or series.high is None:
        return
    axes.fill_between(series.x, series.low, series.high, color=color, alpha=0.15, linewidth=0, gid="interval")
    if series.alone.any():
        x, low, high = (each[series.alone] for each in (series.x, series.low, series.high))
        axes.vlines(x, low, high, color=color, alpha=0.5, linewidth=1.5, gid="bar")


def styles_of(curves: Curves) -> list[dict[str, Any]]:
    """A line style for each network of a chart; all are solid where dotted lines are predictions."""
    solid = {"linestyle": "-"} if curves.predicted else {}
    return [{**style, **solid} for style in series_styles(curves.methods or curves.networks)]


def set_axes(axes: Axes, curves: Curves, fit: float = 105, high: float = 105) -> None:
    """The scales, limits and titles of a chart, and its note.

    Args:
        fit: number of characters that its width has room for.
        high: number of characters that its height has room for.
    """
    axes.set_xlabel(wrap(curves.x.title, fit))
    axes.set_ylabel(wrap(curves.y.title, high))
    if curves.note:
        axes.text(
            0.5, 0.6, wrap(curves.note, 0.7 * fit), transform=axes.transAxes, ha="center", va="center", gid="note"
        )
    if not curves.series:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return
    _set_x(axes, curves.x, [series.x for series in curves.series])
    _set_y(axes, curves.y)
    finish(axes)


def curve_keys(*charts: Curves) -> list[Line2D | Patch]:
    """The legend entries of charts that belong to no network."""
    keys: dict[str, Line2D | Patch] = {}
    for chart in charts:
        keys[chart.strong] = Line2D([], [], color="0.4", marker="o", label=chart.strong)
        keys[chart.thin] = Line2D([], [], color="0.5", **_THIN, label=chart.thin)
        keys[chart.predicted] = Line2D([], [], color="0.4", **_PREDICTED, label=chart.predicted)
        keys[chart.band] = Patch(color="0.5", alpha=0.25, linewidth=0, label=chart.band)
        keys[chart.ring] = Line2D([], [], **ring(), color="0.3", label=chart.ring)
        keys[chart.dashed] = Line2D([], [], **_DASHED, color="0.3", label=chart.dashed)
        keys[chart.dotted] = Line2D([], [], **_DOTTED, color="0.3", label=chart.dotted)
    if any(chart.gaps for chart in charts):
        keys[GAP] = Patch(**HOLE, label=GAP, linewidth=0)
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
    if axis.at:
        axes.xaxis.set_major_locator(FixedLocator(list(axis.at)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    if axis.within:
        axes.set_xlim(*axis.bounded(*axes.get_xlim()))


def _set_y(axes: Axes, axis: Axis) -> None:
    if axis.ticks:
        axes.set_yticks(range(len(axis.ticks)), [wrap(tick, 105) for tick in axis.ticks])
        for tick, label in zip(axis.ticks, axes.get_yticklabels(), strict=True):
            label.set_fontweight("bold" if tick == axis.bold else "normal")
        axes.set_ylim(len(axis.ticks) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        return
    for at in axis.lines:
        axes.axhline(at, color="0.4", linewidth=0.7, zorder=0, gid="line")
    if axis.scale == "log":
        axes.set_yscale("log")
        _log_ticks(axes.yaxis, axes.get_ylim())
    elif axis.scale == "symlog":
        axes.set_yscale("symlog", linthresh=axis.linear, linscale=0.6)
        axes.autoscale_view(scalex=False)  # else the margins are those of the linear axis
    if axis.least or axis.within:
        axes.set_ylim(*axis.bounded(*axes.get_ylim()))


def _log_ticks(axis: Any, ends: tuple[float, float]) -> None:
    few = np.log10(ends[1] / ends[0]) < _DECADES
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axis.set_minor_formatter(NullFormatter())
    if few:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
