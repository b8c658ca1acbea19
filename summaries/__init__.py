"""What results say in numbers, with intervals. Needs no torch."""

from tetviz.summaries.conventions import CONVENTIONS, Convention, convention
from tetviz.summaries.costs import (
    COSTS,
    MEMORIES,
    MEMORY_AWARE_BAND,
    CostModel,
    MemoryModel,
    break_even,
    cost_text,
    crossover_rate,
    load_cost,
    with_memory,
)
from tetviz.summaries.curvature import finite_curvature, outlying_eigenvalues, slope_agreement
from tetviz.summaries.energy import EnergyReport, estimate_energy
from tetviz.summaries.energy_tables import (
    baselines,
    convention_table,
    energy_table,
    layer_table,
    side_table,
    spike_table,
)
from tetviz.summaries.exits import ExitCurve, exit_curve, exit_timesteps
from tetviz.summaries.flatness import Difference, axis_lines, compare_sharpness, plane_values, sharpness_table
from tetviz.summaries.intervals import Interval, mean_interval
from tetviz.summaries.paths import barrier, barriers, mean_along
from tetviz.summaries.scaling import AccuracyDifference, class_accuracy, compare_scaling, step_accuracy_table, wilson
from tetviz.summaries.training import densities, phase_energy, run_energy, schedule_cost, training_table

__all__ = [
    "CONVENTIONS",
    "COSTS",
    "MEMORIES",
    "MEMORY_AWARE_BAND",
    "AccuracyDifference",
    "Convention",
    "CostModel",
    "Difference",
    "EnergyReport",
    "ExitCurve",
    "Interval",
    "MemoryModel",
    "axis_lines",
    "barrier",
    "barriers",
    "baselines",
    "break_even",
    "class_accuracy",
    "compare_scaling",
    "compare_sharpness",
    "convention",
    "convention_table",
    "cost_text",
    "crossover_rate",
    "densities",
    "energy_table",
    "estimate_energy",
    "exit_curve",
    "exit_timesteps",
    "finite_curvature",
    "layer_table",
    "load_cost",
    "mean_along",
    "mean_interval",
    "outlying_eigenvalues",
    "phase_energy",
    "plane_values",
    "run_energy",
    "schedule_cost",
    "sharpness_table",
    "side_table",
    "slope_agreement",
    "spike_table",
    "step_accuracy_table",
    "training_table",
    "wilson",
    "with_memory",
]
