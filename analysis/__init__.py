"""What a checkpoint does in time and what it costs."""

from tetviz.analysis.scaling import compute_scaling, temporal_variance
from tetviz.results import ScalingCurve

__all__ = ["ScalingCurve", "compute_scaling", "temporal_variance"]
