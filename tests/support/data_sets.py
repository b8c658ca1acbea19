"""Data sets for tests: pixels, recordings, what is loaded and what is refused."""

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
