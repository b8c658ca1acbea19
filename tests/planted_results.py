"""Results with known content: quadratic bowls and closed-form curves."""

import dataclasses
import json
from functools import partial
from typing import Any

import numpy as np

from tetviz.results import Curvature, Lines, Provenance, ScalingCurve, Sharpness, Surface, Trajectory

# Two results planted in different seconds are the same.
origin = partial(Provenance, created="2026-11-21T12:00:00+00:00")


def planted_surface(
    *,
    low: float = 0.05,
    high: float = 5.0,
    size: int | tuple[int, int] = 13,
    x_range: tuple[float, float] = (-1.0, 1.0),
    y_range: tuple[float, float] = (-1.0, 1.0),
    timesteps: int = 4,
    planes: int = 1,
    label: str = "VGGSNN TET",
    **attributes: Any,
) -> Surface:
    """A bowl: low at the centre, about high at the corners; the TET loss is 10 % above the SDT loss."""
    rows, columns = (size, size) if isinstance(size, int) else size
    x, y = np.linspace(*x_range, columns), np.linspace(*y_range, rows)
    radius = (x[None, :] ** 2 + y[:, None] ** 2) / (max(map(abs, x_range)) ** 2 + max(map(abs, y_range)) ** 2)
    bowl = low + (high - low) * radius
    steps = np.arange(1, timesteps + 1)
    sdt = np.broadcast_to(bowl[None, :, :, None] * (1 + 1 / steps), (planes, rows, columns, timesteps)).copy() / (
        1 + 1 / timesteps
    )
    defaults: dict[str, Any] = {
        "plane": np.arange(planes),
        "y": y,
        "x": x,
        "timestep": steps,
        "sample": np.arange(1024),
        "calibration": np.arange(0),
        "axis": np.arange(2),
        "axis_cosine": np.zeros(planes),
        "direction_seed": np.arange(2 * planes).reshape(planes, 2),
        "sdt_loss": sdt,
        "tet_loss": 1.1 * sdt,
        "accuracy": np.exp(-sdt),
        "step_accuracy": np.exp(-1.1 * sdt),
        "sdt_loss_se": 0.01 * sdt,
        "tet_loss_se": 0.01 * sdt,
        "done": np.ones((planes, rows, columns)),
        "loss": "tet",
        "plane_seed": 3,
        "t_train": timesteps,
        "provenance": origin(label=label, dataset="cifar10", split="test", checkpoint="runs/tet_t4.pt"),
    }
    return Surface(**{**defaults, **attributes})


def planted_curve(
    *,
    tmax: int = 64,
    t_train: int = 4,
    top: float = 0.9,
    label: str = "VGGSNN TET",
    step_accuracy: Any = None,
    **attributes: Any,
) -> ScalingCurve:
    """Accuracy top * (1 - 2^-T), or a given accuracy for each step."""
    steps = np.arange(1, tmax + 1)
    accuracy = top * (1 - 0.5**steps)
    defaults: dict[str, Any] = {
        "timestep": steps,
        "sample": np.arange(1000),
        "accuracy": accuracy,
        "step_accuracy": 0.95 * accuracy if step_accuracy is None else np.asarray(step_accuracy),
        "sdt_loss": -np.log(accuracy),
        "tet_loss": -np.log(0.95 * accuracy),
        "step_loss": -np.log(0.95 * accuracy),
        "relative_growth": accuracy / accuracy[t_train - 1] - 1 if t_train else np.full(tmax, np.nan),
        "t_train": t_train,
        "provenance": origin(label=label, dataset="cifar10", split="test"),
    }
    return ScalingCurve(**{**defaults, **attributes})


