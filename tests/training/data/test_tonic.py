import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from data_sets import load, nmnist_bytes, some_events
from wording import refuses

from tetviz.errors import DataError
from tetviz.training.data.events import events_to_frames, resize_frames


def test_nmnist_through_tonic(tmp_path: Path) -> None:
    pytest.importorskip("tonic")
    source = {}
    for folder, labels in (("Train", (0, 3, 3)), ("Test", (9, 0))):
        for i, label in enumerate(labels):
            path = tmp_path / "NMNIST" / folder / str(label) / f"{i:05}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            source[str(path)] = some_events(200, seed=i, sensor=(34, 34))
            path.write_bytes(nmnist_bytes(source[str(path)]))
    train, test = (load("nmnist", split=split, root=str(tmp_path), frames=5) for split in ("train", "test"))
    assert train.labels.tolist() == [0, 3, 3] and test.labels.tolist() == [0, 9] and test.num_classes == 10
    assert test.spec.sensor == (34, 34) and test.image_size == 34
    for data in (train, test):
        for i in range(len(data)):
            expected = events_to_frames(source[data.source(i)], (34, 34), 5)
            assert np.array_equal(data[i][0].numpy(), expected)
    torch.utils.data.dataloader.default_collate([train[0], train[1]])
    assert torch.equal(pickle.loads(pickle.dumps(train))[0][0], train[0][0])
    assert type(train.recordings).__module__ == "tonic.datasets.nmnist"


def test_a_damaged_nmnist_recording_is_named(tmp_path: Path) -> None:
    pytest.importorskip("tonic")
    path = tmp_path / "NMNIST/Train/1/00001.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(nmnist_bytes(some_events())[:-2])
    data = load("nmnist", split="train", root=str(tmp_path), frames=5)
    with refuses(DataError, "00001.bin"):
        data[0]


def test_dvs_gesture_through_tonic(tmp_path: Path) -> None:
    pytest.importorskip("tonic")
    expected = {}
    for folder in ("ibmGestureTrain", "ibmGestureTest"):
        for user, label in (("user01_fluorescent", 0), ("user01_fluorescent", 10), ("user02_led", 4)):
            path = tmp_path / "DVSGesture" / folder / user / f"{label}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            events = some_events(300, seed=label, sensor=(128, 128))
            np.save(path, np.stack([events[name].astype(np.int64) for name in "xypt"], 1))
            expected[label] = events
    data = load("dvs-gesture", split="test", root=str(tmp_path), frames=4, framing="count", image_size=32)
    assert data.labels.tolist() == [0, 10, 4] and data.num_classes == 11 and data.spec.sensor == (128, 128)
    for i, label in enumerate(data.labels):
        frames = events_to_frames(expected[label], (128, 128), 4, "count")
        assert torch.equal(data[i][0], resize_frames(frames, 32))
    (tmp_path / "DVSGesture/ibmGestureTest/user02_led/11.npy").write_bytes(path.read_bytes())
    with refuses(DataError, "labels 0 10 11"):
        load("dvs-gesture", split="test", root=str(tmp_path), frames=4)


def test_cifar10_dvs_through_tonic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its files are not written here; what is tested is where they are looked for, and the split.
    pytest.importorskip("tonic")
    import tonic.datasets.cifar10dvs

    stored = some_events(100, sensor=(128, 128)).astype([("t", "u8"), ("x", "u2"), ("y", "u2"), ("on", "?")])
    monkeypatch.setattr(tonic.datasets.cifar10dvs, "read_aedat4", lambda path: stored.copy())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    for label in ("airplane", "truck"):
        (tmp_path / "CIFAR10DVS" / label).mkdir(parents=True)
        for i in range(10):
            (tmp_path / "CIFAR10DVS" / label / f"cifar10_{label}_{i}.aedat4").touch()
    train, test = (load("cifar10-dvs", split=split, root=str(tmp_path), frames=3) for split in ("train", "test"))
    assert np.bincount(train.labels).tolist() == [9, *[0] * 8, 9] and test.labels.tolist() == [0, 9]
    files = [data.source(i) for data in (train, test) for i in range(len(data))]
    assert len(set(files)) == 20
    assert test.classes[9] == "truck" and test[0][0].shape == (3, 2, 128, 128) and test[0][0].sum() == 100


@pytest.mark.parametrize(("name", "folder"), [("nmnist", "NMNIST/Test"), ("dvs-gesture", "DVSGesture/ibmGestureTest")])
def test_missing_tonic_data_are_not_fetched_unasked(tmp_path: Path, name: str, folder: str) -> None:
    pytest.importorskip("tonic")
    with refuses(DataError, f"{folder} --download"):
        load(name, split="test", root=str(tmp_path), frames=4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "package", "cure"), [
    ("nmnist", "tonic", "tetviz[events]"),
    ("cifar10-dvs", "aedat", "install aedat"),
])  # fmt: skip
def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str, cure: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else name)
    with refuses(DataError, cure):
        load(name, split="test", root=str(tmp_path), frames=4)


def test_a_failed_download_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tonic")
    import tonic.datasets

    def fail(self: object) -> None:
        print("Downloading")
        raise OSError("no route to host")

    monkeypatch.setattr(tonic.datasets.NMNIST, "download", fail)
    with refuses(DataError, "route connection"):
        load("nmnist", split="test", root=str(tmp_path / "new"), frames=4, download=True)
    assert capsys.readouterr().out == ""
