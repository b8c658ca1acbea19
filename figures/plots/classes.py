"""Accuracy of every class at every number of timesteps."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption
from tetviz.figures.formatting import shared_text
from tetviz.figures.plots.curves import log2_axis
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import COLORMAP, paper_style
from tetviz.figures.plots.text import wrap, wrap_evenly
from tetviz.figures.plots.venues import COLUMN, WIDTH, figure_title, inches, text_lines
from tetviz.results import ScalingCurve
from tetviz.summaries.names import data_context, network_names
from tetviz.summaries.scaling import class_accuracy

_TALLEST = 7.0


def draw_classes(curves: Sequence[ScalingCurve]) -> Picture:
    """Accuracy of the mean output on the samples of each class, against T, as a map for each network.

    The maps share their colours. A dashed line marks the T that a network was trained with; a class without
    samples is grey.

    Args:
        curves: one for each network.

    Returns:
        The figure.

    Raises:
        ResultError: there is no curve.
    """
    if not curves:
        raise ResultError("no scaling curve to draw")
    names, contexts = network_names(curves), [data_context(curve) for curve in curves]
    shared = shared_text(contexts)
    tables = [100 * class_accuracy(curve).to_numpy() for curve in curves]
    known = np.concatenate([table[np.isfinite(table)] for table in tables])
    norm = Normalize(max(0.0, min(known.min(), known.max() - 2)), known.max())
    narrow = len(curves) == 1
    with paper_style():
        figure = Picture(layout="constrained")
        panels: list[Axes] = list(figure.subplots(1, len(curves), squeeze=False)[0])
        for axes, curve, table, name, context in zip(panels, curves, tables, names, contexts, strict=True):
            edges = np.append(curve.timestep - 0.5, curve.timestep[-1] + 0.5)
            rows = np.arange(len(table) + 1) - 0.5
            image = axes.pcolormesh(edges, rows, table, cmap=COLORMAP, norm=norm, rasterized=True, gid="classes")
            axes.set_facecolor("0.85")
            log2_axis(axes, int(curve.timestep[-1]))
            axes.set_xlim(edges[0], edges[-1])
            if curve.t_train in curve.timestep:
                axes.axvline(curve.t_train, color="white", linewidth=1.8)
                axes.axvline(curve.t_train, color="0.1", linewidth=0.9, linestyle="--", gid="training T")
            axes.yaxis.set_major_locator(MaxNLocator(20, integer=True))
            axes.set_ylim(rows[-1], rows[0])
            text = name if shared or not context else f"{name}; {context}"
            trained = f"\n(dashed: trained at T={curve.t_train})" if curve.t_train else ""
            axes.set_title(wrap(text, 60 if narrow else 100 / len(curves), narrow=narrow) + trained)
            axes.set_xlabel("number of timesteps T")
        panels[0].set_ylabel("class")
        figure.colorbar(image, ax=panels, label="accuracy (%)", fraction=0.05)
        height = min(inches(_TALLEST), text_lines(8 + 1.2 * max(len(table) for table in tables)))
        figure.set_size_inches(inches(COLUMN, narrow=True) if narrow else inches(WIDTH), height)
        if shared:
            figure.suptitle(figure_title(wrap_evenly(shared, 60 if narrow else 105, narrow=narrow)))
        figure.caption = compose_caption(
            "Accuracy of the mean output of steps 1..T on the samples of each class, against T",
            curves,
            contexts,
            "The maps share their colours" if len(curves) > 1 else "",
            "Dashed lines mark the training T" if any(curve.t_train in curve.timestep for curve in curves) else "",
        )
    return figure
