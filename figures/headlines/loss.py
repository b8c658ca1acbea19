"""The first numbers of results about the loss around networks: surfaces, lines, curvatures."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tetviz.figures.formatting import NO_NUMBER, interval, number, percent
from tetviz.figures.headlines.parts import Headline, first, position, text_table
from tetviz.results import Curvature, Lines, Result, Surface, Trajectory, default_timestep
from tetviz.results.schema import FloatArray
from tetviz.summaries import barriers, bootstrap_mean, finite_curvature, mean_along, sharpness_table
from tetviz.summaries.names import counted, data_context, lines_context, names_of, surface_context

MOST_ROWS = 12
# Worst cases, curvatures and roughness are in the whole table, sharpness_table.
_FLATNESS = ("loss", "rise", "width", "SAM", "average")


def _of_surface(surface: Surface) -> Headline:
    at = position(surface.timestep, default_timestep(surface))
    centre = np.ix_(np.isclose(surface.y, 0, atol=1e-9), np.isclose(surface.x, 0, atol=1e-9))
    missing = (surface.done == 0)[..., None]
    rows, lost = {}, 0
    for loss in ("sdt", "tet"):
        grid, error = (
            np.where(missing, np.nan, getattr(surface, f"{loss}_loss{suffix}"))[..., at] for suffix in ("", "_se")
        )
        known = grid[np.isfinite(grid)]
        lost = max(lost, int((~np.isfinite(grid) & (surface.done == 1)).sum()))
        here, spread = (first(values[0][centre]) for values in (grid, error))
        rows[f"L_{loss.upper()} (nat)"] = {
            "at (0, 0)": f"{number(here)} ± {number(spread)}" if np.isfinite(spread) else number(here),
            "lowest": number(known.min() if known.size else np.nan),
            "highest": number(known.max() if known.size else np.nan),
        }
    shares = np.where(missing, np.nan, surface.accuracy)[..., at]
    known = shares[np.isfinite(shares)]
    ends = (first(shares[0][centre]), known.min() if known.size else np.nan, known.max() if known.size else np.nan)
    rows["accuracy"] = dict(zip(("at (0, 0)", "lowest", "highest"), map(percent, ends), strict=True))
    notes = [f"{lost:,} measured points have no finite loss"] if lost else []
    if len(surface.plane) == 1 and surface.direction_seed.min() >= 0:
        notes.append("one random plane is one sample of all of them")
    notes.append("± is one standard error over samples")
    return Headline(
        f"Loss surface, {len(surface.x)} x {len(surface.y)} points on {counted(len(surface.plane), 'plane')}",
        surface_context(surface),
        text_table(rows, f"T = {surface.timestep[at]}"),
        tuple(notes),
    )


def _of_trajectory(trajectory: Trajectory) -> Headline:
    at = position(trajectory.timestep, default_timestep(trajectory))
    points = len(trajectory.point)
    shown = np.unique(np.linspace(0, points - 1, min(points, MOST_ROWS)).round().astype(int))
    names = names_of(trajectory.names, points, "checkpoint")
    rows = {}
    for i in shown:
        rows[names[i]] = {"distance": number(trajectory.distance[i]), "residual": number(trajectory.residual[i])}
        for loss in ("sdt", "tet"):
            for what, where in (("true", ""), ("projected", " on the plane")):
                value = getattr(trajectory, f"{what}_{loss}_loss")[i, at]
                rows[names[i]][f"L_{loss.upper()}{where}"] = number(value)
        rows[names[i]]["accuracy"] = percent(trajectory.true_accuracy[i, at])
    hidden = [f"{len(shown)} of {points} checkpoints are listed"] if len(shown) < points else []
    trust = "believe the surface at a checkpoint only where its loss on the plane is near its own"
    title = (
        "Path of a training on its principal plane" if trajectory.path == "training" else "Plane through checkpoints"
    )
    return Headline(
        f"{title}, {counted(points, 'checkpoint')}",
        surface_context(trajectory),
        text_table(rows, f"T = {trajectory.timestep[at]}"),
        (*hidden, trust),
    )


def _of_lines(lines: Lines) -> Headline:
    step = default_timestep(lines)
    if lines.path == "random":
        columns = {}
        for loss in ("sdt", "tet"):
            table = sharpness_table([lines], loss, step).droplevel(0, axis=1)
            columns[f"L_{loss.upper()}"] = [interval(*row) for row in table.itertuples(index=False)]
            index = table.index
        frame = pd.DataFrame(columns, index=index)
        frame = frame[frame.index.str.startswith(_FLATNESS) & ~(frame == NO_NUMBER).all(axis=1)]
        planes = len(lines.line) // 2
        title = f"Flatness along {counted(len(lines.line), 'line')}" + ", SAM and random steps" * (
            lines.kind == "sharpness"
        )
        notes = (
            f"mean over {counted(planes, 'plane')} [95 % bootstrap interval over planes], in nat where it is a loss",
        )
        return Headline(title, lines_context(lines), frame.rename_axis(f"T = {step}"), notes)
    rows = {
        name: {f"{what}, L_{loss.upper()}": "" for what in ("barrier", "mean along") for loss in ("sdt", "tet")}
        for name in names_of(lines.names, len(lines.line), "line")
    }
    for loss in ("sdt", "tet"):
        for what, found in (("barrier", barriers(lines, loss, step)), ("mean along", mean_along(lines, loss, step))):
            for name, value in found.items():
                rows[name][f"{what}, L_{loss.upper()}"] = number(value)
    title = (
        "Straight line between two checkpoints" if lines.path == "linear" else "Trained curve between two checkpoints"
    )
    return Headline(title, lines_context(lines), text_table(rows, f"T = {step}"), ("losses in nat",))


def _of_curvature(result: Curvature) -> Headline:
    step = default_timestep(result)
    bend = bootstrap_mean(finite_curvature(result, step))
    rows = {
        f"at {radius:g} |w|": {"curvature (nat)": interval(*bounds)}
        for radius, *bounds in zip(result.radius, bend.mean, bend.low, bend.high, strict=True)
    }
    rows = {"surrogate Hessian, mean of v'Hv": {"curvature (nat)": number(_mean(result.surrogate_curvature))}, **rows}
    rows["surrogate Hessian, largest eigenvalue"] = {"curvature (nat)": number(first(result.eigenvalue))}
    rows["surrogate Hessian, trace"] = {"curvature (nat)": number(_mean(result.trace_estimate))}
    notes = [result.note] if result.note else []
    notes.append("the surrogate Hessian is not the curvature of the measured loss")
    notes.append(f"[95 % bootstrap interval over {counted(len(result.direction), 'direction')}]")
    return Headline(
        f"Curvature of L_{result.loss.upper()}, {result.parameters:,} parameters",
        "; ".join(filter(None, (data_context(result), "BN statistics frozen", result.policy))),
        text_table(rows, f"T = {step}"),
        tuple(notes),
    )


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else float("nan")


MADE: dict[type[Result], Callable[[Any], Headline]] = {
    Surface: _of_surface,
    Trajectory: _of_trajectory,
    Lines: _of_lines,
    Curvature: _of_curvature,
}
