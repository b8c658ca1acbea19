"""Losses and accuracy over a training run, with the switch of its loss: Figure 3 of the TET paper."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption, losses_words
from tetviz.figures.formatting import shared_text
from tetviz.figures.plots.axes import finish, legend_below, marked, scale_values
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.scaling import ring
from tetviz.figures.plots.style import paper_style, series_styles
from tetviz.figures.plots.text import loss_symbol, wrap, wrap_evenly
from tetviz.figures.plots.venues import WIDTH, inches, points, tall, text_lines
from tetviz.figures.selection import known_loss
from tetviz.results import TrainingHistory
from tetviz.summaries.names import LOSSES, history_context, network_names

_KEYS = ("training loss, of the loss trained on", "chosen epoch", "switch of the loss", "new stage")
_NOTES = (
    (_KEYS[0], "Thin lines are the training loss, on the panel of the loss that was trained on"),
    (_KEYS[1], "Rings mark the epoch that was chosen"),
    (_KEYS[2], "Dashed vertical lines mark the switch of the loss"),
    (_KEYS[3], "Dotted vertical lines mark a new stage"),
)
_SWITCH: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 0.9}
_STAGE: dict[str, Any] = {"linestyle": ":", "linewidth": 0.9}
_TRAINING: dict[str, Any] = {"linewidth": 0.9, "alpha": 0.6, "marker": ".", "markersize": 3}


def draw_history(histories: Sequence[TrainingHistory], loss: str | None = None) -> Picture:
    """Both losses and the accuracy on the test split against the epoch: Figure 3 of the TET paper.

    A thin line is the training loss, drawn on the panel of the loss that was trained on. Vertical lines mark where
    the loss was switched, and from which to which, and where a stage of another T began, a ring the epoch that was
    chosen. Runs have the colour of the loss that they were trained on; a run that switched has another.

    Args:
        histories: one for each run.
        loss: ``"sdt"`` or ``"tet"`` for a panel of that loss alone; None takes both.

    Returns:
        The figure, with a panel for each loss and one for the accuracy.

    Raises:
        ResultError: there is no history, or no such loss.
    """
    if not histories:
        raise ResultError("no training history to draw")
    losses = LOSSES if loss is None else (known_loss(loss),)
    names = network_names(histories)
    styles = history_styles(histories)
    with paper_style():
        figure = Picture(layout="constrained")
        panels: Any = figure.subplots(1, len(losses) + 1, sharex=True)
        extra: list[Line2D] = []
        for axes, row in zip(panels, [*losses, "accuracy"], strict=True):
            extra += _draw_panel(axes, histories, styles, row)
        caption, courses = _captions(histories, names)
        handles = [Line2D([], [], **style, label=wrap(text, 105)) for style, text in zip(styles, courses, strict=True)]
        keys = {label: line for label in _KEYS for line in extra if line.get_label() == label}
        rows = legend_below(figure, [*handles, *keys.values()], wrap_evenly(caption, 105))
        figure.set_size_inches(inches(WIDTH), tall(2.5) + text_lines(rows))
        sources = [f"{history_context(history)}, which chooses nothing" for history in histories]
        shown = f"{losses_words(losses)} (nat) and accuracy"
        keyed = [dict(_NOTES)[label] for label in _KEYS if label in keys]
        figure.caption = compose_caption(f"{shown} against the epoch of training", histories, sources, *courses, *keyed)
    return figure


def history_styles(histories: Sequence[TrainingHistory]) -> list[dict[str, Any]]:
    """A line style for each run, in the colour of the loss that it was trained on."""
    return series_styles([" ".join(history.trained_on()) for history in histories])


def _draw_panel(
    axes: Axes, histories: Sequence[TrainingHistory], styles: Sequence[dict[str, Any]], row: str
) -> list[Line2D]:
    # Gives the legend entries of what stands beside the curves.
    extra, drawn = [], []
    for history, style in zip(histories, styles, strict=True):
        name, factor = ("test_accuracy", 100) if row == "accuracy" else (f"test_{row}_loss", 1)
        values = factor * getattr(history, name)
        drawn.append(values)
        axes.plot(history.epoch, values, **style, markersize=3.5, markevery=marked(len(values)), gid="test")
        trained = np.where(np.array(history.trained_on()) == row, history.train_loss, np.nan)
        if np.isfinite(trained).any():
            line = {**_TRAINING, "markevery": marked(len(values))}
            axes.plot(history.epoch, trained, color=style["color"], **line, gid="training")
            drawn.append(trained)
            extra.append(Line2D([], [], color="0.3", **_TRAINING, label=_KEYS[0]))
        chosen = history.epoch == history.best_epoch
        if chosen.any():
            axes.plot(history.epoch[chosen], values[chosen], **ring(), color=style["color"], gid="chosen")
            extra.append(Line2D([], [], **ring(), color="0.3", label=_KEYS[1]))
        extra += _mark(axes, history.ends("loss_index"), style["color"], _SWITCH, _KEYS[2])
        extra += _mark(axes, history.ends("stage"), style["color"], _STAGE, _KEYS[3])
    _name_switches(axes, histories)
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy (%)" if row == "accuracy" else f"{loss_symbol(row)} (nat)")
    last = max(int(history.epoch[-1]) for history in histories)
    axes.set_xlim(1 - max(0.5, 0.03 * last), last + max(0.5, 0.03 * last))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    if row != "accuracy":
        scale_values(axes, drawn, wide=8)  # what a switch changes shows late, where losses are small
        if axes.get_yscale() == "log":
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
    finish(axes)
    return extra


def _mark(axes: Axes, ends: Sequence[int], color: str, style: dict[str, Any], label: str) -> list[Line2D]:
    for epoch in ends:
        axes.axvline(epoch + 0.5, color=color, **style, zorder=0, gid=label)
    return [Line2D([], [], color="0.3", **style, label=label)] * bool(ends)


def _name_switches(axes: Axes, histories: Sequence[TrainingHistory]) -> None:
    # Above the panel, where no curve is; once where runs switch alike.
    named: dict[int, list[str]] = {}
    for history in histories:
        losses = history.trained_on()
        for epoch in history.ends("loss_index"):
            at = int(np.flatnonzero(history.epoch == epoch)[0])
            named.setdefault(epoch, []).append(" \N{RIGHTWARDS ARROW} ".join(losses[at : at + 2]).upper())
    for epoch, texts in named.items():
        axes.annotate(
            "\n".join(dict.fromkeys(texts)),
            (epoch + 0.5, 1),
            (0, points(2)),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=points(7),
            gid="switch",
        )


def _captions(histories: Sequence[TrainingHistory], names: Sequence[str]) -> tuple[str, list[str]]:
    data = list(map(history_context, histories))
    shared = shared_text(data)
    courses = []
    for history, name, source in zip(histories, names, data, strict=True):
        losses = _course([loss.upper() for loss in history.trained_on()])
        steps = _course([f"T = {steps}" for steps in history.timesteps])
        left = history.planned_epochs - len(history.epoch)
        parts = [losses, steps, f"{left} of {history.planned_epochs} epochs not in it" * (left > 0)]
        parts += [source] * (not shared)
        courses.append(f"{name}: {'; '.join(part for part in parts if part)}")
    return shared, courses


def _course(values: Sequence[str]) -> str:
    # Such as "SDT, from epoch 201 TET".
    epoch, parts = 1, []
    for value, run in groupby(values):
        parts.append(value if epoch == 1 else f"from epoch {epoch} {value}")
        epoch += len(list(run))
    return ", ".join(parts)
