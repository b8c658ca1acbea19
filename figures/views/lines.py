"""What lines along random directions show: what a sharpness does, without its steps, and the losses themselves."""

import dataclasses
from collections.abc import Sequence

from tetviz.figures.captions import losses_words
from tetviz.figures.curves import ACCURACY, Axis, Curves, Series, scale_of
from tetviz.figures.formatting import axis_label
from tetviz.figures.selection import chosen_losses, chosen_timestep, line_values
from tetviz.figures.view import Choices
from tetviz.figures.views import sharpness
from tetviz.results import Lines
from tetviz.summaries.flatness import of_planes
from tetviz.summaries.intervals import mean_of_complete
from tetviz.summaries.names import network_names


def line_charts(results: Sequence[Lines], choices: Choices) -> list[Curves]:
    """Losses and accuracy along random directions: every direction, their mean and its 95 % interval over planes.

    The two lines of a plane are averaged first. A plane that is not complete does not count while another one is.
    """
    return [_chart(results, what, choices) for what in (*chosen_losses(results, choices.loss), "accuracy")]


def _chart(results: Sequence[Lines], what: str, choices: Choices) -> Curves:
    is_loss = what != "accuracy"
    word, unit, factor = (f"L_{what.upper()}", "nat", 1) if is_loss else (what, "%", 100)
    names = network_names(results)
    series: list[Series] = []
    means = []
    for network, lines in enumerate(results):
        step = chosen_timestep(lines, choices.timestep)
        values = factor * line_values(lines, f"{what}_loss" if is_loss else what, step)
        mean = mean_of_complete(of_planes(values))
        series += [Series(network, lines.x, line, thin=True) for line in values]
        series.append(sharpness.mean_series(network, lines.x, mean, "x", word, unit))
        means.append((lines.x, mean))
    return Curves(
        f"{word[0].upper()}{word[1:]} along random directions",
        f"{word} of {', '.join(names)} along random directions.",
        tuple(names),
        Axis(axis_label("x", results[0].norm)),
        Axis(f"{word} ({unit})", *scale_of([each.y for each in series])) if is_loss else ACCURACY,
        tuple(series),
        thin="a direction",
        strong="mean",
        band=sharpness.OVER_PLANES if any(mean.draws > 1 for _, mean in means) else "",
        gaps=sharpness.shared_gaps([(x, mean.mean) for x, mean in means]),
    )


def _caption(results: Sequence[Lines], choices: Choices) -> list[str]:
    return [f"{losses_words(chosen_losses(results, choices.loss))} (nat) and accuracy along random directions"]


VIEW = dataclasses.replace(
    sharpness.VIEW,
    title="Lines through the network",
    curves=line_charts,
    curves_context=sharpness.planes_context,
    caption=_caption,
    doubts=sharpness.lines_doubts,
)
