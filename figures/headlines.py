"""The few numbers of a result that one wants to see first, as text, and the choices that they rest on."""

from dataclasses import dataclass
from functools import singledispatch

import numpy as np
import pandas as pd

from tetviz.figures.labels import data_context, lines_context, names_of, surface_context
from tetviz.figures.style import energy_unit
from tetviz.results import (
    BlockIsometry,
    Curvature,
    Lines,
    OperationCounts,
    Result,
    ScalingCurve,
    Surface,
    TrainingHistory,
    TrainingOperations,
    Trajectory,
    default_timestep,
)
from tetviz.results.schema import FloatArray, IntArray
from tetviz.summaries import (
    barriers,
    bootstrap_mean,
    convention_table,
    finite_curvature,
    mean_along,
    run_energy,
    sharpness_table,
    training_table,
    wilson,
)
from tetviz.summaries.isometry import closed_form_error, gradient_growth
from tetviz.summaries.scaling import table_timesteps

MOST_ROWS = 12
# Worst cases, curvatures and roughness are in the whole table, sharpness_table.
_FLATNESS = ("loss", "rise", "width", "SAM", "average")


@dataclass(frozen=True)
class Headline:
    """What a result says in short.

    Attributes:
        title: what it is, in words.
        context: the choices that the numbers rest on.
        table: the numbers as text, ``-`` where there is none; the name of its index says at which T.
        notes: sentences that belong to the numbers.
    """

    title: str
    context: str
    table: pd.DataFrame
    notes: tuple[str, ...] = ()


def headline(result: Result) -> Headline:
    """The first numbers of a result.

    Args:
        result: a result of any kind, possibly half measured.

    Returns:
        What it is, what the numbers rest on, and the numbers.
    """
    return _headline(result)


@singledispatch
def _headline(result: Result) -> Headline:
    raise TypeError(f"no headline for a result of kind {result.kind!r}")


@_headline.register
def _of_surface(surface: Surface) -> Headline:
    at = _position(surface.timestep, default_timestep(surface))
    centre = np.ix_(np.isclose(surface.y, 0, atol=1e-9), np.isclose(surface.x, 0, atol=1e-9))
    missing = (surface.done == 0)[..., None]
    rows, lost = {}, 0
    for loss in ("sdt", "tet"):
        grid, error = (
            np.where(missing, np.nan, getattr(surface, f"{loss}_loss{suffix}"))[..., at] for suffix in ("", "_se")
        )
        known = grid[np.isfinite(grid)]
        lost = max(lost, int((~np.isfinite(grid) & (surface.done == 1)).sum()))
        here, spread = (_first(values[0][centre]) for values in (grid, error))
        rows[f"L_{loss.upper()} (nat)"] = {
            "at (0, 0)": f"{_number(here)} ± {_number(spread)}" if np.isfinite(spread) else _number(here),
            "lowest": _number(known.min() if known.size else np.nan),
            "highest": _number(known.max() if known.size else np.nan),
        }
    shares = np.where(missing, np.nan, surface.accuracy)[..., at]
    known = shares[np.isfinite(shares)]
    ends = (_first(shares[0][centre]), known.min() if known.size else np.nan, known.max() if known.size else np.nan)
    rows["accuracy"] = dict(zip(("at (0, 0)", "lowest", "highest"), map(_percent, ends), strict=True))
    notes = [f"{lost:,} measured points have no finite loss"] if lost else []
    if len(surface.plane) == 1 and surface.direction_seed.min() >= 0:
        notes.append("one random plane is one sample of all of them")
    notes.append("± is one standard error over samples")
    return Headline(
        f"Loss surface, {len(surface.x)} x {len(surface.y)} points on {_count(len(surface.plane), 'plane')}",
        surface_context(surface),
        _table(rows, f"T = {surface.timestep[at]}"),
        tuple(notes),
    )


@_headline.register
def _of_trajectory(trajectory: Trajectory) -> Headline:
    at = _position(trajectory.timestep, default_timestep(trajectory))
    points = len(trajectory.point)
    shown = np.unique(np.linspace(0, points - 1, min(points, MOST_ROWS)).round().astype(int))
    names = names_of(trajectory.names, points, "checkpoint")
    rows = {}
    for i in shown:
        rows[names[i]] = {"distance": _number(trajectory.distance[i]), "residual": _number(trajectory.residual[i])}
        for loss in ("sdt", "tet"):
            for what, where in (("true", ""), ("projected", " on the plane")):
                value = getattr(trajectory, f"{what}_{loss}_loss")[i, at]
                rows[names[i]][f"L_{loss.upper()}{where}"] = _number(value)
        rows[names[i]]["accuracy"] = _percent(trajectory.true_accuracy[i, at])
    hidden = [f"{len(shown)} of {points} checkpoints are listed"] if len(shown) < points else []
    trust = "believe the surface at a checkpoint only where its loss on the plane is near its own"
    title = (
        "Path of a training on its principal plane" if trajectory.path == "training" else "Plane through checkpoints"
    )
    return Headline(
        f"{title}, {_count(points, 'checkpoint')}",
        surface_context(trajectory),
        _table(rows, f"T = {trajectory.timestep[at]}"),
        (*hidden, trust),
    )


