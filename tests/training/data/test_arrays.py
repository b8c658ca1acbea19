import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_sets import load, pixels, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_data import resize_plane
from torch.utils.data import DataLoader

from tetviz.training.data import split_validation
from tetviz.training.data.arrays import channel_statistics


def test_digits() -> None:
    train, test = (load("digits", split=split) for split in ("train", "test"))
    assert len(train) + len(test) == 1797 and len(test) == 359
    assert (np.bincount(test.labels) >= 35).all() and train.num_classes == 10
    assert (train.in_channels, train.image_size, train.sequence) == (1, 16, False)
    assert train.spec.image_size == 16
    from sklearn.datasets import load_digits

    digits = load_digits()
    chosen = split_validation(digits.target, 0.2, 0)
    assert test.labels.tolist() == digits.target[chosen[1]].tolist()
    raw = digits.images[chosen[0]] / 16
    x, label = test[5]
    expected = (resize_plane(digits.images[chosen[1][5]] / 16, (16, 16)) - raw.mean()) / raw.std()
    np.testing.assert_allclose(x[0].numpy(), expected, atol=1e-5)
    assert x.dtype == torch.float32 and type(label) is int and label == test.labels[5]
    small = load("digits", split="train", image_size=8)
    assert abs(torch.cat([x for x, _ in small]).mean()) < 1e-5


def save_npz(path: Path, **changes: Any) -> dict[str, Any]:
    arrays: dict[str, Any] = {
        "x_train": pixels(12, 6, 6, 3), "y_train": np.arange(12) % 4,
        "x_test": pixels(5, 6, 6, 3, seed=1), "y_test": np.arange(5, dtype=np.uint8),
    }  # fmt: skip
    arrays = {name: value for name, value in (arrays | changes).items() if value is not None}
    np.savez(path, **arrays)
    return arrays


def test_npz(tmp_path: Path) -> None:
    arrays = save_npz(tmp_path / "a.npz")
    train, test = (load("npz", split=split, root=str(tmp_path / "a.npz")) for split in ("train", "test"))
    assert train.num_classes == test.num_classes == 5 and train.in_channels == 3 and train.image_size == 6
    assert test.labels.dtype == np.int64 and test.labels.tolist() == [0, 1, 2, 3, 4]
    scaled = arrays["x_train"] / 255
    expected = (arrays["x_test"] / 255 - scaled.mean((0, 1, 2))) / scaled.std((0, 1, 2))
    got = torch.stack([x for x, _ in test]).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)
    batch, labels = next(iter(DataLoader(test, batch_size=5)))
    assert torch.equal(batch, torch.stack([x for x, _ in test])) and labels.tolist() == test.labels.tolist()
    assert test[-1][1] == 4
    with pytest.raises(IndexError):
        test[5]
    large = load("npz", split="test", root=str(tmp_path / "a.npz"), image_size=9)
    batch = next(iter(DataLoader(large, batch_size=5)))[0]
    assert batch.shape == (5, 3, 9, 9)
    assert torch.equal(batch, torch.stack([x for x, _ in large]))


def test_npz_of_grey_images_with_class_names_and_a_constant_channel(tmp_path: Path) -> None:
    black = np.zeros((12, 6, 6), np.uint8)
    save_npz(
        tmp_path / "a.npz",
        x_train=black,
        x_test=black[:5],
        classes=np.array([b"a", b"b", b"c", b"d", b"e", b"f"]),
    )
    data = load("npz", split="test", root=str(tmp_path / "a.npz"))
    assert data.in_channels == 1 and data.classes == list("abcdef") and data.num_classes == 6
    assert torch.equal(data[0][0], torch.zeros(1, 6, 6))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"y_test": None}, "y_test found x_train y_train x_test"),
        ({"x_train": pixels(12, 6, 6).astype(float)}, "x_train expected uint8 float64 12 6"),
        ({"x_train": pixels(12, 6, 5)}, "got uint8 12 6 5"),
        ({"x_train": pixels(12, 36)}, "uint8 12 36"),
        ({"x_train": pixels(0, 6, 6, 3), "y_train": np.arange(0)}, "got uint8 0 6 3"),
        ({"x_test": pixels(5, 6, 6)}, "x_train images 3 6 x_test 1"),
        ({"x_test": pixels(5, 7, 7, 3)}, "x_test of 3 7"),
        ({"y_train": np.arange(11)}, "y_train integer 12 11"),
        ({"y_train": np.arange(12.0)}, "got float64"),
        ({"y_train": np.arange(12) == 3}, "got bool"),
        ({"y_train": np.eye(12, dtype=int)}, "12"),
        ({"y_test": np.array([0, 1, -1, 2, 3])}, "y_test has -1"),
        ({"y_test": np.array([0, 1, 2**40, 2, 3])}, "y_test has 1099511627776"),
        ({"y_train": np.array([{}] * 12)}, "plain arrays"),
        ({"classes": np.array(["a", "b"])}, "classes 2 4"),
    ],
)
def test_wrong_npz_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    save_npz(tmp_path / "a.npz", **change)
    for split in ("train", "test"):
        refused(f"a.npz {said}", "npz", root=str(tmp_path / "a.npz"), split=split)


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for content in (b"", b"PK\x03\x04 but no more", b"hello", pickle.dumps([1])):
        path.write_bytes(content)
        refused("not file", "npz", root=str(path))
    save_npz(path)
    path.write_bytes(path.read_bytes()[:-30])
    refused("not file", "npz", root=str(path))
    np.save(tmp_path / "a.npy", np.zeros(3))
    refused("single array", "npz", root=str(tmp_path / "a.npy"))
    refused("not file", "npz", root=str(tmp_path))


@settings(deadline=None)
@given(
    channels=st.integers(1, 3),
    count=st.integers(1, 4),
    white=st.sampled_from([16, 255]),
    seed=st.integers(0, 99),
)
def test_channel_statistics(channels: int, count: int, white: int, seed: int) -> None:
    images = pixels(count, channels, 3, 3, seed=seed)
    mean, std = channel_statistics(images, white)
    np.testing.assert_allclose(mean, (images / white).mean((0, 2, 3)))
    np.testing.assert_allclose(std, (images / white).std((0, 2, 3)), atol=1e-12)
