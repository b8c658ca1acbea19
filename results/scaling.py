"""The result of ``tetviz scale``."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from tetviz.results import fields
from tetviz.results.schema import FloatArray, IntArray, Result, array, array_fields, samples_at

_BY_SAMPLE = ("sample", "timestep")


@dataclass(frozen=True, eq=False)
class ScalingCurve(Result):
    """Accuracy and losses of a checkpoint at every number of timesteps from 1 to T_max, and what each sample did.

    ``relative_growth`` is accuracy(T) / accuracy(T_train) - 1. ``temporal_variance`` is the sample variance
    (n - 1) of ``step_accuracy`` over t > T_train, the definition that reproduces Table 4 of the TET paper;
    NaN where fewer than two such steps exist. ``temporal_variance_all`` takes all steps.

    With p the softmax of the mean output of steps 1..t, ``margin`` is the largest less the second largest p, and
    ``entropy`` is -sum p log p / log K. A prediction is -1 where an output is NaN. ``outputs`` is O(t) where it was
    kept; ``output_class`` is empty where not. ``length`` is there where samples end before the last step: behind its
    end what is of the mean output stays as it was, ``step_prediction`` is -1 and ``outputs`` NaN. ``prefix_test`` says
    what came of the test that a shorter run is the beginning of a longer one.

    With ``calibration`` every T is a run of its own, with batch-norm statistics of runs of T on these training samples:
    then all that is of a step t is of the last step of a run of t.
    """

    kind: ClassVar[str] = "scaling"

    timestep: IntArray = fields.timestep(first=1)
    sample: IntArray = fields.sample()
    output_class: IntArray = fields.index(
        ("output_class",), long_name="class of each of the outputs; empty where they are not kept"
    )
    label: IntArray = fields.index(("sample",), long_name="class of the sample")
    accuracy: FloatArray = fields.accuracy(("timestep",))
    step_accuracy: FloatArray = fields.step_accuracy(("timestep",))
    sdt_loss: FloatArray = fields.sdt_loss(("timestep",))
    tet_loss: FloatArray = fields.tet_loss(("timestep",))
    step_loss: FloatArray = array(("timestep",), "nat", "cross-entropy of the output of step t alone")
    relative_growth: FloatArray = array(("timestep",), "1", "accuracy at t over accuracy at t_train, minus 1")
    prediction: IntArray = array(_BY_SAMPLE, "1", "class that the mean output of steps 1..t predicts", "int16")
    step_prediction: IntArray = array(_BY_SAMPLE, "1", "class that the output of step t alone predicts", "int16")
    margin: FloatArray = array(
        _BY_SAMPLE, "1", "largest less second largest softmax probability of the mean output of steps 1..t", "float32"
    )
    entropy: FloatArray = array(
        _BY_SAMPLE, "1", "entropy of the softmax of the mean output of steps 1..t, over log K", "float32"
    )
    outputs: FloatArray = array((*_BY_SAMPLE, "output_class"), "1", "output O(t) of step t alone", "float32")
    length: IntArray | None = fields.length()
    calibration: IntArray | None = fields.calibration(optional=True)
    num_classes: int = 0
    t_train: int = fields.t_train()
    temporal_variance: float = float("nan")
    temporal_variance_all: float = float("nan")
    prefix_test: str = ""

    @property
    def recalibrated(self) -> int:
        """On how many training samples batch-norm statistics were re-estimated at every T; 0 where they were not."""
        return 0 if self.calibration is None else len(self.calibration)

    @property
    def bn(self) -> str:
        """Batch-norm statistics: ``frozen``, or ``recalibrate`` where they were re-estimated at every T."""
        return "recalibrate" if self.recalibrated else "frozen"

    @property
    def step_samples(self) -> IntArray:
        """How many samples have a step t (timestep,)."""
        samples, first = np.unique(self.sample, return_index=True)
        return samples_at(self.timestep, samples, None if self.length is None else self.length[first])

    def to_frame(self) -> pd.DataFrame:
        """What is known at every T.

        Returns:
            A frame indexed by the timestep, with a column for every variable that is over timesteps alone.
        """
        names = [name for name, schema in array_fields(type(self)).items() if schema["dims"] == ("timestep",)]
        return pd.DataFrame({name: getattr(self, name) for name in names}).set_index("timestep")
