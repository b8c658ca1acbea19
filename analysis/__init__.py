"""What a checkpoint does in time and what it costs."""

from tetviz.analysis.operations import compute_operations, count_operations
from tetviz.analysis.scaling import compute_scaling, temporal_variance
from tetviz.analysis.training_cost import compute_training_cost
from tetviz.analysis.transfer import Transfer, measure_transfer, spiking_twin
from tetviz.results import OperationCounts, ScalingCurve, TrainingOperations

__all__ = [
    "OperationCounts",
    "ScalingCurve",
    "TrainingOperations",
    "Transfer",
    "compute_operations",
    "compute_scaling",
    "compute_training_cost",
    "count_operations",
    "measure_transfer",
    "spiking_twin",
    "temporal_variance",
]
