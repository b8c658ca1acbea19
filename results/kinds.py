"""The result types, one for each question that tetviz answers. Each class is the schema of its files."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tetviz.results import fields
from tetviz.results.attack import AttackRun
from tetviz.results.compression import Compression
from tetviz.results.history import TrainingHistory
from tetviz.results.isometry import BlockIsometry
from tetviz.results.operations import OperationCounts
from tetviz.results.scaling import ScalingCurve
from tetviz.results.schema import FloatArray, IntArray, Result, array, attribute
from tetviz.results.smoothness import Smoothness
from tetviz.results.training_operations import TrainingOperations

# What is measured at every point of a surface or a line: arrays of these names, whose last axis is the timestep.
MEASURED = ("sdt_loss", "tet_loss", "accuracy", "step_accuracy", "sdt_loss_se", "tet_loss_se")

_GRID = ("plane", "y", "x", "timestep")
_LINE = ("line", "x", "timestep")
_POINT = ("point", "timestep")
_PROBE = ("direction", "radius", "side", "timestep")
_SHIFTED = ("direction", "base", "radius", "side", "timestep")


@dataclass(frozen=True, eq=False)
class Surface(Result):
    """Both losses and both accuracies on the grids of planes through a checkpoint, for every timestep.

    At (x, y) the weights are w + x * d_x + y * d_y; with ``norm`` "filter" a coordinate of 1 is one filter
    norm. Entry t of the timestep axis is what a run of t steps gives. Points not evaluated yet are NaN where
    ``done`` is 0.
    """

    kind: ClassVar[str] = "surface"

    plane: IntArray = fields.position(("plane",), long_name="index of the pair of directions")
    y: FloatArray = fields.axis(("y",), long_name="coordinate along the second direction, in the unit that norm names")
    x: FloatArray = fields.axis(("x",), long_name="coordinate along the first direction, in the unit that norm names")
    timestep: IntArray = fields.timestep(least=1, rising=True)  # another tool's surface has one T
    sample: IntArray = fields.sample()
    calibration: IntArray = fields.calibration()
    axis: IntArray = fields.position(("axis",), long_name="direction of a plane: 0 is x, 1 is y")
    direction_seed: IntArray = fields.index(
        ("plane", "axis"), long_name="seed that rebuilds the direction; -1 where it is not random"
    )
    axis_cosine: FloatArray = array(("plane",), "1", "cosine of the angle between the two directions")
    sdt_loss: FloatArray = fields.sdt_loss(_GRID)
    tet_loss: FloatArray = fields.tet_loss(_GRID)
    accuracy: FloatArray = fields.accuracy(_GRID)
    step_accuracy: FloatArray = fields.step_accuracy(_GRID)
    sdt_loss_se: FloatArray = fields.sdt_loss_se(_GRID)
    tet_loss_se: FloatArray = fields.tet_loss_se(_GRID)
    done: IntArray = fields.done(("plane", "y", "x"))
    loss: str = fields.asked_loss("sdt")
    bn: str = "frozen"
    norm: str = "filter"
    policy: str = ""
    orthogonal: int = 0
    plane_seed: int = 0
    t_train: int = fields.t_train()


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectory(Surface):
    """Checkpoints on the plane that fits them, with the surface of that plane under them.

    The plane goes through the reference checkpoint at (0, 0); coordinates are L2 distances in parameter space
    (``norm`` "unit"). A checkpoint seldom lies in the plane: ``residual`` says how far off it is, and its true
    loss stands beside the loss at its projection.
    """

    kind: ClassVar[str] = "trajectory"

    point: IntArray = fields.position(("point",), long_name="index of the checkpoint, in order")
    epoch: IntArray = fields.index(("point",), long_name="epoch of the checkpoint")
    point_x: FloatArray = array(("point",), "1", "x of the checkpoint's projection on the plane")
    point_y: FloatArray = array(("point",), "1", "y of the checkpoint's projection on the plane")
    distance: FloatArray = array(("point",), "1", "L2 distance of the checkpoint from the reference")
    residual: FloatArray = array(
        ("point",), "1", "distance of the checkpoint from the plane, over its distance from the reference"
    )
    true_sdt_loss: FloatArray = fields.sdt_loss(_POINT)
    true_tet_loss: FloatArray = fields.tet_loss(_POINT)
    true_accuracy: FloatArray = fields.accuracy(_POINT)
    projected_sdt_loss: FloatArray = fields.sdt_loss(_POINT)
    projected_tet_loss: FloatArray = fields.tet_loss(_POINT)
    projected_accuracy: FloatArray = fields.accuracy(_POINT)
    explained: FloatArray = array(
        ("axis",), "1", "share of the squared displacements from the reference that the axis holds"
    )
    explained_centred: FloatArray = array(
        ("axis",), "1", "share of the variance of the checkpoints around their mean that the axis holds"
    )
    names: tuple[str, ...] = ()
    path: str = attribute("training", among=("training", "checkpoints"))

    @property
    def of_training(self) -> bool:
        """Whether the checkpoints are those of one training."""
        return self.path == "training"


@dataclass(frozen=True, eq=False)
class Lines(Result):
    """Both losses and both accuracies along lines through one checkpoint, or from one to another.

    ``path`` is "random" (directions, two to a plane, as a surface with the same seed has them), "linear" (x = 0
    is one checkpoint, x = 1 the other, a line for each treatment of the batch-norm statistics) or "bezier" (the
    straight line beside a trained curve). ``end_*`` are the two checkpoints themselves, each with its own
    statistics; ``names`` says what the lines are.
    """

    kind: ClassVar[str] = "lines"

    line: IntArray = fields.position(("line",), long_name="index of the line")
    x: FloatArray = fields.axis(("x",), long_name="coordinate along the line, in the unit that norm names")
    timestep: IntArray = fields.timestep(first=1)
    sample: IntArray = fields.sample()
    calibration: IntArray = fields.calibration()
    end: IntArray = fields.position(("end",), long_name="checkpoint at an end of the line")
    direction_seed: IntArray = fields.index(
        ("line",), long_name="seed that rebuilds the direction; -1 where it is not random"
    )
    arc: FloatArray = array(("line", "x"), "1", "L2 length of the path from x = 0, negative on the side of x < 0")
    sdt_loss: FloatArray = fields.sdt_loss(_LINE)
    tet_loss: FloatArray = fields.tet_loss(_LINE)
    accuracy: FloatArray = fields.accuracy(_LINE)
    step_accuracy: FloatArray = fields.step_accuracy(_LINE)
    sdt_loss_se: FloatArray = fields.sdt_loss_se(_LINE)
    tet_loss_se: FloatArray = fields.tet_loss_se(_LINE)
    done: IntArray = fields.done(("line", "x"))
    end_sdt_loss: FloatArray = fields.sdt_loss(("end", "timestep"))
    end_tet_loss: FloatArray = fields.tet_loss(("end", "timestep"))
    end_accuracy: FloatArray = fields.accuracy(("end", "timestep"))
    names: tuple[str, ...] = ()
    path: str = attribute("random", among=("random", "linear", "bezier"))
    loss: str = fields.asked_loss("sdt")
    bn: str = "frozen"
    norm: str = "filter"
    policy: str = ""
    orthogonal: int = 0
    plane_seed: int = 0
    t_train: int = fields.t_train()

    @property
    def view(self) -> str:
        """Lines from one checkpoint to another show something else than random ones."""
        return self.kind if self.path == "random" else f"{self.kind} between checkpoints"


@dataclass(frozen=True, eq=False, kw_only=True)
class Sharpness(Lines):
    """Lines along the axes of random planes, and the loss at given L2 distances of the weights.

    ``sam_*`` is the loss after one step of length rho along the surrogate gradient of that loss (Foret et al.
    2021, eq. 2); ``average_*`` the loss after a step of the same length in a random direction.
    """

    kind: ClassVar[str] = "sharpness"

    rho: FloatArray = array(("rho",), "1", "L2 length of the step, as a share of the L2 norm of the weights")
    draw: IntArray = fields.position(("draw",), long_name="index of the random direction of average_*")
    draw_seed: IntArray = fields.index(("draw",), long_name="seed that rebuilds the direction, of norm none")
    sam_sdt_loss: FloatArray = fields.sdt_loss(("rho", "timestep"))
    sam_tet_loss: FloatArray = fields.tet_loss(("rho", "timestep"))
    average_sdt_loss: FloatArray = fields.sdt_loss(("draw", "rho", "timestep"))
    average_tet_loss: FloatArray = fields.tet_loss(("draw", "rho", "timestep"))
    sam_done: IntArray = fields.done(("rho",))
    average_done: IntArray = fields.done(("draw", "rho"))
    weight_norm: float = float("nan")


@dataclass(frozen=True, eq=False)
class Curvature(Result):
    """The surrogate Hessian of a checkpoint, and beside it the curvature of the true loss at finite radii.

    The Hessian is the derivative of the gradient that the network's own backward pass gives. Spikes have a
    surrogate derivative there, so it is not the curvature of the loss that is measured. NaN where a double
    backward pass was not finite; ``note`` says so. ``sdt_loss`` and the like are at the checkpoint plus or minus
    radius * weight_norm along each direction; ``shifted_*`` are at the same steps from random points about the
    checkpoint, a pair of independent ones for each direction, from which the slope of the loss smoothed over
    the radius is estimated.
    """

    kind: ClassVar[str] = "curvature"

    timestep: IntArray = fields.timestep(first=1)
    sample: IntArray = fields.sample()
    rank: IntArray = fields.position(("rank",), long_name="place of the eigenvalue, the largest first")
    eigenvalue: FloatArray = array(("rank",), "nat", "largest eigenvalues of the surrogate Hessian")
    eigenvalue_residual: FloatArray = array(("rank",), "1", "norm of H v - lambda v over abs(lambda)")
    trace_probe: IntArray = fields.position(("trace_probe",), long_name="index of the random vector of trace_estimate")
    trace_estimate: FloatArray = array(
        ("trace_probe",), "nat", "z'Hz for random signs z; their mean estimates the trace of the surrogate Hessian"
    )
    bin: FloatArray = array(("bin",), "nat", "eigenvalue at which the density is given")
    density: FloatArray = array(
        ("bin",), "nat-1", "spectral density of the surrogate Hessian (stochastic Lanczos quadrature), of integral 1"
    )
    direction: IntArray = fields.position(("direction",), long_name="index of the random direction")
    direction_seed: IntArray = fields.index(("direction",), long_name="seed that rebuilds the direction, of norm none")
    slope: FloatArray = array(("direction",), "nat", "surrogate gradient times the direction, scaled to unit L2 length")
    surrogate_curvature: FloatArray = array(
        ("direction",), "nat", "v'Hv of the surrogate Hessian along the direction v, scaled to unit L2 length"
    )
    radius: FloatArray = array(("radius",), "1", "L2 distance from the checkpoint, as a share of weight_norm")
    side: IntArray = fields.index(("side",), long_name="sign of the displacement along the direction")
    sdt_loss: FloatArray = fields.sdt_loss(_PROBE)
    tet_loss: FloatArray = fields.tet_loss(_PROBE)
    accuracy: FloatArray = fields.accuracy(_PROBE)
    step_accuracy: FloatArray = fields.step_accuracy(_PROBE)
    sdt_loss_se: FloatArray = fields.sdt_loss_se(_PROBE)
    tet_loss_se: FloatArray = fields.tet_loss_se(_PROBE)
    done: IntArray = fields.done(("direction", "radius", "side"))
    base: IntArray = fields.position(
        ("base",), long_name="index of a random point about the checkpoint at the same distance"
    )
    base_seed: IntArray = fields.index(
        ("direction", "base"), long_name="seed that rebuilds the displacement of the base point, of norm none"
    )
    shifted_sdt_loss: FloatArray = fields.sdt_loss(_SHIFTED)
    shifted_tet_loss: FloatArray = fields.tet_loss(_SHIFTED)
    shifted_done: IntArray = fields.done(("direction", "base", "radius", "side"))
    center_sdt_loss: FloatArray = fields.sdt_loss(("timestep",))
    center_tet_loss: FloatArray = fields.tet_loss(("timestep",))
    repeat: IntArray | None = fields.position(
        ("repeat",), long_name="index of the random start of a density", optional=True
    )
    repeat_density: FloatArray | None = array(
        ("repeat", "bin"), "nat-1", "density from each random start alone; density is their mean", optional=True
    )
    loss: str = fields.asked_loss("sdt")
    policy: str = ""
    parameters: int = attribute(0, least=0, most=2**56)
    weight_norm: float = float("nan")
    gradient_norm: float = float("nan")
    note: str = ""
    plane_seed: int = 0
    t_train: int = fields.t_train()


def default_timestep(result: Any) -> int:
    """The number of timesteps that figures and tables show unless another is asked for.

    Args:
        result: with a timestep axis and a T of training.

    Returns:
        The T of training; the last where that was not measured, or where statistics of the batch leave the
        others without a value.
    """
    trained = result.t_train in result.timestep and getattr(result, "bn", "") != "batch"
    return int(result.t_train if trained else result.timestep[-1])


KINDS: dict[str, type[Result]] = {
    each.kind: each
    for each in (
        Surface,
        Trajectory,
        Lines,
        Sharpness,
        Curvature,
        ScalingCurve,
        OperationCounts,
        TrainingHistory,
        AttackRun,
        TrainingOperations,
        Compression,
        Smoothness,
        BlockIsometry,
    )
}
