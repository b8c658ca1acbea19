"""The loss around a checkpoint: directions, planes, lines and paths, surfaces, sharpness and curvature."""

from tetviz.landscape.batchnorm import BN_POLICIES
from tetviz.landscape.connect import train_curve
from tetviz.landscape.curvature import compute_curvature
from tetviz.landscape.directions import (
    HOLD_ALL_BUT_WEIGHTS,
    NORMS,
    ROLES,
    TREATMENTS,
    filter_normalize,
    parameter_filters,
    parameter_roles,
    random_direction,
)
from tetviz.landscape.evaluator import Evaluator
from tetviz.landscape.interpolation import bezier, compute_curve, compute_interpolation
from tetviz.landscape.lines import compute_lines
from tetviz.landscape.planes import Plane, RandomPlanes, random_plane
from tetviz.landscape.ranges import find_range
from tetviz.landscape.sharpness import compute_sharpness
from tetviz.landscape.store import Store
from tetviz.landscape.surface import compute_surface, grid_coordinates, surface_on
from tetviz.landscape.trajectory import Waypoint, compute_trajectory, plane_through, principal_plane, project
from tetviz.results import Surface

__all__ = [
    "BN_POLICIES",
    "HOLD_ALL_BUT_WEIGHTS",
    "NORMS",
    "ROLES",
    "TREATMENTS",
    "Evaluator",
    "Plane",
    "RandomPlanes",
    "Store",
    "Surface",
    "Waypoint",
    "bezier",
    "compute_curvature",
    "compute_curve",
    "compute_interpolation",
    "compute_lines",
    "compute_sharpness",
    "compute_surface",
    "compute_trajectory",
    "filter_normalize",
    "find_range",
    "grid_coordinates",
    "parameter_filters",
    "parameter_roles",
    "plane_through",
    "principal_plane",
    "project",
    "random_direction",
    "random_plane",
    "surface_on",
    "train_curve",
]
