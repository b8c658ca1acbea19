"""Data of someone else's: a function that gives a Dataset, a DataLoader or batches, named as ``module:function``."""

import inspect
from collections.abc import Iterable, Sequence, Sized
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
)

from tetviz.errors import DataError
from tetviz.models.foreign.isolation import Isolation
from tetviz.results.schema import IntArray
from tetviz.training.axes import default_axes, time_first
from tetviz.training.batches import class_of, normal_batches
from tetviz.training.data.dataset import DataSpec, LabelledDataset
from tetviz.training.factory import import_function, run_from_here
from tetviz.training.padding import find_lengths, to_lengths


class ForeignDataset(LabelledDataset):
    """Samples of someone else's, with what tetviz has to know about them."""

    repeatable = False  # its function may augment them as they are read

    def __init__(
        self,
        spec: DataSpec,
        samples: Any,
        classes: Sequence[Any] | int | None = None,
        time_first_axes: str = "",
        lengths: Any = None,
    ) -> None:
        # With time_first_axes samples are time first and full already, and these are the axes that they had.
        self.spec = spec
        self.samples, self._axes = samples, "" if time_first_axes else spec.axes
        with Isolation(f"{spec.name}: reading its samples raised", DataError):
            count = len(samples)
            if not count:
                raise DataError(f"{spec.name}: the data set is empty")
            first, _ = self._sample(0)
            known = _known_labels(samples, count)
            found = [self._sample(at)[1] for at in range(count)] if known is None else known
            self.labels = _label_array(spec.name, found)
            if spec.lengths and lengths is None:
                lengths = np.stack([_length(spec.name, samples[at]) for at in range(count)])
        if self.labels.min() < 0:
            raise DataError(f"{spec.name}: a label is {self.labels.min()}, expected 0 or more")
        self.states_classes = classes is not None
        names = range(classes) if isinstance(classes, int) else classes
        self.classes = [str(name) for name in (range(int(self.labels.max()) + 1) if names is None else names)]
        if self.labels.max() >= len(self.classes):
            raise DataError(
                f"{spec.name}: label {self.labels.max()} is out of range, it names {len(self.classes)} classes"
            )
        self.shape, self.sequence = first.shape, first.dim() == 4
        if lengths is not None:
            self.lengths = _checked_lengths(spec.name, lengths, count, len(first) if self.sequence else 0)
        self.in_channels, self.image_size = int(first.shape[-3]), int(first.shape[-2])
        axes = time_first_axes or spec.axes or default_axes(torch.as_tensor(samples[0][0]).dim())
        self.sample_axes = len(axes.replace("T", ""))
        if spec.image_size not in (0, self.image_size):
            raise DataError(
                f"{spec.name}: its samples are {self.image_size} pixels high, {spec.image_size} are asked for; have "
                "the function resize them"
            )
        self.spec = replace(spec, image_size=self.image_size, frames=len(first) if self.sequence else 0)

    def _sample(self, index: int) -> tuple[Tensor, Any]:
        return _sample(self.spec.name, self.samples[index], self._axes)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One sample."""
        name, expected = self.spec.name, int(self.labels[index])
        with Isolation(f"{name}: sample {index} raised", DataError):
            x, label = self._sample(index)
            x, label = x.float(), int(class_of(label))
        if label != expected:
            raise DataError(
                f"{name}: sample {index} has the label {label}, its data set's labels say {expected}; have both say "
                "the same, or give the samples in a fixed order"
            )
        if x.shape != self.shape:
            raise DataError(
                f"{name}: sample {index} is {tuple(x.shape)}, sample 0 is {tuple(self.shape)}; give all one shape"
            )
        if not bool(x.isfinite().all()):
            raise DataError(f"{name}: sample {index} holds values that are not finite; leave it out, or mend it")
        return x, label


def load_foreign(spec: DataSpec, split: str, trust: bool) -> ForeignDataset:
    """Calls a function for one split of its data.

    Args:
        spec: its name is ``module:function``. The function gets ``split``, and of ``root``, ``frames`` and
            ``image_size`` those that it has parameters for. It returns a Dataset or a list of (x_CHW or x_TCHW, label,
            ...), a DataLoader over one, or batches (x_BCHW or x_TBCHW, labels_B, ...) in a fixed order; the axes of x
            may be others, which ``axes`` of the description says. Labels are classes, or rows of one 1 among zeros.
            Samples that end before the last frame say where: a Dataset by an attribute ``lengths``, samples and batches
            by what comes third, which ``lengths`` of the description says.
    """
    name = spec.name
    try:
        function = import_function(name, trust=trust, kind=DataError)
    except ValueError as error:
        raise DataError(f"data set {name!r}: {error}") from None
    offered = {"root": spec.root, "frames": spec.frames, "image_size": spec.image_size}
    with Isolation(f"{name}: raised", DataError), run_from_here(name):
        accepted = inspect.signature(function).parameters
        data = function(split, **{name: value for name, value in offered.items() if name in accepted})
        data = _samples_of(name, data) if isinstance(data, DataLoader) else data
    if isinstance(data, Iterable) and not _positions(data) and not isinstance(data, str | bytes | Tensor | dict):
        classes = _classes(data) or _classes(getattr(data, "dataset", None))
        return _unbatched(spec, data, classes)
    if not _positions(data):
        raise DataError(
            f"{name}: gave something of type {type(data).__name__}, expected a Dataset, a DataLoader or batches"
        )
    return ForeignDataset(spec, data, _classes(data), lengths=None if spec.lengths else find_lengths(data))


def _positions(data: Any) -> bool:
    # Whether it gives samples by their positions; a list may hold samples or batches.
    if isinstance(data, tuple | list):
        pair = bool(data) and isinstance(data[0], tuple | list) and len(data[0]) > 1
        return pair and (np.ndim(data[0][1]) == 0 or np.ndim(class_of(data[0][1])) == 0)
    both = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    return both and not isinstance(data, Tensor | str | bytes | dict | IterableDataset)


def _samples_of(name: str, loader: DataLoader[Any]) -> Any:
    # Its Dataset, where it shows all of that; else the loader, for its batches.
    data: Any = loader.dataset
    if isinstance(data, IterableDataset):
        return loader
    sampler, batches = loader.sampler, loader.batch_sampler
    whole = isinstance(sampler, RandomSampler | SequentialSampler) and type(batches) in (BatchSampler, type(None))
    if whole and sorted(sampler) == [*range(len(data))] and loader.collate_fn is default_collate:
        return data
    order = sampler if batches is None else batches
    if list(order) != list(order):
        raise DataError(
            f"{name}: its DataLoader shuffles; give a fixed order (shuffle=False), or the Dataset itself, of some "
            "samples as torch.utils.data.Subset"
        )
    return loader


def _classes(data: Any) -> Any:
    return next(
        (value for name in ("classes", "num_classes") if (value := getattr(data, name, None)) is not None), None
    )


def _known_labels(samples: Any, count: int) -> Any:
    if getattr(samples, "target_transform", None) is not None:
        return None
    known = (getattr(samples, name, None) for name in ("labels", "targets"))
    return next((labels for labels in known if isinstance(labels, Sized) and _are_labels(_array(labels), count)), None)


def _are_labels(array: Any, count: int) -> bool:
    return array.shape == (count,) and bool(np.issubdtype(array.dtype, np.integer))


def _array(labels: Any) -> Any:
    tensors = isinstance(labels, list) and labels and all(isinstance(label, Tensor) for label in labels)
    return np.asarray(torch.stack(labels) if tensors else labels)


def _unbatched(spec: DataSpec, batches: Iterable[Any], classes: Any) -> ForeignDataset:
    if isinstance(batches, Dataset):
        with Isolation(f"{spec.name}: reading its samples raised", DataError):
            # an IterableDataset
            return ForeignDataset(spec, list(batches), classes, lengths=None if spec.lengths else find_lengths(batches))
    if not spec.lengths and find_lengths(getattr(batches, "dataset", None)) is not None:
        raise DataError(
            f"{spec.name}: its Dataset has lengths, the batches of its DataLoader do not say whose; give the Dataset, "
            "or lengths as the third item of a batch with --lengths"
        )
    samples: list[tuple[Tensor, int]] = []
    lengths: list[IntArray] = []
    axes = spec.axes
    with Isolation(f"{spec.name}: reading its batches raised", DataError):
        for batch in batches:
            x, labels_B = next(normal_batches([batch], axes))
            samples += zip(x.transpose(0, 1) if x.dim() == 5 else x, labels_B.tolist(), strict=True)
            if spec.lengths:
                given = _length(spec.name, batch)
                lengths.append(_checked_lengths(spec.name, given, len(labels_B), len(x) if x.dim() == 5 else 0))
            axes = axes or default_axes(torch.as_tensor(batch[0]).dim() - 1)
    known = np.concatenate(lengths) if lengths else None
    return ForeignDataset(spec, samples, classes, time_first_axes=axes, lengths=known)


def _length(name: str, sample: Any) -> Any:
    if len(sample) < 3:
        raise DataError(f"{name}: --lengths: expected samples (x, label, length) or (x, label, mask), got (x, label)")
    return np.asarray(torch.as_tensor(sample[2]))


def _checked_lengths(name: str, given: Any, count: int, frames: int) -> IntArray:
    try:
        lengths = to_lengths(given, frames)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    if len(lengths) != count:
        raise DataError(f"{name}: has {len(lengths)} lengths for {count} samples; give one for each")
    return lengths


def _sample(name: str, sample: Any, axes: str) -> tuple[Tensor, Any]:
    if not isinstance(sample, tuple | list) or len(sample) not in (2, 3):
        raise DataError(f"{name}: expected samples (x, label) or (x, label, more), got {type(sample).__name__}")
    if not isinstance(sample[0], Tensor | np.ndarray | list | tuple):
        raise DataError(
            f"{name}: a sample is of type {type(sample[0]).__name__}, expected numbers x_CHW or x_TCHW; for images, "
            "transform them with torchvision's ToTensor"
        )
    x = torch.as_tensor(sample[0])
    try:
        return time_first(x, axes), sample[1]
    except ValueError as error:
        raise DataError(f"{name}: a sample {error}") from error


def _label_array(name: str, labels: Any) -> IntArray:
    array = _array(labels)
    array = np.asarray(class_of(array)) if array.ndim == 2 else array
    if not _are_labels(array, len(array) if array.ndim else 0):
        raise DataError(
            f"{name}: labels must be one integer for each sample, got {array.dtype} of shape {array.shape}; tetviz "
            "measures classification"
        )
    return np.asarray(array, np.int64)