@_headline.register
def _of_lines(lines: Lines) -> Headline:
    step = default_timestep(lines)
    if lines.path == "random":
        columns = {}
        for loss in ("sdt", "tet"):
            table = sharpness_table([lines], loss, step).droplevel(0, axis=1)
            columns[f"L_{loss.upper()}"] = [_interval(*row) for row in table.itertuples(index=False)]
            index = table.index
        frame = pd.DataFrame(columns, index=index)
        frame = frame[frame.index.str.startswith(_FLATNESS) & ~(frame == "-").all(axis=1)]
        planes = len(lines.line) // 2
        title = f"Flatness along {_count(len(lines.line), 'line')}" + ", SAM and random steps" * (
            lines.kind == "sharpness"
        )
        notes = (
            f"mean over {_count(planes, 'plane')} [95 % bootstrap interval over planes], in nat where it is a loss",
        )
        return Headline(title, lines_context(lines), frame.rename_axis(f"T = {step}"), notes)
    rows = {
        name: {f"{what}, L_{loss.upper()}": "" for what in ("barrier", "mean along") for loss in ("sdt", "tet")}
        for name in names_of(lines.names, len(lines.line), "line")
    }
    for loss in ("sdt", "tet"):
        for what, found in (("barrier", barriers(lines, loss, step)), ("mean along", mean_along(lines, loss, step))):
            for name, value in found.items():
                rows[name][f"{what}, L_{loss.upper()}"] = _number(value)
    title = (
        "Straight line between two checkpoints" if lines.path == "linear" else "Trained curve between two checkpoints"
    )
    return Headline(title, lines_context(lines), _table(rows, f"T = {step}"), ("losses in nat",))


@_headline.register
def _of_curvature(result: Curvature) -> Headline:
    step = default_timestep(result)
    bend = bootstrap_mean(finite_curvature(result, step))
    rows = {
        f"at {radius:g} |w|": {"curvature (nat)": _interval(*bounds)}
        for radius, *bounds in zip(result.radius, bend.mean, bend.low, bend.high, strict=True)
    }
    rows = {"surrogate Hessian, mean of v'Hv": {"curvature (nat)": _number(_mean(result.surrogate_curvature))}, **rows}
    rows["surrogate Hessian, largest eigenvalue"] = {"curvature (nat)": _number(_first(result.eigenvalue))}
    rows["surrogate Hessian, trace"] = {"curvature (nat)": _number(_mean(result.trace_estimate))}
    notes = [result.note] if result.note else []
    notes.append("the surrogate Hessian is not the curvature of the measured loss")
    notes.append(f"[95 % bootstrap interval over {_count(len(result.direction), 'direction')}]")
    return Headline(
        f"Curvature of L_{result.loss.upper()}, {result.parameters:,} parameters",
        "; ".join(filter(None, (data_context(result), "BN statistics frozen", result.policy))),
        _table(rows, f"T = {step}"),
        tuple(notes),
    )


@_headline.register
def _of_scaling(curve: ScalingCurve) -> Headline:
    low, high = wilson(curve.accuracy, len(curve.sample))
    rows = {}
    for t in table_timesteps(curve):
        i = t - 1
        rows[f"{t} (trained)" if t == curve.t_train else str(t)] = {
            "accuracy": f"{_percent(curve.accuracy[i])} [{100 * low[i]:.2f}, {100 * high[i]:.2f}]",
            "L_SDT": _number(curve.sdt_loss[i]),
            "L_TET": _number(curve.tet_loss[i]),
        }
    variance = 1e4 * curve.temporal_variance
    beyond = (
        [f"variance of the step accuracy over t > {curve.t_train}: {variance:.4g} %²"] if np.isfinite(variance) else []
    )
    notes = ("[95 % Wilson interval over samples]; losses in nat", *beyond)
    return Headline(f"Time scalability up to T = {curve.timestep[-1]}", data_context(curve), _table(rows, "T"), notes)


