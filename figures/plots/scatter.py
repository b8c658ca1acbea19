"""Overall accuracy against the mean accuracy of single steps, a point for each network: Figure 7 of the TET paper."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption, steps_words
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import paper_style, series_styles
from tetviz.figures.plots.text import wrap, wrap_evenly
from tetviz.figures.plots.venues import COLUMN, characters, figure_title, inches, text_lines, venue
from tetviz.results import ScalingCurve
from tetviz.results.schema import FloatArray
from tetviz.summaries import wilson
from tetviz.summaries.names import counted, data_context, network_name, samples_of
from tetviz.summaries.runs import loss_of, require_once

_REST = "in no group"
_BAR: dict[str, Any] = {"linewidth": 0.7, "alpha": 0.5}
_PLAIN: dict[str, Any] = {"color": "0.35", "marker": "o", "linestyle": "none"}


def overall_and_steps(curve: ScalingCurve, timestep: int | None = None) -> tuple[int, float, float]:
    """The accuracy of a run of T steps, and the mean accuracy of its steps.

    Args:
        timestep: T; None takes the T of training.

    Returns:
        T, the accuracy of the mean output of steps 1..T, and the mean over t = 1..T of the accuracy of the output
        of step t alone; both are fractions.
    """
    t = curve.t_train if timestep is None else timestep
    name = network_name(curve.provenance)
    if t < 1:
        raise ResultError(f"the scaling curve of {name} records no T of training; choose one with --t")
    if not np.array_equal(curve.timestep[:t], np.arange(1, t + 1)):
        raise ResultError(
            f"timestep {t}: the scaling curve of {name} holds {curve.timestep[0]} to {curve.timestep[-1]}; measure it "
            "with a larger --tmax, or choose another with --t"
        )
    overall, steps = float(curve.accuracy[t - 1]), float(curve.step_accuracy[:t].mean())
    if not np.isfinite([overall, steps]).all():
        raise ResultError(f"the scaling curve of {name} lacks an accuracy up to T = {t}; measure it again")
    return t, overall, steps


def draw_scatter(
    curves: Sequence[ScalingCurve], timestep: int | None = None, groups: Mapping[str, str] | None = None
) -> Picture:
    """Overall accuracy against the mean of the step accuracies, over many networks: Figure 7 of the TET paper.

    On the diagonal a run is no better than its steps are on average; the height above it is what averaging the
    outputs over time adds. Bars are 95 % Wilson intervals of the overall accuracy, over samples.

    Args:
        curves: one for each network.
        timestep: number of timesteps; None takes each network's training T.
        groups: what a group is called, and the shell pattern (``*``, ``?``, ``[...]``) of its networks' names; a
            network is in the first group that it fits. None groups networks by the loss that they were trained with,
            where their files say it.

    Returns:
        The figure.

    Raises:
        ResultError: there is no curve, a group without a network, a curve without the steps asked for, or a network
            is given twice.
    """
    if not curves:
        raise ResultError("no scaling curve to draw")
    require_once(curves)
    points = [overall_and_steps(curve, timestep) for curve in curves]
    steps = [t for t, _, _ in points]
    members = _members([network_name(curve.provenance) for curve in curves], groups) if groups else _by_loss(curves)
    styled = [name for name in members if name != _REST]
    looks = [{**style, "linestyle": "none"} for style in series_styles(styled)] + [_PLAIN] * (_REST in members)
    with paper_style():
        figure = Picture(layout="constrained")
        axes = figure.subplots()
        handles = [Line2D([], [], color="0.5", linewidth=0.8, label="no gain over single steps")]
        low, high = wilson([overall for _, overall, _ in points], [len(samples_of(curve)) for curve in curves])
        for (name, indices), look in zip(members.items(), looks, strict=True):
            overall, single = (100 * np.array([points[index][part] for index in indices]) for part in (1, 2))
            axes.vlines(single, 100 * low[indices], 100 * high[indices], **_BAR, color=look["color"], gid="interval")
            axes.plot(single, overall, **look, alpha=0.8, gid="group")
            count = counted(len(indices), "network")
            label = f"{name}, {count}" if len(members) > 1 or groups else count
            handles.append(Line2D([], [], **look, label=wrap(label, 25 if venue().slide else 60, narrow=True)))
        handles.insert(1, Line2D([], [], color="0.5", **_BAR, label="95 % Wilson interval"))
        _square(axes, 100 * np.concatenate([low, high, [single for _, _, single in points]]))
        axes.set_xlabel("mean accuracy of the single steps 1..T (%)")
        axes.set_ylabel("accuracy of the mean output of steps 1..T (%)")
        _place_legend(figure, handles)
        figure.suptitle(figure_title(wrap_evenly(_title(curves, steps), 62, narrow=True)))
        figure.caption = compose_caption(
            "Accuracy of the mean output of steps 1..T against the mean accuracy of the single steps 1..T, "
            + steps_words(curves, steps),
            curves,
            [data_context(curve) for curve in curves],
            *(f"{name}: networks named {pattern}" for name, pattern in (groups or {}).items()),
            "A point is a network; bars are 95 % Wilson intervals over samples. Above the diagonal, averaging the "
            "outputs over time is better than the single steps are on average",
        )
    return figure


def _place_legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    width = inches(COLUMN, narrow=True)
    if venue().slide:  # beside the square panel, whose height is all of the figure's
        figure.set_size_inches(width, 9 / 16 * width)
        figure.legend(handles=list(handles), loc="outside right center")
        return
    columns = 2 if max(len(str(handle.get_label())) for handle in handles) < characters(32, narrow=True) else 1
    rows = sum(1 + str(handle.get_label()).count("\n") for handle in handles) / columns
    figure.set_size_inches(width, width + text_lines(rows))
    figure.legend(handles=list(handles), loc="outside lower center", ncols=columns)


def _members(names: Sequence[str], groups: Mapping[str, str]) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {group: [] for group in groups}
    rest: list[int] = []
    for index, name in enumerate(names):
        group = next((group for group, pattern in groups.items() if fnmatchcase(name, pattern)), None)
        (rest if group is None else members[group]).append(index)
    for group, indices in members.items():
        if not indices:
            raise ResultError(f"group {group}: no network fits {groups[group]!r}; they are {', '.join(names)}")
    return {**members, _REST: rest} if rest else members


def _by_loss(curves: Sequence[ScalingCurve]) -> dict[str, list[int]]:
    losses = [loss_of(curve.provenance) for curve in curves]
    if not all(losses):
        return {_REST: list(range(len(curves)))}
    members: dict[str, list[int]] = {}
    for index, loss in enumerate(losses):
        members.setdefault(loss.upper().replace(">", ", then "), []).append(index)
    return dict(sorted(members.items()))


def _square(axes: Axes, percent: FloatArray) -> None:
    """The same scale on both axes, so that the diagonal is one."""
    low, high = float(percent.min()), float(percent.max())
    margin = max(0.08 * (high - low), 0.25)
    limits = max(low - margin, -1), min(high + margin, 101)
    axes.axline((0, 0), slope=1, color="0.5", linewidth=0.8, zorder=1.5, gid="diagonal")
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _title(curves: Sequence[ScalingCurve], steps: Sequence[int]) -> str:
    contexts = dict.fromkeys(context for curve in curves if (context := data_context(curve)))
    return "; ".join([f"T = {steps[0]}" if len(set(steps)) == 1 else "each at its training T", *contexts])
