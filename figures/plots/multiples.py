"""Many maps of one surface on one scale: all its planes, or all its numbers of timesteps."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption
from tetviz.figures.formatting import axis_label
from tetviz.figures.plots.contours import (
    LABELLED,
    center_text,
    draw_map,
    hole_key,
    hole_legend,
    holes_words,
    plane_values,
    scale_words,
    show_hole,
    with_progress,
)
from tetviz.figures.plots.levels import Scale, choose_scale, colors_of, label_colorbar
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import paper_style
from tetviz.figures.plots.text import loss_symbol, wrap, wrap_evenly
from tetviz.figures.plots.venues import WIDTH, figure_title, inches, points, text_lines
from tetviz.figures.selection import chosen_timestep
from tetviz.figures.views.surface import surface_context
from tetviz.results import Surface
from tetviz.results.schema import FloatArray
from tetviz.summaries.names import network_name

MAX_PANELS = 12


def draw_planes(surface: Surface, loss: str | None = None, timestep: int | None = None) -> Picture:
    """All planes of a surface on one scale, or the first twelve.

    Args:
        surface: a surface, possibly half done.
        loss: ``"sdt"`` or ``"tet"``; None takes the one asked for.
        timestep: number of timesteps; None takes the training T.

    Returns:
        The figure, with a panel for each plane.
    """
    loss = surface.loss if loss is None else loss
    timestep = chosen_timestep(surface, timestep)
    planes = list(range(min(len(surface.plane), MAX_PANELS)))
    panels = [plane_values(surface, loss, timestep, plane) for plane in planes]
    titles = [f"plane {plane + 1} of {len(surface.plane)}" for plane in planes]
    context = with_progress(surface, surface_context(surface))
    if len(planes) < len(surface.plane):
        context = f"{context}; the first {len(planes)} of {len(surface.plane)} planes"
    return _small_multiples(
        surface,
        loss,
        f" at T = {timestep}",
        context,
        titles,
        panels,
        planes,
    )


def draw_timesteps(surface: Surface, loss: str | None = None, plane: int = 0) -> Picture:
    """One plane of a surface at every number of timesteps, on one scale; of more than twelve, at powers of two.

    Args:
        surface: a surface, possibly half done.
        loss: ``"sdt"`` or ``"tet"``; None takes the one asked for.
        plane: position along the plane axis.

    Returns:
        The figure, with a panel for each number of timesteps.
    """
    loss = surface.loss if loss is None else loss
    steps = shown_timesteps(surface)
    panels = [plane_values(surface, loss, t, plane) for t in steps]
    titles = [f"T = {t}{', as in training' * (t == surface.t_train)}" for t in steps]
    context = with_progress(surface, surface_context(surface), plane)
    last = int(surface.timestep[-1])
    return _small_multiples(
        surface,
        loss,
        f" at T up to {last}",
        context,
        titles,
        panels,
        [plane] * len(steps),
    )


def shown_timesteps(surface: Surface) -> list[int]:
    """Numbers of timesteps that twelve panels can show."""
    steps: list[int] = surface.timestep.tolist()
    if len(steps) > MAX_PANELS:
        steps = [t for t in steps if t & (t - 1) == 0 or t in (surface.t_train, steps[-1])]
    return steps[-MAX_PANELS:]


def shared_scale(surface: Surface, panels: Sequence[FloatArray]) -> Scale:
    """Levels for several maps of a surface, some of which may be empty.

    Args:
        panels: values (y, x) of each.
    """
    known = [values for values in panels if np.isfinite(values).any()]
    if not known:
        name = network_name(surface.provenance)
        raise ResultError(f"the surface of {name} has no finite value to draw; finish its measurement first")
    return choose_scale(known)


def draw_panel(axes: Any, surface: Surface, values: FloatArray, scale: Scale, fontsize: float | None = 5.5) -> None:
    """A map, or its hatched place where nothing is measured yet.

    Args:
        values: (y, x), NaN at holes.
        fontsize: of the labels on the lines; None for none.
    """
    if np.isfinite(values).any():
        draw_map(axes, surface, values, scale, fontsize)
        return
    show_hole(axes)
    axes.set(xlim=surface.x[[0, -1]], ylim=surface.y[[0, -1]], aspect="equal")


def _small_multiples(
    surface: Surface,
    loss: str,
    at: str,
    context: str,
    titles: Sequence[str],
    panels: Sequence[FloatArray],
    planes: Sequence[int],
) -> Picture:
    scale = shared_scale(surface, panels)
    columns = min(len(panels), 4 if len(panels) not in (5, 6, 9) else 3)
    rows = -(-len(panels) // columns)
    side = inches(min((WIDTH - 2) / columns, 2.6))
    ratio = float(np.clip(np.ptp(surface.y) / np.ptp(surface.x), 0.4, 2))
    name = wrap(network_name(surface.provenance), 70)
    title = figure_title(f"{name}: {loss_symbol(loss)}{at}\n{wrap_evenly(context, 105)}")
    keys = [
        hole_key(surface, values, plane) for values, plane in zip(panels, planes, strict=True) if np.isnan(values).any()
    ]
    with paper_style():
        told = text_lines(title.count("\n") + bool(title) + 1.2 * bool(keys))
        # Above an incomplete row the panels have their own x axes.
        ragged = bool(len(panels) % columns) and rows > 1
        height = (side * ratio + text_lines(2.2)) * rows + text_lines(3 + 2 * ragged) + told
        figure = Picture(figsize=(inches(WIDTH), height), layout="compressed")
        grid: Any = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.remove()
        for axes, name, values in zip(grid.flat, titles, panels, strict=False):
            draw_panel(axes, surface, values, scale, 5.5 if side > points(LABELLED) else None)
            text = center_text(surface, values) if np.isfinite(values).any() else ""
            axes.set_title("\n".join(filter(None, (name, text))), fontsize=points(7.5))
        for axes in grid[-1, : len(panels) - columns * (rows - 1)]:
            axes.set_xlabel(axis_label("x", surface.norm))
        for axes in grid[:, 0]:
            axes.set_ylabel(axis_label("y", surface.norm))
        if rows > 1:
            for axes in grid[-2, len(panels) - columns * (rows - 1) :]:
                axes.set_xlabel(axis_label("x", surface.norm))
                axes.tick_params(labelbottom=True)
        bar = figure.colorbar(
            colors_of(scale), ax=list(grid.flat[: len(panels)]), boundaries=scale.levels, fraction=0.04, pad=0.015
        )
        label_colorbar(bar, scale, "loss (nat)", rows * side * ratio)
        if keys:
            hole_legend(figure, keys, "outside lower center")
        if title:
            figure.suptitle(title)
        figure.caption = compose_caption(
            f"Loss surface, L_{loss.upper()}{at}: {', '.join(titles)}; all maps share levels and axes",
            [surface],
            [context],
            scale_words(scale, [surface]),
            holes_words(keys),
        )
    return figure
