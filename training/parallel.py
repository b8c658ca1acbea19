"""Training in several processes, as torchrun starts them: each takes a share of every batch.

A process that was started alone is a group of one, and computes what it would without a group.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tetviz.errors import TrainingError
from tetviz.models.synchronised import synchronised
from tetviz.results.schema import IntArray
from tetviz.training.batches import Batch

# How long a process that has lost another waits for the signal that ends it too.
_SECONDS_TO_END = 10.0
_LOST = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe")


def rank() -> int:
    """The number of this process; 0 writes and speaks."""
    return int(os.environ["RANK"]) if dist.is_torchelastic_launched() else 0


def size() -> int:
    """How many processes train together."""
    return int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Joins the processes that torchrun has started, if it has.

    Args:
        device: the kind that is trained on; of GPUs each process of a machine takes one.

    Yields:
        The device of this process.

    Raises:
        TrainingError: the machine has fewer GPUs than processes.
    """
    if not dist.is_torchelastic_launched():
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        if torch.cuda.device_count() < int(os.environ["LOCAL_WORLD_SIZE"]):
            raise TrainingError(
                f"this machine has {torch.cuda.device_count()} GPUs for {os.environ['LOCAL_WORLD_SIZE']} processes; "
                "start one a GPU (--nproc-per-node gpu), or train with --device cpu"
            )
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


@contextmanager
def held_together() -> Iterator[None]:
    """Says in a line that another process of the group has ended.

    Raises:
        TrainingError: it has.
    """
    try:
        yield
    except RuntimeError as error:
        if size() == 1 or isinstance(error, TrainingError) or not any(word in str(error) for word in _LOST):
            raise
        time.sleep(_SECONDS_TO_END)  # what ended the other one may be a signal to all
        raise TrainingError(
            "another process of this training has ended; go on from the last finished epoch with --resume"
        ) from error


def of_all(model: nn.Module) -> nn.Module:
    """A network whose batch normalisation is over all processes."""
    return model if size() == 1 else synchronised(model)


def averaging(model: nn.Module) -> nn.Module:
    """The network whose backward pass means gradients over all processes."""
    if size() == 1:
        return model
    return DistributedDataParallel(model, gradient_as_bucket_view=True)


def own_share(batch: Batch) -> tuple[Tensor, Tensor, float]:
    """The share of a batch that this process takes, perhaps no sample.

    Returns:
        x, the labels, and what its mean loss is to be multiplied by, so that its mean over the processes is that of the
        batch.
    """
    x, labels = batch
    if size() == 1:
        return x, labels, 1.0
    own_x = x.tensor_split(size(), int(x.dim() == 5))[rank()]
    own_labels = labels.tensor_split(size())[rank()]
    return own_x, own_labels, len(own_labels) * size() / len(labels)


def own_batches(samples: int, batch_size: int) -> IntArray | None:
    """The samples of the whole batches that this process measures; None is all."""
    if size() == 1:
        return None
    starts = range(rank() * batch_size, samples, size() * batch_size)
    batches = [np.arange(start, min(start + batch_size, samples)) for start in starts]
    return np.concatenate(batches) if batches else np.arange(0)


def mean_over_all(values: Sequence[float], weight: float, device: torch.device) -> list[float]:
    """Values meaned over the processes with their weights."""
    if size() == 1:
        return list(values)
    total = torch.tensor([weight, *(weight * value if weight else 0.0 for value in values)], dtype=torch.float64)
    total = total.to(device)
    dist.all_reduce(total)
    return (total[1:] / total[0]).tolist()


def gathered(value: int) -> list[int]:
    """A number of each process."""
    if size() == 1:
        return [value]
    every = [0] * size()
    dist.all_gather_object(every, value)
    return every


def wait_for_all() -> None:
    """Waits until every process is here."""
    if size() > 1:
        dist.barrier()
