import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reference_data import balanced, resize_plane
from torch.utils.data import DataLoader

from tetviz.errors import DataError
from tetviz.training.data import DATASETS, DataSpec, load_data, select_balanced, split_validation
from tetviz.training.data.arrays import channel_statistics
from tetviz.training.data.images import PUBLISHED, centred
from tetviz.training.data.torchvision import import_torchvision

SHARED = Path(os.environ.get("TETVIZ_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))

labels_lists = st.lists(st.integers(0, 5), max_size=60)


def pixels(*shape: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def load(name: str | DataSpec, **settings: Any) -> Any:
    """load_data, as the data set of whatever kind it is."""
    return load_data(name, **settings)


def refused(said: str, name: str, **settings: Any) -> None:
    with pytest.raises(DataError, match=said) as caught:
        load(name, **{"split": "train"} | settings)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(labels=labels_lists, count=st.integers(0, 70))
def test_balanced_choice_is_the_round_robin(labels: list[int], count: int) -> None:
    assert select_balanced(labels, count).tolist() == balanced(labels, count)


@settings(deadline=None)
@given(labels=labels_lists, data=st.data())
def test_a_smaller_balanced_choice_begins_a_larger(labels: list[int], data: st.DataObject) -> None:
    larger = data.draw(st.integers(0, max(0, len(labels) - 1)))
    smaller = data.draw(st.integers(0, larger))
    chosen = select_balanced(labels, larger)
    if smaller:
        assert select_balanced(labels, smaller).tolist() == chosen[:smaller].tolist()
        counts = np.bincount(np.asarray(labels)[chosen], minlength=6)
        short = counts < np.bincount(labels, minlength=6)
        assert not short.any() or counts[short].min() >= counts.max() - 1


def test_balanced_choice_of_all() -> None:
    assert select_balanced([2, 0, 1], None).tolist() == select_balanced([2, 0, 1], 9).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="negative"):
        select_balanced([0], -1)


@settings(deadline=None)
@given(labels=labels_lists, fraction=st.floats(0, 0.99), seed=st.integers(0, 9))
def test_validation_split_is_a_stratified_partition(labels: list[int], fraction: float, seed: int) -> None:
    train, validation = split_validation(labels, fraction, seed)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert list(train) == sorted(train) and list(validation) == sorted(validation)
    for label in set(labels):
        n = labels.count(label)
        chosen = sum(labels[i] == label for i in validation)
        if fraction and n > 1:
            assert 1 <= chosen <= n - 1
            assert abs(chosen - n * fraction) <= 1
        else:
            assert chosen == 0
    again = split_validation(labels, fraction, seed)[1]
    assert again.tolist() == validation.tolist()


def test_validation_split_by_seed() -> None:
    labels = np.arange(100) % 2
    first, second = (split_validation(labels, 0.3, seed)[1].tolist() for seed in (0, 1))
    assert first != second and len(first) == len(second) == 30
    for fraction in (-0.1, 1.0, np.nan):
        with pytest.raises(ValueError, match=r"\[0, 1\)"):
            split_validation(labels, fraction, 0)
    with pytest.raises(ValueError):
        split_validation(labels, 0.1, -1)


def test_spec_is_plain_and_comes_back(tmp_path: Path) -> None:
    spec = DataSpec("events", str(tmp_path), 48, 10, "count", 3, [*np.array([34, 30])])
    torch.save(spec.to_dict(), tmp_path / "spec.pt")
    assert DataSpec(**torch.load(tmp_path / "spec.pt", weights_only=True)) == spec
    assert hash(spec) and spec.sensor == (34, 30) and spec.root == str(tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"frames": -1}, {"image_size": -1}, {"framing": "events"}, {"sensor": (3,)}, {"sensor": (0, 3)}]
)
def test_spec_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        DataSpec("events", **wrong)


