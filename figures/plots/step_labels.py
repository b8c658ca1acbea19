"""The numbers of timesteps beside the points of accuracy against energy."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from tetviz.figures.plots.style import series_styles
from tetviz.figures.plots.venues import points
from tetviz.results.schema import FloatArray
from tetviz.summaries import EnergyReport
from tetviz.summaries.names import network_names

_EVERY_T = 10


def name_steps(axes: Axes, reports: Sequence[EnergyReport], factor: float) -> None:
    """Writes T beside each point, of many at the powers of two, where no other label or marker is.

    Better networks are named above their points and the others below, because their curves run side by side. A
    point without room is left without a name.
    """
    figure = cast(Figure, axes.get_figure(root=True))
    figure.draw_without_rendering()
    styles = series_styles(network_names([report.counts for report in reports]))
    places = [np.column_stack([each.total_pj / factor, 100 * each.counts.accuracy]) for each in reports]
    taken = [
        box for each in places for box in _markers(axes, each[(each[:, 0] > 0) & np.isfinite(each[:, 1])], figure.dpi)
    ]
    for index, (report, own, style) in enumerate(zip(reports, places, styles, strict=True)):
        steps = report.counts.timestep.tolist()
        for t, (x, y) in zip(steps, own.tolist(), strict=True):
            shown = len(steps) <= _EVERY_T or t & (t - 1) == 0 or t == steps[-1]
            if shown and x > 0 and np.isfinite(y):
                _name_point(axes, str(t), (x, y), _is_lower(reports, index, t), style["color"], taken)


def _is_lower(reports: Sequence[EnergyReport], index: int, t: int) -> bool:
    # Of equals, the one that is drawn first counts as the better.
    ranked = [(-each.counts.accuracy[t - 1], at) for at, each in enumerate(reports) if t in each.counts.timestep]
    return sorted(ranked).index((-reports[index].counts.accuracy[t - 1], index)) >= len(ranked) / 2


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
