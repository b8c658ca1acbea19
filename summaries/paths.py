"""What a path from one checkpoint to another says: the barrier on it, and its mean loss."""

import numpy as np
from scipy.integrate import trapezoid

from tetviz.results import Lines
from tetviz.results.schema import FloatArray
from tetviz.summaries.names import names_of


def barrier(x: FloatArray, losses: FloatArray, ends: FloatArray) -> float:
    """How high the loss rises between two checkpoints (Frankle et al. 2020, section 2).

    The largest loss for 0 <= x <= 1, minus the mean of the losses of the two checkpoints, each with its own
    batch-norm statistics.

    Args:
        x: positions; the checkpoints are at 0 and 1.
        losses: loss at each position, NaN where it is not known.
        ends: losses of the two checkpoints themselves.

    Returns:
        The barrier in nat; NaN where a position is not known, infinite where the loss is.
    """
    between = losses[(x >= -1e-9) & (x <= 1 + 1e-9)]
    return float(between.max() - ends.mean()) if len(between) else float("nan")


def barriers(lines: Lines, loss: str, timestep: int) -> dict[str, float]:
    """The barrier on every line of a path.

    Args:
        lines: of path ``linear`` or ``bezier``.
        loss: ``sdt`` or ``tet``.
        timestep: number of timesteps.

    Returns:
        Name of the line to its barrier in nat.
    """
    values = getattr(lines, f"{loss}_loss")[..., timestep - 1]
    ends = getattr(lines, f"end_{loss}_loss")[:, timestep - 1]
    known = np.where(lines.done == 1, values, np.nan)
    return {name: barrier(lines.x, row, ends) for name, row in zip(_ways(lines), known, strict=True)}


def mean_along(lines: Lines, loss: str, timestep: int) -> dict[str, float]:
    """The mean of a loss over the length of each line between the checkpoints, by the trapezoidal rule.

    Args:
        lines: of path ``linear`` or ``bezier``.
        loss: ``sdt`` or ``tet``.
        timestep: number of timesteps.

    Returns:
        Name of the line to its mean in nat; NaN where a point is not finite.
    """
    inside = (lines.x >= -1e-9) & (lines.x <= 1 + 1e-9)
    values, arc = getattr(lines, f"{loss}_loss")[:, inside, timestep - 1], lines.arc[:, inside]
    values = np.where(lines.done[:, inside] == 1, values, np.nan)
    length = arc[:, -1] - arc[:, 0]
    means = np.divide(trapezoid(values, arc, axis=1), length, out=np.full(len(arc), np.nan), where=length > 0)
    return dict(zip(_ways(lines), means.tolist(), strict=True))


def _ways(lines: Lines) -> list[str]:
    return names_of(lines.names, len(lines.line), "line")