def planted_lines(
    *,
    planes: int = 5,
    size: int = 41,
    low: float = 0.05,
    curvature: float = 2.0,
    spread: float = 0.2,
    jump: float = 0.0,
    timesteps: int = 4,
    label: str = "VGGSNN TET",
    kind: type[Lines] = Lines,
    **attributes: Any,
) -> Any:
    """Parabolas low + c_l x^2 / 2 with c_l = curvature * (1 + spread * sin(1 + l)), a step of ``jump`` at x > 0.3."""
    lines, steps, x = np.arange(2 * planes), np.arange(1, timesteps + 1), np.linspace(-1, 1, size)
    bends = curvature * (1 + spread * np.sin(1 + lines))
    values = low + bends[:, None] * x**2 / 2 + jump * (x > 0.3)
    sdt = values[:, :, None] * (1 + 1 / steps) / (1 + 1 / timesteps)
    defaults: dict[str, Any] = {
        "line": lines,
        "x": x,
        "timestep": steps,
        "sample": np.arange(1024),
        "calibration": np.arange(0),
        "end": np.arange(0),
        "direction_seed": lines,
        "arc": np.broadcast_to(10 * x, (2 * planes, size)).copy(),
        "sdt_loss": sdt,
        "tet_loss": 1.1 * sdt,
        "accuracy": np.exp(-sdt),
        "step_accuracy": np.exp(-1.1 * sdt),
        "sdt_loss_se": 0.01 * sdt,
        "tet_loss_se": 0.01 * sdt,
        "done": np.ones((2 * planes, size)),
        **{f"end_{name}": np.empty((0, timesteps)) for name in ("sdt_loss", "tet_loss", "accuracy")},
        "names": json.dumps([f"plane {line // 2 + 1} {'xy'[line % 2]}" for line in lines]),
        "loss": "sdt",
        "plane_seed": 3,
        "t_train": timesteps,
        "provenance": origin(label=label, dataset="cifar10", split="test", checkpoint="runs/tet_t4.pt"),
    }
    return kind(**{**defaults, **attributes})


def planted_interpolation(
    *, barrier: float = 1.0, path: str = "linear", timesteps: int = 4, **attributes: Any
) -> Lines:
    """L = 0.1 + 0.2 x + a barrier * 4 x (1 - x) hump; the hump halves from one batch-norm treatment to the next."""
    names = ["held", "interpolated", "recalibrated"] if path == "linear" else ["straight", "curve"]
    x, steps = np.linspace(-0.5, 1.5, 41), np.arange(1, timesteps + 1)
    hump = np.where((x > 0) & (x < 1), 4 * x * (1 - x), 0)
    values = np.stack([0.1 + 0.2 * np.clip(x, 0, 1) + barrier * hump / 2**k for k in range(len(names))])
    sdt = values[:, :, None] * (1 + 1 / steps) / (1 + 1 / timesteps)
    end = sdt[1, [10, 30]]
    lines: Lines = planted_lines(
        planes=1,
        timesteps=timesteps,
        **{
            "line": np.arange(len(names)),
            "x": x,
            "end": np.arange(2),
            "direction_seed": np.full(len(names), -1),
            "arc": np.stack([10.0 * x] * len(names)),
            "sdt_loss": sdt,
            "tet_loss": 1.1 * sdt,
            "accuracy": np.exp(-sdt),
            "step_accuracy": np.exp(-1.1 * sdt),
            "sdt_loss_se": 0.01 * sdt,
            "tet_loss_se": 0.01 * sdt,
            "done": np.ones(sdt.shape[:2]),
            "end_sdt_loss": end,
            "end_tet_loss": 1.1 * end,
            "end_accuracy": np.exp(-end),
            "names": json.dumps(names),
            "path": path,
            "bn": "frozen, interpolate, recalibrate" if path == "linear" else "recalibrate",
            "norm": "unit",
            "policy": "",
            "plane_seed": 0,
            "provenance": origin(label="sdt to tet", dataset="cifar10", split="test"),
            **attributes,
        },
    )
    return lines