def test_names() -> None:
    refused("did you mean 'cifar10'. known: digits, mnist", "cifar-10")
    refused("unknown data set 'qqq'; known: digits", "qqq")
    with pytest.raises(ValueError, match="train or test"):
        load("digits", split="val")
    for name in DATASETS:
        if name not in ("digits", "cifar10-dvs"):
            refused("give --data-root", name, frames=1)
            refused("which does not exist", name, root="/no/such/folder", frames=1)


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
        ({"y_test": None}, r"no array y_test \(found: x_train, y_train, x_test\)"),
        ({"x_train": pixels(12, 6, 6).astype(float)}, r"x_train: expected uint8 .* got float64 \(12, 6, 6\)"),
        ({"x_train": pixels(12, 6, 5)}, r"got uint8 \(12, 6, 5\)"),
        ({"x_train": pixels(12, 36)}, r"got uint8 \(12, 36\)"),
        ({"x_train": pixels(0, 6, 6, 3), "y_train": np.arange(0)}, r"got uint8 \(0, 6, 6, 3\)"),
        ({"x_test": pixels(5, 6, 6)}, r"x_train has images of \(3, 6, 6\).* and x_test of \(1, 6, 6\)"),
        ({"x_test": pixels(5, 7, 7, 3)}, r"x_test of \(3, 7, 7\)"),
        ({"y_train": np.arange(11)}, r"y_train one integer label for each image, shape \(12,\).* \(11,\)"),
        ({"y_train": np.arange(12.0)}, "got float64"),
        ({"y_train": np.arange(12) == 3}, "got bool"),
        ({"y_train": np.eye(12, dtype=int)}, r"\(12, 12\)"),
        ({"y_test": np.array([0, 1, -1, 2, 3])}, "y_test has -1"),
        ({"y_test": np.array([0, 1, 2**40, 2, 3])}, "y_test has 1099511627776"),
        ({"y_train": np.array([{}] * 12)}, "not an .npz file of plain arrays"),
        ({"classes": np.array(["a", "b"])}, r"classes has shape \(2,\), but there are labels up to 4"),
    ],
)
def test_wrong_npz_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    save_npz(tmp_path / "a.npz", **change)
    for split in ("train", "test"):
        refused(rf"a\.npz: .*{said}", "npz", root=str(tmp_path / "a.npz"), split=split)


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for content in (b"", b"PK\x03\x04 but no more", b"hello", pickle.dumps([1])):
        path.write_bytes(content)
        refused("not an .npz file", "npz", root=str(path))
    save_npz(path)
    path.write_bytes(path.read_bytes()[:-30])
    refused("not an .npz file", "npz", root=str(path))
    np.save(tmp_path / "a.npy", np.zeros(3))
    refused("got a single array", "npz", root=str(tmp_path / "a.npy"))
    refused("not an .npz file", "npz", root=str(tmp_path))


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


def write_idx(path: Path, array: npt.NDArray[np.uint8]) -> None:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + array.tobytes())


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_mnist_files(tmp_path: Path, name: str, folder: str) -> None:
    raw = tmp_path / folder / "raw"
    images, labels = pixels(7, 28, 28), np.arange(7, dtype=np.uint8)
    for prefix in ("train", "t10k"):
        refused(rf"{folder}/raw .*run the same command with --download", name, root=str(tmp_path))
        write_idx(raw / f"{prefix}-images-idx3-ubyte", images if prefix == "train" else images[::-1].copy())
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", labels if prefix == "train" else labels[::-1].copy())
    data = load(name, split="test", root=str(tmp_path))
    (mean,), (std,) = PUBLISHED[name]
    np.testing.assert_allclose(data[0][0][0].numpy(), (images[6] / 255 - mean) / std, atol=1e-5)
    assert data.labels.tolist() == [6, 5, 4, 3, 2, 1, 0] and data.num_classes == 10 and data.image_size == 28
    (raw / "t10k-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03")
    refused(f"{folder}/raw", name, root=str(tmp_path), split="test")


