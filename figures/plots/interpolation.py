"""The loss from one checkpoint to another, with its barrier."""

from typing import Any, cast

import numpy as np
from matplotlib.lines import Line2D

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption, losses_words
from tetviz.figures.plots.axes import draw_gaps, finish, gap_key, legend_below, scale_values, with_points
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import paper_style, series_styles
from tetviz.figures.plots.text import loss_symbol, wrap, wrap_evenly
from tetviz.figures.plots.venues import WIDTH, inches, tall, text_lines
from tetviz.figures.selection import chosen_timestep, known_loss, line_values
from tetviz.figures.views.sharpness import lines_context
from tetviz.results import Lines
from tetviz.results.schema import FloatArray
from tetviz.summaries import barrier
from tetviz.summaries.names import LOSSES, names_of, network_name

_END: dict[str, Any] = {
    "marker": "o",
    "linestyle": "none",
    "markersize": 6.5,
    "markerfacecolor": "white",
    "markeredgecolor": "black",
    "markeredgewidth": 1.2,
}
_THIN: dict[str, Any] = {"linewidth": 1.0, "markersize": 3.5}
_PATHS = {"linear": "the straight line", "bezier": "a trained curve and the straight line"}


def draw_interpolation(lines: Lines, loss: str | None = None, timestep: int | None = None) -> Picture:
    """Losses and accuracy from one checkpoint to another, a line for each treatment or curve.

    Rings are the two checkpoints themselves, each with its own batch-norm statistics. The legend says the
    barrier of every line; it is a lower bound where points between the checkpoints are missing.

    Args:
        lines: a result of path "linear" or "bezier".
        loss: ``"sdt"`` or ``"tet"`` for that panel alone; None takes both.
        timestep: number of timesteps; None takes the training T.

    Returns:
        The figure, with a panel for each loss and one for the accuracy.

    Raises:
        ResultError: the lines are random directions.
    """
    if lines.path not in _PATHS:
        raise ResultError(f"lines of path {lines.path!r} do not go from one checkpoint to another")
    losses = LOSSES if loss is None else (known_loss(loss),)
    timestep = chosen_timestep(lines, timestep)
    names = names_of(lines.names, len(lines.line), "line")
    styles = series_styles(names)
    with paper_style():
        figure = Picture(layout="constrained")
        panels: Any = figure.subplots(1, len(losses) + 1, sharex=True)
        holes = False
        barriers: list[list[str]] = [[] for _ in names]
        for axes, what in zip(panels, [*(f"{row}_loss" for row in losses), "accuracy"], strict=True):
            factor = 100 if what == "accuracy" else 1
            values = factor * line_values(lines, what, timestep)
            ends = factor * cast(FloatArray, getattr(lines, f"end_{what}"))[:, lines.timestep == timestep][:, 0]
            for index, (line, style) in enumerate(zip(values, styles, strict=True)):
                every = max(1, len(lines.x) // 4)
                # Markers of different lines at different places, where lines lie on one another.
                place = ((2 * index + 1) * every // (2 * len(values)), every)
                axes.plot(lines.x, line, **{**style, **_THIN}, markevery=place, clip_on=factor == 1, gid="line")
                if factor == 1:
                    barriers[index].append(_barrier_text(what[:3], lines.x, line, ends))
            axes.plot([0, 1], ends, **_END, clip_on=False, gid="end", zorder=3)
            holes |= draw_gaps(axes, lines.x, list(values))
            axes.set_ylabel("accuracy (%)" if factor == 100 else f"{loss_symbol(what[:3])} (nat)")
            axes.set_xlabel("position (checkpoints at 0, 1)")
            margin = 0.03 * np.ptp(lines.x)  # room for the marks at the ends
            axes.set_xlim(lines.x.min() - margin, lines.x.max() + margin)
            if factor == 1:
                scale_values(axes, [values, ends])
            else:
                axes.set_ylim(top=min(axes.get_ylim()[1], 100))
            finish(axes)
        handles: list[Any] = [
            Line2D([], [], **{**style, **_THIN}, label=f"{wrap(name, 60)}: barrier of {', of '.join(texts)}")
            for name, texts, style in zip(names, barriers, styles, strict=True)
        ]
        handles += [Line2D([], [], **_END, label="the checkpoints themselves, with their own BN statistics")]
        handles += [gap_key()] * holes
        context = wrap_evenly(with_points(lines, lines_context(lines)), 105)
        caption = f"{wrap(network_name(lines.provenance), 80)}, T = {timestep}\n{context}"
        rows = legend_below(figure, handles, caption)
        figure.set_size_inches(inches(WIDTH), tall(2.6) + text_lines(rows))
        found = "; ".join(f"{name}, {' and '.join(texts)}" for name, texts in zip(names, barriers, strict=True))
        figure.caption = compose_caption(
            f"{losses_words(losses)} (nat) and accuracy along {_PATHS[lines.path]} from one "
            f"checkpoint (position 0) to the other (position 1), at T = {timestep}",
            [lines],
            [with_points(lines, lines_context(lines))],
            f"Barriers, the highest loss between the checkpoints minus the mean of theirs: {found}",
            "Rings are the checkpoints themselves, with their own batch-norm statistics",
            "Hatched: not evaluated yet or not finite" if holes else "",
        )
    return figure


def _barrier_text(loss: str, x: FloatArray, losses: FloatArray, ends: FloatArray) -> str:
    known = np.isfinite(losses)
    height = barrier(x[known], losses[known], ends)
    if np.isnan(height):
        return f"{loss_symbol(loss)} unknown"
    least = np.isnan(losses[(x >= -1e-9) & (x <= 1 + 1e-9)]).any()
    number = f"{height:#.3g}" if abs(height) < 100 else f"{height:,.0f}"
    return f"{loss_symbol(loss)} {'at least ' * bool(least)}{number} nat"
