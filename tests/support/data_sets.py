"""Data sets for tests: pixels, recordings, what is loaded and what is refused."""

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits
from wording import refuses

from tetviz.errors import DataError
from tetviz.training.data import DataSpec, load_data
from tetviz.training.data.torchvision import import_torchvision

TYPE = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<i2"), ("p", "i1")])
SENSOR = (5, 7)


def pixels(*shape: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_digits(path: Path, train: int, test: int) -> None:
    """The first digits of scikit-learn, enlarged to 16 x 16, as an .npz file."""
    digits = load_digits()
    x, y, ends = np.kron(digits.images, np.ones((2, 2))).astype(np.uint8) * 15, digits.target, train + test
    np.savez(path, x_train=x[:train], y_train=y[:train], x_test=x[train:ends], y_test=y[train:ends])


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


def write_cifar10(
    root: Path, monkeypatch: pytest.MonkeyPatch, images: npt.NDArray[np.uint8], labels: Sequence[int]
) -> None:
    """Images (n, 3072) as both splits of CIFAR-10, in the files that torchvision reads."""
    kind = import_torchvision().datasets.CIFAR10
    folder = root / kind.base_folder
    folder.mkdir()

    def write(name: str, content: Any) -> tuple[str, str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return name, hashlib.md5((folder / name).read_bytes()).hexdigest()

    batches = [write(name, {"data": images, "labels": list(labels)}) for name in ("data_batch_1", "test_batch")]
    meta = write("batches.meta", {"label_names": list("abcdefghij")})
    monkeypatch.setattr(kind, "train_list", batches[:1])
    monkeypatch.setattr(kind, "test_list", batches[1:])
    monkeypatch.setattr(kind, "meta", {"filename": meta[0], "md5": meta[1], "key": "label_names"})


def write_idx(path: Path, array: npt.NDArray[np.uint8]) -> None:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + array.tobytes())


def write_shd(folder: Path, units: int = 12, classes: bool = True) -> dict[str, tuple[list[Any], list[Any], Any]]:
    """Files as Cramer et al. 2020 describe them: arrays of variable length, times in seconds."""
    written = {}
    for part, count in (("train", 6), ("test", 4)):
        draw = np.random.default_rng(count)
        times = [np.sort(draw.uniform(0, 1, n)).astype(np.float16) for n in draw.integers(5, 30, count)]
        trains = [draw.integers(0, units, len(t)).astype(np.uint16) for t in times]
        trains[0][0] = units - 1
        labels = np.arange(count, dtype=np.uint8) % 3
        with h5py.File(folder / f"shd_{part}.h5", "w") as file:
            for name, rows, kind in (("times", times, np.float16), ("units", trains, np.uint16)):
                held = file.create_dataset(f"spikes/{name}", (count,), h5py.vlen_dtype(kind))
                for at, row in enumerate(rows):
                    held[at] = row
            file["labels"] = labels
            if classes:
                file["extra/keys"] = np.array([b"null", b"eins", b"zwei"])
        written[part] = times, trains, labels
    return written


def nmnist_bytes(events: npt.NDArray[Any]) -> bytes:
    times, high = events["t"].astype(int), events["p"].astype(int) << 7
    columns = [events["x"], events["y"], high | times >> 16, times >> 8 & 255, times & 255]
    return np.stack(columns, 1).astype(np.uint8).tobytes()
