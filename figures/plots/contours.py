"""Loss surfaces as filled-contour maps: the values to draw, the map, its holes and its centre."""

from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from scipy.interpolate import PchipInterpolator

from tetviz.errors import ResultError
from tetviz.figures.formatting import axis_label
from tetviz.figures.plots.levels import Scale
from tetviz.figures.plots.venues import points
from tetviz.figures.selection import known_loss
from tetviz.results import Surface, Trajectory
from tetviz.results.schema import FloatArray
from tetviz.summaries.names import names_of, network_name

BoolArray = npt.NDArray[np.bool_]

_FINE = 200  # points a side that lines are drawn through
_FEWEST = 4
LABELLED = 1.5  # inches that a map needs for numbers on its lines
HOLE: dict[str, Any] = {"facecolor": "0.92", "edgecolor": "0.55", "hatch": "/////"}

_CENTER: dict[str, Any] = {
    "marker": "P",
    "markersize": 5,
    "markerfacecolor": "white",
    "markeredgecolor": "black",
    "markeredgewidth": 0.5,
}


def loss_values(surface: Surface, loss: str, timestep: int, plane: int = 0) -> FloatArray:
    """One loss on one plane, NaN at every point that is not done or not finite.

    Returns:
        Values (y, x) in nat.
    """
    values = plane_values(surface, loss, timestep, plane)
    if np.isnan(values).all():
        name = network_name(surface.provenance)
        raise ResultError(f"the surface of {name} has no finite value to draw; finish its measurement first")
    return values


def plane_values(surface: Surface, loss: str, timestep: int, plane: int = 0) -> FloatArray:
    """As :func:`loss_values`, but a plane may be without a value.

    Returns:
        Values (y, x) in nat, all NaN where nothing is measured yet.
    """
    name = network_name(surface.provenance)
    if not 0 <= plane < len(surface.plane):
        raise ResultError(f"plane {plane + 1}: the surface of {name} holds 1 to {len(surface.plane)}")
    if min(len(surface.x), len(surface.y)) < 2:
        raise ResultError(f"the surface of {name} has {len(surface.y)} x {len(surface.x)} points; a map needs 2 x 2")
    array = cast(FloatArray, getattr(surface, f"{known_loss(loss)}_loss"))
    values = array[plane, :, :, surface.timestep == timestep][0]
    return np.where((surface.done[plane] == 1) & np.isfinite(values), values, np.nan)


def draw_map(
    axes: Axes, surface: Surface, values: FloatArray, scale: Scale, fontsize: float | None = 6.5
) -> QuadContourSet:
    """A filled-contour map with labelled lines; where there is no value the hatched background stays visible.

    Args:
        values: (y, x), NaN at holes.
        fontsize: of the labels on the lines, in the design; None for lines without labels.
    """
    x, y, finer = between_points(surface, values)
    masked = np.ma.masked_invalid(finer)
    filled = axes.contourf(x, y, masked, levels=scale.levels, norm=scale.norm, cmap=scale.colormap)
    inner = [v for v in scale.levels if np.nanmin(values) < v < np.nanmax(values)]
    if inner:
        ink = [scale.ink(level) for level in inner]
        grid = (x, y, masked)
        places: list[tuple[float, float]] = []
        if fontsize is not None:
            # A first set of lines finds places for labels; a label dropped from the final set would leave a gap.
            probe = axes.contour(*grid, levels=inner)
            found = axes.clabel(probe, fmt="%g", fontsize=points(fontsize), inline=False)
            places = _readable([text.get_position() for text in found], surface)
            probe.remove()
        lines = axes.contour(*grid, levels=inner, colors=ink, linewidths=0.6, alpha=0.8)
        if places:
            axes.clabel(lines, fmt="%g", fontsize=points(fontsize or 0), colors=ink, manual=places)
    alone = _outside_contours(values)
    if alone.any():
        rows, columns = np.nonzero(alone)
        axes.scatter(
            surface.x[columns],
            surface.y[rows],
            c=values[alone],
            norm=scale.norm,
            cmap=scale.colormap,
            marker="s",
            s=9,
            linewidths=0,
        )
    if np.isnan(values).any():
        show_hole(axes)
    if shows_origin(surface):
        axes.plot(0, 0, **_CENTER, gid="center")
    axes.set_aspect("equal")
    axes.set_xlim(surface.x.min(), surface.x.max())
    axes.set_ylim(surface.y.min(), surface.y.max())
    set_ticks(axes)
    return filled


