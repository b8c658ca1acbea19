"""What to draw of a result: the number of timesteps, the losses, the values along lines."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tetviz.errors import ResultError
from tetviz.results import Lines, Result, Surface, Trajectory, default_timestep
from tetviz.results.schema import FloatArray, IntArray
from tetviz.summaries.flatness import known_values
from tetviz.summaries.names import LOSSES, network_name, network_names


def chosen_timestep(result: Any, timestep: int | None) -> int:
    """The number of timesteps to draw.

    Args:
        result: with a timestep axis and a T of training.
        timestep: the one asked for; None takes the training T, or the last where that was not measured.
    """
    axis: IntArray = result.timestep
    if timestep is None:
        return default_timestep(result)
    if timestep not in axis:
        what = f"the {result.kind} of {network_name(result.provenance)}"
        raise ResultError(f"timestep {timestep}: {what} holds {axis[0]} to {axis[-1]}")
    return timestep


def chosen_losses(results: Sequence[Lines], loss: str | None) -> tuple[str, ...]:
    """The losses to draw.

    Args:
        loss: the one asked for; None takes the one that a single network was measured for, else both.
    """
    if loss is not None:
        return (known_loss(loss),)
    return (known_loss(results[0].loss),) if len(results) == 1 else LOSSES


def held_losses(surfaces: Sequence[Surface], loss: str | None) -> tuple[str, ...]:
    """The losses of surfaces to draw; a file of another program may hold one alone.

    Args:
        loss: the one asked for; None takes all that every surface holds.
    """
    if loss is not None:
        return (loss,)
    held = [name for name in LOSSES if all(np.isfinite(getattr(s, f"{name}_loss")).any() for s in surfaces)]
    return tuple(held) or LOSSES


def known_loss(loss: str) -> str:
    """Checks the name of a loss."""
    if loss not in LOSSES:
        raise ResultError(f"loss {loss!r}: a result holds {' and '.join(LOSSES)}")
    return loss


def line_values(lines: Lines, name: str, timestep: int) -> FloatArray:
    """Values along lines, NaN at every point that is not done or not finite."""
    values = known_values(lines, name, timestep)
    if np.isnan(values).all():
        named = network_name(lines.provenance)
        raise ResultError(f"the {lines.kind} of {named} has no finite value to draw; finish its measurement first")
    return values


def require_same_directions(results: Sequence[Surface] | Sequence[Lines], *, same_bn: bool = False) -> None:
    """Refuses to compare networks along different directions."""
    if not results:
        raise ResultError("no surface to draw" if not same_bn else "no lines to draw")
    what = "surfaces" if isinstance(results[0], Surface) else "lines"
    if any(isinstance(result, Trajectory) for result in results):
        raise ResultError("a trajectory lies in a plane of its own and cannot be compared; draw it alone")
    if len(results) > 1 and any((result.direction_seed < 0).any() for result in results):
        raise ResultError(f"{what} along directions of unknown seed cannot be compared; draw each alone")
    for name in ("plane_seed", "norm", "policy", "orthogonal", *(("bn",) if same_bn else ())):
        found = [getattr(result, name) for result in results]
        if len(set(found)) > 1:
            listed = ", ".join(f"{n}: {v!r}" for n, v in zip(network_names(results), found, strict=True))
            why = "were measured differently" if name == "bn" else "lie along different directions"
            raise ResultError(
                f"{what} with a different {name} ({listed}) {why} and cannot be compared; measure them again with "
                f"the same {name}"
            )


def require_same_data(results: Sequence[Result]) -> None:
    """Refuses to compare accuracies on different data."""
    if len({(each.provenance.dataset, each.provenance.split) for each in results}) > 1:
        raise ResultError("accuracies on different data do not compare")
