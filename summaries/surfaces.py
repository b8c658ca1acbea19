"""A loss surface in a few numbers."""

import math
from typing import Any

import numpy as np

from tetviz.results import Surface


def extremes(surface: Surface, name: str, timestep: int) -> dict[str, Any]:
    """What a surface is at (0, 0) and between which values it lies, over all planes.

    Args:
        surface: a surface, possibly half done.
        name: what was measured, such as ``sdt_loss`` or ``accuracy``.
        timestep: number of timesteps.

    Returns:
        ``centre`` at (0, 0) with ``se``, its standard error over samples; ``lowest`` with ``lowest_plane`` (from 1),
        ``lowest_x`` and ``lowest_y``; ``mean`` and ``highest``; NaN where there is none. ``not_finite`` counts points
        that are measured and have no finite value.
    """
    at = int(np.flatnonzero(surface.timestep == timestep)[0])
    done = surface.done == 1
    values = getattr(surface, name)[..., at]
    known = done & np.isfinite(values)
    found: dict[str, Any] = dict.fromkeys(("centre", "se", "lowest"), math.nan)
    rows, columns = (np.flatnonzero(np.isclose(axis, 0, atol=1e-9)) for axis in (surface.y, surface.x))
    if len(rows) and len(columns) and known[0, rows[0], columns[0]]:
        centre = (0, rows[0], columns[0])
        found["centre"] = float(values[centre])
        found["se"] = float(getattr(surface, f"{name}_se")[*centre, at]) if hasattr(surface, f"{name}_se") else math.nan
    found |= dict.fromkeys(("lowest_plane", "lowest_x", "lowest_y", "mean", "highest"), math.nan)
    if known.any():
        plane, row, column = np.unravel_index(np.where(known, values, np.inf).argmin(), values.shape)
        found |= {
            "lowest": float(values[plane, row, column]),
            "lowest_plane": int(plane) + 1,
            "lowest_x": float(surface.x[column]),
            "lowest_y": float(surface.y[row]),
            "mean": float(np.nanmean(np.where(known, values, np.nan))),
            "highest": float(values[known].max()),
        }
    return {**found, "not_finite": int((done & ~np.isfinite(values)).sum())}
