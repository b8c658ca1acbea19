"""The result types, one for each question that tetviz answers. Each class is the schema of its files."""

from dataclasses import dataclass, field
from typing import ClassVar

from tetviz.results.schema import FloatArray, IntArray, Provenance, Result, array

_GRID = ("plane", "y", "x", "timestep")


@dataclass(frozen=True, eq=False)
class Surface(Result):
    """Both losses and both accuracies on the grid of a plane through a checkpoint, for every timestep.

    A coordinate of 1 is one filter norm: at (x, y) the weights are w + x * d_x + y * d_y. Entry t of the
    timestep axis is what a run of t steps gives. Points not evaluated yet are NaN where ``done`` is 0.
    """

    kind: ClassVar[str] = "surface"

    plane: IntArray = array(("plane",), "1", "index of the pair of directions", "int64")
    y: FloatArray = array(("y",), "1", "coordinate along the second direction, in filter norms")
    x: FloatArray = array(("x",), "1", "coordinate along the first direction, in filter norms")
    timestep: IntArray = array(("timestep",), "1", "number of timesteps, from 1", "int64")
    sample: IntArray = array(("sample",), "1", "index of each evaluated sample in its split, in order", "int64")
    axis: IntArray = array(("axis",), "1", "direction of a plane: 0 is x, 1 is y", "int64")
    direction_seed: IntArray = array(("plane", "axis"), "1", "seed that rebuilds the direction", "int64")
    sdt_loss: FloatArray = array(_GRID, "nat", "cross-entropy of the mean output of steps 1..t (TET paper, eq. 7)")
    tet_loss: FloatArray = array(_GRID, "nat", "mean cross-entropy of the outputs of steps 1..t (TET paper, eq. 9)")
    accuracy: FloatArray = array(_GRID, "1", "accuracy of the mean output of steps 1..t")
    step_accuracy: FloatArray = array(_GRID, "1", "accuracy of the output of step t alone")
    sdt_loss_se: FloatArray = array(_GRID, "nat", "standard error of sdt_loss over samples")
    tet_loss_se: FloatArray = array(_GRID, "nat", "standard error of tet_loss over samples")
    done: IntArray = array(("plane", "y", "x"), "1", "1 where the point has been evaluated", "int8")
    loss: str = "sdt"
    bn: str = "frozen"
    norm: str = "filter"
    policy: str = ""
    plane_seed: int = 0
    t_train: int = 0
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, eq=False)
class ScalingCurve(Result):
    """Accuracy and losses of a checkpoint at every number of timesteps from 1 to T_max.

    ``relative_growth`` is accuracy(T) / accuracy(T_train) - 1. ``temporal_variance`` is the sample variance
    (n - 1) of ``step_accuracy`` over t > T_train, the definition that reproduces Table 4 of the TET paper;
    NaN where fewer than two such steps exist. ``temporal_variance_all`` takes all steps.
    """

    kind: ClassVar[str] = "scaling"

    timestep: IntArray = array(("timestep",), "1", "number of timesteps, from 1", "int64")
    sample: IntArray = array(("sample",), "1", "index of each evaluated sample in its split, in order", "int64")
    accuracy: FloatArray = array(("timestep",), "1", "accuracy of the mean output of steps 1..t")
    step_accuracy: FloatArray = array(("timestep",), "1", "accuracy of the output of step t alone")
    sdt_loss: FloatArray = array(
        ("timestep",), "nat", "cross-entropy of the mean output of steps 1..t (TET paper, eq. 7)"
    )
    tet_loss: FloatArray = array(
        ("timestep",), "nat", "mean cross-entropy of the outputs of steps 1..t (TET paper, eq. 9)"
    )
    step_loss: FloatArray = array(("timestep",), "nat", "cross-entropy of the output of step t alone")
    relative_growth: FloatArray = array(("timestep",), "1", "accuracy at t over accuracy at t_train, minus 1")
    t_train: int = 0
    temporal_variance: float = float("nan")
    temporal_variance_all: float = float("nan")
    provenance: Provenance = field(default_factory=Provenance)


KINDS: dict[str, type[Result]] = {"surface": Surface, "scaling": ScalingCurve}
