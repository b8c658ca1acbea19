"""Loss surfaces in 3-D: one on a panel, or several side by side with one vertical axis: Figure 5 of the TET paper."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D  # type: ignore[import-untyped]
from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]

from tetviz.figures.captions import (
    compose_caption,
    directions_words,
    losses_words,
    sample_words,
    scale_words,
    steps_words,
)
from tetviz.figures.choices import chosen_timestep, held_losses, require_same_directions
from tetviz.figures.contours import loss_values, set_ticks, with_progress
from tetviz.figures.labels import axis_label, loss_symbol, network_names, surface_context, wrap, wrap_evenly
from tetviz.figures.picture import Picture
from tetviz.figures.scale import Scale, choose_scale, colors_of, label_colorbar
from tetviz.figures.style import paper_style
from tetviz.figures.venues import WIDTH, figure_title, inches, points, text_lines
from tetviz.results import Surface
from tetviz.results.schema import FloatArray


def compare_reliefs(
    surfaces: Sequence[Surface], timestep: int | None = None, loss: str | None = None, plane: int = 0
) -> Picture:
    """Several networks in 3-D, a column each, under the SDT loss and the TET loss: Figure 5 of the TET paper.

    All panels share the vertical axis, the colours, and the coordinates. Surfaces along different directions are a
    ``ResultError``.

    Args:
        surfaces: surfaces along the same directions.
        timestep: number of timesteps; None takes each network's training T.
        loss: ``"sdt"`` or ``"tet"`` for that row alone.
        plane: position along the plane axis.

    Returns:
        The figure.
    """
    require_same_directions(surfaces)
    losses = held_losses(surfaces, loss)
    steps = [chosen_timestep(surface, timestep) for surface in surfaces]
    values = [[loss_values(s, row, t, plane) for s, t in zip(surfaces, steps, strict=True)] for row in losses]
    panels = [panel for row in values for panel in row]
    scale = choose_scale(panels)
    heights = height_limits(panels, scale)
    contexts = [with_progress(surface, surface_context(surface), plane) for surface in surfaces]
    names, shared = network_names(surfaces), len(set(contexts)) == 1
    fit = 90 / len(surfaces)
    x_limits = min(s.x.min() for s in surfaces), max(s.x.max() for s in surfaces)
    y_limits = min(s.y.min() for s in surfaces), max(s.y.max() for s in surfaces)
    with paper_style():
        width, bar = inches(WIDTH), text_lines(7)
        head = figure_title(wrap_evenly(contexts[0], 105)) if shared else ""
        headings = [
            wrap(name, fit) if shared else f"{wrap(name, fit)}\n{wrap(context, fit)}"
            for name, context in zip(names, contexts, strict=True)
        ]
        above = text_lines(3.5 + head.count("\n") + max(heading.count("\n") for heading in headings))
        side = min((width - bar) / len(surfaces), inches(3.0))
        left = (width - bar - side * len(surfaces)) / 2
        row_height = side + text_lines(2.5)
        height = above + row_height * len(losses)
        figure = Picture(figsize=(width, height))
        for row, column in np.ndindex(len(losses), len(surfaces)):
            bottom = height - above - row_height * (row + 1) + text_lines(2)
            # Narrower than its place, because the ticks of a 3-D panel stand outside of it.
            place = ((left + side * (column + 0.02)) / width, bottom / height, 0.86 * side / width, 0.9 * side / height)
            axes = cast(Axes3D, figure.add_axes(place, projection="3d"))
            axes.patch.set_visible(False)
            draw_relief(axes, surfaces[column], values[row][column], scale, heights)
            axes.set(xlim=x_limits, ylim=y_limits)
            _fit_box(axes)
            axes.set_xlabel(axis_label("x", surfaces[column].norm), labelpad=points(8) - 9)
            axes.set_ylabel(axis_label("y", surfaces[column].norm), labelpad=points(8) - 9)
            what = f"height: {loss_symbol(losses[row])} (nat) at T = {steps[column]}"
            figure.text(
                (left + side * (column + 0.47)) / width,
                (bottom + 0.93 * side) / height,
                f"{headings[column]}\n{what}" if row == 0 else what,
                ha="center",
                va="bottom",
                fontsize=points(8),
                gid="heading",
            )
        beside = figure.add_axes(
            ((left + side * len(surfaces) + text_lines(0.5)) / width, 0.15, text_lines(0.9) / width, 0.6)
        )
        label_colorbar(figure.colorbar(colors_of(scale), cax=beside, boundaries=scale.levels), scale, "loss (nat)")
        if head:
            figure.suptitle(head, y=1 - text_lines(0.5) / height, va="top")
        holes = any(np.isnan(panel).any() for panel in panels)
        figure.caption = compose_caption(
            f"Loss surfaces of {len(surfaces)} networks in 3-D, a column each, under {losses_words(losses)}, "
            f"{steps_words(surfaces, steps)}; heights are linear in nat, and all panels share them, the colours and x "
            "and y",
            surfaces,
            contexts,
            scale_words(scale, surfaces[0]).partition("; the cross")[0],
            "Points that are not evaluated yet or not finite are left open" if holes else "",
            directions_words(surfaces),
            sample_words(surfaces),
        )
    return figure


def height_limits(panels: Sequence[FloatArray], scale: Scale) -> tuple[float, float]:
    """The ends of a vertical axis that surfaces share.

    Args:
        panels: values (y, x) of each.
        scale: their levels.

    Returns:
        From 0 where the levels are spaced by logarithm, else from the lowest level.
    """
    if scale.is_log:
        return 0.0, max(float(np.nanmax(values)) for values in panels)
    return float(scale.levels[0]), float(scale.levels[-1])


def draw_relief(
    axes: Axes3D, surface: Surface, values: FloatArray, scale: Scale, heights: tuple[float, float] | None = None
) -> None:
    """A surface in 3-D: its height is the loss, its colours are those of the map.

    Args:
        axes: where to draw.
        surface: gives the coordinates.
        values: (y, x), NaN at holes, which stay open.
        scale: levels and colours.
        heights: ends of the vertical axis; by default those of the values.
    """
    # A cell with a missing corner is left out; the colour of a cell is that of the mean of its corners.
    x, y = np.meshgrid(surface.x, surface.y)
    vertices = np.stack([x, y, values], axis=-1)
    corners = [vertices[:-1, :-1], vertices[:-1, 1:], vertices[1:, 1:], vertices[1:, :-1]]
    cells = np.stack(corners, axis=2).reshape(-1, 4, 3)
    cells = cells[np.isfinite(cells[..., 2]).all(axis=1)]
    faces = colors_of(scale).to_rgba(cells[..., 2].mean(axis=1))
    axes.add_collection3d(Poly3DCollection(cells, facecolors=faces, edgecolors=(0, 0, 0, 0.35), linewidths=0.25))
    axes.set_xlim(surface.x.min(), surface.x.max())
    axes.set_ylim(surface.y.min(), surface.y.max())
    axes.set_zlim(*(heights or height_limits([values], scale)))
    _fit_box(axes)
    axes.view_init(elev=48, azim=-58)
    set_ticks(axes, prune="both")
    axes.zaxis.set_major_locator(MaxNLocator(5, prune="lower"))
    # The distances of a 3-D panel do not grow with its text.
    axes.tick_params(pad=0.4 * points(8) - 5.2)
    axes.set_xlabel("x", labelpad=points(8) - 13)
    axes.set_ylabel("y", labelpad=points(8) - 13)


def _fit_box(axes: Axes3D) -> None:
    # From the limits, so that panels which share them are alike and a loss is as high in each.
    extent = np.array([np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())])
    axes.set_box_aspect((*np.maximum(extent / extent.max(), 0.3), 0.65), zoom=1.05)
