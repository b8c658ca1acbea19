"""HDF5 files of other people's data: events by columns, and spike trains as SHD and SSC have them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from tetviz.errors import DataError, reading
from tetviz.results.contents import check_foreign

GROUPS = ("", "events", "CD/events", "CD")
_SHD = "spikes/times, spikes/units and labels"


@dataclass(frozen=True)
class SpikeTrains:
    """Spike trains of many recordings.

    Attributes:
        times: of every recording the times of its spikes, in seconds.
        units: of every recording the units that they come from.
        labels: (N,).
        classes: names, empty where the file has none.
    """

    times: list[npt.NDArray[np.float64]]
    units: list[npt.NDArray[np.int64]]
    labels: npt.NDArray[np.int64]
    classes: list[str]


def read_columns(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The datasets of events, by name: at the top, in a group, or the fields of one dataset."""
    with _opened(path) as file:
        for name in GROUPS:
            held = file.get(name) if name else file
            if isinstance(held, h5py.Dataset) and held.dtype.names:
                events = held[()]
                return {field: events[field] for field in held.dtype.names}
            if isinstance(held, h5py.Group):
                columns = {key: part for key, part in held.items() if isinstance(part, h5py.Dataset) and part.ndim == 1}
                if columns:
                    return {key: part[()] for key, part in columns.items()}
        raise DataError(f"{path}: holds no datasets x, y, t, p, at the top or in a group events")


def read_spike_trains(path: Path) -> SpikeTrains:
    """Reads a file in the layout of SHD and SSC (Cramer et al. 2020)."""
    with _opened(path) as file:
        parts = [file.get(name) for name in ("spikes/times", "spikes/units", "labels")]
        if not all(isinstance(part, h5py.Dataset) and part.ndim == 1 for part in parts):
            raise DataError(f"{path}: expected datasets {_SHD}, as the files of SHD and SSC have, found {list(file)}")
        times, units, labels = (part[()] for part in parts)
        keys = file.get("extra/keys")
        classes = [_text(key) for key in keys[()]] if isinstance(keys, h5py.Dataset) else []
    trains = [np.asarray(each, np.float64) for each in times], [np.asarray(each) for each in units]
    ok = len(times) == len(units) == len(labels) and np.issubdtype(labels.dtype, np.integer)
    ok = ok and all(a.shape == b.shape and a.ndim == 1 and b.dtype.kind in "iu" for a, b in zip(*trains, strict=True))
    if not ok or any(len(t) and not (np.isfinite(t).all() and t.min() >= 0) for t in trains[0]):
        raise DataError(f"{path}: expected in {_SHD} as many recordings, with a time >= 0 and a unit for each spike")
    return SpikeTrains(trains[0], [unit.astype(np.int64) for unit in trains[1]], labels.astype(np.int64), classes)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    with reading(path, DataError, "cannot be read as HDF5", "copy or fetch it again"):
        check_foreign(path)
        with h5py.File(path, "r", locking=False) as file:
            yield file


def _text(name: Any) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
