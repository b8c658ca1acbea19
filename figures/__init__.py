"""Figures and tables, drawn from results alone. Needs no torch."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from tetviz.errors import ResultError
from tetviz.figures.scaling import draw_scaling
from tetviz.figures.style import paper_style, save_figure
from tetviz.figures.surface import compare_surfaces, draw_surface
from tetviz.figures.tables import TABLE_CAPTION, format_table, step_accuracy_table, to_markdown
from tetviz.results import Result, ScalingCurve, Surface

__all__ = [
    "TABLE_CAPTION",
    "compare_surfaces",
    "draw",
    "draw_scaling",
    "draw_surface",
    "format_table",
    "paper_style",
    "save_figure",
    "step_accuracy_table",
    "to_markdown",
]


def draw(results: Sequence[Result], loss: str | None = None, timestep: int | None = None, plane: int = 0) -> Figure:
    """The figure that fits some results: one surface, several surfaces compared, or scaling curves.

    Args:
        results: results of one kind.
        loss: of a surface, ``"sdt"`` or ``"tet"``; None takes the one asked for of a single surface, both for
            several.
        timestep: of a surface; None takes the training T.
        plane: of a surface, position along the plane axis.

    Returns:
        The figure.

    Raises:
        ResultError: there is no result, kinds are mixed or have no figure, or a result does not hold what was
            asked for.
    """
    surfaces = [result for result in results if isinstance(result, Surface)]
    curves = [result for result in results if isinstance(result, ScalingCurve)]
    if results and len(surfaces) == len(results):
        if len(surfaces) == 1:
            return draw_surface(surfaces[0], loss, timestep, plane)
        return compare_surfaces(surfaces, timestep, loss, plane)
    if results and len(curves) == len(results):
        if (loss, timestep, plane) != (None, None, 0):
            raise ResultError("loss, timestep and plane choose from a surface; these results are scaling curves")
        return draw_scaling(curves)
    kinds = ", ".join(sorted({result.kind for result in results})) or "none"
    raise ResultError(f"results of kind {kinds}: one figure takes surfaces alone or scaling curves alone")
