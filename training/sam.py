"""SAM: the gradient of a batch, taken uphill of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def uphill(model: nn.Module, rho: float) -> Iterator[None]:
    """Moves weights by rho g / ||g||, g their gradients, and back (Foret et al. 2021, eq. 2).

    The norm is over all parameters at once. On exit weights and buffers, running statistics among them, are what they
    were, to the bit; gradients stay as they are then. Where all gradients are 0 nothing moves.

    Args:
        model: a network whose parameters have gradients.
        rho: the length of the step.
    """
    moved = [weight for weight in model.parameters() if weight.grad is not None]
    kept = [(each, each.detach().clone()) for each in (*moved, *model.buffers())]
    norm = torch.stack([torch.linalg.vector_norm(weight.grad) for weight in moved]).norm()
    scale = rho / norm if norm != 0 else norm
    with torch.no_grad():
        for weight in moved:
            weight.add_(weight.grad * scale)
    try:
        yield
    finally:
        with torch.no_grad():
            for each, before in kept:
                each.copy_(before)
