"""The surrogate gradient of a checkpoint: what its own backward pass gives."""

import math
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from tetviz.landscape.directions import HOLD_ALL_BUT_WEIGHTS, parameter_roles
from tetviz.landscape.planes import inner
from tetviz.landscape.probe import Probe
from tetviz.models.foreign.isolation import differentiating
from tetviz.training.losses import LOSSES
from tetviz.training.profile import exact_kernels


def random_parameters(probe: Probe, policy: Mapping[str, str] = HOLD_ALL_BUT_WEIGHTS) -> dict[str, Tensor]:
    """The parameters that a policy moves at random."""
    roles = parameter_roles(probe.model)
    return {name: weight for name, weight in probe.origin.items() if policy[roles[name]] == "random"}


def random_only(policy: Mapping[str, str]) -> dict[str, str]:
    """A policy without what it scales."""
    return {role: "random" if treatment == "random" else "hold" for role, treatment in policy.items()}


def length(direction: Mapping[str, Tensor]) -> float:
    """L2 norm of a direction."""
    return math.sqrt(inner(direction, direction))


def scaled_to(direction: Mapping[str, Tensor], norm: float) -> dict[str, Tensor]:
    """A direction of a given length."""
    factor = norm / length(direction)
    return {name: factor * tensor for name, tensor in direction.items()}


def surrogate_gradient(probe: Probe, loss: str, names: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The gradient of a loss at the checkpoint, through the surrogates, over all samples, at the T of training."""
    probe.place({})
    total = {name: torch.zeros_like(weight) for name, weight in names.items()}
    parameters = dict(probe.model.named_parameters())
    with exact_kernels():
        for share in loss_shares(probe, loss):
            value = share()
            with differentiating(value):
                gradients = torch.autograd.grad(value, [parameters[name] for name in names], materialize_grads=True)
            for name, gradient in zip(names, gradients, strict=True):
                total[name] += gradient
    return total


def loss_shares(probe: Probe, loss: str) -> Iterator[Callable[[], Tensor]]:
    """What each batch contributes to the mean loss of a probe where it stands, at the T of training."""
    for x, labels_B in probe.batches:

        def share(x: Tensor = x, labels_B: Tensor = labels_B) -> Tensor:
            with torch.enable_grad():
                logits_TBK = probe.model(x.clone(), probe.gradient_timesteps)
                weight = len(labels_B) / len(probe.samples)
                value: Tensor = LOSSES[loss](logits_TBK, labels_B.to(logits_TBK.device))
                return value * weight

        yield share
