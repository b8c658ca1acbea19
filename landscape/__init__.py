"""The loss around a checkpoint: directions, planes and surfaces."""

from tetviz.landscape.directions import (
    HOLD_ALL_BUT_WEIGHTS,
    Plane,
    filter_normalize,
    parameter_roles,
    random_direction,
    random_plane,
)
from tetviz.landscape.surface import compute_surface, grid_coordinates
from tetviz.results import Surface

__all__ = [
    "HOLD_ALL_BUT_WEIGHTS",
    "Plane",
    "Surface",
    "compute_surface",
    "filter_normalize",
    "grid_coordinates",
    "parameter_roles",
    "random_direction",
    "random_plane",
]
