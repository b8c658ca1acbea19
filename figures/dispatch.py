"""The figure that fits some results."""

from collections.abc import Sequence
from typing import cast

from tetviz.errors import ResultError
from tetviz.figures.plots.curvature import draw_curvature
from tetviz.figures.plots.energy import Pricing, draw_energy
from tetviz.figures.plots.history import draw_history
from tetviz.figures.plots.interpolation import draw_interpolation
from tetviz.figures.plots.isometry import draw_isometry
from tetviz.figures.plots.lines import draw_lines
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.scaling import draw_scaling
from tetviz.figures.plots.sharpness import draw_sharpness
from tetviz.figures.plots.surface import compare_surfaces, draw_surface
from tetviz.figures.plots.training_cost import draw_training_cost
from tetviz.figures.plots.trajectory import draw_trajectory
from tetviz.results import (
    BlockIsometry,
    Curvature,
    Lines,
    OperationCounts,
    Result,
    ScalingCurve,
    Sharpness,
    Surface,
    TrainingHistory,
    TrainingOperations,
    Trajectory,
)


def draw(
    results: Sequence[Result],
    loss: str | None = None,
    timestep: int | None = None,
    plane: int | None = None,
    pricing: Pricing | None = None,
) -> Picture:
    """The figure that fits some results, of one kind.

    One surface, trajectory, curvature or interpolation makes a figure alone; several surfaces, lines along random
    directions, sharpnesses, scaling curves, operation counts, block isometries or training histories are compared.

    Args:
        results: results of one kind; sharpnesses are lines too, and are drawn as such beside lines.
        loss: ``"sdt"`` or ``"tet"``; None takes the one asked for of a single network, both for several.
        timestep: number of timesteps; None takes the training T. A curvature has only one.
        plane: of a surface, position along the plane axis; None takes the first.
        pricing: of operation counts, as in :func:`tetviz.figures.draw_energy`.

    Returns:
        The figure.

    Raises:
        ResultError: there is no result, kinds are mixed, or a result does not hold what was asked for.
    """
    if pricing and not _all(results, OperationCounts):
        raise ResultError("a cost model and a convention price operation counts; other results have no energy to price")
    if _all(results, TrainingHistory):
        if (timestep, plane) != (None, None):
            raise ResultError("timestep and plane choose from a surface; a training history is over epochs")
        return draw_history(cast(Sequence[TrainingHistory], results), loss)
    if _all(results, OperationCounts):
        if (loss, plane) != (None, None):
            raise ResultError("loss and plane choose from a surface; these results are operation counts")
        return draw_energy(cast(Sequence[OperationCounts], results), timestep, pricing)
    if _all(results, TrainingOperations):
        if (loss, timestep, plane) != (None, None, None):
            raise ResultError("loss, timestep and plane choose from a surface; these results are training energies")
        return draw_training_cost(cast(Sequence[TrainingOperations], results))
    if _all(results, BlockIsometry):
        if (loss, timestep, plane) != (None, None, None):
            raise ResultError("loss, timestep and plane choose from a surface; these results are block isometries")
        return draw_isometry(cast(Sequence[BlockIsometry], results))
    shared = next(
        (each for each in (Trajectory, Surface, Sharpness, Lines, Curvature, ScalingCurve) if _all(results, each)), None
    )
    if shared is None:
        kinds = ", ".join(sorted({result.kind for result in results})) or "none"
        raise ResultError(
            f"results of kind {kinds}: one figure takes surfaces alone or scaling curves alone, lines, or another "
            "single kind"
        )
    if shared is Surface:
        surfaces = cast(Sequence[Surface], results)
        if len(surfaces) == 1:
            return draw_surface(surfaces[0], loss, timestep, plane or 0)
        return compare_surfaces(surfaces, timestep, loss, plane or 0)
    if shared is ScalingCurve:
        if (loss, timestep, plane) != (None, None, None):
            raise ResultError("loss, timestep and plane choose from a surface; these results are scaling curves")
        return draw_scaling(cast(Sequence[ScalingCurve], results))
    if plane is not None:
        raise ResultError(f"plane chooses from a surface; this result is of kind {results[0].kind}")
    if shared is Sharpness:
        return draw_sharpness(cast(Sequence[Sharpness], results), loss, timestep)
    if shared is Lines and not _between_checkpoints(results):
        return draw_lines(cast(Sequence[Lines], results), loss, timestep)
    if len(results) > 1:
        what = "lines between checkpoints" if shared is Lines else results[0].kind
        raise ResultError(f"{len(results)} results of kind {what}: such a figure takes one")
    if shared is Trajectory:
        return draw_trajectory(cast(Trajectory, results[0]), loss, timestep)
    if shared is Lines:
        return draw_interpolation(cast(Lines, results[0]), loss, timestep)
    if timestep is not None:
        raise ResultError("timestep chooses from surfaces and lines; a curvature is drawn at its training T")
    return draw_curvature(cast(Curvature, results[0]), loss)


def _all(results: Sequence[Result], kind: type[Result]) -> bool:
    return bool(results) and all(isinstance(result, kind) for result in results)


def _between_checkpoints(results: Sequence[Result]) -> bool:
    return any(isinstance(result, Lines) and result.path != "random" for result in results)
