"""Loss surfaces as the page draws them: compact arrays, and the scales that compared surfaces share."""

import base64
import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from tetviz.errors import ResultError
from tetviz.figures.formatting import axis_label
from tetviz.figures.plots.levels import choose_scale
from tetviz.figures.plots.style import COLORMAP
from tetviz.figures.report.blocks import Surfaces
from tetviz.results import Surface, default_timestep
from tetviz.results.schema import FloatArray
from tetviz.summaries.names import LOSSES, network_names

MOST_STEPS = 16
NO_ORIGIN = "The network itself, at (0, 0), is no point of this grid."
_VALUES = ("sdt_loss", "tet_loss", "sdt_loss_se", "tet_loss_se", "accuracy")


def surface_block(surfaces: Sequence[Surface]) -> Surfaces:
    """Surfaces along the same directions, to turn and to point at.

    Losses are sent in single precision, of which the page shows four digits. All scales are chosen here: one for all
    values of all surfaces, one for each loss and T, and one for each surface alone.
    """
    for surface in surfaces:
        if min(len(surface.x), len(surface.y)) < 2:
            raise ResultError(f"a grid of {len(surface.y)} x {len(surface.x)} points is no surface")
    names = network_names(surfaces)
    steps = shown_timesteps(surfaces)
    losses = [loss for loss in LOSSES if any(_finite(surface, loss).any() for surface in surfaces)]
    if not losses:
        raise ResultError("no point has a finite value yet")
    planes = max(len(surface.plane) for surface in surfaces)
    first = surfaces[0]
    data = {
        "timesteps": steps,
        "losses": losses,
        "planes": planes,
        "start": {
            "timestep": steps.index(default_timestep(first)),
            "loss": first.loss if first.loss in losses else losses[0],
        },
        "scales": _scales(surfaces, losses, steps, planes),
        "colours": _colours(),
        "panels": [_panel(surface, name, steps, losses) for surface, name in zip(surfaces, names, strict=True)],
    }
    return Surfaces(data, tuple(_words(surface, name) for surface, name in zip(surfaces, names, strict=True)))


def shown_timesteps(surfaces: Sequence[Surface]) -> list[int]:
    """The T of the slider."""
    held = sorted({int(t) for surface in surfaces for t in surface.timestep})
    if len(held) <= MOST_STEPS:
        return held
    trained = {default_timestep(surface) for surface in surfaces}
    return [t for t in held if t & (t - 1) == 0 or t in trained or t == held[-1]]


def _finite(surface: Surface, loss: str) -> FloatArray:
    values = getattr(surface, f"{loss}_loss")
    done = (surface.done == 1)[..., None]
    return np.asarray(values[done & np.isfinite(values)])


def _values(surface: Surface, name: str, steps: Sequence[int]) -> FloatArray:
    # (timestep, plane, y, x); NaN where a point is not done, not finite, or not measured at that T.
    values = getattr(surface, name)
    known = np.where((surface.done == 1)[..., None] & np.isfinite(values), values, np.nan)
    at = {int(t): position for position, t in enumerate(surface.timestep)}
    nothing = np.full(known.shape[:-1], np.nan)
    return np.stack([known[..., at[t]] if t in at else nothing for t in steps])


def _panel(surface: Surface, name: str, steps: Sequence[int], losses: Sequence[str]) -> dict[str, Any]:
    sent = [each for each in _VALUES if each[:3] in losses or each == "accuracy"]
    done = surface.done == 1
    return {
        "name": name,
        "x": [float(f"{value:.12g}") for value in surface.x],
        "y": [float(f"{value:.12g}") for value in surface.y],
        "labels": [html.escape(axis_label(axis, surface.norm), quote=False) for axis in "xy"],
        "planes": len(surface.plane),
        "timesteps": [int(t) in surface.timestep for t in steps],
        "trained": surface.t_train,
        "done": _packed(done, np.uint8),
        "points": [int(plane.size) for plane in done],
        "measured": [int(plane.sum()) for plane in done],
        "not_finite": {
            loss: [
                [int((plane & np.isnan(values)).sum()) for plane, values in zip(done, at, strict=True)]
                for at in _values(surface, f"{loss}_loss", steps)
            ]
            for loss in losses
        },
        "values": {each: _packed(_values(surface, each, steps), np.float32) for each in sent},
    }


def _packed(values: Any, dtype: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=np.dtype(dtype).newbyteorder("<")).tobytes()).decode()


def _scales(surfaces: Sequence[Surface], losses: Sequence[str], steps: Sequence[int], planes: int) -> dict[str, Any]:
    values = {loss: [_values(surface, f"{loss}_loss", steps) for surface in surfaces] for loss in losses}

    def of_step(loss: str, step: int, plane: int) -> dict[str, Any] | None:
        return _scale([each[step, plane] for each in values[loss] if plane < each.shape[1]])

    return {
        "all": _scale([each for loss in losses for each in values[loss]]),
        "step": {loss: [[of_step(loss, s, p) for p in range(planes)] for s in range(len(steps))] for loss in losses},
        "own": {
            loss: [
                [[_scale([each[s, p]]) for p in range(each.shape[1])] for s in range(len(steps))]
                for each in values[loss]
            ]
            for loss in losses
        },
    }


def _scale(values: Sequence[FloatArray]) -> dict[str, Any] | None:
    known = [each for each in values if np.isfinite(each).any()]
    if not known:
        return None
    scale = choose_scale(known)
    top = max(float(np.nanmax(each)) for each in known)
    height = [0.0, top] if scale.is_log else [float(scale.levels[0]), float(scale.levels[-1])]
    return {"levels": [float(f"{level:.12g}") for level in scale.levels], "log": scale.is_log, "height": height}


def _colours(count: int = 17) -> list[str]:
    import matplotlib
    from matplotlib.colors import to_hex

    return [to_hex(matplotlib.colormaps[COLORMAP](position)) for position in np.linspace(0, 1, count)]


def _words(surface: Surface, name: str) -> dict[str, str]:
    x, y = surface.x, surface.y
    where = f"{len(x)} x {len(y)} points, x from {x[0]:g} to {x[-1]:g}, y from {y[0]:g} to {y[-1]:g}"
    what = f"of {name} on {where}; the two sliders below read it off at any point"
    return {
        "name": name,
        "origin": "" if 0 in x and 0 in y else NO_ORIGIN,
        "relief": f"Loss surface {what}.",
        "map": f"Contour map of the loss {what}.",
    }
