"""Over-smoothing of networks on graphs: how alike nodes become from layer to layer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tetviz.errors import ModelError
from tetviz.models import NodeClassifier
from tetviz.results import Provenance, Smoothness
from tetviz.results.schema import IntArray
from tetviz.training import evaluating, measure, to_batches
from tetviz.training.passes import outputs
from tetviz.training.profile import measured_on


def compute_smoothness(
    model: torch.nn.Module,
    data: Any,
    timesteps: int,
    *,
    t_train: int = 0,
    indices: IntArray | None = None,
    batch_size: int = 256,
    provenance: Provenance | None = None,
    progress: Callable[[int], None] | None = None,
) -> Smoothness:
    """Dirichlet energy and mean cosine of the firing rates of every layer, over all nodes of the graph.

    Args:
        model: a network that has its graph.
        data: the nodes whose accuracy is measured, as in :func:`tetviz.training.to_batches`.
        timesteps: T.
        t_train: T that the network was trained for; the model's own by default.
        indices: which nodes of a Dataset, in which order; all by default.
        batch_size: nodes a batch.
        provenance: what the caller knows of the origin; device and precision are filled in.
        progress: called with the number of nodes of each finished batch.

    Returns:
        The smoothness of the input and of every spiking layer.

    Raises:
        DataError: no nodes, or a label out of range.
        ModelError: the network is none on a graph.
        ValueError: timesteps below 1, or the network has no graph yet.
    """
    if not isinstance(model, NodeClassifier):
        raise ModelError("smoothness is that of the nodes of a graph, and the network is on none; train a gcsnn")
    profile = measure(model, to_batches(data, batch_size, indices), timesteps, progress=progress)
    signals = [model.features_of_nodes(), *firing_rates(model, timesteps)]
    i, j = model.joined_2E
    return Smoothness(
        layer=np.arange(len(signals)),
        sample=np.arange(profile.samples) if indices is None else np.asarray(indices),
        dirichlet=np.array([dirichlet_energy(signal, i, j) for signal in signals]),
        cosine=np.array([mean_cosine(signal) for signal in signals]),
        rate=np.array([float((signals[0] != 0).double().mean()), *(float(each.mean()) for each in signals[1:])]),
        silent=np.array([float((signal == 0).all(1).double().mean()) for signal in signals]),
        nodes=model.nodes,
        timesteps=timesteps,
        accuracy=float(profile.accuracy[-1]),
        t_train=t_train or getattr(model, "timesteps", None) or 0,
        provenance=measured_on(model, provenance),
    )


def firing_rates(model: NodeClassifier, timesteps: int) -> list[Tensor]:
    """Mean spikes of every node and neuron over a run, N x F in float64, of each layer."""
    sums: dict[int, Tensor] = {}

    def add(index: int, spikes_TNF: Tensor) -> None:
        sums[index] = sums.get(index, torch.zeros(())) + spikes_TNF.double().sum(0).cpu()

    hooks = [
        neuron.register_forward_hook(lambda _, __, spikes, index=index: add(index, spikes))
        for index, neuron in enumerate(model.neurons)
    ]
    try:
        with evaluating(model):
            for _ in outputs(model, model.every_node(), timesteps):
                pass
    finally:
        for hook in hooks:
            hook.remove()
    return [sums[index] / timesteps for index in sorted(sums)]


def dirichlet_energy(x_NF: Tensor, i: Tensor, j: Tensor) -> float:
    """The Dirichlet energy of a signal over its squared norm, each edge in both directions and with loops."""
    x_NF, i, j = x_NF.double().cpu(), i.cpu(), j.cpu()
    norm = float((x_NF**2).sum())
    if not norm:
        return float("nan")
    scaled = x_NF / torch.bincount(i, minlength=len(x_NF)).double().sqrt()[:, None]
    smooth = torch.zeros_like(scaled).index_add_(0, i, scaled[j])
    # x (I - D^-1/2 A D^-1/2) x, which is the sum over edges
    return max(0.0, (norm - float((scaled * smooth).sum())) / norm)


def mean_cosine(x_NF: Tensor) -> float:
    """The mean cosine over all pairs of nodes that are not 0."""
    x_NF = x_NF.double().cpu()
    lengths = torch.linalg.vector_norm(x_NF, dim=1)
    directions = x_NF[lengths > 0] / lengths[lengths > 0, None]
    count = len(directions)
    if count < 2:
        return float("nan")
    found = (float((directions.sum(0) ** 2).sum()) - count) / (count * (count - 1))
    return float(np.clip(found, -1, 1))  # rounding may take it beyond
