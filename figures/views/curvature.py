"""What a curvature shows: the surrogate Hessian beside the loss itself at finite radii."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tetviz.figures.doubts import losses_of, not_finite
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, TableOf, View
from tetviz.results import Curvature, default_timestep
from tetviz.summaries import finite_curvature, mean_interval, outlying_eigenvalues, slope_agreement
from tetviz.summaries.intervals import METHOD
from tetviz.summaries.names import FROZEN, LOSS_WORDS, counted, data_context, network_names, policy_words

_COLUMNS = (
    Column("curvature of the true loss (nat)", of="curvature", form=".4g", low="curvature low", high="curvature high"),
    Column("surrogate (nat)", of="surrogate", form=".4g"),
    Column(
        "cosine of the gradients", of="cosine", form=".4g", low="cosine low", high="cosine high", missing="not resolved"
    ),
    Column("correlation of slopes", of="correlation", form=".4f"),
)


def curvature_context(curvature: Curvature) -> str:
    """The choices that a curvature rests on, besides its network, loss and number of timesteps."""
    return "; ".join(part for part in (data_context(curvature), FROZEN, policy_words(curvature.policy)) if part)


def curvature_table(results: Sequence[Curvature], choices: Choices) -> Table:
    """The curvature of the measured loss beside that of the surrogate Hessian, radius by radius."""
    return stacked(network_names(results), [_radii(result) for result in results])


def _radii(result: Curvature) -> Table:
    step = default_timestep(result)
    bend, slopes = mean_interval(finite_curvature(result, step)), slope_agreement(result)
    columns = {
        "curvature": bend.mean,
        "curvature low": bend.low,
        "curvature high": bend.high,
        "surrogate": _mean(result.surrogate_curvature),
        # A cosine without an interval may be anything.
        "cosine": np.where(np.isfinite(slopes["low"]), slopes["cosine"], np.nan),
        "cosine low": slopes["low"],
        "cosine high": slopes["high"],
        "correlation": slopes["correlation"],
        "directions": len(result.direction),
    }
    return Table(
        pd.DataFrame(columns, index=pd.Index(result.radius, name="radius")),
        _COLUMNS,
        about="Curvature of the measured loss, by second differences at finite radii, beside the mean curvature of the "
        "surrogate Hessian; cosine between the surrogate gradient and the gradient smoothed over the radius; "
        "correlation of slopes at the checkpoint",
        note=f"{LOSS_WORDS[result.loss]} at T = {step}, radii in units of |w| = {result.weight_norm:.4g}, in brackets "
        f"{METHOD} over {counted(len(result.direction), 'direction')}",
        feet=_feet(result, f"surrogate Hessian of {LOSS_WORDS[result.loss]} at T = {step}"),
        key=Column("radius", form="g"),
        label="curvature",
    )


def _feet(result: Curvature, name: str) -> tuple[str, ...]:
    if result.note:
        return (f"{name}: {result.note}",)
    values = ", ".join(f"{value:.4g}" for value in result.eigenvalue)
    found = f"largest eigenvalues {values} (residuals up to {result.eigenvalue_residual.max(initial=0):.1g})"
    trace, error = _trace(result)
    spread = f" +- {error:.2g}" if math.isfinite(error) else ""
    per_parameter = f"trace {trace:.4g}{spread}, over n {trace / result.parameters:.4g}"
    return (
        f"{name} (not the curvature of the measured loss), {counted(result.parameters, 'parameter')}: "
        + (found if values else "its eigenvalues are not recorded"),
        per_parameter if math.isfinite(trace) else "its trace is not recorded",
        *_outliers(result),
    )


def _outliers(result: Curvature) -> tuple[str, ...]:
    found = outlying_eigenvalues(result)
    if not math.isfinite(found.mean):
        return ()
    return (
        f"its density has {found.mean:.2g} [{found.low:.2g}, {found.high:.2g}] eigenvalues above half of the largest, "
        f"over {counted(len(result.repeat), 'random start')}",
    )


def _trace(result: Curvature) -> tuple[float, float]:
    # With its standard error over probes.
    probes = len(result.trace_estimate)
    error = float(result.trace_estimate.std(ddof=1) / np.sqrt(probes)) if probes > 1 else math.nan
    return _mean(result.trace_estimate), error


def _mean(values: Any) -> float:
    return float(values.mean()) if len(values) else math.nan


def record(results: Sequence[Curvature], choices: Choices) -> list[dict[str, Any]]:
    """For each network a record of its surrogate Hessian, and one for each radius."""
    return [row for result in results for row in _records(result)]


def _records(result: Curvature) -> list[dict[str, Any]]:
    step = default_timestep(result)
    bend, slopes = mean_interval(finite_curvature(result, step)), slope_agreement(result)
    trace, error = _trace(result)
    head = {"checkpoint": result.provenance.checkpoint, "loss": result.loss, "timesteps": step}
    hessian = {
        **head,
        "eigenvalues": result.eigenvalue.tolist(),
        "residuals": result.eigenvalue_residual.tolist(),
        "trace": trace,
        "trace_se": error,
        "mean_curvature": _mean(result.surrogate_curvature),
        "gradient_norm": result.gradient_norm,
        "weight_norm": result.weight_norm,
        "parameters": result.parameters,
        "note": result.note,
    }
    columns = {"curvature": bend.mean, "curvature_low": bend.low, "curvature_high": bend.high, **slopes}
    radii = [
        {**head, "radius": float(radius), **{name: float(values[i]) for name, values in columns.items()}}
        for i, radius in enumerate(result.radius)
    ]
    return [hessian, *radii]


def _doubts(result: Curvature) -> list[str]:
    said = not_finite(losses_of(result, "", result.done == 1), "at", "measured point")
    shifted = losses_of(result, "shifted_", result.shifted_done == 1)
    said += not_finite(shifted, "at", "measured point", " around random points nearby")
    return [*said, *([result.note] if result.note else [])]


VIEW = View[Curvature](
    title="Curvature",
    takes="files of tetviz curvature",
    describe=lambda result: f"Curvature of {LOSS_WORDS[result.loss]}, {counted(result.parameters, 'parameter')}",
    context=curvature_context,
    doubts=_doubts,
    examined=True,
    tables={
        "curvature-table": TableOf(
            "curvature of the measured loss beside the surrogate Hessian, by radius", curvature_table
        )
    },
    record=record,
    figure="tetviz.figures.plots.curvature:draw_curvature",
    alt="Curvature of the loss of {}",
    heeds=("loss",),
    most=1,
)
