"""Results with known content: quadratic bowls and closed-form curves."""

from typing import Any

import numpy as np

from tetviz.results import Provenance, ScalingCurve, Surface


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
        "axis": np.arange(2),
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
        "provenance": Provenance(label=label, dataset="cifar10", split="test", checkpoint="runs/tet_t4.pt"),
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
        "provenance": Provenance(label=label, dataset="cifar10", split="test"),
    }
    return ScalingCurve(**{**defaults, **attributes})
