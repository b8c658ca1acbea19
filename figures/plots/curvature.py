"""The surrogate Hessian of a network beside the curvature and the slopes of its true loss."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption
from tetviz.figures.plots.axes import (
    band_keys,
    draw_band,
    draw_gaps,
    faint,
    finish,
    gap_key,
    legend_below,
    scale_values,
)
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import paper_style
from tetviz.figures.plots.text import loss_symbol, wrap, wrap_evenly
from tetviz.figures.plots.venues import WIDTH, inches, points, tall, text_lines
from tetviz.figures.selection import chosen_timestep, known_loss
from tetviz.figures.views.curvature import curvature_context
from tetviz.results import Curvature
from tetviz.summaries import finite_curvature, slope_agreement
from tetviz.summaries.intervals import METHOD
from tetviz.summaries.names import counted, network_name

_STYLE: dict[str, Any] = {"color": "black", "linestyle": "-", "marker": "o"}
_COSINE: dict[str, Any] = {"color": "0.15", "linestyle": "-.", "marker": "D"}
_CORRELATION: dict[str, Any] = {"color": "0.45", "linestyle": ":", "marker": "s", "markerfacecolor": "white"}
_SURROGATE: dict[str, Any] = {"color": "C3", "linestyle": "--", "linewidth": 1.2}
_DECADES = 6


def draw_curvature(curvature: Curvature, loss: str | None = None) -> Picture:
    """Spectrum of the surrogate Hessian, curvature of the true loss, and how far surrogate slopes hold.

    Args:
        curvature: a result, possibly half done.
        loss: the one whose surrogate Hessian was taken, or None.

    Returns:
        The figure, with three panels.

    Raises:
        ResultError: the surrogate Hessian is that of the other loss.
    """
    loss = known_loss(curvature.loss if loss is None else loss)
    if loss != curvature.loss:
        raise ResultError(f"loss {loss!r}: the curvature was measured for {curvature.loss!r}; measure it for {loss!r}")
    timestep = chosen_timestep(curvature, None)
    with paper_style():
        figure = Picture(layout="constrained")
        panels: Any = figure.subplots(1, 3)
        spectrum, bend, slope = panels
        _draw_spectrum(spectrum, curvature, loss)
        keys, gaps = _draw_bend(bend, curvature, loss, timestep)
        more_keys, more_gaps = _draw_agreement(slope, curvature, timestep)
        for axes in panels:
            finish(axes)
        for axes in (bend, slope):
            axes.set_xscale("log")
            axes.set_xlabel("radius (share of weight norm)")
            axes.set_xlim(curvature.radius.min() / 1.2, curvature.radius.max() * 1.2)
        bands = band_keys(figure, "directions")
        keys = [*keys, *more_keys, *bands, *[gap_key()] * (gaps or more_gaps)]
        rows = legend_below(figure, keys, _caption(curvature, timestep))
        figure.set_size_inches(inches(WIDTH), tall(2.4) + text_lines(rows))
        figure.caption = compose_caption(
            f"Spectral density of the surrogate Hessian of L_{loss.upper()} (left), curvature of the true loss by "
            "second differences at finite radii (middle), and cosine between the surrogate gradient and the gradient "
            f"smoothed over the radius (right), at T = {timestep}",
            [curvature],
            [_context(curvature)],
            "Radii are shares of the L2 norm of the weights",
            f"Faint lines of the density are its {len(curvature.repeat)} random starts"
            if len(curvature.repeat)
            else "",
            f"Bands are {METHOD}, bars 95 % expanded percentile bootstrap intervals, over directions" if bands else "",
            curvature.note,
        )
    return figure


def _draw_spectrum(axes: Axes, curvature: Curvature, loss: str) -> None:
    axes.set_title(f"surrogate Hessian of {loss_symbol(loss)}")
    known = np.isfinite(curvature.density)
    if curvature.note or not known.any():
        text = wrap(curvature.note or "no density: not computed yet or not finite", 26)
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", gid="note")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return
    at, density = curvature.bin[known], curvature.density[known]
    top = float(density.max())
    axes.plot(at, curvature.repeat_density[:, known].T, **faint(_SURROGATE), gid="repeat")
    axes.plot(at, density, color=_SURROGATE["color"], linewidth=1.1, gid="density")
    if top > 0:
        axes.set_yscale("log")
        # Between eigenvalues the density falls to the tails of its kernel, which mean nothing.
        axes.set_ylim(max(top / 10**_DECADES, float(density[density > 0].min()) / 2), top * 3)
    values = curvature.eigenvalue[np.isfinite(curvature.eigenvalue)]
    axes.vlines(values, 0, 0.08, transform=axes.get_xaxis_transform(), color="black", linewidth=1, gid="eigenvalues")
    if len(values):
        axes.set_xlim(min(at.min(), values.min()), max(at.max(), values.max() * 1.02))
        axes.text(
            0.97,
            0.96,
            f"largest {values.max():.3g}",
            transform=axes.transAxes,
            ha="right",
            va="top",
            fontsize=points(7),
        )
    axes.set_xlabel("eigenvalue (ticks: the largest)")
    axes.set_ylabel("density")


def _draw_bend(axes: Axes, curvature: Curvature, loss: str, timestep: int) -> tuple[list[Line2D | Patch], bool]:
    values = finite_curvature(curvature, timestep)
    axes.set_title(f"curvature of the true {loss_symbol(loss)}")
    axes.set_ylabel("curvature (nat)")
    axes.plot(curvature.radius, values.T, **faint(_STYLE), gid="direction")
    mean = draw_band(axes, curvature.radius, values, _STYLE).mean
    drawn = [values]
    handles: list[Line2D | Patch] = [Line2D([], [], **_STYLE, label="true loss: second difference, mean")]
    surrogate = curvature.surrogate_curvature[np.isfinite(curvature.surrogate_curvature)]
    if len(surrogate):
        axes.axhline(float(surrogate.mean()), **_SURROGATE, gid="surrogate")
        drawn.append(surrogate)
        handles.append(Line2D([], [], **_SURROGATE, label="surrogate Hessian, mean"))
    scale_values(axes, drawn, from_median=True)
    return handles, draw_gaps(axes, curvature.radius, [mean])


def _draw_agreement(axes: Axes, curvature: Curvature, timestep: int) -> tuple[list[Line2D | Patch], bool]:
    found = slope_agreement(curvature)
    axes.set_title(wrap("surrogate and smoothed gradient", 32))
    axes.set_ylabel("cosine")
    bounded = np.isfinite(found["low"])
    axes.plot(curvature.radius, found["cosine"], **_COSINE, gid="cosine")
    axes.vlines(
        curvature.radius[bounded],
        found["low"][bounded],
        found["high"][bounded],
        color=_COSINE["color"],
        linewidth=1,
        gid="interval",
    )
    axes.plot(curvature.radius, found["correlation"], **_CORRELATION, gid="correlation")
    axes.axhline(0, color="0.4", linewidth=0.7, zorder=0)
    axes.axhline(1, color="0.4", linewidth=0.7, zorder=0)
    axes.set_ylim(-1.25, 1.55)
    handles: list[Line2D | Patch] = [
        Line2D([], [], **_COSINE, label="cosine with the gradient smoothed over the radius, 95 % interval"),
        Line2D([], [], **_CORRELATION, label="correlation of slopes at the checkpoint"),
    ]
    if np.isnan(found["cosine"]).all():
        axes.text(0.5, 0.62, "not resolved: take more directions", transform=axes.transAxes, ha="center", gid="note")
    return handles, bool(np.isnan(found["correlation"]).any())


def _caption(curvature: Curvature, timestep: int) -> str:
    text = wrap_evenly(f"T = {timestep}; {_context(curvature)}", 105)
    return f"{wrap(network_name(curvature.provenance), 90)}\n{text}"


def _context(curvature: Curvature) -> str:
    count, done = len(curvature.direction), curvature.done
    parts = [
        curvature_context(curvature),
        f"{counted(count, 'random direction')}{', no interval' * (count == 1)}",
        "" if done.all() else f"{int(done.sum()):,} of {done.size:,} points",
    ]
    return "; ".join(part for part in parts if part)
