"""Data of someone else's: a function that gives a Dataset, a DataLoader or batches, named as ``module:function``."""

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler, default_collate

from tetviz.errors import DataError, ForeignCode
from tetviz.training.batches import normal_batches
from tetviz.training.dataset import DataSpec, IntArray, LabelledDataset
from tetviz.training.factory import import_function


class ForeignDataset(LabelledDataset):
    """Samples of someone else's, with what tetviz has to know about them.

    Args:
        spec: the description; its name is the function.
        samples: positions to (x, label) or (x, label, anything); x is x_CHW, or x_TCHW.
        labels: of all samples, where they are known; else every sample is read for them.
        classes: names of the classes, where they are known; else there are as many as the largest label says.
    """

    def __init__(
        self, spec: DataSpec, samples: Any, labels: Any = None, classes: Sequence[Any] | int | None = None
    ) -> None:
        self.samples = samples
        with ForeignCode(f"{spec.name}: reading its samples raised", DataError):
            count = len(samples)
            if not count:
                raise DataError(f"{spec.name}: the data set is empty")
            first, _ = _sample(spec.name, samples[0])
            found = [_sample(spec.name, samples[at])[1] for at in range(count)] if labels is None else labels
            self.labels = _label_array(spec.name, found)
        if len(self.labels) != count:
            raise DataError(f"{spec.name}: has {count} samples and {len(self.labels)} labels")
        if self.labels.min() < 0:
            raise DataError(f"{spec.name}: a label is {self.labels.min()}, expected 0 or more")
        self.states_classes = classes is not None
        names = range(classes) if isinstance(classes, int) else classes
        self.classes = [str(name) for name in (range(int(self.labels.max()) + 1) if names is None else names)]
        if self.labels.max() >= len(self.classes):
            raise DataError(
                f"{spec.name}: label {self.labels.max()} is out of range, it names {len(self.classes)} classes"
            )
        self.sequence = first.dim() == 4
        self.in_channels, self.image_size = int(first.shape[-3]), int(first.shape[-2])
        if spec.image_size not in (0, self.image_size):
            raise DataError(
                f"{spec.name}: its samples are {self.image_size} pixels high, {spec.image_size} are asked for; have "
                "the function resize them"
            )
        self.spec = replace(spec, image_size=self.image_size, frames=len(first) if self.sequence else 0)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One sample.

        Args:
            index: its position.

        Returns:
            x_CHW, or x_TCHW, as float32, and its label.
        """
        with ForeignCode(f"{self.spec.name}: sample {index} raised", DataError):
            return _sample(self.spec.name, self.samples[index])[0].float(), int(self.labels[index])


def load_foreign(spec: DataSpec, split: str, trust: bool) -> ForeignDataset:
    """Calls a function for one split of its data.

    Args:
        spec: its name is ``module:function``. The function gets ``split``, and of ``root``, ``frames`` and
            ``image_size`` those that it has parameters for. It returns a Dataset of (x_CHW or x_TCHW, label, ...), a
            DataLoader over one, or batches (x_BCHW or x_TBCHW, labels_B, ...) in a fixed order.
        split: ``train`` or ``test``.
        trust: whether the function may be imported and run.

    Returns:
        The samples. Batches are held in memory.

    Raises:
        DataError: it is not trusted, raises, or gives something else.
    """
    try:
        function = import_function(spec.name, trust=trust, kind=DataError)
    except ValueError as error:
        raise DataError(f"data set {spec.name!r}: {error}") from None
    offered = {"root": spec.root, "frames": spec.frames, "image_size": spec.image_size}
    with ForeignCode(f"{spec.name}: raised", DataError):
        accepted = inspect.signature(function).parameters
        data = function(split, **{name: value for name, value in offered.items() if name in accepted})
    if isinstance(data, DataLoader) and data.collate_fn is default_collate:
        data = data.dataset  # the same samples, in their own order
    if isinstance(data, DataLoader) and isinstance(data.sampler, RandomSampler):
        raise DataError(
            f"{spec.name}: its DataLoader shuffles; give a fixed order (shuffle=False), or the Dataset itself"
        )
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, tuple | list | Tensor):
        labels = next((getattr(data, name) for name in ("labels", "targets") if hasattr(data, name)), None)
        return ForeignDataset(spec, data, labels, _classes(data))
    if not isinstance(data, Iterable) or isinstance(data, str | bytes | Tensor | dict):
        raise DataError(
            f"{spec.name}: gave something of type {type(data).__name__}, expected a Dataset, a DataLoader or batches"
        )
    classes = _classes(data) or _classes(getattr(data, "dataset", None))
    return ForeignDataset(spec, _unbatched(spec.name, data), classes=classes)


def _classes(data: Any) -> Any:
    return next(
        (value for name in ("classes", "num_classes") if (value := getattr(data, name, None)) is not None), None
    )


def _unbatched(name: str, batches: Iterable[Any]) -> list[tuple[Tensor, Any]]:
    samples: list[tuple[Tensor, Any]] = []
    with ForeignCode(f"{name}: reading its batches raised", DataError):
        if isinstance(batches, Dataset):
            return [_sample(name, sample) for sample in batches]  # an IterableDataset
        for x, labels_B in normal_batches(batches):
            samples += zip(x.transpose(0, 1) if x.dim() == 5 else x, labels_B.tolist(), strict=True)
    return samples


def _sample(name: str, sample: Any) -> tuple[Tensor, Any]:
    if not isinstance(sample, tuple | list) or len(sample) not in (2, 3):
        raise DataError(f"{name}: expected samples (x, label) or (x, label, more), got {type(sample).__name__}")
    x = torch.as_tensor(sample[0])
    if x.dim() not in (3, 4):
        raise DataError(
            f"{name}: a sample has {x.dim()} axes {tuple(x.shape)}, expected x_CHW or x_TCHW; shape F features as "
            "F x 1 x 1"
        )
    return x, sample[1]


def _label_array(name: str, labels: Any) -> IntArray:
    array = np.asarray(torch.stack(labels) if _tensors(labels) else labels)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise DataError(
            f"{name}: labels must be one integer for each sample, got {array.dtype} of shape {array.shape}; tetviz "
            "measures classification"
        )
    return array.astype(np.int64)


def _tensors(labels: Any) -> bool:
    return isinstance(labels, list) and bool(labels) and all(isinstance(label, Tensor) for label in labels)
