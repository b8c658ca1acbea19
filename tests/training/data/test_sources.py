"""A file that changes is noticed, however it changes, in every data set that tetviz reads."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import load, nmnist_bytes, pixels, some_events, write_cifar10, write_idx, write_shd
from PIL import Image

from tetviz.training.data.sources import Sources


def rewritten(path: Path) -> None:
    """Other bytes, as many, in the same file."""
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))


def replaced(path: Path) -> None:
    """Another file of the same size and time."""
    other, found = path.with_name("other"), path.stat()
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.replace(path)


def longer(path: Path) -> None:
    """A byte more, and the time of before."""
    found = path.stat()
    path.write_bytes(path.read_bytes() + b"\0")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def dated(path: Path) -> None:
    """As a clock that was set back would date it."""
    os.utime(path, ns=(0, path.stat().st_mtime_ns - 1))


CHANGES = [rewritten, replaced, longer, dated, Path.unlink]


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_of_a_file_is_noticed(change: Callable[[Path], None], tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(b"some bytes")
        os.utime(path, ns=(0, 10**18))
    sources = Sources(paths)
    for path in paths:
        path.read_bytes()
    assert not sources.changed() and not pickle.loads(pickle.dumps(sources)).changed()
    change(paths[1])
    assert sources.changed() == f"{paths[1]}: changed during the run"
    change(paths[2])
    assert sources.changed() == f"{paths[1]}: changed during the run (and 1 more of the 3 files)"


def a_npz(root: Path, patch: pytest.MonkeyPatch) -> tuple[str, Path, dict[str, Any]]:
    arrays = {f"x_{part}": pixels(4, 8, 8) for part in ("train", "test")}
    np.savez(root / "a.npz", **arrays, y_train=np.arange(4) % 2, y_test=np.arange(4) % 2)
    return "npz", root / "a.npz", {"root": str(root / "a.npz")}


def mnist(root: Path, patch: pytest.MonkeyPatch) -> tuple[str, Path, dict[str, Any]]:
    for prefix in ("train", "t10k"):
        write_idx(root / f"MNIST/raw/{prefix}-images-idx3-ubyte", pixels(4, 28, 28))
        write_idx(root / f"MNIST/raw/{prefix}-labels-idx1-ubyte", np.arange(4, dtype=np.uint8))
    return "mnist", root / "MNIST/raw/t10k-images-idx3-ubyte", {}


def cifar10(root: Path, patch: pytest.MonkeyPatch) -> tuple[str, Path, dict[str, Any]]:
    write_cifar10(root, patch, pixels(3, 3072), [5, 0, 9])
    return "cifar10", root / "cifar-10-batches-py/test_batch", {}


def imagefolder(root: Path, patch: pytest.MonkeyPatch) -> tuple[str, Path, dict[str, Any]]:
    for place in ("train/a", "train/b", "test/a", "test/b"):
        (root / place).mkdir(parents=True)
        Image.fromarray(pixels(9, 9, 3)).save(root / place / "0.png")
    return "imagefolder", root / "test/b/0.png", {}


def events(root: Path, patch: pytest.MonkeyPatch) -> tuple[str, Path, dict[str, Any]]:
    for place in ("train/a", "test/a"):
        (root / place).mkdir(parents=True)
        np.save(root / place / "0.npy", some_events())
    return "events", root / "test/a/0.npy", {"frames": 2, "sensor": (5, 7), "image_size": 4}


def frames(root: Path, patch: pytest.MonkeyPatch) -> tuple[str, Path, dict[str, Any]]:
    for place in ("train/a", "test/a"):
        (root / place).mkdir(parents=True)
        np.savez(root / place / "0.npz", frames=np.ones((2, 2, 4, 4)))
    return "events", root / "test/a/0.npz", {}


def spike_trains(root: Path, patch: pytest.MonkeyPatch) -> tuple[str, Path, dict[str, Any]]:
    write_shd(root)
    return "hdf5-spikes", root / "shd_test.h5", {"frames": 2}


def nmnist(root: Path, patch: pytest.MonkeyPatch) -> tuple[str, Path, dict[str, Any]]:
    pytest.importorskip("tonic")
    for folder in ("Train", "Test"):
        path = root / "NMNIST" / folder / "3/0.bin"
        path.parent.mkdir(parents=True)
        path.write_bytes(nmnist_bytes(some_events(sensor=(34, 34))))
    return "nmnist", root / "NMNIST/Test/3/0.bin", {"frames": 2}


@pytest.mark.parametrize(
    "write",
    [a_npz, mnist, cifar10, imagefolder, events, frames, spike_trains, nmnist],
    ids=lambda write: write.__name__,
)
def test_every_data_set_remembers_its_files(
    write: Callable[[Path, pytest.MonkeyPatch], tuple[str, Path, dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, path, settings = write(tmp_path, monkeypatch)
    data = load(name, split="test", **{"root": str(tmp_path)} | settings)
    for index in range(len(data)):
        data[index]
    assert not data.sources.changed()
    dated(path)
    assert data.sources.changed().startswith(f"{path}: changed")


def test_bundled_data_have_no_files() -> None:
    assert load("digits", split="test").sources.changed() == ""
