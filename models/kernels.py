"""Neurons over time without a graph: their spikes, and the gradient of their input, each in one pass over memory.

Both are made of torch's operations in the order in which :class:`tetviz.models.LIF` and its backward pass make them,
so they give the same bits, as they are or compiled.
"""

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tetviz.models.neuron import LIF
from tetviz.models.surrogate import KERNELS

Forward = Callable[[Sequence[Tensor]], Tensor]
Backward = Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]


class Rule(NamedTuple):
    """What neurons of one layer have in common; see :class:`tetviz.models.LIF`."""

    leak: float
    threshold: float
    gamma: float
    surrogate: str
    reset: str
    detach_reset: bool
    detach_carry: bool = False

    @classmethod
    def of(cls, neuron: LIF) -> "Rule":
        """The rule of a layer with a number for every constant and a spike that is 0 or 1."""
        leak, threshold, gamma = (float(each) for each in (neuron.leak, neuron.threshold, neuron.gamma))
        detached = (neuron.detach_reset, neuron.detach_carry)
        return cls(leak, threshold, gamma, neuron.surrogate, neuron.reset, *detached)

    def kernels(self) -> "Kernels":
        """The two passes, as they are."""
        return Kernels(_forward(self), _backward(self))


class Kernels(NamedTuple):
    """Forward: the spikes of currents. Backward: of currents, and the gradients of spikes, those of the currents."""

    forward: Forward
    backward: Backward

    def compiled(self) -> "Kernels":
        """The same, compiled at the first call for any number of neurons."""
        return Kernels(*(torch.compile(on_its_own(each), fullgraph=True, dynamic=True) for each in self))


def _forward(rule: Rule) -> Forward:
    def forward(current_TN: Sequence[Tensor]) -> Tensor:
        spikes, v = [], None
        for current in current_TN:
            u, s = _fire(rule, current, v)
            v = _after_reset(rule, u, s)
            spikes.append(s.to(current.dtype))
        return torch.stack(spikes)

    return forward


def _backward(rule: Rule) -> Backward:
    kernel = KERNELS[rule.surrogate]

    def backward(current_TN: Sequence[Tensor], grad_spikes_TN: Sequence[Tensor]) -> Tensor:
        potentials, v = [], None
        for current in current_TN:
            u, s = _fire(rule, current, v)
            v = _after_reset(rule, u, s)
            potentials.append(u)
        grads, grad_v = [], None
        for u, grad_spikes in zip(reversed(potentials), reversed(grad_spikes_TN), strict=True):
            grad_s, grad_u = grad_spikes.to(u.dtype), None
            if grad_v is not None:
                if not rule.detach_reset:
                    grad_s = grad_s - grad_v * (u if rule.reset == "hard" else rule.threshold)
                grad_u = grad_v * (1 - _spikes(rule, u)) if rule.reset == "hard" else grad_v
            slope = grad_s * kernel(u - rule.threshold, rule.gamma)
            grad_u = slope if grad_u is None else grad_u + slope
            grads.append(grad_u.to(grad_spikes.dtype))
            grad_v = None if rule.detach_carry else grad_u * rule.leak
        return torch.stack(grads[::-1])

    return backward


def _fire(rule: Rule, current: Tensor, v: Tensor | None) -> tuple[Tensor, Tensor]:
    current = current.to(torch.promote_types(current.dtype, torch.float32))
    u = current if v is None else rule.leak * v + current
    return u, _spikes(rule, u)


def _spikes(rule: Rule, u: Tensor) -> Tensor:
    return (u > rule.threshold).to(u.dtype)


def _after_reset(rule: Rule, u: Tensor, s: Tensor) -> Tensor:
    return u * (1 - s) if rule.reset == "hard" else u - rule.threshold * s


def on_its_own(function: Any) -> Callable[..., Any]:
    """A function with a code object of its own: torch.compile counts the variants of one, and refuses the ninth."""
    return FunctionType(
        function.__code__.replace(), function.__globals__, function.__name__, None, function.__closure__
    )
