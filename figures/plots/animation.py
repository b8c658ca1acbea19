"""A loss surface over the number of timesteps, as an animated GIF."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tetviz.figures.captions import compose_caption
from tetviz.figures.formatting import axis_label
from tetviz.figures.plots.contours import (
    center_text,
    hole_key,
    hole_legend,
    holes_words,
    plane_values,
    scale_words,
    with_progress,
)
from tetviz.figures.plots.levels import Scale, colors_of, label_colorbar
from tetviz.figures.plots.multiples import draw_panel, shared_scale
from tetviz.figures.plots.style import paper_style
from tetviz.figures.plots.text import loss_symbol, wrap, wrap_evenly
from tetviz.figures.plots.venues import inches, points, text_lines
from tetviz.figures.views.surface import surface_context
from tetviz.results import Surface, known_suffix, writable_target, write_whole
from tetviz.results.schema import FloatArray
from tetviz.summaries.names import network_name

Pixels = npt.NDArray[np.uint8]

FRAME_MS = 670
LAST_FRAME_MS = 3000
_DPI = 150
_SIDE = 3.4


def animate_timesteps(surface: Surface, path: str | Path, loss: str | None = None, plane: int = 0) -> Path:
    """One plane of a surface at T = 1, 2, ..., a frame each, on one scale, in a GIF that starts over at its end.

    Args:
        surface: a surface, possibly half done.
        path: a file name that ends in .gif; replaced if it exists.
        loss: ``"sdt"`` or ``"tet"``; None takes the one asked for.
        plane: position along the plane axis.

    Returns:
        The path.

    Raises:
        OutputError: the suffix is another one, or the file cannot be written.
    """
    path = Path(path)
    known_suffix(path, "an animation", (".gif",))
    loss = surface.loss if loss is None else loss
    steps: list[int] = surface.timestep.tolist()
    panels = [plane_values(surface, loss, t, plane) for t in steps]
    scale = shared_scale(surface, panels)
    palette = _palette(_pixels(surface, loss, plane, steps[0], panels[0], scale))

    def drawn() -> Iterator[Image.Image]:
        for t, values in zip(steps, panels, strict=True):
            yield _indexed(_pixels(surface, loss, plane, t, values, scale), palette)

    target, frames, written = writable_target(path, force=True), drawn(), io.BytesIO()
    next(frames).save(
        written,
        format="GIF",
        save_all=True,
        append_images=frames,
        duration=[*[FRAME_MS] * (len(steps) - 1), LAST_FRAME_MS],
        loop=0,
    )
    return write_whole(target, written.getvalue())


def _palette(pixels: Pixels) -> Pixels:
    # The commonest colours of one frame, for all frames, or equal colours would flicker. The colour bar holds
    # all colours of the maps, so they, white and black stay what they are.
    colors, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    return colors[np.argsort(-counts, kind="stable")[:256]]


def _indexed(pixels: Pixels, palette: Pixels) -> Image.Image:
    # Pillow's own mapping rounds colours, white among them.
    colors, place = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    distance = ((colors[:, None].astype(np.int64) - palette[None]) ** 2).sum(axis=2)
    image = Image.fromarray(distance.argmin(axis=1).astype(np.uint8)[place].reshape(pixels.shape[:2]))
    image.putpalette(palette.tobytes())
    return image


def _pixels(surface: Surface, loss: str, plane: int, t: int, values: FloatArray, scale: Scale) -> Pixels:
    # All places are given in inches, so that nothing moves from frame to frame.
    ratio = float(np.clip(np.ptp(surface.y) / np.ptp(surface.x), 0.3, 2))
    context = wrap_evenly(with_progress(surface, surface_context(surface), plane), 62)
    title = f"{wrap(network_name(surface.provenance), 62)}\n{loss_symbol(loss)} at T = {t} of {surface.timestep[-1]}"
    rows = context.count("\n") + title.count("\n") + 3
    side = inches(_SIDE)
    left, bottom, width = text_lines(4.2), text_lines(4.5), side + text_lines(10.8)
    height = bottom + side * ratio + text_lines(rows + 0.6)
    with paper_style():
        figure = Figure(figsize=(width, height), dpi=_DPI)
        axes = figure.add_axes((left / width, bottom / height, side / width, side * ratio / height))
        draw_panel(axes, surface, values, scale, fontsize=6.5)
        axes.set_xlabel(axis_label("x", surface.norm))
        axes.set_ylabel(axis_label("y", surface.norm))
        axes.set_title(center_text(surface, values) if np.isfinite(values).any() else "nothing measured")
        bar_height = max(1.0, 0.5 / ratio)
        bar = figure.colorbar(
            colors_of(scale),
            cax=axes.inset_axes((1.04, 0.5 - bar_height / 2, 0.045, bar_height)),
            boundaries=scale.levels,
        )
        label_colorbar(bar, scale, f"{loss_symbol(loss)} (nat)")
        if np.isnan(values).any():
            hole_legend(figure, [hole_key(surface, values, plane)], "lower center")
        figure.suptitle(f"{title}\n{context}", y=1 - 0.06 / height, va="top", fontsize=points(8))
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        return np.array(canvas.buffer_rgba())[..., :3]


def animation_caption(surface: Surface, loss: str | None = None, plane: int = 0) -> str:
    """What an animation shows, as text."""
    loss = surface.loss if loss is None else loss
    panels = [plane_values(surface, loss, t, plane) for t in surface.timestep.tolist()]
    keys = [hole_key(surface, values, plane) for values in panels if np.isnan(values).any()]
    return compose_caption(
        f"Loss surface, L_{loss.upper()}, a frame for each T from 1 to {surface.timestep[-1]}, on one scale",
        [surface],
        [with_progress(surface, surface_context(surface), plane)],
        scale_words(shared_scale(surface, panels), [surface]),
        holes_words(keys),
    )
