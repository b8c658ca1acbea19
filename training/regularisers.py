"""What is added to a loss: the decay of weights in TRT, and regularisers of the membrane potentials."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tetviz.models import LIF

_EPSILON = 1e-5  # of the code of the TRT paper
_MOST = 80.0  # exp of which float32 holds


def decay_over_time(weights: Iterable[Tensor], timesteps: int, lamb: float = 1e-5, delta: float = 0.25) -> Tensor:
    """The weight term of temporal regularisation training (arXiv 2506.19256, as in its code).

    Of weights w, a decay that is L2 in the first step and falls from step to step, faster for large weights::

        1/T sum_t sum_w lamb w^2 / (1 + (exp(delta (t - 1)) - 1) (|w| + 1e-5))

    Args:
        weights: the weights.
        timesteps: T.
        lamb: its factor; the paper's code takes 1e-5 on CIFAR, 5e-5 on DVS-CIFAR10.
        delta: how fast it falls; 0.25 on CIFAR, 0.5 on DVS-CIFAR10.

    Returns:
        The term, a scalar.
    """
    growth = [math.expm1(min(delta * t, _MOST)) for t in range(timesteps)]
    terms = [(w**2 / (1 + each * (w.abs() + _EPSILON))).sum() for w in weights for each in growth]
    return lamb * torch.stack(terms).sum() / timesteps


def decayed(model: nn.Module) -> list[Tensor]:
    """The weights that TRT decays: those of layers and normalisations, no biases, no constants of neurons."""
    return [each for name, each in model.named_parameters() if name.rpartition(".")[2] == "weight"]


def im_regulariser(potentials_TB: Tensor) -> Tensor:
    """Information maximisation, of a layer: (mean u - 0.5 / T)^2 (IM-Loss, Guo et al. 2022, as in its code).

    Args:
        potentials_TB: u(t) before the reset, in thresholds, T x B and any further axes.

    Returns:
        The term, a scalar.
    """
    return (potentials_TB.mean() - 0.5 / len(potentials_TB)) ** 2


def rmp_regulariser(potentials_TB: Tensor) -> Tensor:
    """Regularised membrane potentials, of a layer: mean of (u - s)^2, the distance to what they fire, 0 or 1.

    The idea is that of RMP-Loss (Guo et al. 2023); its exact form may differ.

    Args:
        potentials_TB: u(t) before the reset, in thresholds, T x B and any further axes.

    Returns:
        The term, a scalar; the gradient takes s as a constant.
    """
    return ((potentials_TB - (potentials_TB > 1).to(potentials_TB.dtype)) ** 2).mean()


REGULARISERS: dict[str, Callable[[Tensor], Tensor]] = {"im": im_regulariser, "rmp": rmp_regulariser}


class Regulariser:
    """Adds a regulariser of the membrane potentials of every layer to the loss of a batch.

    Args:
        model: the network in training.
        name: a key of :data:`REGULARISERS`; without one nothing is added.
        weight: what the sum over layers is multiplied by.
    """

    def __init__(self, model: nn.Module, name: str, weight: float) -> None:
        self._of_layer, self.weight = REGULARISERS.get(name), weight
        self._neurons = [each for each in model.modules() if isinstance(each, LIF)] if name else []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Has neurons keep their potentials; around the training step."""
        try:
            for neuron in self._neurons:
                neuron.potentials = []
            yield
        finally:
            self._release()

    def penalty(self) -> Tensor | float:
        """What is added to the loss of the forward pass that has just been; nothing is kept of what follows it."""
        kept = [(neuron, each) for neuron in self._neurons for each in neuron.potentials or ()]
        self._release()
        if self._of_layer is None or not kept:
            return 0.0
        return self.weight * torch.stack([self._of_layer(u_TB / neuron.threshold) for neuron, u_TB in kept]).sum()

    def _release(self) -> None:
        for neuron in self._neurons:
            neuron.potentials = None