def test_cifar_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = import_torchvision().datasets.CIFAR10
    folder = tmp_path / kind.base_folder
    folder.mkdir()
    images = pixels(3, 3072)

    def write(name: str, content: Any) -> tuple[str, str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return name, hashlib.md5((folder / name).read_bytes()).hexdigest()

    refused("cifar-10-batches-py .*--download", "cifar10", root=str(tmp_path))
    batches = [write(name, {"data": images, "labels": [5, 0, 9]}) for name in ("data_batch_1", "test_batch")]
    meta = write("batches.meta", {"label_names": list("abcdefghij")})
    monkeypatch.setattr(kind, "train_list", batches[:1])
    monkeypatch.setattr(kind, "test_list", batches[1:])
    monkeypatch.setattr(kind, "meta", {"filename": meta[0], "md5": meta[1], "key": "label_names"})
    data = load("cifar10", split="train", root=str(tmp_path))
    mean, std = (np.reshape(part, (3, 1, 1)) for part in PUBLISHED["cifar10"])
    np.testing.assert_allclose(data[1][0].numpy(), (images[1].reshape(3, 32, 32) / 255 - mean) / std, atol=1e-5)
    assert data.labels.tolist() == [5, 0, 9] and data.classes == list("abcdefghij")


def test_a_failed_download_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = import_torchvision().datasets.MNIST

    def fail(self: object) -> None:
        print("Downloading")
        raise RuntimeError("Error downloading x")

    monkeypatch.setattr(kind, "download", fail)
    refused("Error downloading x.*check the connection", "mnist", root=str(tmp_path / "new"), download=True)
    refused("give --data-root", "mnist", download=True)
    assert capsys.readouterr().out == ""


def save_images(folder: Path, classes: list[str], size: tuple[int, ...] = (10, 8)) -> None:
    for i, name in enumerate(classes):
        (folder / name / "deeper").mkdir(parents=True)
        Image.fromarray(pixels(*size, 3, seed=i)).save(folder / name / f"a{i}.PNG")
        Image.fromarray(pixels(*size, seed=i)).save(folder / name / "deeper" / f"grey{i}.png")


@pytest.mark.parametrize("other", ["val", "test"])
def test_imagefolder(tmp_path: Path, other: str) -> None:
    save_images(tmp_path / "train", ["cat", "dog", "emu"])
    refused("folder test or val", "imagefolder", root=str(tmp_path), split="test")
    save_images(tmp_path / other, ["dog", "emu"])
    (tmp_path / "train/cat/readme.txt").write_text("no image")
    train, test = (load("imagefolder", split=split, root=str(tmp_path), image_size=7) for split in ("train", "test"))
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2] and test.labels.tolist() == [1, 1, 2, 2]
    assert test.classes == ["cat", "dog", "emu"] and test.in_channels == 3 and test.image_size == 7
    mean, std = (np.reshape(part, (3, 1, 1)) for part in PUBLISHED["imagenet"])
    planes = pixels(10, 8, 3, seed=0).transpose(2, 0, 1) / 255
    expected = np.stack([resize_plane(plane, (10, 8))[2:9, 0:7] for plane in planes])
    np.testing.assert_allclose(test[0][0].numpy(), (expected - mean) / std, atol=1e-5)
    assert load("imagefolder", split="train", root=str(tmp_path)).spec.image_size == 224
    (tmp_path / other / "dog/a0.PNG").write_bytes(b"\x89PNG no more")
    with pytest.raises(DataError, match=r"a0\.PNG: cannot be read as an image"):
        test[0]


def test_imagefolder_refuses(tmp_path: Path) -> None:
    refused("train, which is not a folder", "imagefolder", root=str(tmp_path))
    save_images(tmp_path / "train", ["cat"])
    save_images(tmp_path / "val", ["dog"])
    refused(
        "val: 1 of its 1 class folders, such as 'dog', have no equal",
        "imagefolder",
        root=str(tmp_path),
        split="test",
    )
    (tmp_path / "train/empty").mkdir()
    refused("train/empty: expected samples", "imagefolder", root=str(tmp_path))


@pytest.mark.parametrize("sides", [(300, 500), (500, 300), (224, 224), (31, 97), (57, 56)])
@pytest.mark.parametrize("size", [224, 32, 7])
def test_centre_is_torchvisions(sides: tuple[int, int], size: int) -> None:
    import_torchvision()
    from torchvision.transforms import functional

    x = torch.from_numpy(pixels(3, *sides)).float() / 255
    resized = functional.resize(x, [size * 256 // 224], antialias=True)
    torch.testing.assert_close(centred(x, size), functional.center_crop(resized, [size, size]))


def test_imagenet(tmp_path: Path) -> None:
    wnids = {"n03": ("third", "c"), "n01": ("first",), "n02": ("second",)}
    refused("ILSVRC2012_devkit_t12.tar.gz", "imagenet", root=str(tmp_path))
    (tmp_path / "meta.bin").write_bytes(pickle.dumps(wnids))
    refused("not readable in", "imagenet", root=str(tmp_path))
    torch.save((wnids, []), tmp_path / "meta.bin")
    refused("ILSVRC2012_img_train.tar", "imagenet", root=str(tmp_path))
    save_images(tmp_path / "val", ["n01", "n03"])
    data = load("imagenet", split="test", root=str(tmp_path), image_size=8)
    assert data.classes == ["first", "second", "third, c"] and data.labels.tolist() == [0, 0, 2, 2]
    assert data[3][0].shape == (3, 8, 8)


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
    np.testing.assert_allclose(mean, PUBLISHED["cifar10"][0], atol=0.01)
    np.testing.assert_allclose(std, PUBLISHED["cifar10"][1], atol=0.01)


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
