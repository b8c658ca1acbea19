"""Dynamic inference: accuracy against the mean number of timesteps, when sure samples stop early."""

from collections.abc import Sequence

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption
from tetviz.figures.plots.curves import draw_charts, labels_and_title
from tetviz.figures.plots.picture import Picture
from tetviz.figures.views.exits import exit_chart
from tetviz.results import ScalingCurve
from tetviz.summaries.exits import RULES
from tetviz.summaries.names import data_context, network_names

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
    contexts = [data_context(curve) for curve in curves]
    charts = [exit_chart(curves, rule) for rule in rules]
    figure = draw_charts(charts, *labels_and_title(network_names(curves), contexts), narrow=len(rules) == 1)
    sides = ("left", "right") if len(rules) > 1 else ("",)
    words = [_WORDS[rule] + (f" ({side})" if side else "") for rule, side in zip(rules, sides, strict=True)]
    figure.caption = compose_caption(
        f"Early exit: accuracy against the mean number of timesteps, over all thresholds on {' and '.join(words)}",
        curves,
        contexts,
        "Thin lines are a fixed T for every sample, bands 95 % Wilson intervals over samples",
        f"Rings mark the {charts[0].ring}" if charts[0].ring else "",
    )
    return figure
