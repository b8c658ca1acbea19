"""The loss along random directions: the mean over planes, its interval, and each line."""

from collections.abc import Sequence
from typing import Any

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption, losses_words, steps_words
from tetviz.figures.plots.axes import (
    band_keys,
    draw_band,
    draw_gaps,
    faint,
    finish,
    gap_key,
    name_networks,
    of_planes,
    planes_context,
    scale_values,
)
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import paper_style, series_styles
from tetviz.figures.plots.text import axis_label, loss_symbol
from tetviz.figures.plots.venues import WIDTH, inches, tall, text_lines
from tetviz.figures.selection import chosen_losses, chosen_timestep, line_values, require_same_directions
from tetviz.figures.views.sharpness import lines_context
from tetviz.results import Lines
from tetviz.summaries.intervals import METHOD
from tetviz.summaries.names import network_names


def draw_lines(results: Sequence[Lines], loss: str | None = None, timestep: int | None = None) -> Picture:
    """Loss and accuracy along random directions: faint lines, their mean and its 95 % interval.

    The two lines of a plane are averaged first; the interval is over planes. What is not measured
    yet is a gap, and a plane that is not complete does not count while another one is.

    Args:
        results: lines along the same random directions, one result for each network.
        loss: ``"sdt"`` or ``"tet"``; None takes the one asked for of a single network, both for several.
        timestep: number of timesteps; None takes each network's training T.

    Returns:
        The figure, with a panel for each loss and one for the accuracy.

    Raises:
        ResultError: there is no result, a line is not along a random direction, or directions or batch-norm
            policies differ.
    """
    require_same_directions(results, same_bn=True)
    if any(lines.path != "random" for lines in results):
        raise ResultError("lines between checkpoints are no random directions; draw each result alone")
    losses = chosen_losses(results, loss)
    steps = [chosen_timestep(lines, timestep) for lines in results]
    styles = series_styles(network_names(results))
    with paper_style():
        figure = Picture(layout="constrained")
        panels: Any = figure.subplots(1, len(losses) + 1, sharex=True)
        holes = False
        for axes, name in zip(panels, [*(f"{row}_loss" for row in losses), "accuracy"], strict=True):
            factor = 100 if name == "accuracy" else 1
            drawn, means = [], []
            for lines, t, style in zip(results, steps, styles, strict=True):
                values = factor * line_values(lines, name, t)
                axes.plot(lines.x, values.T, **faint(style), gid="line")
                means.append(draw_band(axes, lines.x, of_planes(values), style).mean)
                drawn.append(values)
            if all(len(mean) == len(means[0]) for mean in means):
                holes |= draw_gaps(axes, results[0].x, means)
            axes.set_xlabel(axis_label("x", results[0].norm))
            axes.set_ylabel("accuracy (%)" if factor == 100 else f"{loss_symbol(name[:3])} (nat)")
            axes.set_xlim(min(lines.x.min() for lines in results), max(lines.x.max() for lines in results))
            if factor == 1:
                scale_values(axes, drawn)
            finish(axes)
        contexts = [planes_context(lines, lines_context(lines)) for lines in results]
        bands = band_keys(figure)
        extra = [*bands, *[gap_key()] * holes]
        rows = name_networks(figure, results, steps, contexts, styles, extra)
        figure.set_size_inches(inches(WIDTH), tall(2.5) + text_lines(rows))
        figure.caption = compose_caption(
            f"{losses_words(losses)} (nat) and accuracy along random directions, {steps_words(results, steps)}",
            results,
            contexts,
            "Faint lines are the directions, thick ones their mean",
            f"Bands are {METHOD} over planes" if bands else "",
            "Hatched: no network has a value there" if holes else "",
        )
    return figure
