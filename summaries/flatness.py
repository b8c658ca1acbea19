"""Flatness in numbers: what lines through a checkpoint say, plane by plane, and how two checkpoints differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tetviz.errors import ResultError
from tetviz.results import Lines, Provenance, Sharpness, Surface, default_timestep
from tetviz.results.schema import FloatArray, IntArray, attribute_fields
from tetviz.summaries.intervals import mean_interval
from tetviz.summaries.names import LOSSES, network_name, network_names

RADII = (0.1, 0.25, 0.5, 1.0)
WIDTH_RISE = 0.1
FEW_PLANES = 5
AT_CHECKPOINT = "loss at the checkpoint"


@dataclass(frozen=True)
class Difference:
    """How one quantity differs between two checkpoints on the same noise.

    Attributes:
        quantity: such as ``rise at r = 0.5``.
        first: name of the first checkpoint.
        second: name of the second.
        loss: ``sdt`` or ``tet``.
        mean: mean over planes of second minus first.
        low: lower end of its 95 % interval; NaN for a single plane.
        high: upper end.
        p: two-sided p-value of a difference of 0; NaN for a single plane.
        planes: number of planes.
        timesteps: T of the first and of the second.
    """

    quantity: str
    first: str
    second: str
    loss: str
    mean: float
    low: float
    high: float
    p: float
    planes: int
    timesteps: tuple[int, int]

    @property
    def leaves_out_zero(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    @property
    def is_resolved(self) -> bool:
        """Whether the interval leaves out 0, and rests on five planes or more; few tell nothing of their shape."""
        return self.leaves_out_zero and self.planes >= FEW_PLANES

    def sentence(self) -> str:
        """The difference in words.

        Returns:
            Which of the two is flatter and by how much, or that the noise of the directions hides it; with their T
            where these differ.
        """
        first, second = self._names()
        where = f"L_{self.loss.upper()}, {self.quantity}"
        over = f"over {self.planes} plane{'s' * (self.planes != 1)}"
        if math.isnan(self.low):
            return (
                f"{where}: {second} minus {first} is {self.mean:.4g} {over}; an interval takes at least "
                "two planes with a value, so nothing is said about the noise of the directions"
            )
        size = f"[{self.low:.4g}, {self.high:.4g}] {over}"
        if self.leaves_out_zero and not self.is_resolved:
            return (
                f"{where}: {second} minus {first} is {self.mean:.4g} {size}; fewer than {FEW_PLANES} planes "
                "are too few to tell it from the noise of the directions"
            )
        if not self.is_resolved:
            return (
                f"{where}: the difference {second} minus {first}, {self.mean:.4g} {size}, is within the "
                "noise of the directions"
            )
        smaller, larger = (second, first) if self.mean < 0 else (first, second)
        flatter, other = (larger, smaller) if self.quantity.startswith("width") else (smaller, larger)
        what = "smoother" if self.quantity == "roughness" else "flatter"
        low, high = sorted((abs(self.low), abs(self.high)))
        return f"{where}: {flatter} is {what} than {other} by {abs(self.mean):.4g} [{low:.4g}, {high:.4g}] {over}"

    def _names(self) -> tuple[str, ...]:
        named = zip((self.first, self.second), self.timesteps, strict=True)
        return tuple(f"{name} at T = {t}" if len(set(self.timesteps)) > 1 else name for name, t in named)


def axis_lines(surface: Surface) -> Lines:
    """The lines of a surface's planes along their axes, through the checkpoint.

    Args:
        surface: a surface whose x and y are the same and hold 0.

    Returns:
        The lines, two a plane.

    Raises:
        ResultError: x and y differ, or 0 is not among them.
    """
    centre = np.flatnonzero(surface.x == 0)
    if not np.array_equal(surface.x, surface.y) or not len(centre):
        raise ResultError("a sharpness table needs a surface with the same x and y, and 0 among them")
    names = ("sdt_loss", "tet_loss", "accuracy", "step_accuracy", "sdt_loss_se", "tet_loss_se", "done")
    taken: dict[str, Any] = {}
    for name in names:
        grid = getattr(surface, name)
        pair = np.stack([grid[:, centre[0]], grid[:, :, centre[0]]], axis=1)
        taken[name] = pair.reshape(-1, *pair.shape[2:])
    lines = 2 * len(surface.plane)
    taken |= {f"end_{name}": np.empty((0, len(surface.timestep))) for name in names[:3]}
    taken |= {name: getattr(surface, name) for name in attribute_fields(Surface) if name in attribute_fields(Lines)}
    return Lines(
        line=np.arange(lines),
        x=surface.x,
        timestep=surface.timestep,
        sample=surface.sample,
        calibration=surface.calibration,
        end=np.arange(0),
        direction_seed=surface.direction_seed.ravel(),
        arc=np.full((lines, len(surface.x)), np.nan),
        **taken,
        provenance=surface.provenance,
    )


def table_radii(x: FloatArray) -> tuple[float, ...]:
    """The distances that a table of lines has rows for."""
    both = sorted(r for r in x[x > 0].tolist() if _pair(x, r))
    found = tuple(r for r in RADII if _pair(x, r))
    if found or not both:
        return found
    return tuple(share * both[-1] for share in RADII if _pair(x, share * both[-1]))


def plane_values(lines: Lines, loss: str, timestep: int, radii: Sequence[float] | None = None) -> pd.DataFrame:
    """Every flatness number of every plane.

    With L_0 the ``loss at the checkpoint`` and the two lines of a plane along its axes: ``rise`` is the mean of L -
    L_0 at +r and -r; ``worst`` the largest L - L_0 within r; ``curvature`` the mean of (L(r) + L(-r) - 2 L_0) /
    r^2; ``width`` the mean length of the stretch around 0 where L <= L_0 + 0.1 nat, by linear interpolation (the
    whole line where it never rises so far); ``roughness`` the mean over lines of the largest over the median step
    between neighbouring points: about 2 for a parabola, large for a loss that jumps; ``SAM`` and ``average`` the
    rise of L after a step of the L2 length rho |w|, up the surrogate gradient (one number, no interval) and in a
    random direction.

    Args:
        lines: random lines, two a plane.
        loss: ``sdt`` or ``tet``.
        timestep: number of timesteps.
        radii: distances r; one that is no coordinate of the lines gives NaN. By default :func:`table_radii`.

    Returns:
        A row for each plane, a column for each number; NaN where a point is missing or not finite.

    Raises:
        ResultError: the lines are no random lines through one checkpoint, or do not hold the timestep.
    """
    if lines.path != "random":
        raise ResultError(f"a sharpness table takes random lines through a checkpoint, not a {lines.path} path")
    if timestep not in lines.timestep:
        raise ResultError(f"timestep {timestep}: the lines hold 1 to {lines.timestep[-1]}")
    values = known_values(lines, f"{loss}_loss", timestep)
    centre = np.flatnonzero(lines.x == 0)
    if not len(centre):
        raise ResultError("the lines have no point at 0, the checkpoint itself")
    rises = values - values[:, centre]
    columns: dict[str, FloatArray] = {AT_CHECKPOINT: values[:, centre[0]]}
    radii = table_radii(lines.x) if radii is None else radii
    pairs = {radius: _pair(lines.x, radius) for radius in radii}
    nothing = np.full(len(rises), np.nan)
    for r, pair in pairs.items():
        columns[f"rise at r = {r:g}"] = rises[:, pair].mean(1) if pair else nothing
    for r, pair in pairs.items():
        columns[f"worst within r = {r:g}"] = rises[:, np.abs(lines.x) <= r * (1 + 1e-9)].max(1) if pair else nothing
    for r, pair in pairs.items():
        columns[f"curvature at r = {r:g}"] = rises[:, pair].sum(1) / r**2 if pair else nothing
    columns[f"width at +{WIDTH_RISE:g} nat"] = np.array([_width(lines.x, line) for line in rises])
    columns["roughness"] = np.array([_roughness(lines.x, line) for line in values])
    by_plane = {
        name: np.max(column.reshape(-1, 2), 1) if name.startswith("worst") else column.reshape(-1, 2).mean(1)
        for name, column in columns.items()
    }
    if isinstance(lines, Sharpness):
        by_plane |= _steps(lines, *step_rises(lines, loss, timestep, float(values[0, centre[0]])))
    return pd.DataFrame(by_plane, index=pd.Index(range(1, len(rises) // 2 + 1), name="plane"))


def sharpness_table(
    results: Sequence[Lines], loss: str, timestep: int, radii: Sequence[float] | None = None
) -> pd.DataFrame:
    """Flatness of several checkpoints, each number with its 95 % interval over planes.

    Args:
        results: random lines of each checkpoint.
        loss: ``sdt`` or ``tet``.
        timestep: number of timesteps.
        radii: distances r, as in :func:`plane_values`.

    Returns:
        A row for each number; for each checkpoint the columns ``(name, mean | low | high)``.
    """
    tables = {}
    for name, lines in zip(network_names(results), results, strict=True):
        values = plane_values(lines, loss, timestep, radii)
        interval = mean_interval(values.to_numpy())
        one = values.nunique(dropna=False).to_numpy() == 1
        bounds = (np.where(one, np.nan, end) for end in (interval.low, interval.high))
        columns = dict(zip(("mean", "low", "high"), (interval.mean, *bounds), strict=True))
        tables[name] = pd.DataFrame(columns, index=values.columns)
    return pd.concat(tables, axis=1)


def compare_sharpness(
    first: Lines, second: Lines, loss: str, timestep: int | None = None, radii: Sequence[float] | None = None
) -> list[Difference]:
    """Differences between two checkpoints along the same noise, plane by plane (paired).

    Args:
        first: random lines of a checkpoint.
        second: of another, along directions of the same seeds.
        loss: ``sdt`` or ``tet``.
        timestep: number of timesteps; by default the training T of each.
        radii: distances r, as in :func:`plane_values`.

    Returns:
        A difference, second minus first, for each number that has an interval.

    Raises:
        ResultError: the two were not measured alike.
    """
    if min(first.direction_seed.min(), second.direction_seed.min()) < 0:
        raise ResultError("the seeds of some directions are not known: nobody can tell whether the noise is the same")
    for name in ("plane_seed", "direction_seed", "norm", "policy", "orthogonal", "bn", "x", "sample", "calibration"):
        a, b = getattr(first, name), getattr(second, name)
        if not np.array_equal(a, b):
            shown = f" ({a!r} and {b!r})" if isinstance(a, str | int) else ""
            raise ResultError(
                f"the checkpoints were measured with a different {name}{shown}: they cannot be compared plane by "
                "plane; measure both with the same command"
            )
    for name, (a, b) in {
        "dataset": (first.provenance.dataset, second.provenance.dataset),
        "split": (first.provenance.split, second.provenance.split),
        "data_settings": (data_settings(first.provenance), data_settings(second.provenance)),
        "batch_size": (first.provenance.batch_size, second.provenance.batch_size),
        "network": (first.provenance.network, second.provenance.network),
    }.items():
        # Statistics of batches depend on their size, nothing else does.
        if a != b and (name != "batch_size" or first.bn != "frozen"):
            raise ResultError(f"the checkpoints were measured on a different {name} ({a!r} and {b!r})")
    one, other = network_names([first, second])
    steps = timestep or default_timestep(first), timestep or default_timestep(second)
    before, after = (plane_values(each, loss, t, radii) for each, t in zip((first, second), steps, strict=True))
    # What is the same on every plane has no interval.
    single = (AT_CHECKPOINT, "SAM")
    shared = [column for column in before.columns if column in after.columns and not column.startswith(single)]
    gaps = (after[shared] - before[shared]).to_numpy()
    interval = mean_interval(gaps)
    columns = (each.tolist() for each in (interval.mean, interval.low, interval.high, interval.p))
    return [
        Difference(name, one, other, loss, mean, low, high, p, len(gaps), steps)
        for name, mean, low, high, p in zip(shared, *columns, strict=True)
    ]


def differences_from_first(results: Sequence[Lines], timestep: int | None = None) -> list[Difference]:
    """How each checkpoint differs from the first, as :func:`compare_sharpness` has it, under both losses."""
    return [
        difference
        for loss in LOSSES
        for other in results[1:]
        for difference in compare_sharpness(results[0], other, loss, timestep)
    ]


def known_values(lines: Lines, name: str, timestep: int) -> FloatArray:
    """Values along lines (line, x), NaN at every point that is not done or not finite."""
    values = getattr(lines, name)[:, :, timestep - 1]
    return np.where((lines.done == 1) & np.isfinite(values), values, np.nan)


def of_planes(values: FloatArray) -> FloatArray:
    """Means over the two lines of each plane, which are not independent draws."""
    return np.stack([values[start : start + 2].mean(0) for start in range(0, len(values), 2)])


def mean_rises(lines: Lines, loss: str, timestep: int) -> tuple[FloatArray, FloatArray]:
    """Rise of the loss from the centre of each plane: (L(-r) + L(+r)) / 2 - L(0), averaged over its two lines.

    Returns:
        Distances r that are on the grid on both sides, from 0 on, and rises (plane, r), NaN where one is missing.
    """
    rises = of_planes(known_values(lines, f"{loss}_loss", timestep)) - centre_loss(lines, loss, timestep)
    pairs = {r: pair for r in lines.x[lines.x >= 0].tolist() if (pair := _pair(lines.x, r))}
    return np.array(list(pairs)), np.stack([rises[:, pair].mean(1) for pair in pairs.values()], axis=1)


def worst_rises(lines: Lines, loss: str, timestep: int) -> tuple[FloatArray, FloatArray]:
    """The largest rise of the loss within a distance, on both lines of each plane.

    Returns:
        Distances r, from 0 on, and rises (plane, r), NaN from the first point that is missing or not finite.
    """
    rises = known_values(lines, f"{loss}_loss", timestep) - centre_loss(lines, loss, timestep)
    distance = np.abs(lines.x).round(9)
    r = np.unique(distance)
    by_plane = rises.reshape(-1, 2, len(lines.x))
    at_distance = np.stack([by_plane[:, :, distance == each].max((1, 2)) for each in r], axis=1)
    return r, np.maximum.accumulate(at_distance, axis=1)


def step_rises(result: Sharpness, loss: str, timestep: int, centre: float) -> tuple[FloatArray, FloatArray]:
    """Rises of the loss from ``centre`` after one step of each length, NaN where it is not done or not finite.

    Returns:
        Up the surrogate gradient (rho), and in random directions (draw, rho).
    """

    def known(name: str, done: IntArray) -> FloatArray:
        values = getattr(result, f"{name}_{loss}_loss")[..., timestep - 1]
        return np.where((done == 1) & np.isfinite(values), values, np.nan) - centre

    return known("sam", result.sam_done), known("average", result.average_done)


def centre_loss(lines: Lines, loss: str, timestep: int) -> float:
    """The loss at the centre of all lines, which is the checkpoint itself.

    Raises:
        ResultError: it is not measured yet.
    """
    values = known_values(lines, f"{loss}_loss", timestep)[:, lines.x == 0]
    found = values[np.isfinite(values)]
    if not len(found):
        name = network_name(lines.provenance)
        raise ResultError(f"the sharpness of {name} has no loss at its centre yet; finish its measurement first")
    return float(found[0])


def data_settings(origin: Provenance) -> dict[str, Any]:
    """What decides the samples of a data set, besides its name and split.

    The same data may lie in another folder; how they are normalised belongs to the weights.
    """
    return {name: value for name, value in origin.data_settings.items() if name not in ("root", "normalise")}


def _pair(x: FloatArray, radius: float) -> list[int]:
    # Positions of -r and +r, of which both must be coordinates.
    at = [np.flatnonzero(np.isclose(x, side * radius, rtol=1e-9, atol=0)) for side in (-1, 1)]
    return [int(found[0]) for found in at] if all(len(found) for found in at) else []


def _width(x: FloatArray, rises: FloatArray) -> float:
    # Length of the stretch around 0 where the rise is at most WIDTH_RISE.
    if np.isnan(rises).any():
        return math.nan
    centre = int(np.flatnonzero(x == 0)[0])
    ends = []
    for side in (slice(centre, None), slice(centre, None, -1)):
        along, values = np.abs(x[side]), rises[side]
        above = np.flatnonzero(values > WIDTH_RISE)
        if not len(above):
            ends.append(float(along[-1]))
            continue
        i = int(above[0])
        share = (WIDTH_RISE - values[i - 1]) / (values[i] - values[i - 1])
        ends.append(float(along[i - 1] + share * (along[i] - along[i - 1])))
    return sum(ends)


def _roughness(x: FloatArray, values: FloatArray) -> float:
    # Largest over median step; only an even grid has comparable steps.
    if not np.allclose(np.diff(x), x[1] - x[0], rtol=1e-6):
        return math.nan
    steps = np.abs(np.diff(values))
    median = float(np.median(steps))
    return float(steps.max()) / median if median > 0 else math.nan


def _steps(result: Sharpness, sam: FloatArray, average: FloatArray) -> dict[str, FloatArray]:
    columns = {f"SAM at rho = {rho:g}": np.full(len(average), sam[i]) for i, rho in enumerate(result.rho)}
    return columns | {f"average at rho = {rho:g}": average[:, i] for i, rho in enumerate(result.rho)}
