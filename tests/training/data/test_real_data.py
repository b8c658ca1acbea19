import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from data_sets import load

from tetviz.training.data import select_balanced
from tetviz.training.data.arrays import channel_statistics
from tetviz.training.data.images import PUBLISHED

SHARED = Path(os.environ.get("TETVIZ_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (SHARED / "unpack.py").exists():
        pytest.skip(f"no real data in {SHARED}")
    out = tmp_path_factory.mktemp("unpacked")
    command = [sys.executable, str(SHARED / "unpack.py"), str(out), "mnist", "nmnist", "cifar10-mini"]
    subprocess.run(command, check=True, capture_output=True)
    return out


def test_real_mnist(unpacked: Path) -> None:
    train = load("mnist", split="train", root=str(unpacked))
    x = torch.stack([train[i][0] for i in select_balanced(train.labels, 1000)])
    assert len(train) == 60000 and abs(x.mean()) < 0.03 and abs(x.std() - 1) < 0.03


def test_real_cifar10(unpacked: Path) -> None:
    data = load("npz", split="test", root=str(unpacked / "cifar10-mini.npz"))
    assert len(data) == 1000 and data.num_classes == 10 and data.classes[0] == "airplane"
    mean, std = channel_statistics(data.images_NCHW.numpy())
    np.testing.assert_allclose(mean, PUBLISHED["cifar10"].mean, atol=0.01)
    np.testing.assert_allclose(std, PUBLISHED["cifar10"].std, atol=0.01)


def test_real_nmnist_reads_alike_from_arrays_and_through_tonic(unpacked: Path, tmp_path: Path) -> None:
    pytest.importorskip("tonic")
    data = load("events", split="test", root=str(unpacked / "nmnist"), frames=10)
    assert len(data) == 100 and data.spec.sensor == (34, 34)
    events = data.events(0)
    path = tmp_path / "NMNIST/Test/0/1.bin"
    path.parent.mkdir(parents=True)
    high = (events["p"].astype(int) << 7) | (events["t"] >> 16)
    columns = [events["x"], events["y"], high, events["t"] >> 8 & 255, events["t"] & 255]
    path.write_bytes(np.stack(columns, 1).astype(np.uint8).tobytes())
    through = load("nmnist", split="test", root=str(tmp_path), frames=10)
    assert torch.equal(data[0][0], through[0][0])
    assert data[0][0].sum() == len(events) and data[0][0].sum((0, 2, 3)).min() > 1000
