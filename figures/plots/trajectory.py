"""Checkpoints on the plane that fits them: the path on the map, and how far it is from the plane."""

from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from tetviz.figures.captions import compose_caption
from tetviz.figures.curves import scale_of
from tetviz.figures.formatting import axis_label
from tetviz.figures.plots.axes import finish
from tetviz.figures.plots.contours import (
    draw_map,
    hole_key,
    hole_legend,
    holes_words,
    loss_values,
    scale_words,
    with_progress,
)
from tetviz.figures.plots.levels import choose_scale, label_colorbar
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import paper_style
from tetviz.figures.plots.text import loss_symbol, wrap, wrap_evenly
from tetviz.figures.plots.venues import WIDTH, figure_title, inches, points, text_lines, venue
from tetviz.figures.selection import chosen_timestep
from tetviz.figures.views.surface import surface_context
from tetviz.results import Trajectory
from tetviz.results.schema import FloatArray
from tetviz.summaries.names import names_of, network_name

# White is in the plane, dark red far off it; both stand out from the map and from each other in grey.
_RESIDUAL = ScalarMappable(Normalize(0, 1), "Reds")
_FLAT = 0.7
_SLIVER = 0.2  # a map of unlike sides is stretched
_FEW = 8
_MANY = 20


def draw_trajectory(trajectory: Trajectory, loss: str | None = None, timestep: int | None = None) -> Picture:
    """The path of checkpoints on the map of their plane, their losses beside those at their projections.

    Args:
        trajectory: a trajectory, possibly half done.
        loss: ``"sdt"`` or ``"tet"``; None takes the one asked for.
        timestep: number of timesteps; None takes the training T.

    Returns:
        The figure: the map, the losses and the residuals of the checkpoints.
    """
    loss = trajectory.loss if loss is None else loss
    timestep = chosen_timestep(trajectory, timestep)
    values = loss_values(trajectory, loss, timestep)
    scale = choose_scale([values])
    ratio = float(np.ptp(trajectory.y) / np.ptp(trajectory.x))
    context = wrap_evenly(with_progress(trajectory, surface_context(trajectory)), 105)
    title = f"{wrap(network_name(trajectory.provenance), 70)}: {loss_symbol(loss)} at T = {timestep}\n{context}"
    title = figure_title(title)
    rows = title.count("\n") + bool(title)
    with paper_style():
        figure = Picture(layout="constrained")
        if ratio < _FLAT:
            body = inches(float(np.clip((WIDTH - 1.6) * ratio, 1.4, 2.0 if venue().slide else 3.5))) + text_lines(3)
            below = inches(1.4 if venue().slide else 1.9)
            places: Any = figure.subplot_mosaic([["map", "map"], ["loss", "residual"]], height_ratios=(body, below))
            figure.set_size_inches(inches(WIDTH), body + below + text_lines(2.4 + rows))
        else:
            places = figure.subplot_mosaic([["map", "loss"], ["map", "residual"]], width_ratios=(1.45, 1))
            body = inches(float(np.clip(3.1 * ratio, 2.9, 4.6)))
            figure.set_size_inches(inches(WIDTH), body + text_lines(3.6 + rows))
        axes = places["map"]
        filled = draw_map(axes, trajectory, values, scale, fontsize=6)
        if not _SLIVER < ratio < 1 / _SLIVER:
            axes.set_aspect("auto")
        axes.set_xlabel(axis_label("x", trajectory.norm))
        axes.set_ylabel(axis_label("y", trajectory.norm))
        # As high as the map, which is lower than its place where its aspect asks for it.
        beside = axes.inset_axes((1.015, 0, 0.025, 1) if ratio < _FLAT else (1.03, 0, 0.05, 1))
        label_colorbar(figure.colorbar(filled, cax=beside), scale, f"{loss_symbol(loss)} (nat)")
        _draw_path(axes, trajectory)
        _draw_losses(places["loss"], trajectory, loss, timestep)
        _draw_residuals(places["residual"], trajectory)
        for panel in (places["loss"], places["residual"]):
            finish(panel)
            _label_points(panel, trajectory)
        if np.isnan(values).any():
            hole_legend(figure, [hole_key(trajectory, values)], "outside lower center")
        if title:
            figure.suptitle(title)
        figure.caption = compose_caption(
            f"Checkpoints on the plane that fits them, over L_{loss.upper()} at T = {timestep} (map), their losses "
            "beside those at their projections, and how far off the plane they are",
            [trajectory],
            [with_progress(trajectory, surface_context(trajectory))],
            _explained(trajectory),
            "A residual is the distance of a checkpoint from the plane, as a share of its distance from the reference; "
            "points are the redder the larger theirs",
            scale_words(scale, [trajectory]),
            holes_words([hole_key(trajectory, values)] * bool(np.isnan(values).any())),
        )
    return figure


