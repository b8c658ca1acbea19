"""Accuracy against lambda, the weight of the regulariser of L_TOTAL: Figure 6 of the TET paper."""

from collections.abc import Sequence

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption
from tetviz.figures.formatting import shared_text
from tetviz.figures.plots.axes import finish, legend_below
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import paper_style, series_styles
from tetviz.figures.plots.text import wrap, wrap_evenly
from tetviz.figures.plots.venues import COLUMN, inches, tall, text_lines
from tetviz.results import ScalingCurve
from tetviz.summaries import wilson
from tetviz.summaries.names import counted, data_context
from tetviz.summaries.runs import Run, runs_of, unlike


def draw_sweep(curves: Sequence[ScalingCurve]) -> Picture:
    """Accuracy at the training T against lambda, a point for each network: Figure 6 of the TET paper.

    Lambda is that of L_TOTAL = (1 - lambda) L_TET + lambda L_MSE; a network of L_TET has lambda 0. A line joins the
    means of networks that differ in lambda and seed alone. Bars are 95 % Wilson intervals over samples. The mean of
    networks of L_SDT, which has no lambda, that differ from those in loss and seed alone is a dashed line; networks of
    another loss, or of other settings than any with a lambda, are left out, which the caption says.

    Args:
        curves: one for each network.

    Returns:
        The figure, for a column.

    Raises:
        ResultError: fewer than two values of lambda, or a file that does not say with which its network was trained.
    """
    given = runs_of(curves)
    runs = [run for run in given if run.loss in ("tet", "total")]
    values = sorted({run.lamb for run in runs})
    if len(values) < 2:
        found = " and ".join(f"{value:g}" for value in values) or "no lambda"
        raise ResultError(
            "a sweep takes networks of two values of lambda or more, of --loss total, or of --loss tet as lambda = 0; "
            f"got {found} in {counted(len(given), 'network')}"
        )
    groups: dict[tuple[str, str, int, str], list[Run]] = {}
    for run in runs:
        groups.setdefault(_key(run), []).append(run)
    beside = [[run for run in given if run.loss == "sdt" and _key(run) == key] for key in groups]
    shown = {id(run) for run in [*runs, *(run for each in beside for run in each)]}
    left = [f"{run.name} ({_left_out(run)})" for run in given if id(run) not in shown]
    curves = [curve for curve, run in zip(curves, given, strict=True) if id(run) in shown]
    labels = _labels([group[0] for group in groups.values()])
    contexts = [data_context(curve) for curve in curves]
    with paper_style():
        figure = Picture(layout="constrained")
        axes = figure.subplots()
        handles = []
        for group, plain, label, style in zip(groups.values(), beside, labels, series_styles(labels), strict=True):
            lamb, percent = np.array([(run.lamb, 100 * run.accuracy) for run in group]).T
            low, high = wilson([run.accuracy for run in group], [run.samples for run in group])
            axes.vlines(lamb, 100 * low, 100 * high, color=style["color"], linewidth=0.7, alpha=0.6, gid="interval")
            axes.plot(lamb, percent, **{**style, "linestyle": "none"}, gid="runs")
            own = np.unique(lamb)
            axes.plot(own, [percent[lamb == each].mean() for each in own], **{**style, "marker": ""}, gid="mean")
            handles.append(Line2D([], [], **style, label=wrap(label, 60, narrow=True)))
            if plain:
                mean = 100 * float(np.mean([run.accuracy for run in plain]))
                line = {"color": style["color"], "linewidth": 0.9, "linestyle": (0, (4, 2))}
                axes.axhline(mean, **line, zorder=1.5, gid="SDT")
                told = f"{label}: " if len(groups) > 1 else ""
                count = f"{len(plain)} networks" if len(plain) > 1 else "a network"
                text = f"{told}L_SDT, which has no lambda ({count})"
                handles.append(Line2D([], [], **line, label=wrap(text, 60, narrow=True)))
        smallest = min(value for value in values if value > 0)
        axes.set_xscale("symlog", linthresh=smallest, linscale=0.5)
        axes.set_xlim(-smallest / 2 if values[0] == 0 else smallest / 1.5, values[-1] * 1.5)
        axes.xaxis.set_major_locator(FixedLocator(values))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(r"weight $\lambda$ of the regulariser")
        axes.set_ylabel("accuracy at the training T (%)")
        finish(axes)
        handles.append(Line2D([], [], color="0.5", linewidth=0.7, label="95 % Wilson interval"))
        rows = legend_below(figure, handles, wrap_evenly(shared_text(contexts), 60, narrow=True), narrow=True)
        figure.set_size_inches(inches(COLUMN, narrow=True), tall(2.6, narrow=True) + text_lines(rows))
        figure.caption = compose_caption(
            "Accuracy at the training T against the weight lambda of the regulariser, L_TOTAL = (1 - lambda) L_TET + "
            "lambda L_MSE; lambda = 0 is L_TET",
            curves,
            contexts,
            "A point is a network; lines join the means over seeds; bars are 95 % Wilson intervals over samples",
            "Dashed: the mean of networks of L_SDT, which has no lambda" if any(beside) else "",
            f"Left out: {'; '.join(left)}" if left else "",
            "Lambda is spaced by logarithm, linear below the smallest",
        )
    return figure


def _key(run: Run) -> tuple[str, str, int, str]:
    return run.network, run.dataset, run.t_train, run.settings


def _left_out(run: Run) -> str:
    return "its loss was switched" if ">" in run.loss else "of other settings than any network with a lambda"


def _labels(runs: Sequence[Run]) -> list[str]:
    # A run of each group: what it is, and of its settings those that tell it from the others of the same.
    labels = [", ".join(part for part in (run.network, run.dataset, f"T = {run.t_train}") if part) for run in runs]
    alike = [[other for other, name in zip(runs, labels, strict=True) if name == label] for label in labels]
    return [", ".join([label, *unlike(run, peers)]) for label, run, peers in zip(labels, runs, alike, strict=True)]
