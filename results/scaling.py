"""The result of ``tetviz scale``."""

from dataclasses import dataclass, field
from typing import ClassVar

from tetviz.results import fields
from tetviz.results.schema import FloatArray, IntArray, Provenance, Result, array


@dataclass(frozen=True, eq=False)
class ScalingCurve(Result):
    """Accuracy and losses of a checkpoint at every number of timesteps from 1 to T_max.

    ``relative_growth`` is accuracy(T) / accuracy(T_train) - 1. ``temporal_variance`` is the sample variance
    (n - 1) of ``step_accuracy`` over t > T_train, the definition that reproduces Table 4 of the TET paper;
    NaN where fewer than two such steps exist. ``temporal_variance_all`` takes all steps.
    """

    kind: ClassVar[str] = "scaling"

    timestep: IntArray = fields.timestep()
    sample: IntArray = fields.sample()
    accuracy: FloatArray = fields.accuracy(("timestep",))
    step_accuracy: FloatArray = fields.step_accuracy(("timestep",))
    sdt_loss: FloatArray = fields.sdt_loss(("timestep",))
    tet_loss: FloatArray = fields.tet_loss(("timestep",))
    step_loss: FloatArray = array(("timestep",), "nat", "cross-entropy of the output of step t alone")
    relative_growth: FloatArray = array(("timestep",), "1", "accuracy at t over accuracy at t_train, minus 1")
    t_train: int = 0
    temporal_variance: float = float("nan")
    temporal_variance_all: float = float("nan")
    provenance: Provenance = field(default_factory=Provenance)
