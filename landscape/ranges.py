"""A range for surfaces and lines: as far as the loss rises by a given factor."""

import math

import numpy as np
from torch import Tensor

from tetviz.errors import DataError
from tetviz.landscape.directions import moving
from tetviz.landscape.evaluator import Evaluator
from tetviz.landscape.planes import Plane

_FIRST, _LAST = 1 / 64, 16.0
_PRECISION = 0.05


def find_range(evaluator: Evaluator, plane: Plane, loss: str = "sdt", factor: float = 10.0) -> float:
    """The distance at which a loss has risen to a multiple of its value at the checkpoint.

    The loss is averaged over both axes of the plane and both ways along them. The distance is doubled from 1/64
    until the loss is high enough, and then found by bisection to 5 %.

    Args:
        evaluator: the network and how it is measured.
        plane: two directions.
        loss: ``sdt`` or ``tet``.
        factor: the multiple.

    Returns:
        The distance, rounded up to two digits.

    Raises:
        DataError: the loss does not rise so far within 16 filter norms, is not finite on the way, or is 0.
        ValueError: a factor of 1 or less.
    """
    if not factor > 1:
        raise ValueError(f"the factor must be above 1, got {factor}")
    directions = [moving(plane.x), moving(plane.y)]
    start = _mean_loss(evaluator, directions, 0.0, loss)
    if start == 0:
        raise DataError("--range auto: the loss is 0 at the checkpoint, no multiple of it is higher; give LOW:HIGH")
    goal = factor * start
    low, high = 0.0, _FIRST
    while _mean_loss(evaluator, directions, high, loss) < goal:
        low, high = high, 2 * high
        if high > _LAST:
            top = _mean_loss(evaluator, directions, low, loss)
            raise DataError(
                f"--range auto: L_{loss.upper()} is {start:.4g} at the checkpoint and {top:.4g} at a distance of "
                f"{low:g}, not {factor:g} times as much; take a smaller factor, such as auto:2, or give LOW:HIGH"
            )
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        if _mean_loss(evaluator, directions, middle, loss) < goal:
            low = middle
        else:
            high = middle
    digits = 1 - math.floor(math.log10(high))
    return float(math.ceil(high * 10**digits - 1e-9) / 10**digits)


def _mean_loss(evaluator: Evaluator, directions: list[dict[str, Tensor]], distance: float, loss: str) -> float:
    points = [(side * distance, d) for d in directions for side in (1, -1)] if distance else [(0.0, {})]
    values = [getattr(evaluator.measure_along(p), f"{loss}_loss")[-1] for p in points]
    mean = float(np.mean(values))
    if not math.isfinite(mean):
        raise DataError(f"--range auto: the loss at distance {distance:g} is not finite; give the range as LOW:HIGH")
    return mean
