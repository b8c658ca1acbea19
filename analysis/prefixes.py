"""Whether one long run of a network holds all the shorter ones."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tetviz.errors import CheckpointError, DataError
from tetviz.models import only_length
from tetviz.models.foreign.isolation import generators_kept
from tetviz.models.foreign.state import state_kept
from tetviz.results.schema import IntArray
from tetviz.training import measure, to_batches
from tetviz.training.batches import Batch
from tetviz.training.doctor.causal import causality
from tetviz.training.doctor.runs import listed
from tetviz.training.padding import whole_samples
from tetviz.training.passes import uses_batch_statistics
from tetviz.training.profile import a_parameter

# Every T up to PREFIX_STEPS is tested, on PREFIX_SAMPLES samples.
PREFIX_STEPS = 6
PREFIX_SAMPLES = 8


def tested_batches(
    model: nn.Module,
    data: Any,
    tmax: int,
    batch_size: int,
    indices: IntArray | None,
    name: str,
    every_t: bool = True,
) -> tuple[Iterator[Batch], str]:
    """The batches of a data set, and what :func:`check_prefixes` says on the first of them."""
    batches = iter(to_batches(data, batch_size, indices))
    first = next(batches, None)
    if first is None:
        raise DataError("no samples to measure on: the data set is empty")
    tested = check_prefixes(model, first, tmax, name, every_t)
    return chain([first], batches), tested


def check_prefixes(model: nn.Module, batch: Batch, tmax: int, name: str = "", every_t: bool = True) -> str:
    """Tests on a few samples that the first t steps of a run are a run of t steps, up to T = 6.

    One long run can stand for all shorter ones only then. What the model holds is put back. Normalisation by
    statistics of the batch is refused without a run: on a few samples it may leave every spike where it was.

    Args:
        every_t: whether shorter runs are asked for also of a network that runs for tmax alone.
    """
    refused = f"{name or 'the network'}: one run cannot stand for the shorter ones: "
    by_batch = [part for part, module in model.named_modules() if _normalises_by_batch(module)]
    if by_batch:
        raise CheckpointError(
            f"{refused}{listed(model, by_batch)} normalises by statistics of all samples and timesteps at hand also in "
            "eval mode, it keeps no running ones; set track_running_stats=True and train it so"
        )
    weight = a_parameter(model)
    x, labels_B, longest = whole_samples(*batch, PREFIX_SAMPLES, tmax)
    few = x.to(weight.device, weight.dtype)
    alone = only_length(model) is not None
    steps = tmax if alone else min(longest, PREFIX_STEPS, len(x) if x.dim() == 5 else tmax)
    with generators_kept(weight.device), state_kept(model):
        # Says what is wrong with outputs or labels.
        measure(model, [(few, labels_B)], tmax if alone else 1)
        verdict, message = causality(model, few, steps)
    if verdict != "failure":
        return f"{verdict}: {message}"
    if every_t or not alone:
        raise CheckpointError(refused + message)
    return f"warning: {message}"


def _normalises_by_batch(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and uses_batch_statistics(module)
