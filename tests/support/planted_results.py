"""Results with known content: quadratic bowls and closed-form curves."""

import dataclasses
from functools import partial
from typing import Any

import numpy as np

from tetviz.results import (
    Curvature,
    Lines,
    OperationCounts,
    Provenance,
    ScalingCurve,
    Sharpness,
    Surface,
    TrainingHistory,
    Trajectory,
)

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
    """Accuracy top * (1 - 2^-T), or a given accuracy for each step; the first so many samples are right.

    There are 10 classes; sample i of N has the margin (1 - i / N) (1 - 2^-T) and the entropy 1 - margin.
    """
    steps = np.arange(1, tmax + 1)
    accuracy = top * (1 - 0.5**steps)
    sample = np.asarray(attributes.get("sample", np.arange(1000)))
    place, classes = np.arange(len(sample))[:, None], np.arange(len(sample)) % 10
    margin = (1 - place / len(sample)) * (1 - 0.5**steps)

    def predicted(shares: Any) -> Any:
        return (classes[:, None] + (place >= np.rint(len(sample) * np.asarray(shares)))) % 10

    defaults: dict[str, Any] = {
        "timestep": steps,
        "sample": sample,
        "output_class": np.arange(0),
        "label": classes,
        "prediction": predicted(accuracy),
        "step_prediction": predicted(0.95 * accuracy if step_accuracy is None else step_accuracy),
        "margin": margin.astype(np.float32),
        "entropy": (1 - margin).astype(np.float32),
        "outputs": np.empty((len(sample), tmax, 0)),
        "num_classes": 10,
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
        "names": tuple([f"plane {line // 2 + 1} {'xy'[line % 2]}" for line in lines]),
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
            "names": tuple(names),
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
    names = tuple([f"epoch {k}" for k in range(points)])
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
            "names": names if path == "training" else tuple(f"network {k}" for k in range(points)),
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
        "repeat": np.arange(4),
        "repeat_density": nan * np.linspace(0.9, 1.1, 4)[:, None] * np.exp(-((at / 0.3) ** 2)) / (0.3 * np.sqrt(np.pi)),
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


# name, module, input, dense and in-bounds pairs of one step and sample, neurons, weights, elements normalised
PLANTED_LAYERS = (
    ("conv1", "Conv2d", "data", 6912, 5808, 0, 108, 0),
    ("bn1", "BatchNorm2d", "", 0, 0, 0, 0, 256),
    ("lif1", "LIF", "", 0, 0, 256, 0, 0),
    ("conv2", "Conv2d", "binary", 4608, 3872, 0, 288, 0),
    ("bn2", "BatchNorm2d", "", 0, 0, 0, 0, 128),
    ("lif2", "LIF", "", 0, 0, 128, 0, 0),
    ("pool", "AvgPool2d", "", 0, 0, 0, 0, 0),
    ("conv3", "Conv2d", "pooled", 1152, 512, 0, 288, 0),
    ("bn3", "BatchNorm2d", "", 0, 0, 0, 0, 32),
    ("lif3", "LIF", "", 0, 0, 32, 0, 0),
    ("conv4", "Conv2d", "graded", 256, 256, 0, 64, 0),
    ("lif4", "LIF", "", 0, 0, 32, 0, 0),
    ("fc", "Linear", "binary", 320, 320, 0, 320, 0),
)


def planted_counts(
    *, timesteps: int = 4, samples: int = 100, t_train: int = 4, label: str = "VGGSNN TET", **attributes: Any
) -> OperationCounts:
    """PLANTED_LAYERS on static images, every neuron and pair firing at the rate (2 + t % 3) / 20 of step t."""
    names, modules, inputs, *sizes = zip(*PLANTED_LAYERS, strict=True)
    steps, classes = np.arange(1, timesteps + 1), np.array(inputs)[:, None]
    dense, inbounds, neurons, weights, normed = np.array(sizes)[:, :, None]
    every = samples * np.ones(timesteps, dtype=int)
    firing = samples * (2 + steps % 3)  # twentieths
    spikes, pairs = neurons * firing // 20, inbounds * firing // 20
    nothing = 0 * spikes
    defaults: dict[str, Any] = {
        "layer": np.arange(len(names)),
        "timestep": steps,
        "sample": np.arange(samples),
        "dense_mac": dense * every,
        "inbounds_mac": inbounds * every,
        "mac": np.where(
            classes == "data", inbounds * every, np.where(np.isin(classes, ["pooled", "graded"]), pairs, 0)
        ),
        "ac": np.where(classes == "binary", pairs, 0),
        "unit_ac": np.where(classes == "pooled", 3 * pairs // 2, np.where(classes == "graded", 5 * pairs // 4, 0)),
        "unit_mac": np.where(np.isin(classes, ["pooled", "graded"]), pairs, 0),
        "bias_add": np.where(np.array(names)[:, None] == "fc", 10 * every, normed * every),
        "norm_mac": normed * every,
        "residual_add": np.where(np.array(names)[:, None] == "lif3", 32 * every, 0),
        "pool_add": np.where(np.array(names)[:, None] == "pool", 128 * firing // 20, 0),
        "readout_add": np.where(np.array(names)[:, None] == "fc", 10 * every, 0),
        "neuron_mul": neurons * every,
        "neuron_add": neurons * every,
        "neuron_compare": neurons * every,
        "neuron_reset": spikes,
        "spikes": spikes,
        "never_fired": neurons // (3 + steps) + nothing,
        "always_fired": neurons // (8 * steps) + nothing,
        "neurons": neurons[:, 0],
        "weights": weights[:, 0],
        "static": np.isin(names, ["conv1"]),
        "foldable": np.isin(inputs, ["pooled", "graded"]) | (normed[:, 0] > 0),
        "accuracy": 0.9 * (1 - 0.5**steps),
        "step_accuracy": 0.85 * (1 - 0.5**steps),
        "sdt_loss": 1 / steps,
        "tet_loss": 1.1 / steps,
        "names": tuple(names),
        "modules": tuple(modules),
        "inputs": tuple(inputs),
        "t_train": t_train,
        "provenance": origin(label=label, dataset="cifar10", split="test", checkpoint="runs/tet_t4.pt"),
    }
    return OperationCounts(**{**defaults, **attributes})


def planted_history(
    *,
    loss: str = "sdt",
    switch: str = "",
    stages: tuple[str, ...] = ("4:30",),
    done: int | None = None,
    label: str = "VGGSNN SDT",
    **attributes: Any,
) -> TrainingHistory:
    """Losses that fall by exp(-epoch / 8), faster by half after the switch; best at the last multiple of 5."""
    lengths = [int(stage.partition("@")[0].partition(":")[2]) for stage in stages]
    planned = sum(lengths)
    epoch = np.arange(1, 1 + (planned if done is None else done))
    after, second = (int(switch.partition("@")[2]), switch.partition("@")[0]) if switch else (planned, loss)
    switched = epoch > after
    sdt = 0.05 + 2.2 * np.exp(-(epoch + 0.5 * np.maximum(epoch - after, 0)) / 8)
    losses = list(dict.fromkeys([loss, second] if switched.any() else [loss]))
    stage = np.searchsorted(np.cumsum(lengths), epoch)
    steps = np.array([int(each.partition(":")[0]) for each in stages])
    defaults: dict[str, Any] = {
        "epoch": epoch,
        "stage": stage,
        "timesteps": steps[stage],
        "loss_index": np.where(switched, losses.index(second if switched.any() else loss), 0),
        "lr": 1e-3 * (1 + np.cos(np.pi * epoch / planned)) / 2,
        "train_loss": 0.5 * sdt * np.where(switched == (loss == "sdt"), 1.2, 1.0),
        **{f"{split}_sdt_loss": sdt for split in ("val", "test")},
        **{f"{split}_tet_loss": 1.2 * sdt for split in ("val", "test")},
        **{f"{split}_accuracy": np.exp(-0.4 * sdt) for split in ("val", "test")},
        "losses": tuple(losses),
        "stages": tuple(stages),
        "switch": switch,
        "best_epoch": len(epoch) // 5 * 5,
        "planned_epochs": planned,
        "provenance": origin(label=label, dataset="cifar10", checkpoint="runs/sdt.last.pt"),
    }
    return TrainingHistory(**{**defaults, **attributes})