def planted_sharpness(
    *, planes: int = 5, timesteps: int = 4, sam: float = 0.3, average: float = 0.1, **attributes: Any
) -> Sharpness:
    """Parabolas as in planted_lines; SAM and average losses rise by sam * rho and by average * rho."""
    lines = planted_lines(planes=planes, timesteps=timesteps)
    rho = np.array([0.01, 0.03, 0.1])
    centre = lines.sdt_loss[0, len(lines.x) // 2]
    sam_loss = centre + sam * rho[:, None]
    average_loss = np.broadcast_to(centre + average * rho[:, None], (planes, 3, timesteps)) * np.ones((planes, 1, 1))
    defaults = {
        "rho": rho,
        "draw": np.arange(planes),
        "draw_seed": np.arange(planes),
        "sam_sdt_loss": sam_loss,
        "sam_tet_loss": 1.1 * sam_loss,
        "average_sdt_loss": average_loss,
        "average_tet_loss": 1.1 * average_loss,
        "sam_done": np.ones(3),
        "average_done": np.ones((planes, 3)),
        "weight_norm": 20.0,
    }
    result: Sharpness = planted_lines(planes=planes, timesteps=timesteps, kind=Sharpness, **{**defaults, **attributes})
    return result


def planted_trajectory(*, points: int = 6, path: str = "training", timesteps: int = 4, **attributes: Any) -> Trajectory:
    """A bowl with a spiral of checkpoints that ends at its centre, residuals growing from 0.1 to 0.8."""
    surface = planted_surface(x_range=(-2.0, 12.0), y_range=(-3.0, 3.0), size=(9, 15), timesteps=timesteps)
    fields = {field.name: getattr(surface, field.name) for field in dataclasses.fields(surface)}
    back = np.arange(points)[::-1] / max(1, points - 1)
    true = np.exp(2 * back - 3)[:, None] * np.ones(timesteps)
    losses = {"true": true, "projected": 0.6 * true}
    names = json.dumps([f"epoch {k}" for k in range(points)])
    return Trajectory(
        **{
            **fields,
            "direction_seed": np.full((1, 2), -1),
            "norm": "unit",
            "point": np.arange(points),
            "epoch": np.arange(points),
            "point_x": 10 * back,
            "point_y": 2 * np.sin(4 * back) * back,
            "distance": 12 * back,
            "residual": np.where(back > 0, 0.8 - 0.7 * back, 0),
            **{f"{k}_sdt_loss": v for k, v in losses.items()},
            **{f"{k}_tet_loss": 1.1 * v for k, v in losses.items()},
            **{f"{k}_accuracy": np.exp(-v) for k, v in losses.items()},
            "explained": np.array([0.9, 0.06]),
            "explained_centred": np.array([0.93, 0.05]),
            "names": names if path == "training" else json.dumps([f"network {k}" for k in range(points)]),
            "path": path,
            **attributes,
        }
    )


def planted_curvature(*, directions: int = 8, timesteps: int = 4, finite: bool = True, **attributes: Any) -> Curvature:
    """L(r, side) = 0.05 + slope r + c(r) r^2 / 2 with a curvature c(r) = 4 / (1 + 10 r), in units of weight_norm 10."""
    radius, side, steps = np.array([0.003, 0.01, 0.03, 0.1, 0.3]), np.array([-1, 1]), np.arange(1, timesteps + 1)
    slope = 0.01 * np.sin(1 + np.arange(directions))
    length = 10.0 * radius
    bend = 4 / (1 + 10 * radius) * (1 + 0.1 * np.cos(np.arange(directions)))[:, None]
    values = 0.05 + slope[:, None, None] * side * length[None, :, None] + (bend * length**2 / 2)[:, :, None]
    sdt = values[..., None] * np.ones(timesteps)
    at = np.linspace(-1, 6, 200)
    nan = 1.0 if finite else np.nan
    defaults: dict[str, Any] = {
        "timestep": steps,
        "sample": np.arange(256),
        "rank": np.arange(5),
        "eigenvalue": nan * np.array([5.0, 3.0, 2.0, 1.5, 1.0]),
        "eigenvalue_residual": nan * np.full(5, 1e-4),
        "trace_probe": np.arange(10),
        "trace_estimate": nan * (40 + np.arange(10)),
        "bin": at,
        "density": nan * np.exp(-((at / 0.3) ** 2)) / (0.3 * np.sqrt(np.pi)),
        "direction": np.arange(directions),
        "direction_seed": np.arange(directions),
        "slope": slope,
        "surrogate_curvature": nan * np.full(directions, 0.004),
        "radius": radius,
        "side": side,
        "sdt_loss": sdt,
        "tet_loss": 1.1 * sdt,
        "accuracy": np.exp(-sdt),
        "step_accuracy": np.exp(-sdt),
        "sdt_loss_se": 0.01 * sdt,
        "tet_loss_se": 0.01 * sdt,
        "done": np.ones(sdt.shape[:3]),
        "base": np.arange(2),
        "base_seed": np.arange(2 * directions).reshape(directions, 2),
        "shifted_sdt_loss": np.stack([sdt, sdt], axis=1) + 0.1,
        "shifted_tet_loss": 1.1 * np.stack([sdt, sdt], axis=1) + 0.1,
        "shifted_done": np.ones((directions, 2, len(radius), 2)),
        "center_sdt_loss": np.full(timesteps, 0.05),
        "center_tet_loss": np.full(timesteps, 0.055),
        "policy": "random weight; hold bias, norm, neuron",
        "parameters": 10000,
        "weight_norm": 10.0,
        "gradient_norm": 0.2,
        "note": "" if finite else "the double backward pass is not finite",
        "t_train": timesteps,
        "provenance": origin(label="VGGSNN TET", dataset="cifar10", split="test"),
    }
    return Curvature(**{**defaults, **attributes})
