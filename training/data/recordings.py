"""Recordings of events in the files that people have: structured arrays with the fields x, y, t, p come out of each."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tetviz.errors import DataError, reading
from tetviz.results.contents import open_regular
from tetviz.results.spike_files import read_columns
from tetviz.training.data import npy

EventArray = npt.NDArray[Any]

FIELDS = ("x", "y", "t", "p")
FRAMES = "frames"
_ARRAYS = "not an .npz file of plain arrays", "write it with numpy.savez"
_TROUBLE, _CURE = "not a recording of events", "the guide to training says what is"
_NAMES = {"t": ("ts", "timestamp", "timestamps", "time"), "p": ("pol", "polarity", "polarities", "on")}
_READS: dict[str, tuple[str, str]] = {
    ".aedat4": ("aedat", "pip install aedat"),
    ".bin": ("tonic", "pip install 'tetviz[events]'"),
    ".dat": ("expelliarmus", "pip install expelliarmus"),
    ".raw": ("expelliarmus", "pip install expelliarmus"),
}


def check_fields(events: EventArray) -> None:
    """Checks that an array holds events."""
    names = events.dtype.names or ()
    if events.ndim != 1 or not set(FIELDS) <= set(names):
        found = f"the fields {', '.join(names)}" if names else f"plain {events.dtype}"
        raise ValueError(
            f"expected a structured array (N,) with fields x, y, t, p, got {found} of shape {events.shape}"
        )
    for name, kinds in (("x", "iu"), ("y", "iu"), ("t", "iuf"), ("p", "iufb")):
        if events.dtype[name].kind not in kinds:
            raise ValueError(f"expected numbers in the fields x, y, t, p, got {events.dtype[name]} in {name}")


def from_columns(columns: Mapping[str, npt.NDArray[Any]]) -> EventArray:
    """Events of arrays x, y, t, p of one length, which may be called otherwise, such as ``ts`` and ``pol``."""
    named = {
        field: next((columns[name] for name in (field, *_NAMES.get(field, ())) if name in columns), None)
        for field in FIELDS
    }
    missing = [field for field, column in named.items() if column is None]
    if missing:
        raise ValueError(f"there is no array {', '.join(missing)} (found: {', '.join(columns) or 'none'})")
    arrays = [np.asarray(column) for column in named.values()]
    if len({array.shape for array in arrays}) > 1 or arrays[0].ndim != 1:
        raise ValueError(f"expected arrays x, y, t, p of one length, got {[array.shape for array in arrays]}")
    events = np.empty(len(arrays[0]), [(field, array.dtype) for field, array in zip(named, arrays, strict=True)])
    for field, array in zip(named, arrays, strict=True):
        events[field] = array
    return events


def read_events(path: str | Path) -> EventArray:
    """Reads a recording, without running pickles.

    ``.npy`` is a structured array, ``.npz`` holds arrays t, x, y, p as SpikingJelly writes them, ``.h5`` datasets of
    these names, at the top or in a group; ``.aedat4`` is read with aedat, ``.bin`` as N-MNIST's with tonic, ``.dat``
    and ``.raw`` (Prophesee) with expelliarmus.
    """
    path = Path(path)
    with reading(path, DataError, _TROUBLE, _CURE):
        open_regular(path).close()  # other packages would wait for a pipe
        events = READERS[path.suffix.lower()](path)
        check_fields(events)
    return events


def holds_frames(path: Path) -> bool:
    """Whether a file holds frames, as SpikingJelly integrates them: an ``.npz`` with an array ``frames``."""
    return path.suffix.lower() == ".npz" and FRAMES in npy.names_in(path, *_ARRAYS)


def read_frames(path: str | Path) -> npt.NDArray[np.float32]:
    """The frames T x C x H x W of a file."""
    frames = npy.read_npz(path, (FRAMES,), *_ARRAYS).get(FRAMES)
    if frames is None or frames.ndim != 4 or frames.dtype.kind not in "iufb" or not np.isfinite(frames).all():
        found = "none" if frames is None else f"{frames.dtype} {frames.shape}"
        raise DataError(f"{path}: expected an array {FRAMES} of T x C x H x W finite numbers, got {found}")
    return np.asarray(frames, np.float32)


def _npy(path: Path) -> EventArray:
    return npy.read_npy(path, _TROUBLE, _CURE)


def _npz(path: Path) -> EventArray:
    return from_columns(npy.read_npz(path, npy.names_in(path, *_ARRAYS), *_ARRAYS))


def _package(path: Path) -> Any:
    package, cure = _READS[path.suffix.lower()]
    if importlib.util.find_spec(package) is None:
        raise DataError(f"{path}: is read with the package {package}, which is not there: {cure}")
    return importlib.import_module("tonic.io" if package == "tonic" else package)


def _aedat4(path: Path) -> EventArray:
    decoder = _package(path).Decoder(str(path))
    streams = {key for key, stream in decoder.id_to_stream().items() if stream["type"] == "events"}
    if not streams:
        raise ValueError("it holds no stream of events")
    packets = [packet["events"] for packet in decoder if packet["stream_id"] == min(streams)]
    events = np.concatenate(packets)
    return from_columns({name: events[name] for name in events.dtype.names or ()})


def _nmnist(path: Path) -> EventArray:
    dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    events: EventArray = _package(path).read_mnist_file(str(path), dtype=dtype)
    return events


def _prophesee(path: Path) -> EventArray:
    wizards = _package(path)
    if path.suffix.lower() == ".dat":
        encoding = "dat"
    else:
        with path.open("rb") as file:
            encoding = "evt3" if b"evt 3" in file.read(4096).lower() else "evt2"
    events: EventArray = wizards.Wizard(encoding=encoding).read(str(path))
    return events


READERS: dict[str, Callable[[Path], EventArray]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".h5": lambda path: from_columns(read_columns(path)),
    ".hdf5": lambda path: from_columns(read_columns(path)),
    ".aedat4": _aedat4,
    ".bin": _nmnist,
    ".dat": _prophesee,
    ".raw": _prophesee,
}
