"""Images kept in memory: the class, scikit-learn's digits, and a user's arrays in an .npz file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tetviz.errors import DataError
from tetviz.results.schema import IntArray
from tetviz.training.data import npy
from tetviz.training.data.dataset import DataSpec, LabelledDataset, chosen_normalisation, resize, split_validation
from tetviz.training.data.normalise import Normalisation
from tetviz.training.data.sources import Sources

NPZ_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
MOST_CLASSES = 1_000_000
DIGITS_SEED = 0


class ArrayImages(LabelledDataset):
    """Images kept in memory as bytes: scaled to [0, 1], resized and normalised when asked for."""

    normalisation: Normalisation

    def __init__(
        self,
        spec: DataSpec,
        images_NCHW: Tensor,
        labels: npt.ArrayLike,
        classes: Sequence[str],
        own: Normalisation,
        white: int = 255,
    ) -> None:
        self.images_NCHW = images_NCHW
        self.labels = np.asarray(labels, dtype=np.int64)
        self.classes = list(classes)
        self.in_channels = images_NCHW.shape[1]
        self.image_size = spec.image_size or images_NCHW.shape[-1]
        self.normalisation = chosen_normalisation(spec, own, self.in_channels)
        self.spec = replace(spec, image_size=self.image_size, normalise=str(self.normalisation))
        self.white = white

    def _decode(self, images: Tensor) -> Tensor:
        x = resize(images.float() / self.white, (self.image_size, self.image_size))
        return self.normalisation(x)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One image."""
        return self._decode(self.images_NCHW[index]), int(self.labels[index])

    def __getitems__(self, indices: list[int]) -> list[tuple[Tensor, int]]:
        """Several images at once, which is how a DataLoader asks for a batch."""
        x_BCHW = self._decode(self.images_NCHW[torch.as_tensor(indices)])
        return list(zip(x_BCHW, self.labels[indices].tolist(), strict=True))


def load_digits(spec: DataSpec, split: str, download: bool) -> LabelledDataset:
    """scikit-learn's 1,797 handwritten digits, 8 x 8 in 17 greys, enlarged to 16 x 16.

    They have no official split: of every class a fifth, always the same, is the test split.
    """
    from sklearn.datasets import load_digits as bundled

    digits = bundled()
    images_N1HW = torch.from_numpy(digits.images.astype(np.uint8))[:, None]
    parts = dict(zip(("train", "test"), split_validation(digits.target, 0.2, DIGITS_SEED), strict=True))
    own = Normalisation.of(*channel_statistics(images_N1HW[parts["train"]].numpy(), white=16))
    chosen = parts[split]
    spec = replace(spec, image_size=spec.image_size or 16)
    classes = [str(name) for name in digits.target_names]
    return ArrayImages(spec, images_N1HW[chosen], digits.target[chosen], classes, own, white=16)


def load_npz(spec: DataSpec, split: str, download: bool) -> LabelledDataset:
    """A user's arrays in one file: ``x_train y_train x_test y_test``, and ``classes`` if the names are known."""
    path = spec.located("give --data-root an .npz file")
    sources = Sources([path])
    arrays = read_npz(path)
    images = {part: _check_images(path, f"x_{part}", arrays[f"x_{part}"]) for part in ("train", "test")}
    labels = {part: _check_labels(path, part, arrays) for part in ("train", "test")}
    shapes = [images[part].shape[1:] for part in ("train", "test")]
    if shapes[0] != shapes[1]:
        raise DataError(
            f"{path}: x_train has images of {shapes[0]} (channels, height, width) and x_test of {shapes[1]}: "
            "both need the same"
        )
    most = max(int(part.max()) for part in labels.values())
    names = arrays.get("classes")
    if names is not None and (names.ndim != 1 or len(names) <= most):
        raise DataError(f"{path}: classes has shape {names.shape}, but there are labels up to {most}")
    classes = [str(k) for k in range(most + 1)] if names is None else [_text(name) for name in names.tolist()]
    own = Normalisation.of(*channel_statistics(images["train"]))
    dataset = ArrayImages(spec, torch.from_numpy(images[split]), labels[split], classes, own)
    dataset.sources = sources
    return dataset


def read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Reads the arrays that :func:`load_npz` knows, without running pickles."""
    trouble, how = (
        "not an .npz file of plain arrays",
        "write it with numpy.savez(FILE, x_train=..., y_train=..., x_test=..., y_test=...)",
    )
    if npy.is_single(path, trouble, how):
        raise DataError(f"{path}: expected an .npz file of four arrays, got a single array: {how}")
    found = npy.names_in(path, trouble, how)
    missing = [name for name in NPZ_ARRAYS if name not in found]
    if missing:
        raise DataError(f"{path}: there is no array {', '.join(missing)} (found: {', '.join(found) or 'none'}): {how}")
    return npy.read_npz(path, (*NPZ_ARRAYS, "classes"), trouble, how)


def channel_statistics(images_NCHW: npt.NDArray[np.uint8], white: int = 255) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over all pixels, exact, from counts of the 256 values."""
    counts = np.zeros((images_NCHW.shape[1], 256), dtype=np.int64)
    for start in range(0, len(images_NCHW), 1000):
        for channel, histogram in enumerate(counts):
            pixels = images_NCHW[start : start + 1000, channel].ravel()
            histogram += np.bincount(pixels, minlength=256)
    values, weights = np.arange(256) / white, counts / counts.sum(1, keepdims=True)
    mean_C = weights @ values
    std_C = np.sqrt((weights * (values - mean_C[:, None]) ** 2).sum(1))
    return mean_C.tolist(), std_C.tolist()


def _check_images(path: Path, name: str, images: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    expected = "uint8 images (n, H, H) or (n, H, H, C) with n, H and C at least 1"
    square = images.ndim in (3, 4) and images.shape[1] == images.shape[2]
    if images.dtype != np.uint8 or not square or not images.size:
        raise DataError(f"{path}: {name}: expected {expected}, got {images.dtype} {images.shape}")
    stacked = images[:, None] if images.ndim == 3 else np.moveaxis(images, 3, 1)
    return np.ascontiguousarray(stacked)


def _check_labels(path: Path, split: str, arrays: dict[str, npt.NDArray[Any]]) -> IntArray:
    name, labels, images = f"y_{split}", arrays[f"y_{split}"], len(arrays[f"x_{split}"])
    if labels.dtype.kind not in "iu" or labels.shape != (images,):
        raise DataError(
            f"{path}: expected in {name} one integer label for each image, shape ({images},); "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= MOST_CLASSES:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise DataError(f"{path}: labels count the classes from 0, below {MOST_CLASSES}; {name} has {wrong}")
    return labels.astype(np.int64)


def _text(name: object) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
