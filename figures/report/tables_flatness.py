"""Flatness and curvature as tables and sentences."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tetviz.errors import ResultError
from tetviz.figures.formatting import NO_NUMBER, interval, number
from tetviz.figures.report.blocks import TextTable
from tetviz.results import Curvature, Lines, default_timestep
from tetviz.summaries import (
    Difference,
    bootstrap_mean,
    compare_sharpness,
    finite_curvature,
    sharpness_table,
    slope_agreement,
)
from tetviz.summaries.flatness import FEW_PLANES, table_radii
from tetviz.summaries.names import LOSSES, counted, network_name


def flatness_table(lines: Lines, timestep: int | None = None) -> TextTable:
    """The sharpness table of a checkpoint, for both losses."""
    step = timestep or default_timestep(lines)
    columns = {}
    for loss in LOSSES:
        table = sharpness_table([lines], loss, step).droplevel(0, axis=1)
        columns[f"L_{loss.upper()}"] = [interval(*row) for row in table.itertuples(index=False)]
        index = table.index
    frame = pd.DataFrame(columns, index=pd.Index(index, name=f"T = {step}"))
    known, planes = frame[~(frame == NO_NUMBER).all(axis=1)], len(lines.line) // 2
    if known.empty:
        whole = int((lines.done == 1).reshape(planes, -1).all(1).sum())
        raise ResultError(
            f"{network_name(lines.provenance)} has no number at T = {step} yet: each takes finite losses on all "
            f"{counted(planes, 'plane')}, of which {whole} {'is' if whole == 1 else 'are'} complete; finish the "
            "measurement first"
        )
    over = f"mean over {planes} planes [95 % interval]" if planes > 1 else "one plane"
    return TextTable(f"{over}, BN {lines.bn}", known)


def differences(results: Sequence[Lines], timestep: int | None = None) -> list[Difference]:
    """How each checkpoint differs from the first."""
    return [
        difference
        for loss in LOSSES
        for other in results[1:]
        for difference in compare_sharpness(results[0], other, loss, timestep)
    ]


def headline(lines: Lines) -> str:
    """The number that checkpoints are compared by before all others."""
    radii = table_radii(lines.x)
    chosen = 0.5 if 0.5 in radii or not radii else radii[max(0, len(radii) - 2)]
    return f"rise at r = {chosen:g}"


def flatness_words(results: Sequence[Lines], found: Sequence[Difference]) -> list[str]:
    """What the differences of several checkpoints allow to say."""
    chief, planes = headline(results[0]), len(results[0].line) // 2
    words = []
    if planes < FEW_PLANES:
        words.append(f"{planes} plane{'s are' * (planes > 1) or ' is'} too few for an interval to trust; take 10")
    if any(len(set(difference.timesteps)) > 1 for difference in found):
        words.append("the networks are compared each at its own T of training; tetviz compare --t N takes one T")
    known = [difference for difference in found if difference.mean == difference.mean]
    words += [difference.sentence() for difference in known if difference.quantity == chief]
    others = [d for d in known if d.quantity != chief and d.low == d.low and d.planes >= FEW_PLANES]
    if others:
        without = sum(d.leaves_out_zero for d in others)
        words.append(
            f"of {counted(len(others), 'other difference')} {without} {'has' if without == 1 else 'have'} an interval "
            f"without 0 (by chance alone about {0.05 * len(others):.0f} would; they hang together, so this is no test)"
        )
    return words


def curvature_table(result: Curvature) -> TextTable:
    """The curvature of the measured loss beside that of the surrogate Hessian.

    Returns:
        A row for each radius; the surrogate Hessian stands below.
    """
    step = default_timestep(result)
    bend, slopes = bootstrap_mean(finite_curvature(result, step)), slope_agreement(result)
    surrogate = number(float(result.surrogate_curvature.mean()), ".4g")
    rows = [
        {
            "curvature of the true loss": _resolved(bend.mean[i], bend.low[i], bend.high[i]),
            "surrogate": surrogate,
            "cosine of the gradients": _resolved(*(slopes[name][i] for name in ("cosine", "low", "high"))),
            "correlation of slopes": number(float(slopes["correlation"][i]), ".4f"),
        }
        for i in range(len(result.radius))
    ]
    index = pd.Index([f"{r:g}" for r in result.radius], name=f"radius, of |w| = {result.weight_norm:.4g}")
    name = f"surrogate Hessian of L_{result.loss.upper()} at T = {step}"
    if result.note:
        return TextTable("", pd.DataFrame(rows, index=index), (f"{name}: {result.note}",))
    probes = len(result.trace_estimate)
    trace = float(result.trace_estimate.mean()) if probes else math.nan
    error = f" +- {result.trace_estimate.std(ddof=1) / np.sqrt(probes):.2g}" if probes > 1 else ""
    values = ", ".join(f"{value:.4g}" for value in result.eigenvalue)
    found = f"largest eigenvalues {values} (residuals up to {result.eigenvalue_residual.max(initial=0):.1g})"
    feet = (
        f"{name} (not the curvature of the measured loss), {counted(result.parameters, 'parameter')}: "
        + (found if values else "its eigenvalues are not recorded"),
        f"trace {trace:.4g}{error}, over n {trace / result.parameters:.4g}" if probes else "its trace is not recorded",
    )
    return TextTable("", pd.DataFrame(rows, index=index), feet)


def _resolved(mean: float, low: float, high: float) -> str:
    return interval(mean, low, high) if math.isfinite(low) else "not resolved"
