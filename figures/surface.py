"""Loss surfaces: one network as a map and in 3-D, or several side by side on one scale."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D  # type: ignore[import-untyped]
from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]

from tetviz.figures.choices import chosen_timestep, require_same_directions
from tetviz.figures.contours import (
    HOLE,
    center_text,
    draw_map,
    hole_key,
    hole_legend,
    loss_values,
    set_ticks,
    show_hole,
    with_progress,
)
from tetviz.figures.labels import (
    LOSSES,
    axis_label,
    loss_symbol,
    network_name,
    network_names,
    surface_context,
    wrap,
    wrap_evenly,
)
from tetviz.figures.scale import Scale, choose_scale, colors_of, label_colorbar
from tetviz.figures.style import WIDTH, paper_style
from tetviz.results import Surface
from tetviz.results.schema import FloatArray


def draw_surface(surface: Surface, loss: str | None = None, timestep: int | None = None, plane: int = 0) -> Figure:
    """One loss of one network: a map with labelled contours, and the same values in 3-D.

    Points that are not evaluated or not finite stay empty in both. What the surface does not hold is a
    ``ResultError``.

    Args:
        surface: a surface, possibly half done.
        loss: ``"sdt"`` or ``"tet"``; None takes the one the surface was asked for.
        timestep: number of timesteps; None takes the training T, or the last where that was not measured.
        plane: position along the plane axis.

    Returns:
        The figure.
    """
    loss = surface.loss if loss is None else loss
    timestep = chosen_timestep(surface, timestep)
    values = loss_values(surface, loss, timestep, plane)
    scale = choose_scale([values])
    name = wrap(network_name(surface.provenance), 70)
    context = wrap_evenly(with_progress(surface, surface_context(surface), plane), 105)
    title = f"{name}: {loss_symbol(loss)} at T = {timestep}\n{context}"
    holes = bool(np.isnan(values).any())
    ratio = np.ptp(surface.y) / np.ptp(surface.x)
    # In inches. Automatic layout cuts labels beside a 3-D panel, so the places are given.
    side, bottom, top = 2.8, 0.5 + 0.25 * holes, 0.4 + 0.15 * (title.count("\n") + 1)
    body = float(np.clip(side * ratio, 1.8, 3.2))
    height = bottom + body + top
    with paper_style():
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((0.6 / WIDTH, bottom / height, side / WIDTH, body / height))
        filled = draw_map(axes, surface, values, scale)
        axes.set_xlabel(axis_label("x", surface.norm))
        axes.set_ylabel(axis_label("y", surface.norm))
        axes.set_title(center_text(surface, values))
        # As high as the map, but high enough for its labels beside a flat one.
        bar_height, bar_width = max(1.0, 0.5 / ratio), 0.045 * max(1.0, ratio)
        place = (1 + bar_width, 0.5 - bar_height / 2, bar_width, bar_height)
        bar = figure.colorbar(filled, cax=axes.inset_axes(place))
        label_colorbar(bar, scale, f"{loss_symbol(loss)} (nat)")
        right = (4.25 / WIDTH, (bottom - 0.3) / height, 2.5 / WIDTH, (body + 0.3) / height)
        relief = cast(Axes3D, figure.add_axes(right, projection="3d"))
        _draw_relief(relief, surface, values, scale)
        relief.set_title(f"height: {loss_symbol(loss)} (nat), linear", pad=6)
        figure.suptitle(title, y=1 - 0.08 / height, va="top")
        if holes:
            hole_legend(figure, [hole_key(surface, values, plane)], "lower center")
    return figure


def compare_surfaces(
    surfaces: Sequence[Surface], timestep: int | None = None, loss: str | None = None, plane: int = 0
) -> Figure:
    """Several networks, a column each, under the SDT loss and the TET loss: Figure 2 of the TET paper.

    All panels share levels, colours and axes. Surfaces along different directions are a ``ResultError``.

    Args:
        surfaces: surfaces along the same directions.
        timestep: number of timesteps; None takes each network's training T.
        loss: ``"sdt"`` or ``"tet"`` for that row alone.
        plane: position along the plane axis.

    Returns:
        The figure.
    """
    require_same_directions(surfaces)
    # A file of another program may hold one loss alone.
    held = [name for name in LOSSES if all(np.isfinite(getattr(s, f"{name}_loss")).any() for s in surfaces)]
    losses = (held or LOSSES) if loss is None else (loss,)
    steps = [chosen_timestep(surface, timestep) for surface in surfaces]
    values = [[loss_values(s, row, t, plane) for s, t in zip(surfaces, steps, strict=True)] for row in losses]
    scale = choose_scale([panel for row in values for panel in row])
    contexts = [with_progress(surface, surface_context(surface), plane) for surface in surfaces]
    shared = len(set(contexts)) == 1
    headings = [
        wrap(name, 34) if shared else f"{wrap(name, 34)}\n{wrap(context, 44)}"
        for name, context in zip(network_names(surfaces), contexts, strict=True)
    ]
    lines = 1 + max(heading.count("\n") for heading in headings)
    with paper_style():
        width = min(2.5 * len(surfaces) + 1.4, 2 * WIDTH)
        side = (width - 1.4) / len(surfaces)
        ratio = float(np.clip(max(np.ptp(s.y) for s in surfaces) / max(np.ptp(s.x) for s in surfaces), 0.4, 2))
        height = (side * ratio + 0.25) * len(losses)
        figure = Figure(figsize=(width, height + 0.15 * lines + 0.6), layout="compressed")
        grid: Any = figure.subplots(len(losses), len(surfaces), sharex=True, sharey=True, squeeze=False)
        for row, column in np.ndindex(grid.shape):
            surface, panel = surfaces[column], values[row][column]
            axes = grid[row, column]
            filled = draw_map(axes, surface, panel, scale, fontsize=6)
            letter = _letter(row * len(surfaces) + column)
            what = f"({letter}) {loss_symbol(losses[row])} at T = {steps[column]}"
            axes.set_title(", ".join(filter(None, (what, center_text(surface, panel)))))
        for column, heading in enumerate(headings):
            axes = grid[0, column]
            axes.set_title(f"{heading}\n{axes.get_title()}")
            grid[-1, column].set_xlabel(axis_label("x", surfaces[column].norm))
        for axes in grid[:, 0]:
            axes.set_ylabel(axis_label("y", surfaces[0].norm))
        bar = figure.colorbar(filled, ax=grid, fraction=0.25 / width, pad=0.1 / width, aspect=height / 0.15)
        label_colorbar(bar, scale, "loss (nat)")
        keys = [
            hole_key(surface, panel, plane)
            for row_values in values
            for surface, panel in zip(surfaces, row_values, strict=True)
            if np.isnan(panel).any()
        ]
        if _share_axes(grid, surfaces):
            keys.append(Patch(**HOLE, label="outside the grid", linewidth=0))
        if keys:
            hole_legend(figure, keys, "outside lower center")
        if shared:
            figure.suptitle(wrap_evenly(contexts[0], int(width * 15)))
    return figure


def _share_axes(grid: Any, surfaces: Sequence[Surface]) -> bool:
    limits = np.array([(s.x.min(), s.x.max(), s.y.min(), s.y.max()) for s in surfaces])
    x_low, _, y_low, _ = limits.min(axis=0)
    _, x_high, _, y_high = limits.max(axis=0)
    smaller = (limits != (x_low, x_high, y_low, y_high)).any(axis=1)
    for row, column in np.ndindex(grid.shape):
        grid[row, column].set(xlim=(x_low, x_high), ylim=(y_low, y_high))
        if smaller[column]:
            show_hole(grid[row, column])
    return bool(smaller.any())


def _draw_relief(axes: Axes3D, surface: Surface, values: FloatArray, scale: Scale) -> None:
    # A cell with a missing corner is left out; the colour of a cell is that of the mean of its corners.
    x, y = np.meshgrid(surface.x, surface.y)
    points = np.stack([x, y, values], axis=-1)
    corners = [points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]]
    cells = np.stack(corners, axis=2).reshape(-1, 4, 3)
    cells = cells[np.isfinite(cells[..., 2]).all(axis=1)]
    faces = colors_of(scale).to_rgba(cells[..., 2].mean(axis=1))
    axes.add_collection3d(Poly3DCollection(cells, facecolors=faces, edgecolors=(0, 0, 0, 0.35), linewidths=0.25))
    axes.set_xlim(surface.x.min(), surface.x.max())
    axes.set_ylim(surface.y.min(), surface.y.max())
    axes.set_zlim(*((0, np.nanmax(values)) if scale.is_log else scale.levels[[0, -1]]))
    extent = np.array([np.ptp(surface.x), np.ptp(surface.y)])
    extent = np.maximum(extent / extent.max(), 0.3)
    axes.set_box_aspect((*extent, 0.65), zoom=1.05)
    axes.view_init(elev=48, azim=-58)
    set_ticks(axes, prune="both")
    axes.zaxis.set_major_locator(MaxNLocator(5, prune="lower"))
    axes.tick_params(pad=-2)
    axes.set_xlabel("x", labelpad=-5)
    axes.set_ylabel("y", labelpad=-5)


def _letter(index: int) -> str:
    return chr(97 + index) if index < 26 else f"{chr(96 + index // 26)}{chr(97 + index % 26)}"
