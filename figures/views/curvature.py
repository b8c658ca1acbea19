"""What a curvature shows: the surrogate Hessian beside the loss itself at finite radii."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tetviz.errors import ResultError
from tetviz.figures.curves import Axis, Curves, Mark, Series, gaps_of, interval_texts, scale_of
from tetviz.figures.doubts import losses_of, not_finite
from tetviz.figures.formatting import number
from tetviz.figures.selection import known_loss
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, TableOf, View
from tetviz.results import Curvature, default_timestep
from tetviz.summaries import finite_curvature, outlying_eigenvalues, slope_agreement
from tetviz.summaries.intervals import METHOD, mean_interval, mean_of_complete
from tetviz.summaries.names import FROZEN, LOSS_WORDS, counted, data_context, network_names, policy_words

_COLUMNS = (
    Column("curvature of the true loss (nat)", of="curvature", form=".4g", low="curvature low", high="curvature high"),
    Column("surrogate (nat)", of="surrogate", form=".4g"),
    Column(
        "cosine of the gradients", of="cosine", form=".4g", low="cosine low", high="cosine high", missing="not resolved"
    ),
    Column("correlation of slopes", of="correlation", form=".4f"),
)


_TRUE, _SURROGATE, _COSINE, _SLOPES = range(4)
_CALLED = (
    "true loss: second difference, mean",
    "surrogate Hessian",
    "cosine with the gradient smoothed over the radius",
    "correlation of slopes at the checkpoint",
)
_DECADES = 6  # of the density: between eigenvalues it falls to the tails of its kernel, which mean nothing
_FEW_RADII = 6
_BAND = f"{METHOD} over directions"
_BARS = "95 % expanded percentile bootstrap intervals over directions"


def curvature_charts(results: Sequence[Curvature], choices: Choices) -> list[Curves]:
    """Spectrum of the surrogate Hessian, curvature of the true loss, and how far surrogate slopes hold."""
    (result,) = results
    loss = known_loss(result.loss if choices.loss is None else choices.loss)
    if loss != result.loss:
        raise ResultError(f"loss {loss!r}: the curvature was measured for {result.loss!r}; measure it for {loss!r}")
    return [_spectrum(result), _bend(result), _agreement(result)]


def _radius(result: Curvature) -> Axis:
    few = tuple(result.radius.tolist()) if len(result.radius) <= _FEW_RADII else ()
    return Axis("radius (share of weight norm)", "log", at=few)


def _spectrum(result: Curvature) -> Curves:
    word, known = LOSS_WORDS[result.loss], np.isfinite(result.density)
    shown = known.any() and not result.note
    at, density = result.bin[known], result.density[known]
    values = sorted(result.eigenvalue[np.isfinite(result.eigenvalue)].tolist(), reverse=True)
    texts = tuple(f"eigenvalue {value:.4g}\ndensity {height:.4g}" for value, height in zip(at, density, strict=True))
    top = float(density.max(initial=0))
    within = (max(top / 10**_DECADES, float(density[density > 0].min()) / 2), 3 * top) if top > 0 else None
    each_start = result.repeat_density[:, known] if result.repeat_density is not None else ()
    starts = [Series(_SURROGATE, at, each, thin=True) for each in each_start]
    return Curves(
        f"Spectral density of the surrogate Hessian of {word}",
        f"Density of the eigenvalues of the surrogate Hessian of {word}; a table below has the largest.",
        _CALLED,
        Axis("eigenvalue"),
        Axis(f"density, surrogate Hessian of {word}", "log" if top > 0 else "linear", within=within),
        (*starts, Series(_SURROGATE, at, density, texts=texts)) if shown else (),
        thin="a random start" if starts and shown else "",
        marks=tuple(Mark(value, None, text=f"{value:.3g}" if value == values[0] else "") for value in values if shown),
        dotted="largest eigenvalues" if values and shown else "",
        note="" if shown else result.note or "no density: not computed yet or not finite",
    )


def _bend(result: Curvature) -> Curves:
    word, values = LOSS_WORDS[result.loss], finite_curvature(result, default_timestep(result))
    mean = mean_of_complete(values)
    series = [Series(_TRUE, result.radius, line, thin=True) for line in values]
    texts = interval_texts(result.radius, mean, "radius", "curvature", "nat")
    series.append(Series(_TRUE, result.radius, mean.mean, mean.low, mean.high, texts))
    surrogate = result.surrogate_curvature[np.isfinite(result.surrogate_curvature)]
    if len(surrogate):
        flat = np.full(len(result.radius), surrogate.mean())
        series.append(Series(_SURROGATE, result.radius, flat, texts=(f"curvature {flat[0]:.4g} nat",) * len(flat)))
    return Curves(
        f"Curvature of the true {word} by second differences at finite radii",
        f"Curvature of {word} at every radius, beside the mean of the surrogate Hessian.",
        _CALLED,
        _radius(result),
        Axis(f"curvature of the true {word} (nat)", *scale_of([each.y for each in series], from_median=True)),
        tuple(series),
        thin="a direction",
        band=_BAND if mean.draws > 1 else "",
        gaps=gaps_of(result.radius, [mean.mean]),
    )


def _agreement(result: Curvature) -> Curves:
    found = slope_agreement(result)
    cosine, low, high = (found[name] for name in ("cosine", "low", "high"))
    known = bool(np.isfinite(cosine).any())
    told = _texts(result.radius, "cosine", cosine), _texts(result.radius, "correlation", found["correlation"])
    return Curves(
        "Cosine between the surrogate gradient and the gradient smoothed over the radius",
        "Cosine between the surrogate gradient and the smoothed gradient, and the correlation of slopes, by radius.",
        _CALLED,
        _radius(result),
        Axis("cosine, correlation", within=(-1.25, 1.55), lines=(0.0, 1.0)),
        (
            Series(_COSINE, result.radius, cosine, low, high, told[0]),
            Series(_SLOPES, result.radius, found["correlation"], texts=told[1]),
        ),
        band=_BARS if np.isfinite(low).any() else "",
        gaps=gaps_of(result.radius, [cosine, found["correlation"]]) if known else (),
        note="" if known else "not resolved: take more directions",
    )


def _texts(radii: Any, what: str, values: Any) -> tuple[str, ...]:
    return tuple(f"radius = {radius:g}\n{what} {number(value)}" for radius, value in zip(radii, values, strict=True))


def _curves_context(result: Curvature, choices: Choices) -> str:
    count, done = len(result.direction), result.done
    parts = [
        f"T = {default_timestep(result)}",
        curvature_context(result),
        f"{counted(count, 'random direction')}{', no interval' if count == 1 else ''}",
        "" if done.all() else f"{int(done.sum()):,} of {done.size:,} points",
    ]
    return "; ".join(part for part in parts if part)


def _caption(results: Sequence[Curvature], choices: Choices) -> list[str]:
    (result,) = results
    return [
        f"Spectral density of the surrogate Hessian of {LOSS_WORDS[result.loss]}, curvature of the true loss by second "
        "differences at finite radii, and cosine between the surrogate gradient and the gradient smoothed over the "
        "radius",
        "Radii are shares of the L2 norm of the weights",
        result.note,
    ]


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
    per_parameter = f"trace {trace:.4g}{spread}, over n {trace / (result.parameters or math.nan):.4g}"
    return (
        f"{name} (not the curvature of the measured loss), {counted(result.parameters, 'parameter')}: "
        + (found if values else "its eigenvalues are not recorded"),
        per_parameter if math.isfinite(trace) else "its trace is not recorded",
        *_outliers(result),
    )


def _outliers(result: Curvature) -> tuple[str, ...]:
    found = outlying_eigenvalues(result)
    if result.repeat is None or not math.isfinite(found.mean):
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
    curves=curvature_charts,
    curves_context=_curves_context,
    caption=_caption,
    heeds=("loss",),
    most=1,
)