def between_points(surface: Surface, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Coordinates and values on a finer grid: measured points stay as they are, others lie between their neighbours.

    Piecewise cubic and monotone in both directions (Fritsch and Butland 1984), so that nothing is seen that was not
    measured: between two neighbours no value is beyond theirs. A map with holes, or of few points, stays as it is.
    """
    if np.isnan(values).any() or min(values.shape) < _FEWEST:
        return surface.x, surface.y, values
    x, y = (_refined(axis, max(1, _FINE // len(axis))) for axis in (surface.x, surface.y))
    along = PchipInterpolator(surface.x, values, axis=1)(x)
    return x, y, np.asarray(PchipInterpolator(surface.y, along, axis=0)(y))


def _refined(axis: FloatArray, parts: int) -> FloatArray:
    steps = np.arange(parts) / parts
    return np.append((axis[:-1, None] + np.diff(axis)[:, None] * steps).ravel(), axis[-1])


def shows_origin(surface: Surface) -> bool:
    """Whether (0, 0), where the network itself is, lies on the map."""
    return bool(all(axis.min() <= 0 <= axis.max() for axis in (surface.x, surface.y)))


def set_ticks(axes: Axes, prune: Literal["both"] | None = None) -> None:
    """Ticks at round numbers along both directions, as many as there is room for."""
    lengths = [abs(float(np.diff(limits)[0])) for limits in (axes.get_xlim(), axes.get_ylim())]
    for axis, length in zip((axes.xaxis, axes.yaxis), lengths, strict=True):
        bins = max(2, round(5 * length / max(lengths)))
        axis.set_major_locator(MaxNLocator(bins, steps=[1, 2.5, 5, 10], prune=prune))


def show_hole(axes: Axes) -> None:
    """Hatches the background of a map."""
    axes.patch.set(**HOLE)


def hole_key(surface: Surface, values: FloatArray, plane: int = 0) -> Patch:
    """The legend entry of the holes."""
    done = surface.done[plane] == 1
    reasons = [
        text for text, holes in (("not evaluated yet", ~done), ("not finite", done & np.isnan(values))) if holes.any()
    ]
    return Patch(**HOLE, label=" or ".join(reasons), linewidth=0)


def hole_legend(
    figure: Figure, keys: Sequence[Patch], place: Literal["lower center", "outside lower center"] = "lower center"
) -> None:
    """Says below the maps what their holes are."""
    by_label = {str(key.get_label()): key for key in keys}
    figure.legend(handles=list(by_label.values()), loc=place, ncols=len(by_label))


def with_progress(surface: Surface, context: str, plane: int | None = None) -> str:
    """What a caption says, with which plane it is and how much of it has been measured.

    Args:
        plane: position along the plane axis; None for all planes.
    """
    done = surface.done if plane is None else surface.done[plane]
    if plane is not None and len(surface.plane) > 1:
        context = f"{context}; plane {plane + 1} of {len(surface.plane)}"
    return context if done.all() else f"{context}; {int(done.sum()):,} of {done.size:,} points"


def center_text(surface: Surface, values: FloatArray) -> str:
    """The value at the network itself, in words.

    Args:
        values: (y, x).
    """
    column = np.flatnonzero(np.isclose(surface.x, 0, atol=1e-9))
    row = np.flatnonzero(np.isclose(surface.y, 0, atol=1e-9))
    if not (len(row) and len(column)):
        return ""
    value = float(values[row[0], column[0]])
    return f"{value:.4g} at (0, 0)" if np.isfinite(value) else "no value at (0, 0)"


def _readable(places: list[tuple[float, float]], surface: Surface) -> list[tuple[float, float]]:
    # Labels that the edge would cut, or that touch another or the mark in the centre, are left out.
    extent = max(np.ptp(surface.x), np.ptp(surface.y))
    kept: list[tuple[float, float]] = []
    for x, y in places:
        to_edge = min(x - surface.x.min(), surface.x.max() - x, y - surface.y.min(), surface.y.max() - y)
        to_others = min(np.hypot(x - a, y - b) for a, b in [(0.0, 0.0), *kept])
        if to_edge > 0.06 * extent and to_others > 0.065 * extent:
            kept.append((x, y))
    return kept


def _outside_contours(values: FloatArray) -> BoolArray:
    # Contours cover a cell with four finite corners and half of one with three.
    finite = np.isfinite(values)
    corners = [finite[i : i - 1 or None, j : j - 1 or None] for i in (0, 1) for j in (0, 1)]
    drawn = np.sum(corners, axis=0) >= 3
    covered = np.zeros_like(finite)
    for i in (0, 1):
        for j in (0, 1):
            covered[i : i - 1 or None, j : j - 1 or None] |= drawn
    return finite & ~covered


def scale_words(scale: Scale, surfaces: Sequence[Surface]) -> str:
    """How the maps of a figure are to be read: points, levels, coordinates, the mark at (0, 0)."""
    points = " and ".join(dict.fromkeys(f"{len(surface.x)} x {len(surface.y)}" for surface in surfaces))
    spacing = "spaced by logarithm" if scale.is_log else "evenly spaced"
    unit = axis_label("x", surfaces[0].norm).partition(" ")[2].strip("()")
    coordinates = f"; x and y in {unit}" if unit else ""
    levels = f"{scale.levels[0]:g} to {scale.levels[-1]:g} nat"
    marked = list(filter(shows_origin, surfaces))
    cross = f"; the cross at (0, 0) is {_at_the_cross(marked[0])}" if marked else ""
    measured = f"measured at {points} points, interpolated between them"
    return f"Levels from {levels}, {spacing}; {measured}{coordinates}{cross}"


def holes_words(keys: Sequence[Patch]) -> str:
    """What the hatched places of a map are."""
    labels = list(dict.fromkeys(str(key.get_label()) for key in keys))
    return f"Hatched: {', '.join(labels)}" if labels else ""


def _at_the_cross(surface: Surface) -> str:
    if not isinstance(surface, Trajectory):
        return "the network itself"
    names = names_of(surface.names, len(surface.point), "checkpoint")
    return f"the checkpoint {names[int(np.argmin(surface.distance))]}"
