"""The surrogate gradient of a checkpoint: what its own backward pass gives."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from tetviz.landscape.directions import HOLD_ALL_BUT_WEIGHTS, parameter_roles
from tetviz.landscape.evaluator import Evaluator
from tetviz.models.foreign.draws import drawn, draws_of
from tetviz.models.foreign.isolation import differentiating
from tetviz.training.losses import LOSSES
from tetviz.training.profile import exact_kernels


def random_parameters(evaluator: Evaluator, policy: Mapping[str, str] = HOLD_ALL_BUT_WEIGHTS) -> dict[str, Tensor]:
    """The parameters that a policy moves at random."""
    roles = parameter_roles(evaluator.model)
    return {name: weight for name, weight in evaluator.origin.items() if policy[roles[name]] == "random"}


def surrogate_gradient(evaluator: Evaluator, loss: str, names: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The gradient of a loss at the checkpoint, through the surrogates, over all samples, at the T of training."""
    evaluator.place({})
    total = {name: torch.zeros_like(weight) for name, weight in names.items()}
    parameters = dict(evaluator.model.named_parameters())
    with exact_kernels():
        for value in loss_shares(evaluator, loss):
            with differentiating(value):
                gradients = torch.autograd.grad(value, [parameters[name] for name in names], materialize_grads=True)
            for name, gradient in zip(names, gradients, strict=True):
                total[name] += gradient
    return total


def loss_shares(evaluator: Evaluator, loss: str) -> Iterator[Tensor]:
    """What each draw of a batch contributes to the mean loss of an evaluator where it stands, at the T of training."""
    with drawn(evaluator.model, evaluator.batches) as passes:
        for x, labels_B in passes:
            yield _share(evaluator, loss, x, labels_B)


@torch.enable_grad()
def _share(evaluator: Evaluator, loss: str, x: Tensor, labels_B: Tensor) -> Tensor:
    logits_TBK = evaluator.model(x.clone(), evaluator.gradient_timesteps)
    value: Tensor = LOSSES[loss](logits_TBK, labels_B.to(logits_TBK.device))
    return value * (len(labels_B) / len(evaluator.samples) / draws_of(evaluator.model))
