"""Loss surfaces in 3-D: one on a panel, or several side by side with one vertical axis: Figure 5 of the TET paper."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D  # type: ignore[import-untyped]
from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]

from tetviz.figures.captions import compose_caption, directions_words, steps_words
from tetviz.figures.formatting import axis_label
from tetviz.figures.plots.contours import hole_key, scale_words, set_ticks
from tetviz.figures.plots.levels import Scale, colors_of, label_colorbar
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.side_by_side import compare, grid_shape, panels_words
from tetviz.figures.plots.style import paper_style
from tetviz.figures.plots.text import loss_symbol, wrap, wrap_evenly
from tetviz.figures.plots.venues import WIDTH, figure_title, inches, points, text_lines
from tetviz.results import Surface
from tetviz.results.schema import FloatArray
from tetviz.summaries.names import network_names


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
    shown = compare(surfaces, timestep, loss, plane)
    losses, steps, scale = shown.losses, shown.steps, shown.scale
    heights = _height_limits(shown.panels, scale)
    rows, columns = grid_shape(len(losses), len(surfaces))
    fit = 90 / columns
    x_limits = min(s.x.min() for s in surfaces), max(s.x.max() for s in surfaces)
    y_limits = min(s.y.min() for s in surfaces), max(s.y.max() for s in surfaces)
    with paper_style():
        width, bar = inches(WIDTH), text_lines(7)
        head = figure_title(wrap_evenly(shown.shared, 105))
        headings = [
            wrap(name, fit) if shown.shared else f"{wrap(name, fit)}\n{wrap(context, fit)}"
            for name, context in zip(shown.names, shown.contexts, strict=True)
        ]
        told = [f"height: {loss_symbol(name)} (nat)" for name in losses]
        side = min((width - bar) / columns, inches(3.0))
        small = side < inches(2.0)  # too small for the names of the axes
        unit = axis_label("x and y", surfaces[0].norm) if small else ""
        missing = _missing(surfaces, shown.panels, plane)
        notes = "\n".join(wrap_evenly(note, 105) for note in (unit, missing) if note)
        above = text_lines(3.5 + head.count("\n") + max(heading.count("\n") for heading in headings))
        below = text_lines(1.5 + notes.count("\n")) if notes else 0.0
        left = (width - bar - side * columns) / 2
        row_height = side + text_lines(2.5)
        height = above + row_height * rows + below
        figure = Picture(figsize=(width, height))
        for index, values in enumerate(shown.panels):
            row, column = divmod(index, columns)
            of_loss, network = divmod(index, len(surfaces))
            surface = surfaces[network]
            bottom = height - above - row_height * (row + 1) + text_lines(2)
            # Narrower than its place, because the ticks of a 3-D panel stand outside of it.
            place = ((left + side * (column + 0.02)) / width, bottom / height, 0.86 * side / width, 0.9 * side / height)
            axes = cast(Axes3D, figure.add_axes(place, projection="3d"))
            axes.patch.set_visible(False)
            draw_relief(axes, surface, values, scale, heights)
            axes.set(xlim=x_limits, ylim=y_limits)
            _fit_box(axes)
            if small:
                axes.zaxis.set_major_locator(MaxNLocator(3, prune="lower"))
            else:
                axes.set_xlabel(axis_label("x", surface.norm), labelpad=points(8) - 9)
                axes.set_ylabel(axis_label("y", surface.norm), labelpad=points(8) - 9)
            what = f"{told[of_loss]}{', ' if columns < 4 else chr(10)}T = {steps[network]}"
            figure.text(
                (left + side * (column + 0.47)) / width,
                (bottom + 0.93 * side) / height,
                f"{headings[network]}\n{what}" if row == 0 else what,
                ha="center",
                va="bottom",
                fontsize=points(8),
                gid="heading",
            )
        beside = figure.add_axes(
            ((left + side * columns + text_lines(0.5)) / width, 0.15, text_lines(0.9) / width, 0.6)
        )
        label_colorbar(figure.colorbar(colors_of(scale), cax=beside, boundaries=scale.levels), scale, "loss (nat)")
        if head:
            figure.suptitle(head, y=1 - text_lines(0.5) / height, va="top")
        if notes:
            figure.text(0.5, text_lines(0.5) / height, notes, ha="center", va="bottom", fontsize=points(8), gid="notes")
        figure.caption = compose_caption(
            f"Loss surfaces in 3-D of {panels_words(losses, len(surfaces))}, {steps_words(surfaces, steps)}; heights "
            "are linear in nat, and all panels share them, the colours and x and y",
            surfaces,
            shown.contexts,
            scale_words(scale, surfaces).partition("; the cross")[0],
            missing,
            directions_words(surfaces),
        )
    return figure


def _missing(surfaces: Sequence[Surface], panels: Sequence[FloatArray], plane: int) -> str:
    # An open place says nothing by itself, as the hatches of a map do.
    of_panels = zip([*surfaces] * (len(panels) // len(surfaces)), panels, strict=True)
    why = [str(hole_key(s, values, plane).get_label()) for s, values in of_panels if np.isnan(values).any()]
    if not why:
        return ""
    measured = [
        f"{int(surface.done[plane].sum()):,} of {surface.done[plane].size:,} points of {name} are measured"
        for surface, name in zip(surfaces, network_names(surfaces), strict=True)
        if not surface.done[plane].all()
    ]
    words = ["a square is a point between open places", *measured]
    return f"Open places are {', or '.join(dict.fromkeys(why))}; {'; '.join(words)}"


def draw_relief(
    axes: Axes3D, surface: Surface, values: FloatArray, scale: Scale, heights: tuple[float, float] | None = None
) -> None:
    """A surface in 3-D: its height is the loss, its colours are those of the map.

    Args:
        values: (y, x), NaN at holes, which stay open; a point whose cells are all open is a square.
    """
    # A cell with a missing corner is left out; the colour of a cell is that of the mean of its corners.
    x, y = np.meshgrid(surface.x, surface.y)
    vertices = np.stack([x, y, values], axis=-1)
    corners = [vertices[:-1, :-1], vertices[:-1, 1:], vertices[1:, 1:], vertices[1:, :-1]]
    cells = np.stack(corners, axis=2).reshape(-1, 4, 3)
    cells = cells[np.isfinite(cells[..., 2]).all(axis=1)]
    faces = colors_of(scale).to_rgba(cells[..., 2].mean(axis=1))
    axes.add_collection3d(Poly3DCollection(cells, facecolors=faces, edgecolors=(0, 0, 0, 0.35), linewidths=0.25))
    if (alone := without_cell(values)).any():
        dots: Any = {"c": colors_of(scale).to_rgba(values[alone]), "marker": "s", "s": 4, "linewidths": 0}
        axes.scatter(x[alone], y[alone], values[alone], **dots, depthshade=False, gid="alone")
    axes.set_xlim(surface.x.min(), surface.x.max())
    axes.set_ylim(surface.y.min(), surface.y.max())
    axes.set_zlim(*(heights or _height_limits([values], scale)))
    _fit_box(axes)
    axes.view_init(elev=48, azim=-58)
    set_ticks(axes, prune="both")
    axes.zaxis.set_major_locator(MaxNLocator(5, prune="lower"))
    # The distances of a 3-D panel do not grow with its text.
    axes.tick_params(pad=0.4 * points(8) - 5.2)
    axes.set_xlabel("x", labelpad=points(8) - 13)
    axes.set_ylabel("y", labelpad=points(8) - 13)


def without_cell(values: FloatArray) -> npt.NDArray[np.bool_]:
    """Points that have a value but stand at no cell whose four corners have one.

    Args:
        values: (y, x), NaN at holes.

    Returns:
        Whether a point is such a one (y, x).
    """
    known = np.isfinite(values)
    cells = known[:-1, :-1] & known[:-1, 1:] & known[1:, 1:] & known[1:, :-1]
    around = np.pad(cells, 1)
    return known & ~(around[:-1, :-1] | around[:-1, 1:] | around[1:, 1:] | around[1:, :-1])


def _height_limits(panels: Sequence[FloatArray], scale: Scale) -> tuple[float, float]:
    # From 0 where the levels are spaced by logarithm, else from the lowest level.
    if scale.is_log:
        return 0.0, max(float(np.nanmax(values)) for values in panels)
    return float(scale.levels[0]), float(scale.levels[-1])


def _fit_box(axes: Axes3D) -> None:
    # From the limits, so that panels which share them are alike and a loss is as high in each.
    extent = np.array([np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())])
    axes.set_box_aspect((*np.maximum(extent / extent.max(), 0.3), 0.65), zoom=1.05)
