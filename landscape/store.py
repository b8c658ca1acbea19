"""Filling a result point by point, in memory or in a file that a stopped run goes on with."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from tetviz.errors import ResultError
from tetviz.landscape.evaluator import Evaluator
from tetviz.results import MEASURED, Provenance, Result, load, open_result, save
from tetviz.results.schema import array_fields, attribute_fields
from tetviz.training import TemporalProfile
from tetviz.training.profile import measured_on

Point = tuple[int, ...]
_R = TypeVar("_R", bound=Result)


@dataclass(frozen=True)
class Part:
    """Points of a measurement that are measured alike.

    Attributes:
        at: measures a network at a point. It goes to other processes with what it refers to, so it refers to no more
            than it needs.
        points: indices into the arrays of the result, in the order of measurement.
        prefix: of the names of the arrays, such as ``average_``.
    """

    at: Callable[[Evaluator, Point], TemporalProfile]
    points: Sequence[Point]
    prefix: str = ""


Measured = tuple[Part, Point, TemporalProfile]
# Measures the points of parts, in whatever order they are finished.
Pool = Callable[[Evaluator, Iterable[Part]], Iterator[Measured]]


def in_this_process(evaluator: Evaluator, parts: Iterable[Part]) -> Iterator[Measured]:
    """Measures point by point, one part after the other."""
    return ((part, point, part.at(evaluator, point)) for part in parts for point in part.points)


# What is stored of a checkpoint itself, beside the points around it.
AT_CHECKPOINTS = ("sdt_loss", "tet_loss", "accuracy")
# Coordinates and attributes that a measurement finds, and so does not ask for.
_FOUND_OUT = ("bin", "repeat", "gradient_norm", "note")


@dataclass(frozen=True)
class Store:
    """Where the points of a measurement go.

    Args:
        path: file that every finished point is written to; None keeps them in memory. If it holds a part of the
            same measurement, only the rest is computed.
        force: replace the file instead.
        provenance: what the caller knows of the origin; device, precision and request are filled in.
        progress: called with (points done, points in all).
        pool: measures the points; this process by default.
    """

    path: str | Path | None = None
    force: bool = False
    provenance: Provenance | None = None
    progress: Callable[[int, int], None] | None = None
    pool: Pool = in_this_process

    def describe(self, evaluator: Evaluator, request: str) -> Provenance:
        """The provenance of a result.

        Args:
            evaluator: what measures it.
            request: from :meth:`Evaluator.request`.

        Returns:
            All that is known of its origin.
        """
        return dataclasses.replace(measured_on(evaluator.model, self.provenance), request=request)

    def finish(self, empty: _R, fill: Callable[[_R], None]) -> _R:
        """Fills a result.

        Args:
            empty: the result before anything is measured; it decides what a file must hold to be gone on with.
            fill: measures what is not done yet, into the arrays of the result that it is given.

        Returns:
            The result, read back from the file if there is one.

        Raises:
            ResultError: the file holds another result.
        """
        if self.path is None:
            fill(empty)
            return empty
        if self.force or not Path(self.path).exists():
            save(self.path, empty)
        else:
            check_same(self.path, empty)
        with open_result(self.path) as stored:
            fill(cast(_R, stored))
        return load(self.path, type(empty))

    def visit(self, result: Any, evaluator: Evaluator, parts: Iterable[Part]) -> None:
        """Measures the points that are not done, each marked done only once it is written.

        Args:
            result: has ``done`` over the axes of a point, and measured arrays with a timestep axis behind.
            evaluator: what is measured.
            parts: what to measure, asked for one after the other.
        """
        for part, point, profile in self.pool(evaluator, self._left(result, parts)):
            for name in MEASURED:
                if hasattr(result, part.prefix + name):
                    getattr(result, part.prefix + name)[point] = getattr(profile, name)
            getattr(result, f"{part.prefix}done")[point] = 1
            self.report(result)

    @staticmethod
    def _left(result: Any, parts: Iterable[Part]) -> Iterator[Part]:
        for part in parts:
            done = getattr(result, f"{part.prefix}done")
            points = [point for point in dict.fromkeys(part.points) if not done[point]]
            if points:
                yield dataclasses.replace(part, points=points)

    def report(self, result: Result) -> None:
        """Tells how far a measurement is.

        Args:
            result: with one array or several that say what is done.
        """
        if self.progress is not None:
            self.progress(*result.progress())


def unmeasured(*shape: int) -> dict[str, Any]:
    """The measured arrays before anything is measured.

    Args:
        *shape: their shape, the timestep last.

    Returns:
        NaN for every name in :data:`MEASURED`, and ``done`` full of zeros.
    """
    arrays: dict[str, Any] = {name: np.full(shape, np.nan) for name in MEASURED}
    return {**arrays, "done": np.zeros(shape[:-1], np.int8)}


def check_same(path: str | Path, wanted: Result) -> None:
    """Checks that a file holds the beginning of a measurement, and of no other."""
    found: Result = load(path)
    if type(found) is not type(wanted):
        raise ResultError(
            f"{path}: holds a result of kind {found.kind!r}, expected {wanted.kind!r}; choose another name with -o, "
            "or replace it with --force"
        )
    now, then = wanted.provenance, found.provenance
    if now.request == then.request:
        return
    coordinates = [name for name, schema in array_fields(type(wanted)).items() if schema["dims"] == (name,)]
    names = [name for name in (*coordinates, *attribute_fields(type(wanted))) if name not in _FOUND_OUT]
    differ = [n for n in names if not np.array_equal(getattr(found, n), getattr(wanted, n))]
    origin = ("checkpoint_sha256", "dataset", "data_settings", "split", "batch_size", "dtype", "device")
    differ += [n for n in origin if getattr(then, n) != getattr(now, n)]
    other = _listed(differ) or "network, data or batch size"
    if now.torch_version != then.torch_version:  # which may print the settings of a network in other words
        other += f", or version of torch ({then.torch_version}, here {now.torch_version})"
    measured = f", measured by `{then.command}`" if then.command else ""
    raise ResultError(
        f"{path}: holds another {wanted.kind}, with another {other}{measured}; "
        "choose another name with -o, or replace it with --force"
    )


def _listed(names: Sequence[str]) -> str:
    plain = {
        "sample": "choice of samples",
        "timestep": "number of timesteps",
        "t_train": "T of training",
        "x": "grid or range",
        "y": "grid or range",
        "checkpoint_sha256": "checkpoint",
        "dataset": "data set",
    }
    return ", ".join(dict.fromkeys(plain.get(name, name.replace("_", " ")) for name in names))


def coarse_to_fine(*sizes: int) -> Iterator[Point]:
    """Every point of a grid once, so that any start of the sequence is a picture of the whole."""
    seen = set()
    stride = 1 << max(sizes).bit_length()
    while stride := stride // 2:
        for point in itertools.product(*(range(0, size, stride) for size in sizes)):
            if point not in seen:
                seen.add(point)
                yield point
