"""Samples of several lengths in sequences of one: frames behind the end of a sample are padding, and count nowhere.

The labels of a batch say it: labels_BT holds the class of a sample at each of its frames, and behind its end what
PyTorch's cross-entropy ignores (``ignore_index``). Labels of samples that fill all frames are one class each, labels_B.
"""

from collections.abc import Sized
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, Subset

from tetviz.errors import DataError
from tetviz.models import only_length
from tetviz.results.schema import IntArray

IGNORED = -100  # PyTorch's ignore_index


def mask_labels(labels_B: Tensor, lengths_B: Tensor, frames: int) -> Tensor:
    """The labels of samples that end before the last frame.

    Args:
        labels_B: class indices.
        lengths_B: L_i, the number of frames of each sample, from 1 to ``frames``.
        frames: T of the sequences, padding included.

    Returns:
        labels_BT: y_i at t <= L_i, -100 behind. Batches (x_TBCHW, labels_BT) are measured without the padding.
    """
    inside_BT = torch.arange(frames, device=labels_B.device) < lengths_B.to(labels_B.device)[:, None]
    return labels_B.long()[:, None].where(inside_BT, IGNORED)


def of_run(labels: Tensor, timesteps: int) -> Tensor:
    """The labels of a run of so many steps: labels_BT where a sample ends before the last of them, else labels_B."""
    if labels.dim() == 1:
        return labels
    labels_BT = labels[:, :timesteps]
    return labels_BT if bool((labels_BT == IGNORED).any()) else labels_BT[:, 0]


def classes_and_lengths(labels: Tensor, timesteps: int) -> tuple[Tensor, Tensor]:
    """Class y_i of every sample and min(T, L_i), the number of its steps in a run of T."""
    if labels.dim() == 1:
        return labels, torch.full_like(labels, timesteps, dtype=torch.int64)
    return labels[:, 0], (labels[:, :timesteps] != IGNORED).sum(1)


def mean_over_steps(values_TB: Tensor, labels: Tensor) -> Tensor:
    """The mean over the steps that each sample has, of values T x B and any further axes."""
    if labels.dim() == 1:
        return values_TB.mean(0)
    inside_TB = (labels != IGNORED).T
    for _ in values_TB.shape[2:]:
        inside_TB = inside_TB[..., None]
    return values_TB.where(inside_TB, 0).sum(0) / inside_TB.sum(0)


def own_frames(x: Tensor, labels: Tensor) -> Tensor:
    """The frames of a batch without the padding, x_BCHW; all of x where there is none."""
    return x if of_run(labels, labels.shape[-1]).dim() == 1 else x[(labels != IGNORED).T]


def whole_samples(x: Tensor, labels: Tensor, count: int, timesteps: int) -> tuple[Tensor, Tensor, int]:
    """A few samples without padding: the longest of a batch, with as many steps as all of them have in a run of T.

    Returns:
        The samples, their labels_B, and that number of steps.
    """
    labels_B, lengths_B = classes_and_lengths(labels, timesteps)
    few = lengths_B.argsort(descending=True, stable=True)[:count]
    steps = int(lengths_B[few].min())
    return x[:steps, few] if x.dim() == 5 else x[few], labels_B[few], steps


def without_padding(labels: Tensor, timesteps: int, what: str, cure: str) -> Tensor:
    """labels_B, for what would take padding for input; refuses a run that a sample ends in."""
    labels_B = of_run(labels, timesteps)
    if labels_B.dim() == 2:
        lengths_B = classes_and_lengths(labels, timesteps)[1]
        raise DataError(
            f"{what}: a sample has {lengths_B.min()} frames, a run {timesteps}; the padding between would be taken for "
            f"input; {cure}"
        )
    return labels_B


def check_runs(model: nn.Module, labels: Tensor, timesteps: int, by_batch: bool) -> None:
    """Checks that the first steps of a network's run are the run of a sample that ends after them.

    Args:
        by_batch: whether it normalises by statistics of the batch at hand.
    """
    if by_batch:
        what, cure = "batch normalisation by statistics of each batch", "take running ones (--bn frozen)"
        without_padding(labels, timesteps, what, cure)
    if only_length(model) is not None:
        without_padding(labels, timesteps, "the network runs for one T alone", "give it samples of that many frames")


def no_classes(labels: Tensor) -> DataError:
    """The error for labels that are no class for each sample."""
    return DataError(
        f"labels must be one integer for each sample, got {str(labels.dtype)[6:]} of shape {tuple(labels.shape)}; "
        "tetviz measures classification"
    )


def check_labels_of_frames(labels_BT: Tensor, frames: int) -> None:
    """Checks that labels_BT are one class for each sample, up to its end.

    Args:
        frames: those of the samples; 0 where these are no sequences.
    """
    if labels_BT.is_floating_point() or labels_BT.shape[1] != frames:
        raise no_classes(labels_BT)
    lengths_B = (labels_BT != IGNORED).sum(1)
    if not torch.equal(mask_labels(labels_BT[:, 0], lengths_B, frames), labels_BT) or not bool(lengths_B.all()):
        raise DataError(
            f"labels of shape {tuple(labels_BT.shape)} must be one class for each sample at each of its frames and "
            f"{IGNORED} behind its end; tetviz measures classification of whole samples"
        )


def to_lengths(given: Any, frames: int) -> IntArray:
    """Lengths out of lengths or masks.

    Args:
        given: N whole numbers, or N x T booleans: true for the frames of a sample, false for the padding behind.
        frames: T of the samples; 0 where these are no sequences.

    Raises:
        DataError: they are of another form, a mask has holes, or a length is not in 1..T.
    """
    array: npt.NDArray[Any] = np.asarray(given)
    if not frames:
        raise DataError("lengths are those of sequences, these samples have one frame; leave them out")
    if array.dtype == bool and array.shape[1:] == (frames,):
        lengths = array.sum(1)
        holes = np.flatnonzero((array != (np.arange(frames) < lengths[:, None])).any(1))
        if len(holes):
            raise DataError(
                f"the mask of sample {holes[0]} is not true up to the end of the sample and false behind it; tetviz "
                "leaves out padding at the end alone"
            )
    elif array.ndim == 1 and np.issubdtype(array.dtype, np.integer):
        lengths = array
    else:
        raise DataError(
            f"lengths must be a whole number for each sample, or a mask of {frames} booleans, got {array.dtype} of "
            f"shape {array.shape}"
        )
    wrong = np.flatnonzero((lengths < 1) | (lengths > frames))
    if len(wrong):
        raise DataError(f"sample {wrong[0]} has the length {lengths[wrong[0]]}, expected 1 to {frames}, its frames")
    return np.asarray(lengths, np.int64)


def find_lengths(data: Any) -> Any:
    """The attribute ``lengths`` of a Dataset, also of one that is part of another; None where it has none."""
    if isinstance(data, Subset):
        whole = find_lengths(data.dataset)
        return None if whole is None else np.asarray(whole)[list(data.indices)]
    if isinstance(data, ConcatDataset):
        parts = [find_lengths(each) for each in data.datasets]
        known = [each for each in parts if each is not None]
        if 0 < len(known) < len(parts):
            raise DataError("of the data sets that are put together some have lengths, some have none; give all some")
        return np.concatenate(known) if known else None
    lengths = getattr(data, "lengths", None)
    return lengths if isinstance(lengths, Sized) else None
