"""Flatness as tables and sentences, and what the other ways around a network say."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tetviz.figures.labels import names_of
from tetviz.figures.report.blocks import Table
from tetviz.results import Curvature, Lines, Trajectory, default_timestep
from tetviz.summaries import (
    Difference,
    barriers,
    bootstrap_mean,
    compare_sharpness,
    finite_curvature,
    mean_along,
    sharpness_table,
    slope_agreement,
)
from tetviz.summaries.flatness import FEW_PLANES, table_radii

LOSSES = ("sdt", "tet")


def flatness_table(lines: Lines, timestep: int | None = None) -> Table:
    """The sharpness table of a checkpoint, for both losses.

    Args:
        lines: random lines.
        timestep: number of timesteps; the training T by default.

    Returns:
        A row for each number that is known.
    """
    step = timestep or default_timestep(lines)
    columns = {}
    for loss in LOSSES:
        table = sharpness_table([lines], loss, step).droplevel(0, axis=1)
        columns[f"L_{loss.upper()}"] = [_cell(*row) for row in table.itertuples(index=False)]
        index = table.index
    frame = pd.DataFrame(columns, index=pd.Index(index, name=f"T = {step}"))
    planes = len(lines.line) // 2
    over = f"mean over {planes} planes [95 % interval]" if planes > 1 else "one plane"
    return Table(f"{over}, BN {lines.bn}", frame[~(frame == "-").all(axis=1)])


def _cell(mean: float, low: float, high: float) -> str:
    if mean != mean:
        return "-"
    return f"{mean:.4g}" if low != low else f"{mean:.4g} [{low:.4g}, {high:.4g}]"


def differences(results: Sequence[Lines], timestep: int | None = None) -> list[Difference]:
    """How each checkpoint differs from the first.

    Args:
        results: random lines of each checkpoint.
        timestep: number of timesteps; the training T by default.

    Returns:
        The differences, for both losses.
    """
    return [
        difference
        for loss in LOSSES
        for other in results[1:]
        for difference in compare_sharpness(results[0], other, loss, timestep or default_timestep(results[0]))
    ]


def headline(lines: Lines) -> str:
    """The number that checkpoints are compared by before all others.

    Args:
        lines: random lines.

    Returns:
        The rise at 0.5, or where that is no coordinate at the largest distance but one.
    """
    radii = table_radii(lines.x)
    chosen = 0.5 if 0.5 in radii or not radii else radii[max(0, len(radii) - 2)]
    return f"rise at r = {chosen:g}"


def flatness_words(results: Sequence[Lines], found: Sequence[Difference]) -> list[str]:
    """What the differences of several checkpoints allow to say.

    Args:
        results: random lines of each checkpoint.
        found: their differences.

    Returns:
        Sentences: whether the planes are too few, the headline of each pair, and how many of the others say more.
    """
    chief, planes = headline(results[0]), len(results[0].line) // 2
    words = []
    if planes < FEW_PLANES:
        words.append(f"{planes} plane{'s are' * (planes > 1) or ' is'} too few for an interval to trust; take 10")
    known = [difference for difference in found if difference.mean == difference.mean]
    words += [difference.sentence() for difference in known if difference.quantity == chief]
    others = [d for d in known if d.quantity != chief and d.low == d.low and d.planes >= FEW_PLANES]
    if others:
        without = sum(d.leaves_out_zero for d in others)
        words.append(
            f"of the {len(others)} other differences {without} have an interval without 0 (by chance alone about "
            f"{0.05 * len(others):.0f} would; they hang together, so this is no test)"
        )
    return words


def path_table(lines: Lines, timestep: int | None = None) -> Table:
    """The barriers on the lines between two checkpoints.

    Args:
        lines: of path ``linear`` or ``bezier``.
        timestep: number of timesteps; the training T by default.

    Returns:
        A row for each loss and line.
    """
    step = timestep or default_timestep(lines)
    rows, index = [], []
    for loss in LOSSES:
        ends = getattr(lines, f"end_{loss}_loss")[:, step - 1].tolist()
        means = mean_along(lines, loss, step)
        for name, height in barriers(lines, loss, step).items():
            rows.append([name, *(_decimals(value) for value in (*ends, height, means[name]))])
            index.append(f"L_{loss.upper()}")
    columns = ["line", "at 0", "at 1", "barrier", "mean along"]
    return Table("", pd.DataFrame(rows, index=pd.Index(index, name=f"T = {step}"), columns=columns))


def path_points(result: Trajectory) -> Table:
    """What the plane of a trajectory hides, checkpoint by checkpoint.

    Args:
        result: the trajectory.

    Returns:
        A row for each checkpoint: where its projection is, how far it is off the plane, and its true losses beside
        those on the plane.
    """
    step = default_timestep(result) - 1
    columns = {
        "x": result.point_x,
        "y": result.point_y,
        "distance": result.distance,
        "residual": result.residual,
        "L_SDT": result.true_sdt_loss[:, step],
        "L_SDT on plane": result.projected_sdt_loss[:, step],
        "L_TET": result.true_tet_loss[:, step],
        "L_TET on plane": result.projected_tet_loss[:, step],
        "accuracy": result.true_accuracy[:, step],
    }
    names = names_of(result.names, len(result.point), "checkpoint")
    frame = pd.DataFrame(columns, index=pd.Index(names, name=f"T = {step + 1}")).map(_decimals)
    feet: tuple[str, ...] = ()
    if result.path == "training":
        shares, centred = (" + ".join(f"{v:.1%}" for v in a) for a in (result.explained, result.explained_centred))
        feet = (
            f"the axes hold {shares} of the squared displacements from the last checkpoint (centred: {centred}), which "
            "says little: believe the loss drawn at a checkpoint only where 'on plane' is near its true loss",
        )
    return Table("", frame, feet)


def curvature_table(result: Curvature) -> Table:
    """The curvature of the measured loss beside that of the surrogate Hessian.

    Args:
        result: the measurement.

    Returns:
        A row for each radius; the surrogate Hessian stands below.
    """
    step = default_timestep(result)
    bend, slopes = bootstrap_mean(finite_curvature(result, step)), slope_agreement(result)
    surrogate = f"{float(result.surrogate_curvature.mean()):.4g}"
    rows = [
        {
            "curvature of the true loss": _resolved(bend.mean[i], bend.low[i], bend.high[i]),
            "surrogate": surrogate,
            "cosine of the gradients": _resolved(*(slopes[name][i] for name in ("cosine", "low", "high"))),
            "correlation of slopes": _decimals(float(slopes["correlation"][i])),
        }
        for i in range(len(result.radius))
    ]
    index = pd.Index([f"{r:g}" for r in result.radius], name=f"radius, of |w| = {result.weight_norm:.4g}")
    name = f"surrogate Hessian of L_{result.loss.upper()} at T = {step}"
    if result.note:
        return Table("", pd.DataFrame(rows, index=index), (f"{name}: {result.note}",))
    probes, trace = len(result.trace_estimate), float(result.trace_estimate.mean())
    error = float(result.trace_estimate.std(ddof=1) / np.sqrt(probes)) if probes > 1 else math.nan
    values = ", ".join(f"{value:.4g}" for value in result.eigenvalue)
    feet = (
        f"{name} (not the curvature of the measured loss), {result.parameters:,} parameters: largest eigenvalues "
        f"{values} (residuals up to {result.eigenvalue_residual.max():.1g})",
        f"trace {trace:.4g} +- {error:.2g}, over n {trace / result.parameters:.4g}",
    )
    return Table("", pd.DataFrame(rows, index=index), feet)


def _resolved(mean: float, low: float, high: float) -> str:
    return f"{mean:.4g} [{low:.4g}, {high:.4g}]" if low == low else "not resolved"


def _decimals(value: float) -> str:
    return "-" if value != value else f"{value:.4f}"
