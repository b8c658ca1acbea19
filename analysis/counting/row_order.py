"""Which step and sample the rows of a layer belong to, for networks that hold several steps in one call."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

# The order of calls C, timesteps T and samples B in the rows of a layer, in order of execution.
STEP_BY_STEP, TIME_MAJOR, BATCH_MAJOR = "TCB", "CTB", "CBT"


def arrange(rows: Tensor, order: str, steps: int, samples: int) -> Tensor:
    """Sorts the rows of a layer."""
    sizes = {"T": steps, "B": samples, "C": len(rows) // (steps * samples)}
    grid = rows.reshape(*(sizes[axis] for axis in order), *rows.shape[1:])
    return grid.permute(*(order.index(axis) for axis in "TCB"), *range(3, grid.dim()))


@dataclass(frozen=True)
class RowOrder:
    """The order of rows in every layer of a network.

    Attributes:
        known: layer to order, where runs of single samples have told it.
        open: whether there are layers that hold several steps in one call, and none has told its order.
    """

    known: Mapping[str, str] = field(default_factory=dict)
    open: bool = False

    def of(self, layer: str, calls: Sequence[int], steps: int, samples: int) -> str | None:
        """The order of the rows of a layer.

        Returns:
            The order; None where it cannot be told.
        """
        if steps == 1:
            return TIME_MAJOR
        if sum(calls) % (steps * samples) or not sum(calls):
            return None
        merged = all(rows == steps * samples for rows in calls)
        single = all(rows == samples for rows in calls)
        if samples == 1 and merged:
            return TIME_MAJOR
        if single:
            return TIME_MAJOR if len(calls) == steps else self.known.get(layer, STEP_BY_STEP)
        if not merged:
            return None
        if layer in self.known:
            return self.known[layer]
        common = set(self.known.values()) - {STEP_BY_STEP}
        return common.pop() if len(common) == 1 else None


def rows_of(shape: Sequence[int], steps: int, samples: int, calls: int = 1) -> int:
    """How many of the leading places of a tensor are samples, or steps of samples.

    Returns:
        Steps times samples, or samples; 0 where the shape fits neither.
    """
    leading = [math.prod(shape[: axis + 1]) for axis in range(min(2, len(shape)))]
    single = leading[:1] == [samples]
    if steps == 1 or (single and calls % steps == 0):
        return samples
    if steps * samples in leading:
        return steps * samples
    return samples if single else 0


def tell_order(
    together: Tensor, alone: Sequence[Tensor], first_step: Tensor | None, single: bool, steps: int
) -> str | None:
    """The order that makes the rows of a run of several samples those of the samples run alone.

    Args:
        first_step: the same for a run of one step of the first sample; None where it does not run so.

    Returns:
        The order; None where more than one fits, or none.
    """
    if single:
        rows = alone[0]
        if first_step is None or len(rows) != len(first_step) * steps:
            return None
        calls = len(first_step)
        fits = {
            STEP_BY_STEP: torch.equal(rows[:calls], first_step),
            TIME_MAJOR: torch.equal(rows.reshape(calls, steps)[:, 0], first_step),
        }
    else:
        expected = torch.stack([arrange(rows, TIME_MAJOR, steps, 1)[..., 0] for rows in alone], -1)
        fits = {
            order: torch.equal(arrange(together, order, steps, len(alone)), expected)
            for order in (TIME_MAJOR, BATCH_MAJOR)
        }
    orders = [order for order, fit in fits.items() if fit]
    return orders[0] if len(orders) == 1 else None
