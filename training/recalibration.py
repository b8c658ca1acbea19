"""Running statistics of batch normalisations, estimated anew."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from tetviz.models.foreign.draws import drawn
from tetviz.training.profile import a_parameter, exact_kernels


def batch_norms(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The batch normalisations of a network."""
    return [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


@torch.no_grad()
def recalibrate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], timesteps: int) -> None:
    """Estimates running statistics anew: the plain mean over batches, and draws, of their statistics.

    Only the normalisations are in train mode; dropout, which torch's ``update_bn`` would switch on, stays off.
    """
    norms = batch_norms(model)
    weight = a_parameter(model)
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean
            norm.train()
        with exact_kernels(), drawn(model, batches) as passes:
            for x, _ in passes:
                model(x.to(weight.device, weight.dtype, copy=True), timesteps)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
