"""What results say in numbers, with intervals. Needs no torch."""

from tetviz.summaries.curvature import finite_curvature, slope_agreement
from tetviz.summaries.flatness import Difference, axis_lines, compare_sharpness, plane_values, sharpness_table
from tetviz.summaries.intervals import Interval, bootstrap_mean
from tetviz.summaries.paths import barrier, barriers, mean_along

__all__ = [
    "Difference",
    "Interval",
    "axis_lines",
    "barrier",
    "barriers",
    "bootstrap_mean",
    "compare_sharpness",
    "finite_curvature",
    "mean_along",
    "plane_values",
    "sharpness_table",
    "slope_agreement",
]
