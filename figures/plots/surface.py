"""Loss surfaces: one network as a map and in 3-D, or several side by side on one scale."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from matplotlib.patches import Patch
from mpl_toolkits.mplot3d import Axes3D  # type: ignore[import-untyped]

from tetviz.figures.captions import compose_caption, directions_words, steps_words
from tetviz.figures.formatting import axis_label
from tetviz.figures.plots.contours import (
    HOLE,
    LABELLED,
    center_text,
    draw_map,
    hole_key,
    hole_legend,
    holes_words,
    loss_values,
    scale_words,
    show_hole,
    with_progress,
)
from tetviz.figures.plots.levels import choose_scale, label_colorbar
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.relief import draw_relief
from tetviz.figures.plots.side_by_side import compare, grid_shape, panels_words
from tetviz.figures.plots.style import paper_style
from tetviz.figures.plots.text import loss_symbol, wrap, wrap_evenly
from tetviz.figures.plots.venues import VENUES, WIDTH, characters, figure_title, inches, points, text_lines, venue
from tetviz.figures.selection import chosen_timestep
from tetviz.figures.views.surface import surface_context
from tetviz.results import Surface
from tetviz.summaries.names import network_name


def draw_surfaces(
    surfaces: Sequence[Surface], loss: str | None = None, timestep: int | None = None, plane: int = 0
) -> Picture:
    """One surface, as :func:`draw_surface` shows it, or several, as :func:`compare_surfaces` does."""
    if len(surfaces) == 1:
        return draw_surface(surfaces[0], loss, timestep, plane)
    return compare_surfaces(surfaces, timestep, loss, plane)


def draw_surface(surface: Surface, loss: str | None = None, timestep: int | None = None, plane: int = 0) -> Picture:
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
    title = figure_title(f"{name}: {loss_symbol(loss)} at T = {timestep}\n{context}")
    holes = bool(np.isnan(values).any())
    ratio = np.ptp(surface.y) / np.ptp(surface.x)
    # In inches. Automatic layout cuts labels beside a 3-D panel, so the places are given.
    width, side, left = inches(WIDTH), inches(2.8), text_lines(3.6)
    bottom, top = text_lines(3 + 1.5 * holes), text_lines(2.4 + title.count("\n") + bool(title))
    body = float(np.clip(side * ratio, inches(1.8), inches(3.2)))
    height = bottom + body + top
    with paper_style():
        figure = Picture(figsize=(width, height))
        axes = figure.add_axes((left / width, bottom / height, side / width, body / height))
        filled = draw_map(axes, surface, values, scale)
        axes.set_xlabel(axis_label("x", surface.norm))
        axes.set_ylabel(axis_label("y", surface.norm))
        axes.set_title(center_text(surface, values))
        # As high as the map, but high enough for its labels beside a flat one.
        bar_height, bar_width = max(1.0, 0.5 / ratio), 0.045 * max(1.0, ratio)
        place = (1 + bar_width, 0.5 - bar_height / 2, bar_width, bar_height)
        bar = figure.colorbar(filled, cax=axes.inset_axes(place))
        label_colorbar(bar, scale, f"{loss_symbol(loss)} (nat)")
        right = (
            inches(4.25) / width,
            (bottom - text_lines(1.8)) / height,
            inches(2.5) / width,
            (body + text_lines(1.8)) / height,
        )
        relief = cast(Axes3D, figure.add_axes(right, projection="3d"))
        draw_relief(relief, surface, values, scale)
        relief.set_title(f"height: {loss_symbol(loss)} (nat), linear", pad=6)
        if title:
            figure.suptitle(title, y=1 - text_lines(0.5) / height, va="top")
        if holes:
            hole_legend(figure, [hole_key(surface, values, plane)], "lower center")
        figure.caption = compose_caption(
            f"Loss surface, L_{loss.upper()} at T = {timestep}, as a map and in 3-D; {center_text(surface, values)}",
            [surface],
            [with_progress(surface, surface_context(surface), plane)],
            scale_words(scale, [surface]),
            holes_words([hole_key(surface, values, plane)] * holes),
        )
    return figure


def compare_surfaces(
    surfaces: Sequence[Surface], timestep: int | None = None, loss: str | None = None, plane: int = 0
) -> Picture:
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
    shown = compare(surfaces, timestep, loss, plane)
    losses, steps, scale = shown.losses, shown.steps, shown.scale
    rows, columns = grid_shape(len(losses), len(surfaces))
    width = _panels_width(columns)
    side = min((width - inches(1.4)) / columns, inches(2.9))
    fit = side / inches(2.5)
    headings = [
        wrap(name, 34 * fit) if shown.shared else f"{wrap(name, 34 * fit)}\n{wrap(context, 44 * fit)}"
        for name, context in zip(shown.names, shown.contexts, strict=True)
    ]
    title = figure_title(wrap_evenly(shown.shared, 105 * width / inches(WIDTH))) if shown.shared else ""
    above = title.count("\n") + bool(title) + max(heading.count("\n") for heading in headings)
    with paper_style():
        ratio = float(np.clip(max(np.ptp(s.y) for s in surfaces) / max(np.ptp(s.x) for s in surfaces), 0.4, 2))
        narrow = characters(34 * fit) < 26
        height = (side * ratio + text_lines(2.5 if narrow else 1.5)) * rows
        figure = Picture(figsize=(width, height + text_lines(above + 3.6)), layout="compressed")
        grid: Any = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        keys = []
        for index, (axes, values) in enumerate(zip(grid.flat, shown.panels, strict=True)):
            of_loss, network = divmod(index, len(surfaces))
            surface = surfaces[network]
            filled = draw_map(axes, surface, values, scale, fontsize=6 if side > points(LABELLED) else None)
            what = f"({_letter(index)}) {loss_symbol(losses[of_loss])} at T = {steps[network]}"
            heading = f"{headings[network]}\n" if index < columns else ""
            told = filter(None, (what, center_text(surface, values)))
            axes.set_title(heading + ("\n" if narrow else ", ").join(told))
            keys += [hole_key(surface, values, plane)] * bool(np.isnan(values).any())
        for axes in grid[-1]:
            axes.set_xlabel(axis_label("x", surfaces[0].norm))
        for axes in grid[:, 0]:
            axes.set_ylabel(axis_label("y", surfaces[0].norm))
        bar = figure.colorbar(
            filled,
            ax=grid,
            fraction=text_lines(1.5) / width,
            pad=text_lines(0.6) / width,
            aspect=height / text_lines(0.9),
        )
        label_colorbar(bar, scale, "loss (nat)", rows * side * ratio)
        if _share_axes(grid, surfaces):
            keys.append(Patch(**HOLE, label="outside the grid", linewidth=0))
        if keys:
            hole_legend(figure, keys, "outside lower center")
        if title:
            figure.suptitle(title)
        figure.caption = compose_caption(
            f"Loss surfaces of {panels_words(losses, len(surfaces))}, {steps_words(surfaces, steps)}; all panels "
            "share levels, colours and axes",
            surfaces,
            shown.contexts,
            scale_words(scale, surfaces),
            holes_words(keys),
            directions_words(surfaces),
        )
    return figure


def _panels_width(count: int) -> float:
    # Without a venue there is no page to fill, and none that many panels would have to fit on.
    return inches(min(2.5 * count + 1.4, 2 * WIDTH) if venue() is VENUES["tetviz"] else WIDTH)


def _share_axes(grid: Any, surfaces: Sequence[Surface]) -> bool:
    limits = np.array([(s.x.min(), s.x.max(), s.y.min(), s.y.max()) for s in surfaces])
    x_low, _, y_low, _ = limits.min(axis=0)
    _, x_high, _, y_high = limits.max(axis=0)
    smaller = (limits != (x_low, x_high, y_low, y_high)).any(axis=1)
    for index, axes in enumerate(grid.flat):
        axes.set(xlim=(x_low, x_high), ylim=(y_low, y_high))
        if smaller[index % len(surfaces)]:
            show_hole(axes)
    return bool(smaller.any())


def _letter(index: int) -> str:
    return chr(97 + index) if index < 26 else f"{chr(96 + index // 26)}{chr(97 + index % 26)}"
