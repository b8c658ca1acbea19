"""What a checkpoint does in time and what it costs."""

from tetviz.analysis.attack.run import compute_attack
from tetviz.analysis.compression import compute_compression
from tetviz.analysis.counting.backward import compute_training_cost
from tetviz.analysis.counting.operations import compute_operations, count_operations
from tetviz.analysis.isometry import compute_isometry
from tetviz.analysis.isometry_theory import gaussian_phi
from tetviz.analysis.scaling import compute_scaling, temporal_variance
from tetviz.analysis.smoothness import compute_smoothness
from tetviz.analysis.transfer import Transfer, measure_transfer, spiking_twin
from tetviz.results import AttackRun, BlockIsometry, OperationCounts, ScalingCurve, Smoothness, TrainingOperations

__all__ = [
    "AttackRun",
    "BlockIsometry",
    "OperationCounts",
    "ScalingCurve",
    "Smoothness",
    "TrainingOperations",
    "Transfer",
    "compute_attack",
    "compute_compression",
    "compute_isometry",
    "compute_operations",
    "compute_scaling",
    "compute_smoothness",
    "compute_training_cost",
    "count_operations",
    "gaussian_phi",
    "measure_transfer",
    "spiking_twin",
    "temporal_variance",
]
