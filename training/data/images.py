"""Image data sets: torchvision's, and a user's folder per class."""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from tetviz.errors import UNREADABLE, DataError, reading, reason
from tetviz.results.contents import open_regular
from tetviz.training.data.arrays import ArrayImages
from tetviz.training.data.dataset import (
    DOWNLOAD,
    DataSpec,
    LabelledDataset,
    chosen_normalisation,
    resize,
)
from tetviz.training.data.folders import class_names, find_samples
from tetviz.training.data.normalise import Normalisation
from tetviz.training.data.sources import Sources
from tetviz.training.data.torchvision import import_torchvision

# Mean and standard deviation of each channel over the training images scaled to [0, 1], as published.
PUBLISHED = {
    "mnist": Normalisation((0.1307,), (0.3081,)),
    "fashion-mnist": Normalisation((0.2860,), (0.3530,)),
    "cifar10": Normalisation((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": Normalisation((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
TORCHVISION = {
    "mnist": ("MNIST", "MNIST/raw"),
    "fashion-mnist": ("FashionMNIST", "FashionMNIST/raw"),
    "cifar10": ("CIFAR10", "cifar-10-batches-py"),
    "cifar100": ("CIFAR100", "cifar-100-python"),
}
# Of what Pillow reads: a file of PostScript, whatever its name, is a program, which Ghostscript would run.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


class FolderImages(LabelledDataset):
    """Image files, decoded to RGB when asked for: shorter side to 256/224 of the size, then the centre."""

    normalisation: Normalisation

    def __init__(
        self, spec: DataSpec, paths: Sequence[str | Path], labels: npt.ArrayLike, classes: Sequence[str]
    ) -> None:
        self.paths = [str(path) for path in paths]
        self.sources = Sources(self.paths)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.classes = list(classes)
        self.in_channels = 3
        self.image_size = spec.image_size or 224
        self.normalisation = chosen_normalisation(spec, PUBLISHED["imagenet"], self.in_channels)
        self.spec = replace(spec, image_size=self.image_size, normalise=str(self.normalisation))

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One image."""
        path = self.paths[index]
        try:
            with reading(path, DataError, "cannot be read as an image", "replace it"):
                open_regular(path).close()  # a pipe would be waited for
                with Image.open(path, formats=_FORMATS) as image:
                    pixels_HWC = np.array(image.convert("RGB"))
        except Image.DecompressionBombError as error:
            raise DataError(f"{path}: cannot be read as an image ({reason(error)}): replace it") from error
        x_CHW = torch.from_numpy(pixels_HWC).permute(2, 0, 1).float() / 255
        return self.normalisation(centred(x_CHW, self.image_size)), int(self.labels[index])


def centred(x_CHW: Tensor, size: int) -> Tensor:
    """The centre of an image: its shorter side brought to 256/224 of the size, then a square cut out."""
    short = size * 256 // 224
    sides = x_CHW.shape[-2:]
    height, width = (short * side // min(sides) for side in sides)
    top, left = round((height - size) / 2), round((width - size) / 2)
    return resize(x_CHW, (height, width))[:, top : top + size, left : left + size]


def load_torchvision(spec: DataSpec, split: str, download: bool) -> LabelledDataset:
    """MNIST, Fashion-MNIST, CIFAR-10 or CIFAR-100 from torchvision's folders, normalised as published."""
    kind, place = TORCHVISION[spec.name]
    root = Path(spec.root).expanduser() if download and spec.root else spec.located(DOWNLOAD)
    try:
        read, train = getattr(import_torchvision().datasets, kind), split == "train"
        with contextlib.redirect_stdout(sys.stderr):
            if download:
                read(root, train=train, download=True)
            sources = Sources(path for path in sorted((root / place).glob("*")) if path.suffix != ".gz")
            found = read(root, train=train)
    except UNREADABLE as error:
        cure = "check the connection and the place" if download else f"to fetch it, {DOWNLOAD}"
        raise DataError(f"data set {spec.name!r}: not readable in {root / place} ({reason(error)}): {cure}") from error
    images = torch.as_tensor(found.data)
    if len(images) != len(found.targets) or not images.numel():
        raise DataError(
            f"data set {spec.name!r}: {root / place} holds {len(images)} images and {len(found.targets)} labels; fetch "
            f"it anew, {DOWNLOAD}"
        )
    images_NCHW = images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()
    dataset = ArrayImages(spec, images_NCHW, found.targets, found.classes, PUBLISHED[spec.name])
    dataset.sources = sources
    return dataset


def load_imagenet(spec: DataSpec, split: str, download: bool) -> LabelledDataset:
    """ImageNet 2012 as torchvision lays it out; its validation images are the test split."""
    root = spec.located()
    imagenet = import_torchvision().datasets.imagenet
    try:
        found = imagenet.ImageNet(root, split="train" if split == "train" else "val")
        names = imagenet.load_meta_file(root)[0]
    except UNREADABLE as error:
        raise DataError(
            f"data set 'imagenet': not readable in {root} ({reason(error)}): put "
            "ILSVRC2012_devkit_t12.tar.gz and the images there, from https://image-net.org "
            "(they cannot be fetched from here)"
        ) from error
    label = {wnid: position for position, wnid in enumerate(sorted(names))}
    labels = [label[found.wnids[target]] for target in found.targets]
    return FolderImages(spec, [path for path, _ in found.samples], labels, [", ".join(names[w]) for w in label])


def load_imagefolder(spec: DataSpec, split: str, download: bool) -> LabelledDataset:
    """A user's images, in ``train/CLASS`` and ``test/CLASS`` (or ``val/CLASS``), normalised as ImageNet's."""
    root = spec.located()
    endings = import_torchvision().datasets.folder.IMG_EXTENSIONS
    classes = sorted(class_names(root / "train"))
    folder = root / split
    if split == "test" and not folder.is_dir():
        folder = root / "val"
        if not folder.is_dir():
            raise DataError(f"{root}: expected a folder test or val beside train, found neither: add one")
    return FolderImages(spec, *find_samples(folder, classes, endings), classes)
