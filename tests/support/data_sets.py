"""Data sets for tests: pixels, recordings, what is loaded and what is refused."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from wording import refuses

from tetviz.errors import DataError
from tetviz.training.data import DataSpec, load_data

TYPE = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<i2"), ("p", "i1")])
SENSOR = (5, 7)


def pixels(*shape: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def load(name: str | DataSpec, **settings: Any) -> Any:
    """load_data, as the data set of whatever kind it is."""
    return load_data(name, **settings)


def refused(said: str, name: str, **settings: Any) -> None:
    with refuses(DataError, said):
        load(name, **{"split": "train"} | settings)


def recording(rows: Sequence[tuple[float, ...]], dtype: Any = TYPE) -> npt.NDArray[Any]:
    """Rows of (x, y, t, p)."""
    events = np.zeros(len(rows), dtype)
    for name, column in zip("xytp", zip(*rows, strict=True), strict=False):
        events[name] = column
    return events


def some_events(count: int = 50, seed: int = 0, sensor: Sequence[int] = SENSOR) -> npt.NDArray[Any]:
    draw = np.random.default_rng(seed).integers
    columns = draw(sensor[1], size=count), draw(sensor[0], size=count), np.sort(draw(9999, size=count))
    return recording(list(zip(*columns, draw(2, size=count), strict=True)))
