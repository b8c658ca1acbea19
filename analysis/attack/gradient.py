"""The gradient of a loss by the input, with another threshold or surrogate than those that the network runs with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tetviz.errors import CheckpointError, unknown
from tetviz.models.fully_connected import FullyConnected
from tetviz.models.neuron import LIF
from tetviz.models.surrogate import SURROGATES


class _Raised:
    """Fires above ``raised``; the surrogate stays around ``threshold``."""

    raised: float

    def steps(self: Any, current_TB: Tensor, v: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The rule of LIF neurons with another threshold forward than backward."""
        spike, leak = SURROGATES[self.surrogate], self.leak
        for current in current_TB:
            u = leak * v + current
            s = spike(u, self.threshold, self.gamma)
            s = s + ((u > self.raised).to(u.dtype) - s).detach()
            v = self.after_reset(u, s)
            yield u, s, v


@contextmanager
def attacker_view(model: nn.Module, threshold: float | None = None, surrogate: str | None = None) -> Iterator[None]:
    """The network as the attacker differentiates it; on exit it is as before.

    Args:
        threshold: the one that the last layer of neurons in front of the readout fires at; None for its own.
        surrogate: the derivative of all neurons; None for their own.

    Raises:
        CheckpointError: the network has no LIF neurons of tetviz, or the last ones have a rule of their own.
        ValueError: the surrogate is unknown.
    """
    neurons = [module for module in model.modules() if isinstance(module, LIF)]
    derivatives = [name for name in SURROGATES if name != "sigmoid"]  # which is smooth forward too
    if surrogate is not None and surrogate not in derivatives:
        raise ValueError(unknown("surrogate", surrogate, derivatives))
    if (threshold is not None or surrogate is not None) and not neurons:
        raise CheckpointError(
            "an attack with another threshold or surrogate needs neurons of tetviz, this network has none; leave "
            "--penultimate-threshold and --surrogate out"
        )
    before = [(layer, type(layer), layer.surrogate) for layer in neurons]
    try:
        if surrogate is not None:
            for layer in neurons:
                layer.surrogate = surrogate
        if threshold is not None:
            last, kind, _ = before[-2] if _fires_at_the_end(model) else before[-1]
            if kind.steps is not LIF.steps:
                raise CheckpointError(f"--penultimate-threshold: {kind.__name__} neurons have a rule of their own")
            last.__class__ = type(kind.__name__, (_Raised, kind), {"raised": threshold})
        yield
    finally:
        for layer, kind, name in before:
            layer.__class__, layer.surrogate = kind, name


def _fires_at_the_end(model: nn.Module) -> bool:
    return isinstance(model, FullyConnected) and isinstance(model.output, LIF)


def input_gradient(run: Any, leaf: Tensor, labels_B: Tensor) -> Tensor:
    """The gradient of each sample's cross-entropy of the mean output by its input."""
    with torch.enable_grad():
        leaf = leaf.detach().requires_grad_()
        loss = F.cross_entropy(run(leaf).mean(0), labels_B, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, leaf, allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient
