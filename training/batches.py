"""Batches of samples in a fixed order, time first, out of whatever holds data."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from tetviz.errors import DataError
from tetviz.results.schema import IntArray
from tetviz.training.axes import batch_time_first, time_first
from tetviz.training.padding import check_labels_of_frames, find_lengths, mask_labels, no_classes, to_lengths

Batch = tuple[Tensor, Tensor]


def to_batches(
    data: Any, batch_size: int = 256, indices: Sequence[int] | IntArray | None = None, workers: int = 0
) -> Iterable[Batch]:
    """Batches of a data set in a fixed order, time first.

    Args:
        data: a Dataset of (x_CHW or x_TCHW, label), or batches (x_BCHW or x_TBCHW, labels_B) such as a DataLoader
            gives, or a single such batch; of vectors x_F or x_TF, and x_BF or x_TBF. Labels are classes, or rows of one
            1 among zeros. What comes third in a sample or batch is left out. Samples that end before the last frame
            have labels_T, in batches labels_BT (:func:`tetviz.training.mask_labels`), or their Dataset an attribute
            ``lengths``.
        batch_size: samples a batch, of a Dataset.
        indices: of a Dataset: which samples, in which order; all by default.
        workers: processes that load a Dataset.

    Returns:
        An iterable of (x_BCHW or x_TBCHW, labels_B or labels_BT) that can be gone through as often as the data can.
    """
    if isinstance(data, tuple) and len(data) in (2, 3) and isinstance(data[0], Tensor):
        return list(normal_batches([data]))
    if isinstance(data, Iterator):
        return normal_batches(data)
    if not isinstance(data, Dataset):
        return _Batches(data)
    data = with_lengths(data)
    subset = data if indices is None else Subset(data, [int(index) for index in indices])
    if are_together(data):
        batch_size = len(subset) or 1
    # An own generator: the default one would draw from the caller's global random state.
    return DataLoader(subset, batch_size, num_workers=workers, collate_fn=collate, generator=torch.Generator())


class _Batches:
    """Goes through batches anew each time."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Batch]:
        known = find_lengths(getattr(self.batches, "dataset", None)) is not None
        for x, labels in normal_batches(self.batches):
            if known and labels.dim() == 1:
                raise DataError(
                    "the Dataset of these batches has lengths, their labels do not say them; give the Dataset itself, "
                    "or labels by tetviz.training.mask_labels"
                )
            yield x, labels


class PaddedDataset(Dataset[tuple[Tensor, Tensor]]):
    """Samples with labels that say where each ends.

    Args:
        data: samples (x, label).
        lengths: as :func:`tetviz.training.padding.to_lengths` takes them.
    """

    def __init__(self, data: Any, lengths: Any) -> None:
        self.data, frames = data, _frames(_time_first(torch.as_tensor(data[0][0])))
        self.lengths = to_lengths(lengths, frames)
        if len(self.lengths) != len(data):
            raise DataError(f"{len(self.lengths)} lengths are given for {len(data)} samples; give one for each")

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """One sample."""
        x, label = self.data[index][:2]
        frames = _frames(_time_first(torch.as_tensor(x)))
        return x, mask_labels(_label(label).reshape(-1)[:1], torch.tensor(self.lengths[[index]]), frames)[0]


def with_lengths(data: Any) -> Any:
    """A Dataset whose labels say where samples end, if it knows their lengths."""
    lengths = find_lengths(data)
    return data if lengths is None else PaddedDataset(data, lengths)


def are_together(data: Any) -> bool:
    """Whether a network computes all samples of a Dataset, or of what it is a part of, at once."""
    return bool(getattr(data, "together", False) or (isinstance(data, Subset) and are_together(data.dataset)))


def _frames(x: Tensor) -> int:
    return len(x) if x.dim() == 4 else 0


def _label(label: Any) -> Tensor:
    classes = torch.as_tensor(class_of(label)).long()
    return classes.reshape(()) if classes.numel() == 1 else classes


def collate(samples: Sequence[Sequence[Any]]) -> Batch:
    """Stacks samples into a batch, sequences time first."""
    x = torch.stack([_time_first(torch.as_tensor(sample[0])) for sample in samples])
    labels = torch.stack([_label(sample[1]) for sample in samples])
    if labels.dim() > 1:
        check_labels_of_frames(labels, x.shape[1] if x.dim() == 5 else 0)
    return (x.transpose(0, 1).contiguous() if x.dim() == 5 else x), labels


def _time_first(x: Tensor) -> Tensor:
    try:
        return time_first(x, "")
    except ValueError as error:
        raise DataError(f"a sample {error}") from error


def class_of(labels: Any) -> Any:
    """Labels as they are, rows of one 1 among zeros as the classes that these stand for."""
    one_hot = torch.as_tensor(labels)
    if one_hot.dim() == 0 or one_hot.shape[-1] < 2:
        return labels
    ones = (one_hot == 1).sum(-1) == 1
    zeros = (one_hot == 0).sum(-1) == one_hot.shape[-1] - 1
    return one_hot.int().argmax(-1) if bool((ones & zeros).all()) else labels


def normal_batches(batches: Iterable[Any], axes: str = "") -> Iterator[Batch]:
    """Batches as pairs of tensors.

    Args:
        axes: those of a sample, as :func:`tetviz.training.axes.batch_time_first` takes them.
    """
    for batch in batches:
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            raise DataError(f"expected batches (x, labels) or (x, labels, more), got {type(batch).__name__}")
        x, labels_B = torch.as_tensor(batch[0]), torch.as_tensor(batch[1])
        labels_B = class_of(labels_B) if labels_B.dim() == 2 else labels_B
        if labels_B.dim() not in (1, 2) or (labels_B.dim() == 1 and labels_B.is_floating_point()):
            raise no_classes(labels_B)
        try:
            time_first_x = batch_time_first(x, axes)
        except ValueError as error:
            raise DataError(f"a batch {error}; give the Dataset itself, or batches of that shape") from error
        if time_first_x.dim() == 5 and time_first_x.shape[1] != len(labels_B) == len(time_first_x):
            raise DataError(
                f"a batch of {len(labels_B)} sequences is {tuple(x.shape)}, expected time first, x_TBCHW or x_TBF; "
                "transpose it (x.transpose(0, 1)), or give the Dataset itself"
            )
        if labels_B.dim() == 2:
            check_labels_of_frames(labels_B, len(time_first_x) if time_first_x.dim() == 5 else 0)
        yield time_first_x, labels_B