def _explained(trajectory: Trajectory) -> str:
    if np.isnan(trajectory.explained).all():
        return "The plane goes through all of them."
    shares = [
        f"{', '.join(f'{name} {100 * share:.3g} %' for name, share in zip('xy', values, strict=True))} of {of}"
        for values, of in (
            (trajectory.explained, "the squared displacements from the reference"),
            (trajectory.explained_centred, "the variance around the mean"),
        )
    ]
    return f"The axes hold {'; '.join(shares)}. Believe the map at a checkpoint where the two losses below agree."


def _draw_path(axes: Axes, trajectory: Trajectory) -> None:
    x, y = trajectory.point_x, trajectory.point_y
    around = [withStroke(linewidth=2.4, foreground="white")]
    axes.plot(x, y, color="black", linewidth=1.1, path_effects=around, gid="path", zorder=3)
    colors = _RESIDUAL.to_rgba(np.nan_to_num(trajectory.residual))
    axes.scatter(x, y, c=colors, **_dots(trajectory), zorder=4, gid="points", clip_on=False)
    axes.plot(0, 0, marker="+", color="black", markersize=5, markeredgewidth=0.9, gid="reference", zorder=5)
    names = _point_names(trajectory)
    shown = range(len(names)) if trajectory.path != "training" and len(names) <= _FEW else {0, len(names) - 1}
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for index in shown:
        # Above or below its point, off the path to the next one, and where the frame does not cut it.
        neighbour = index - 1 if index == len(names) - 1 else index + 1
        across, up = (x[index] - left) / (right - left), (y[index] - bottom) / (top - bottom)
        above = up < 0.85 and (up < 0.15 or len(names) == 1 or y[neighbour] <= y[index])
        axes.annotate(
            _short(names[index]),
            (x[index], y[index]),
            (0, 6 if above else -6),
            textcoords="offset points",
            ha="left" if across < 0.2 else "right" if across > 0.8 else "center",
            va="bottom" if above else "top",
            fontsize=points(7),
            path_effects=[withStroke(linewidth=2, foreground="white")],
            zorder=6,
            gid="name",
        )


def _draw_losses(axes: Axes, trajectory: Trajectory, loss: str, timestep: int) -> None:
    at = trajectory.timestep == timestep
    true, projected = (
        cast(FloatArray, getattr(trajectory, f"{name}_{loss}_loss"))[:, at][:, 0] for name in ("true", "projected")
    )
    where = _positions(trajectory)
    sparse: dict[str, Any] = {"markersize": 3.5, "markevery": max(1, len(where) // 12) if len(where) > _MANY else 1}
    axes.plot(where, true, color="black", marker="o", **sparse, label="of the checkpoint", gid="true")
    style: dict[str, Any] = {"color": "0.45", "linestyle": "--", "marker": "s", "markerfacecolor": "white"}
    axes.plot(where, projected, **style, **sparse, label="at its projection", gid="projected")
    axes.set_yscale(scale_of([true, projected])[0])
    axes.set_ylabel(f"{loss_symbol(loss)} (nat)")
    axes.legend(loc="best", fontsize=points(7))


def _draw_residuals(axes: Axes, trajectory: Trajectory) -> None:
    where = _positions(trajectory)
    axes.plot(where, trajectory.residual, color="0.3", linewidth=0.8, gid="residual")
    colors = _RESIDUAL.to_rgba(np.nan_to_num(trajectory.residual))
    axes.scatter(where, trajectory.residual, c=colors, **_dots(trajectory), zorder=3)
    axes.set_ylim(-0.06, 1.06)
    axes.set_ylabel("residual\n(share of distance)")


def _label_points(axes: Axes, trajectory: Trajectory) -> None:
    if trajectory.path == "training":
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        return
    names = _point_names(trajectory)
    step = -(-len(names) // _FEW)
    shown = [_short(name) for name in names[::step]]
    turned = sum(map(len, shown)) > 24
    side = "right" if turned else "center"
    axes.set_xticks(np.arange(len(names))[::step], shown, rotation=30 if turned else 0, ha=side)


def _positions(trajectory: Trajectory) -> FloatArray:
    if trajectory.path == "training":
        return trajectory.epoch.astype(float)
    return np.arange(len(trajectory.point), dtype=float)


def _point_names(trajectory: Trajectory) -> list[str]:
    return names_of(trajectory.names, len(trajectory.point), "checkpoint")


def _dots(trajectory: Trajectory) -> dict[str, Any]:
    many = len(trajectory.point) > _MANY
    return {"s": 11 if many else 25, "linewidths": 0.4 if many else 0.8, "edgecolors": "black"}


def _short(name: str) -> str:
    return wrap(name if len(name) <= 16 else f"{name[:15]}…", 16)
