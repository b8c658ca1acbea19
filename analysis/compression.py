"""Compressed networks measured beside the dense one: accuracy, weights, spikes, operations, energy."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.analysis.counting.operations import compute_operations
from tetviz.results import Compression, Provenance
from tetviz.results.schema import FloatArray, IntArray
from tetviz.summaries import CostModel, cost_text, estimate_energy
from tetviz.training import measure, to_batches
from tetviz.training.compression import magnitude_mask
from tetviz.training.constraint import compressible
from tetviz.training.profile import measured_on

_EDGES = np.linspace(-4, 4, 82)


@dataclass(frozen=True)
class Compressed:
    """One network of a compression.

    Attributes:
        name: what it is called.
        model: the network.
        mechanism: one of :data:`tetviz.summaries.compression.MECHANISMS`.
        path: its checkpoint.
        sparsity: the share of each layer that was asked to be 0.
        bits: of a weight.
        activity: lambda of the spikes in the loss.
        distances: ||W - Z|| / ||W|| after every epoch of ADMM.
    """

    name: str
    model: nn.Module
    mechanism: str = "dense"
    path: str = ""
    sparsity: float = 0.0
    bits: float = 32.0
    activity: float = 0.0
    distances: Sequence[float] = ()


def compute_compression(
    networks: Sequence[Compressed],
    data: Any,
    tmax: int,
    *,
    levels: Sequence[float] = (),
    cost: CostModel | str | None = None,
    t_train: int = 0,
    indices: IntArray | None = None,
    batch_size: int = 256,
    provenance: Provenance | None = None,
    progress: Callable[[int], None] | None = None,
) -> Compression:
    """Measures a dense network and its compressed ones on the same samples; weights that are 0 are no synapses.

    Args:
        networks: the dense one first.
        data: as in :func:`tetviz.analysis.compute_operations`.
        tmax: the longest run.
        levels: shares of one layer that are pruned in the dense network for its sensitivity, rising, in [0, 1).
        cost: what operations cost; by default ``45nm-fp32``.
        t_train: T that the dense network was trained for.
        indices: which samples, in which order; all by default.
        batch_size: samples a batch.
        provenance: what the caller knows of the origin.
        progress: called with the number of samples of each finished batch.

    Returns:
        The compression.

    Raises:
        CheckpointError: as in :func:`tetviz.analysis.compute_operations`.
        DataError: likewise.
        TetvizError: likewise.
        ValueError: no network.
    """
    if not networks:
        raise ValueError("no network to measure; expected the dense one first")
    dense = compressible(networks[0].model)
    how: dict[str, Any] = {"indices": indices, "batch_size": batch_size, "progress": progress}
    counts = [compute_operations(each.model, data, tmax, skip_zero_weights=True, **how) for each in networks]
    reports = [estimate_energy(each, cost, "tet") for each in counts]
    layers = [compressible(each.model) for each in networks]
    epochs = max(len(each.distances) for each in networks)
    distance = np.full((len(networks), epochs), np.nan)
    for row, each in zip(distance, networks, strict=True):
        row[: len(each.distances)] = each.distances
    at = min(t_train or tmax, tmax)
    return Compression(
        variant=np.arange(len(networks)),
        timestep=np.arange(1, tmax + 1),
        layer=np.arange(len(dense)),
        level=np.asarray(levels, dtype=np.float64),
        epoch=np.arange(1, epochs + 1),
        bin=(_EDGES[1:] + _EDGES[:-1]) / 2,
        sample=counts[0].sample,
        accuracy=np.stack([each.accuracy for each in counts]),
        sdt_loss=np.stack([each.sdt_loss for each in counts]),
        spikes=np.stack([each.spikes.sum(0).cumsum() / each.runs for each in counts]),
        mac=np.stack([each.total_mac for each in reports]),
        ac=np.stack([each.total_ac for each in reports]),
        energy=np.stack([each.total_pj for each in reports]),
        layer_weights=np.array([weight.numel() for weight in dense.values()], np.int64),
        zeros=np.array([[int((weight == 0).sum()) for weight in each.values()] for each in layers], np.int64),
        asked_sparsity=np.array([each.sparsity for each in networks], np.float64),
        bits=np.array([each.bits for each in networks], np.float64),
        activity=np.array([each.activity for each in networks], np.float64),
        distance=distance,
        sensitivity=_sensitivity(networks[0].model, data, at, levels, indices, batch_size),
        histogram=np.stack([_histogram(each, dense) for each in layers]),
        names=tuple(each.name for each in networks),
        paths=tuple(each.path for each in networks),
        mechanisms=tuple(each.mechanism for each in networks),
        layers=tuple(name.removesuffix(".weight") for name in dense),
        other_parameters=_others(networks[0].model, dense),
        cost=cost_text(reports[0].cost),
        t_train=t_train,
        provenance=dataclasses.replace(measured_on(networks[0].model, provenance)),
    )


def _others(model: nn.Module, dense: Mapping[str, Tensor]) -> int:
    return sum(each.numel() for each in model.parameters()) - sum(each.numel() for each in dense.values())


@torch.no_grad()
def _sensitivity(
    model: nn.Module, data: Any, timesteps: int, levels: Sequence[float], indices: IntArray | None, batch_size: int
) -> FloatArray:
    weights = compressible(model)
    found = np.zeros((len(weights), len(levels)))
    for layer, weight in enumerate(weights.values()):
        whole = weight.detach().clone()
        for position, level in enumerate(levels):
            weight.mul_(magnitude_mask(whole, level))
            batches = to_batches(data, batch_size, indices)
            found[layer, position] = measure(model, batches, timesteps).accuracy[-1]
            weight.copy_(whole)
    return found


@torch.no_grad()
def _histogram(weights: Mapping[str, Tensor], dense: Mapping[str, Tensor]) -> FloatArray:
    # Those beyond the last edge count in the last bin, so that shares add up to 1.
    scaled = [
        (weight / dense[name].square().mean().sqrt().clamp_min(1e-30)).flatten().double().cpu().numpy()
        for name, weight in weights.items()
    ]
    values = np.clip(np.concatenate(scaled), _EDGES[0], _EDGES[-1])
    return np.histogram(values, _EDGES)[0] / len(values)
