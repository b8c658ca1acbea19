"""Dynamic inference: accuracy against the mean number of timesteps, when sure samples stop early."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption
from tetviz.figures.formatting import shared_text
from tetviz.figures.plots.axes import faint, finish, legend_below, marked
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.scaling import draw_interval, interval_key, log2_axis, ring, ring_keys
from tetviz.figures.plots.style import paper_style, series_styles
from tetviz.figures.plots.text import wrap, wrap_evenly
from tetviz.figures.plots.venues import COLUMN, WIDTH, inches, tall, text_lines
from tetviz.results import ScalingCurve
from tetviz.summaries.exits import RULES, exit_curve
from tetviz.summaries.names import data_context, network_names

# Without mathematics, which is set in other distances, so that both titles are on one line.
_TITLES = {
    "margin": "stop where the softmax margin is large",
    "entropy": "stop where the entropy of the softmax is small",
}
_WORDS = {"margin": "the margin p_1 - p_2 between the largest values of the softmax", "entropy": "its entropy"}


def draw_exits(curves: Sequence[ScalingCurve], rules: Sequence[str] = RULES) -> Picture:
    """Accuracy against mean T of early exit, over all thresholds, beside that of the same T for every sample.

    A ring marks the T that a network was trained with, on the thin line of fixed T.

    Args:
        curves: one for each network.
        rules: ``margin``, ``entropy`` or both; a panel for each.

    Returns:
        The figure.

    Raises:
        ResultError: there is no curve.
    """
    if not curves:
        raise ResultError("no scaling curve to draw")
    names, contexts = network_names(curves), [data_context(curve) for curve in curves]
    shared = shared_text(contexts)
    styles = series_styles(names)
    narrow = len(rules) == 1
    fit = 60 if narrow else 105
    with paper_style():
        figure = Picture(layout="constrained")
        panels: list[Axes] = list(figure.subplots(1, len(rules), sharey=True, squeeze=False)[0])
        for axes, rule in zip(panels, rules, strict=True):
            for curve, style in zip(curves, styles, strict=True):
                _draw_rule(axes, curve, rule, style)
            log2_axis(axes, max(int(curve.timestep[-1]) for curve in curves))
            axes.set(xlabel="mean number of timesteps", title=_TITLES[rule])
            finish(axes)
        panels[0].set_ylabel("accuracy (%)")
        low, high = panels[0].get_ylim()
        panels[0].set_ylim(max(low, -1), min(high, 101))
        handles: list[Line2D | Patch] = []
        for name, context, style in zip(names, contexts, styles, strict=True):
            text = name if shared or not context else f"{name}; {context}"
            handles.append(Line2D([], [], **style, label=wrap(text, fit, narrow=narrow)))
        handles.append(Line2D([], [], color="0.5", linewidth=0.8, label="the same T for every sample"))
        rings = ring_keys(curves)
        handles += [*rings, interval_key()]
        rows = legend_below(figure, handles, wrap_evenly(shared, fit, narrow=narrow), narrow)
        figure.set_size_inches(inches(COLUMN, narrow=True) if narrow else inches(WIDTH), tall(2.75) + text_lines(rows))
        figure.caption = compose_caption(
            "Early exit: accuracy against the mean number of timesteps, over all thresholds on "
            + " (left) and ".join(_WORDS[rule] for rule in rules)
            + " (right)" * (len(rules) > 1),
            curves,
            contexts,
            "Thin lines are a fixed T for every sample, bands 95 % Wilson intervals over samples",
            "Rings mark the training T" if rings else "",
        )
    return figure


def _draw_rule(axes: Axes, curve: ScalingCurve, rule: str, style: dict[str, Any]) -> None:
    found = exit_curve(curve, rule)
    draw_interval(axes, found.mean_timesteps, found.low, found.high, style)
    fixed = {**faint(style), "linewidth": 0.8, "alpha": 0.6}
    axes.plot(curve.timestep, 100 * curve.accuracy, **fixed, gid="fixed T")
    at = curve.timestep == curve.t_train
    axes.plot(curve.timestep[at], 100 * curve.accuracy[at], **ring(), color=style["color"], gid="training T")
    axes.plot(
        found.mean_timesteps,
        100 * found.accuracy,
        **style,
        markevery=marked(len(found.threshold)),
        gid=f"{rule} exit",
    )
