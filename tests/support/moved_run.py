"""A small training run, and the commands that move its networks: how they are called and what they write."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import Result

from tetviz.results import Curvature, Lines, Sharpness, Surface, Trajectory, load

KEEPING = (
    *("train", "--model", "snn5", "--width", 0.0625, "--timesteps", 2, "--lr", 0.01, "--batch-size", 32),
    *("--data", "npz", "--keep-every", 1),
)


EPOCHS = 3


KEPT = [f"epoch-{k:04d}.pt" for k in range(EPOCHS + 1)]


SAMPLES = ("--samples", 20)


PLANES = ("--planes", 2, "--grid", 5, *SAMPLES)


NOISE = "within the noise of the directions"


# What each command is called with: the network TET, another OTHER, and the first epoch EARLY of one run.
COMMANDS: dict[str, tuple[Any, ...]] = {
    "landscape": ("TET", *PLANES),
    "sharpness": ("TET", *PLANES, "--rho", "0.01,0.1"),
    "line": ("TET", *PLANES),
    "interpolate": ("TET", "OTHER", "--grid", 5, *SAMPLES, "--calibration", 20),
    "connect": ("TET", "OTHER", "--grid", 3, *SAMPLES, "--calibration", 20, "--epochs", 1),
    "trajectory": ("TET", "--grid", 5, *SAMPLES),
    "plane": ("TET", "OTHER", "EARLY", "--grid", 5, *SAMPLES),
    "curvature": (
        *("TET", "--directions", 3, "--radii", "0.03,0.3", "--eigenvalues", 2, "--trace-probes", 2),
        *("--lanczos-steps", 3, *SAMPLES),
    ),
}


KINDS: dict[str, type[Any]] = {
    "landscape": Surface,
    "sharpness": Sharpness,
    "line": Lines,
    "interpolate": Lines,
    "connect": Lines,
    "trajectory": Trajectory,
    "plane": Trajectory,
    "curvature": Curvature,
}


NAMES = {
    "landscape": "tet.landscape.h5",
    "sharpness": "tet.sharpness.h5",
    "line": "tet.line.h5",
    "interpolate": "tet-other.path.h5",
    "connect": "tet-other.curve.h5",
    "trajectory": "tet.trajectory.h5",
    "plane": "tet.plane.h5",
    "curvature": "tet.curvature.h5",
}


def last_line(result: Result) -> str:
    return result.stderr.strip().splitlines()[-1]


def no_figure(*_: Any, **__: Any) -> None:
    return None


def empty_figure(_: Any, path: Path, source: str) -> None:
    path.write_bytes(f"drawn tEXttetviz-source\0{source}".encode())


@contextmanager
def undrawn() -> Iterator[pytest.MonkeyPatch]:
    """Figures take most of the time of a small run; most tests are not about them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw", "draw_surface"):
            patch.setattr(f"tetviz.figures.{name}", no_figure)
        patch.setattr("tetviz.commands.measure.save_figure", empty_figure)
        yield patch


def command_of(name: str, tet: Path) -> list[Any]:
    places = {word: tet.with_name(f"{word.lower()}.pt") for word in ("TET", "OTHER", "EARLY", "SAME", "CHANCE")}
    return [name, *(places.get(arg, arg) if isinstance(arg, str) else arg for arg in COMMANDS[name])]


def result_of(name: str, tet: Path) -> Any:
    return load(tet.with_name(NAMES[name]), KINDS[name])


# Long sums of float32 in an order of their own; what is measured is the same to the last bit.
ROUNDED = {"bin", "density", "eigenvalue", "eigenvalue_residual", "surrogate_curvature", "trace_estimate", "slope"}


def same_datasets(one: Path, other: Path) -> None:
    with h5py.File(one) as a, h5py.File(other) as b:
        assert set(a) == set(b)
        for name in a:
            if name in ROUNDED:
                size = np.abs(b[name][...]).max()
                np.testing.assert_allclose(a[name][...], b[name][...], rtol=1e-3, atol=1e-3 * size + 1e-3)
            elif isinstance(a[name], h5py.Dataset):
                assert a[name][...].tobytes() == b[name][...].tobytes(), name


def rise(values: np.ndarray, x: np.ndarray, r: float) -> float:
    """Mean over lines of the loss at +r and -r, minus that at 0."""
    at = {float(c): i for i, c in enumerate(x)}
    return float(np.mean((values[:, at[r]] + values[:, at[-r]]) / 2 - values[:, at[0.0]]))


def quantities(rows: list[dict[str, Any]], loss: str) -> dict[str, dict[str, Any]]:
    return {row["quantity"]: row for row in rows if row["loss"] == loss and "checkpoint" in row}


def attributes(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        return dict(file.attrs)
