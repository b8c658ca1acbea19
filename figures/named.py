"""Figures and tables by name: those of the TET paper, and the others that results have."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tetviz.errors import ResultError, unknown
from tetviz.figures.energy_tables import (
    accuracy_energy_table,
    energy_conventions_table,
    energy_layers_table,
    training_cost_table,
)
from tetviz.figures.plots.classes import draw_classes
from tetviz.figures.plots.energy import Pricing, draw_accuracy_per_energy
from tetviz.figures.plots.exits import draw_exits
from tetviz.figures.plots.history import draw_history
from tetviz.figures.plots.multiples import draw_planes, draw_timesteps
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.relief import compare_reliefs
from tetviz.figures.plots.scaling import draw_accuracy, draw_scaling
from tetviz.figures.plots.scatter import draw_scatter
from tetviz.figures.plots.surface import compare_surfaces
from tetviz.figures.plots.sweep import draw_sweep
from tetviz.figures.result_tables import block_table, flatness_table, history_table, scale_table
from tetviz.figures.run_tables import loss_table, own_rows, smooth_table
from tetviz.figures.step_table import step_table
from tetviz.figures.table import Table
from tetviz.results import (
    BlockIsometry,
    Lines,
    OperationCounts,
    Result,
    ScalingCurve,
    Sharpness,
    Surface,
    TrainingHistory,
    TrainingOperations,
    Trajectory,
)


@dataclass(frozen=True)
class Choices:
    """What to draw of results; None and nothing leave it to the figure.

    Attributes:
        loss: ``"sdt"`` or ``"tet"``.
        timestep: number of timesteps.
        plane: position along the plane axis.
        groups: of :func:`tetviz.figures.draw_scatter`.
        pricing: of :func:`tetviz.figures.draw_energy`.
    """

    loss: str | None = None
    timestep: int | None = None
    plane: int | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    pricing: Pricing = field(default_factory=dict)

    def given(self) -> list[str]:
        """Which of them were made.

        Returns:
            Names of attributes.
        """
        plain = [name for name in ("loss", "timestep", "plane") if getattr(self, name) is not None]
        return plain + [name for name in ("groups", "pricing") if getattr(self, name)]


@dataclass(frozen=True)
class Named:
    """A figure or a table that has a name.

    Attributes:
        about: what it is, in a line.
        takes: what files it is drawn from, in words.
        kinds: the results that it takes; not the kinds that are a special case of one, unless they are named.
        draw: makes it.
        heeds: the choices that it heeds.
        least: number of results at least.
        most: number of results at most; None for any.
        table: whether it is a table.
    """

    about: str
    takes: str
    kinds: tuple[type[Result], ...]
    draw: Callable[[Any, Choices], Picture | Table]
    heeds: tuple[str, ...] = ()
    least: int = 1
    most: int | None = None
    table: bool = False


_SURFACES = "surfaces of tetviz landscape, directions of the same seed"
_CURVES = "files of tetviz scale"
_RUNS = "files of tetviz scale, one for each trained network"
_COUNTS = "files of tetviz energy"
_SHARP = "files of tetviz sharpness or line"

FIGURES: dict[str, Named] = {
    "fig2": Named(
        "Figure 2: loss surfaces of networks side by side, under both losses, on shared levels",
        _SURFACES,
        (Surface,),
        lambda results, choices: compare_surfaces(results, choices.timestep, None, choices.plane or 0),
        ("timestep", "plane"),
    ),
    "fig3": Named(
        "Figure 3: both losses and accuracy over training, with the switch of the loss",
        "files of tetviz history",
        (TrainingHistory,),
        lambda results, _: draw_history(results),
    ),
    "fig4a": Named(
        "Figure 4A: accuracy against T up to 8, of networks trained with one T",
        _CURVES,
        (ScalingCurve,),
        lambda results, _: draw_accuracy(results),
    ),
    "fig4b": Named(
        "Figure 4B: accuracy against energy, a point for each T",
        _COUNTS,
        (OperationCounts,),
        lambda results, choices: draw_accuracy_per_energy(results, choices.pricing),
        ("pricing",),
    ),
    "fig5": Named(
        "Figure 5: loss landscapes in 3-D side by side, under both losses, on shared heights",
        _SURFACES,
        (Surface,),
        lambda results, choices: compare_reliefs(results, choices.timestep, choices.loss, choices.plane or 0),
        ("loss", "timestep", "plane"),
        most=4,
    ),
    "fig6": Named(
        "Figure 6: accuracy against lambda, the weight of the regulariser of L_TOTAL",
        _RUNS,
        (ScalingCurve,),
        lambda results, _: draw_sweep(results),
        least=2,
    ),
    "fig7": Named(
        "Figure 7: accuracy of a run against the mean accuracy of its steps, a point for each network",
        _RUNS,
        (ScalingCurve,),
        lambda results, choices: draw_scatter(results, choices.timestep, choices.groups),
        ("timestep", "groups"),
    ),
    "fig8": Named(
        "Figure 8: accuracy and its relative growth against T, up to the T_max of the files",
        _CURVES,
        (ScalingCurve,),
        lambda results, _: draw_scaling(results),
    ),
    "table1": Named(
        "Table 1: accuracy by the loss trained with, mean and deviation over seeds",
        _RUNS,
        (ScalingCurve,),
        lambda results, _: loss_table(results),
        table=True,
    ),
    "table2": Named(
        "Table 2: smooth neurons, sigmoid(k (u - V_th)), beside spiking ones",
        "files of tetviz scale, of the networks of tetviz ablation",
        (ScalingCurve,),
        lambda results, _: smooth_table(results),
        table=True,
    ),
    "table3": Named(
        "Table 3, one's own rows: accuracy by data set, method, network and T",
        _RUNS,
        (ScalingCurve,),
        lambda results, _: own_rows(results),
        table=True,
    ),
    "table4": Named(
        "Table 4: accuracy of each step alone and its variance over time",
        _CURVES,
        (ScalingCurve,),
        lambda results, _: step_table(results),
        table=True,
    ),
    "exits": Named(
        "accuracy against mean T of early exit",
        _CURVES,
        (ScalingCurve,),
        lambda results, _: draw_exits(results),
    ),
    "classes": Named(
        "accuracy of each class against T",
        _CURVES,
        (ScalingCurve,),
        lambda results, _: draw_classes(results),
    ),
    "timesteps": Named(
        "one loss surface at every T, on shared levels",
        "one surface (--all-t)",
        (Surface,),
        lambda results, choices: draw_timesteps(results[0], choices.loss, choices.plane or 0),
        ("loss", "plane"),
        most=1,
    ),
    "planes": Named(
        "all planes of one loss surface, on shared levels",
        "one surface (--all-planes)",
        (Surface,),
        lambda results, choices: draw_planes(results[0], choices.loss, choices.timestep),
        ("loss", "timestep"),
        most=1,
    ),
    "scale-table": Named(
        "accuracy, growth and losses at every T",
        _CURVES,
        (ScalingCurve,),
        lambda results, _: scale_table(results),
        table=True,
    ),
    "energy-table": Named(
        "energy and accuracy at every T",
        _COUNTS,
        (OperationCounts,),
        lambda results, choices: accuracy_energy_table(results, choices.pricing),
        ("pricing",),
        table=True,
    ),
    "layer-table": Named(
        "operations and energy by layer",
        _COUNTS,
        (OperationCounts,),
        lambda results, choices: energy_layers_table(results, choices.timestep, choices.pricing),
        ("timestep", "pricing"),
        table=True,
    ),
    "convention-table": Named(
        "operations and energy under each convention",
        _COUNTS,
        (OperationCounts,),
        lambda results, choices: energy_conventions_table(results, choices.timestep, choices.pricing),
        ("timestep", "pricing"),
        table=True,
    ),
    "sharpness-table": Named(
        "rises, curvatures and widths of the loss, with intervals over planes",
        _SHARP,
        (Sharpness, Lines),
        lambda results, choices: flatness_table(results, choices.timestep),
        ("timestep",),
        table=True,
    ),
    "training-table": Named(
        "energy of training by layer and phase",
        "files of tetviz training-energy",
        (TrainingOperations,),
        lambda results, _: training_cost_table(results),
        table=True,
    ),
    "history-table": Named(
        "losses and accuracy by epoch",
        "files of tetviz history",
        (TrainingHistory,),
        lambda results, _: history_table(results),
        table=True,
    ),
    "isometry-table": Named(
        "phi(JJ^T), its closed form and gradients by block",
        "files of tetviz isometry",
        (BlockIsometry,),
        lambda results, _: block_table(results),
        table=True,
    ),
}

# What a choice is called on the command line.
OPTIONS = {
    "loss": "--loss",
    "timestep": "--t",
    "plane": "--plane",
    "groups": "--group",
    "pricing": "--cost, --convention, --first-layer and --pool",
}

# The table of results that are asked for as a table without a name.
_DEFAULT_TABLES = (
    "scale-table",
    "energy-table",
    "sharpness-table",
    "training-table",
    "history-table",
    "isometry-table",
)


def draw_named(name: str, results: Sequence[Result], choices: Choices | None = None) -> Picture | Table:
    """A figure or a table by its name.

    Args:
        name: in :data:`FIGURES`.
        results: what it is drawn from.
        choices: what to draw of them.

    Returns:
        The figure, or the table.

    Raises:
        ResultError: results of another kind, too few or too many, or a choice that the figure does not heed.
        ValueError: there is no such figure.
    """
    if name not in FIGURES:
        raise ValueError(unknown("figure", name, FIGURES))
    chosen, choices = FIGURES[name], choices or Choices()
    others = sorted({_kind(result) for result in results if not _fits(result, chosen.kinds)})
    if others:
        raise ResultError(f"{name} takes {chosen.takes}, got results of kind {', '.join(others)}")
    count = len(results)
    if count < chosen.least or (chosen.most is not None and count > chosen.most):
        bound = f"at least {chosen.least}" if count < chosen.least else f"at most {chosen.most}"
        raise ResultError(f"{name} takes {chosen.takes}, {bound}, got {count}")
    ignored = [given for given in choices.given() if given not in chosen.heeds]
    if ignored:
        heeded = " and ".join(chosen.heeds) or "nothing to choose"
        raise ResultError(f"{name} takes no {' and no '.join(ignored)}; it takes {heeded}")
    return chosen.draw(results, choices)


def default_table(results: Sequence[Result]) -> str:
    """The table that fits some results."""
    for name in _DEFAULT_TABLES:
        if results and all(_fits(result, FIGURES[name].kinds) for result in results):
            return name
    found = sorted(set(map(_kind, results)))
    if len(found) > 1:
        raise ResultError(f"a table takes results of one kind, got {' and '.join(found)}")
    kinds = ", ".join(found) or "none"
    raise ResultError(f"results of kind {kinds} have no table; one that has a name is chosen with --figure")


def _fits(result: Result, kinds: tuple[type[Result], ...]) -> bool:
    # A trajectory lies in a plane of its own, so it is no surface here; lines between checkpoints are no sharpness.
    return isinstance(result, kinds) and not isinstance(result, Trajectory) and not _is_between(result)


def _is_between(result: Result) -> bool:
    return isinstance(result, Lines) and result.path != "random"


def _kind(result: Result) -> str:
    return f"{result.kind} between checkpoints" if _is_between(result) else result.kind
