"""What is to be said against the numbers of a result: losses that are not finite."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tetviz.results.schema import FloatArray
from tetviz.summaries.names import LOSSES, counted


def losses_of(result: Any, prefix: str = "", done: Any = slice(None)) -> dict[str, FloatArray]:
    """Both losses of a result as far as they were measured, over places alone or over places and T.

    Args:
        prefix: of the names of their arrays.
        done: the places that were measured; all by default.
    """
    # By statistics of the batch a shorter run is another one, which has no value.
    steps = slice(-1, None) if getattr(result, "bn", "") == "batch" else slice(None)
    both = {f"L_{loss.upper()}": getattr(result, f"{prefix}{loss}_loss")[done] for loss in LOSSES}
    return {name: values[..., steps] if values.ndim > 1 else values for name, values in both.items()}


def not_finite(losses: Mapping[str, FloatArray], where: str, what: str, of: str = "") -> list[str]:
    """At how many places losses that were measured together are not finite.

    Args:
        where: ``"at"`` or ``"in"`` a place.
        what: the places are.
        of: what the losses are of, behind their names.
    """
    said = []
    for name, values in losses.items():
        lost = ~np.isfinite(values)
        count = int(lost.any(-1).sum() if lost.ndim > 1 else lost.sum())
        if count and _was_measured(name, losses):
            at_some = ", at some T" if lost.ndim > 1 else ""
            said.append(f"{name}{of} is not finite {where} {counted(count, what)}{at_some}")
    return said


def _was_measured(name: str, losses: Mapping[str, FloatArray]) -> bool:
    # A file of another program may hold one loss alone; what diverged has lost all of them.
    missing = [np.isnan(values).all() for values in losses.values()]
    return all(missing) or not np.isnan(losses[name]).all()
