"""The numbers of timesteps beside the points of accuracy against energy."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from tetviz.figures.curves import Curves
from tetviz.figures.plots.style import series_styles
from tetviz.figures.plots.venues import points
from tetviz.results.schema import FloatArray, IntArray

_EVERY_T = 10


def name_steps(axes: Axes, chart: Curves, steps: Sequence[IntArray]) -> None:
    """Writes T beside each point, of many at the powers of two, where no other label or marker is.

    Better networks are named above their points and the others below, because their curves run side by side. A
    point without room is left without a name.

    Args:
        chart: of a line for each network.
        steps: the numbers of timesteps of its points.
    """
    figure = cast(Figure, axes.get_figure(root=True))
    figure.draw_without_rendering()
    places: list[FloatArray] = [np.column_stack([series.x, series.y]) for series in chart.series]
    taken = [box for own in places for box in _markers(axes, own[np.isfinite(own).all(1)], figure.dpi)]
    heights = [
        dict(zip(of.tolist(), series.y.tolist(), strict=True)) for of, series in zip(steps, chart.series, strict=True)
    ]
    for network, style in enumerate(series_styles(chart.networks)):
        own = steps[network].tolist()
        for t, place in zip(own, places[network].tolist(), strict=True):
            shown = len(own) <= _EVERY_T or t & (t - 1) == 0 or t == own[-1]
            if shown and np.isfinite(place).all():
                _name_point(axes, str(t), tuple(place), _is_lower(heights, network, t), style["color"], taken)


def _is_lower(heights: Sequence[dict[int, float]], network: int, t: int) -> bool:
    # Of equals, the one that is drawn first counts as the better.
    ranked = sorted((-own[t], place) for place, own in enumerate(heights) if t in own)
    return ranked.index((-heights[network][t], network)) >= len(ranked) / 2


def _markers(axes: Axes, places: FloatArray, dpi: float) -> list[Bbox]:
    reach = points(3) * dpi / 72
    return [Bbox([(x - reach, y - reach), (x + reach, y + reach)]) for x, y in axes.transData.transform(places)]


def _name_point(axes: Axes, text: str, place: tuple[float, float], below: bool, colour: str, taken: list[Bbox]) -> None:
    near, far = points(5), points(9)
    for x, y in ((0, near), (0, far), (far, near), (-far, near)):
        label = axes.annotate(
            text,
            place,
            (x, -y if below else y),
            textcoords="offset points",
            ha="center",
            va="top" if below else "bottom",
            fontsize=points(6.5),
            color=colour,
            gid="T",
        )
        box = label.get_window_extent()
        if not any(box.overlaps(other) for other in taken):
            taken.append(box)
            return
        label.remove()
