"""Changes of binary spikes: the gradient-to-spike converter, the random spike flipper, and flips at random."""

import torch
from torch import Tensor


def uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform numbers shaped like a tensor, the same on every device."""
    return torch.rand(like.shape, generator=generator).to(like.device)


def convert_gradient(gradient_BN: Tensor, spikes_BN: Tensor, generator: torch.Generator) -> Tensor:
    """The gradient-to-spike converter (Liang et al. 2020, arXiv 2001.01587).

    An element is kept with probability |g| / max |g|, the maximum over its sample; a spike is set where a kept element
    is positive, and removed where it is negative.

    Args:
        gradient_BN: the direction to go in, of every sample over space and time.
        spikes_BN: 0 or 1.

    Returns:
        Spikes, those of a sample unchanged where its gradient is all zero.
    """
    size = gradient_BN.abs()
    most = size.amax(1, keepdim=True)
    share = torch.where(most > 0, size / most.where(most > 0, torch.ones_like(most)), 0.0)
    kept = uniform(share, generator) < share
    return torch.where(kept, (gradient_BN > 0).to(spikes_BN.dtype), spikes_BN)


def flip_spikes(spikes_BN: Tensor, gamma: float, generator: torch.Generator) -> Tensor:
    """The restricted spike flipper: every spike flipped with probability gamma."""
    return torch.where(uniform(spikes_BN, generator) < gamma, 1 - spikes_BN, spikes_BN)


def flip_exactly(spikes_BN: Tensor, count_B: Tensor, generator: torch.Generator) -> Tensor:
    """So many spikes of every sample flipped, at places drawn without replacement."""
    rank = uniform(spikes_BN, generator).argsort(1).argsort(1)
    return torch.where(rank < count_B[:, None], 1 - spikes_BN, spikes_BN)
