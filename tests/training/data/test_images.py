import pickle
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from data_sets import load, pixels, refused, write_cifar10, write_idx
from PIL import Image
from reference_data import resize_plane
from wording import refuses

from tetviz.errors import DataError
from tetviz.training.data.images import PUBLISHED, centred
from tetviz.training.data.torchvision import import_torchvision


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_mnist_files(tmp_path: Path, name: str, folder: str) -> None:
    raw = tmp_path / folder / "raw"
    images, labels = pixels(7, 28, 28), np.arange(7, dtype=np.uint8)
    for prefix in ("train", "t10k"):
        refused(f"{folder}/raw --download", name, root=str(tmp_path))
        write_idx(raw / f"{prefix}-images-idx3-ubyte", images if prefix == "train" else images[::-1].copy())
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", labels if prefix == "train" else labels[::-1].copy())
    data = load(name, split="test", root=str(tmp_path))
    (mean,), (std,) = PUBLISHED[name].mean, PUBLISHED[name].std
    np.testing.assert_allclose(data[0][0][0].numpy(), (images[6] / 255 - mean) / std, atol=1e-5)
    assert data.labels.tolist() == [6, 5, 4, 3, 2, 1, 0] and data.num_classes == 10 and data.image_size == 28
    (raw / "t10k-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03")
    refused(f"{folder}/raw", name, root=str(tmp_path), split="test")


def test_cifar_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused("cifar-10-batches-py --download", "cifar10", root=str(tmp_path))
    images = pixels(3, 3072)
    write_cifar10(tmp_path, monkeypatch, images, [5, 0, 9])
    data = load("cifar10", split="train", root=str(tmp_path))
    mean, std = (np.reshape(part, (3, 1, 1)) for part in (PUBLISHED["cifar10"].mean, PUBLISHED["cifar10"].std))
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
    refused("downloading connection", "mnist", root=str(tmp_path / "new"), download=True)
    refused("--data-root", "mnist", download=True)
    assert capsys.readouterr().out == ""


def save_images(folder: Path, classes: list[str], size: tuple[int, ...] = (10, 8)) -> None:
    for i, name in enumerate(classes):
        (folder / name / "deeper").mkdir(parents=True)
        Image.fromarray(pixels(*size, 3, seed=i)).save(folder / name / f"a{i}.PNG")
        Image.fromarray(pixels(*size, seed=i)).save(folder / name / "deeper" / f"grey{i}.png")


@pytest.mark.parametrize("other", ["val", "test"])
def test_imagefolder(tmp_path: Path, other: str) -> None:
    save_images(tmp_path / "train", ["cat", "dog", "emu"])
    refused("folder test", "imagefolder", root=str(tmp_path), split="test")
    save_images(tmp_path / other, ["dog", "emu"])
    (tmp_path / "train/cat/readme.txt").write_text("no image")
    train, test = (load("imagefolder", split=split, root=str(tmp_path), image_size=7) for split in ("train", "test"))
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2] and test.labels.tolist() == [1, 1, 2, 2]
    assert test.classes == ["cat", "dog", "emu"] and test.in_channels == 3 and test.image_size == 7
    mean, std = (np.reshape(part, (3, 1, 1)) for part in (PUBLISHED["imagenet"].mean, PUBLISHED["imagenet"].std))
    planes = pixels(10, 8, 3, seed=0).transpose(2, 0, 1) / 255
    expected = np.stack([resize_plane(plane, (10, 8))[2:9, 0:7] for plane in planes])
    np.testing.assert_allclose(test[0][0].numpy(), (expected - mean) / std, atol=1e-5)
    assert load("imagefolder", split="train", root=str(tmp_path)).spec.image_size == 224
    (tmp_path / other / "dog/a0.PNG").write_bytes(b"\x89PNG no more")
    with refuses(DataError, "a0.PNG"):
        test[0]


def test_imagefolder_refuses(tmp_path: Path) -> None:
    refused("train folder", "imagefolder", root=str(tmp_path))
    save_images(tmp_path / "train", ["cat"])
    save_images(tmp_path / "val", ["dog"])
    refused(
        "1 'dog'",
        "imagefolder",
        root=str(tmp_path),
        split="test",
    )
    (tmp_path / "train/empty").mkdir()
    refused("train/empty", "imagefolder", root=str(tmp_path))


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
    refused("not readable", "imagenet", root=str(tmp_path))
    torch.save((wnids, []), tmp_path / "meta.bin")
    refused("ILSVRC2012_img_train.tar", "imagenet", root=str(tmp_path))
    save_images(tmp_path / "val", ["n01", "n03"])
    data = load("imagenet", split="test", root=str(tmp_path), image_size=8)
    assert data.classes == ["first", "second", "third, c"] and data.labels.tolist() == [0, 0, 2, 2]
    assert data[3][0].shape == (3, 8, 8)


def test_a_program_of_postscript_is_no_image(tmp_path: Path) -> None:
    save_images(tmp_path / "train", ["cat"])
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n{} loop\n"
    (tmp_path / "train/cat/a0.PNG").write_bytes(script)
    with refuses(DataError, "a0.PNG cannot identify"):
        load("imagefolder", split="train", root=str(tmp_path))[0]


def test_what_pillow_warns_of_damage_is_not_printed(tmp_path: Path) -> None:
    save_images(tmp_path / "train", ["cat"])
    picture = tmp_path / "train/cat/a0.PNG"
    Image.new("RGB", (64, 64)).save(tmp_path / "whole.tif", compression="tiff_lzw")
    picture.write_bytes((tmp_path / "whole.tif").read_bytes()[:200])
    images = load("imagefolder", split="train", root=str(tmp_path))
    with warnings.catch_warnings(record=True) as said, pytest.raises(DataError):
        warnings.simplefilter("always")
        images[0]
    assert said == []
    with pytest.warns(UserWarning, match="Corrupt"), suppress(OSError):
        Image.open(picture)
