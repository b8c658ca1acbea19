"""Time scalability: accuracy of networks that run for more or fewer timesteps than they were trained with."""

from collections.abc import Sequence

import numpy as np

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption
from tetviz.figures.curves import Curves
from tetviz.figures.plots.curves import draw_charts, labels_and_title
from tetviz.figures.plots.picture import Picture
from tetviz.figures.views.scaling import accuracy_chart, growth_chart
from tetviz.results import ScalingCurve
from tetviz.summaries.names import data_context, network_names
from tetviz.summaries.runs import training_of


def draw_scaling(curves: Sequence[ScalingCurve]) -> Picture:
    """Accuracy and its relative growth against the number of timesteps: Figure 8 of the TET paper.

    A ring marks the number of timesteps that a network was trained with. Bands are 95 % Wilson intervals over
    samples; faint lines are the accuracy of the output of step t alone.

    Args:
        curves: one for each network.

    Returns:
        The figure.

    Raises:
        ResultError: there is no curve.
    """
    _require_some(curves)
    charts = accuracy_chart(curves), growth_chart(curves)
    figure = draw_charts(charts, *_labels(curves))
    if all(np.isnan(curve.relative_growth).all() for curve in curves):
        right = figure.axes[1]
        right.text(0.5, 0.6, "training T not measured", transform=right.transAxes, ha="center")
    figure.caption = compose_caption(
        "Accuracy (left) and its growth relative to the training T (right) against the number of timesteps T",
        curves,
        [data_context(curve) for curve in curves],
        *_marks(charts[0]),
    )
    return figure


def draw_accuracy(curves: Sequence[ScalingCurve], last: int = 8) -> Picture:
    """Accuracy against a few numbers of timesteps: Figure 4A of the TET paper, which goes to 8.

    Args:
        curves: one for each network.
        last: the largest T to show.

    Returns:
        The figure, for a column.

    Raises:
        ResultError: there is no curve.
    """
    _require_some(curves)
    chart = accuracy_chart(curves, last)
    figure = draw_charts([chart], *_labels(curves), narrow=True)
    one = _training_t_words(curves)
    figure.caption = compose_caption(
        f"Accuracy against the number of timesteps T, up to {last}{', of networks ' if one else ''}{one}",
        curves,
        [data_context(curve) for curve in curves],
        *_marks(chart),
    )
    return figure


def _require_some(curves: Sequence[ScalingCurve]) -> None:
    if not curves:
        raise ResultError("no scaling curve to draw")


def _marks(accuracy: Curves) -> list[str]:
    rings = f"Rings mark the {accuracy.ring}" if accuracy.ring else ""
    return ["Bands are 95 % Wilson intervals over samples; faint lines are single steps", rings]


def _labels(curves: Sequence[ScalingCurve]) -> tuple[list[str], str]:
    trained = [f" (trained at T={curve.t_train})" if curve.t_train else "" for curve in curves]
    names = [name + text for name, text in zip(network_names(curves), trained, strict=True)]
    return labels_and_title(names, [data_context(curve) for curve in curves])


def _training_t_words(curves: Sequence[ScalingCurve]) -> str:
    """The one T that networks were trained with."""
    known = {curve.t_train for curve in curves}
    stages = [stage for curve in curves for stage in training_of(curve.provenance).get("stages", [])]
    alike = len(known | {int(stage.partition(":")[0]) for stage in stages}) == 1
    return f"trained with T = {curves[0].t_train}" if alike and curves[0].t_train else ""