@_headline.register
def _of_counts(counts: OperationCounts) -> Headline:
    frame = convention_table(counts)
    macs, acs, energies = frame.to_numpy().T
    scale, unit = energy_unit(1e3 * energies.max())
    columns = {
        "MAC": [f"{value:,.0f}" for value in macs],
        "AC": [f"{value:,.0f}" for value in acs],
        f"energy ({unit})": [_number(1e3 * value / scale) for value in energies],
    }
    context = f"{data_context(counts)}; {frame.attrs['caption']}"
    return Headline(
        f"Operations of a run up to T = {counts.timestep[-1]}, and their energy",
        context,
        pd.DataFrame(columns, index=frame.index),
        tuple(f"incomplete: {sentence}" for sentence in counts.listed("not_counted")),
    )


@_headline.register
def _of_training(result: TrainingOperations) -> Headline:
    table = training_table(result)
    totals = table.to_numpy()[-1]
    scale, unit = energy_unit(totals.max())
    row = dict(zip(table.columns, map(_number, totals / scale), strict=True))
    frame = _table({f"energy of a sample ({unit})": row}, "sum over layers")
    whole = run_energy(result)
    notes = [f"incomplete: {sentence}" for sentence in result.listed("not_counted")]
    if np.isfinite(whole):
        notes.append(f"the recorded run: {whole:.4g} J, if every epoch and step costs what these do")
    bn = {"frozen": "batch norm a constant map", "batch": "batch norm by the statistics of each batch"}
    context = (
        data_context(result),
        f"L_{result.loss.upper()}",
        bn.get(result.bn, result.bn),
        f"{result.cost} ({result.mac_pj:g} pJ a MAC, {result.ac_pj:g} pJ an AC)",
    )
    steps = len(result.timestep)
    return Headline(f"What training computes at T = {steps}", "; ".join(filter(None, context)), frame, tuple(notes))


@_headline.register
def _of_isometry(result: BlockIsometry) -> Headline:
    rows = {
        name: dict(zip(("mean", "smallest", "largest"), map(_number, ends), strict=True))
        for name, ends in {
            "phi within a step": _spread(result.step_phi),
            "phi of the run": _spread(result.run_phi),
        }.items()
    }
    growth, error = _first(gradient_growth(result)), closed_form_error(result)
    notes = [f"the squared gradient grows {_number(growth)} times from the last output to the first input"]
    notes += [f"closed form off by {100 * error:.2g} % on average"] if np.isfinite(error) else []
    notes += [f"not measured: {sentence}" for sentence in result.listed("not_measured")]
    bn = {"frozen": "BN statistics frozen", "batch": "BN statistics of each batch"}.get(result.bn, result.bn)
    context = f"{data_context(result)}; L_{result.loss.upper()}; {bn}; {_count(result.probes, 'probe')}"
    table = _table(rows, f"T = {len(result.timestep)}")
    return Headline(f"Block isometry, {_count(len(result.block), 'block')}", context, table, tuple(notes))


@_headline.register
def _of_history(history: TrainingHistory) -> Headline:
    shown = {"last": len(history.epoch) - 1}
    if history.best_epoch == history.epoch[-1]:
        shown = {"chosen and last": len(history.epoch) - 1}
    elif history.best_epoch in history.epoch:
        shown = {"chosen": _position(history.epoch, history.best_epoch), **shown}
    rows = {
        f"{what}, {history.epoch[i]}": {
            "T": str(history.timesteps[i]),
            "held-out accuracy": _percent(history.val_accuracy[i]),
            "test accuracy": _percent(history.test_accuracy[i]),
            "test L_SDT": _number(history.test_sdt_loss[i]),
            "test L_TET": _number(history.test_tet_loss[i]),
        }
        for what, i in shown.items()
    }
    origin = history.provenance
    switch = f"switch {history.switch}" if history.switch else ""
    context = (origin.dataset, f"trained on {', '.join(dict.fromkeys(history.trained_on()))}", switch)
    stopped = history.planned_epochs > len(history.epoch)
    planned = f", {history.planned_epochs:,} were planned" if stopped else ""
    title = f"Training history, {_count(len(history.epoch), 'epoch')}{planned}"
    notes = ("losses in nat, of the test split, which chooses nothing",)
    return Headline(title, "; ".join(filter(None, context)), _table(rows, "epoch"), notes)


def _table(rows: dict[str, dict[str, str]], corner: str) -> pd.DataFrame:
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(corner)


def _position(axis: IntArray, value: int) -> int:
    return int(np.flatnonzero(axis == value)[0])


def _first(values: FloatArray) -> float:
    return float(values.flat[0]) if values.size else float("nan")


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _spread(values: FloatArray) -> tuple[float, float, float]:
    known = values[np.isfinite(values)]
    return (known.mean(), known.min(), known.max()) if known.size else (np.nan, np.nan, np.nan)


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.4g}"


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.2f} %"


def _interval(mean: float, low: float, high: float) -> str:
    return _number(mean) if np.isnan(low) else f"{_number(mean)} [{low:.4g}, {high:.4g}]"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
