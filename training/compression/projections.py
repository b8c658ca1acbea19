"""Euclidean projections of the weights of a layer: onto few non-zero entries, and onto few levels."""

import torch
from torch import Tensor

TERNARY = 1.58  # log2 of 3 levels
FULL = 32.0
_ROUNDS = 5


def magnitude_mask(weight: Tensor, sparsity: float) -> Tensor:
    """Which weights of a layer are kept: the round((1 - p) n) largest of n by size, of equal ones the first.

    Setting all others to 0 is the Euclidean projection onto tensors with so many non-zero entries, as in ADMM pruning
    (Deng et al. 2019, arXiv 1911.00822).

    Args:
        weight: of any shape.
        sparsity: p, the share that goes, in [0, 1).

    Returns:
        True where a weight is kept, shaped like the weight.

    Raises:
        ValueError: p is outside of [0, 1).
    """
    if not 0 <= sparsity < 1:
        raise ValueError(f"the sparsity must be in [0, 1), got {sparsity}")
    order = weight.detach().abs().flatten().argsort(descending=True, stable=True)
    mask = torch.zeros(weight.numel(), dtype=torch.bool, device=weight.device)
    mask[order[: round((1 - sparsity) * weight.numel())]] = True
    return mask.view_as(weight)


def largest_level(bits: float) -> int:
    """The largest multiple of the scale that b bits hold beside its negative: 1 of ternary, else 2^(b-1) - 1.

    Raises:
        ValueError: neither 1.58 nor a whole number from 3 to 8.
    """
    if bits == TERNARY:
        return 1
    if bits not in range(3, 9):
        raise ValueError(f"the bits of a weight must be 1.58 (ternary) or a whole number from 3 to 8, got {bits:g}")
    return int(2 ** (int(bits) - 1)) - 1


def quantise(weight: Tensor, bits: float) -> tuple[Tensor, float]:
    """Levels q and scale alpha with small ||w - alpha q||^2, q whole numbers from -L to L.

    Alternates q = nearest level of w / alpha and alpha = w'q / q'q, which never raise the error (Deng et al. 2019),
    from alpha = mean |w| as the paper does for ternary weights, and from max |w| / L and parts of it, since from the
    mean alone more bits would not use their levels; the least error is kept. alpha is never negative.

    Args:
        weight: of any shape, finite.
        bits: 1.58 for ternary (L = 1), or 3 to 8 (L = 2^(b-1) - 1).

    Returns:
        q, float64 and shaped like the weight, and alpha; both 0 where all weights are.

    Raises:
        ValueError: other bits.
    """
    most, w = largest_level(bits), weight.detach().double()
    best, least, scale = torch.zeros_like(w), float((w**2).sum()), 0.0
    top = float(w.abs().max()) if w.numel() else 0.0
    for start in (float(w.abs().mean()), *(part * top / most for part in (1.0, 0.75, 0.5))) if top else ():
        alpha = start
        for _ in range(_ROUNDS):
            q, alpha = refit(w, alpha, most)
        error = float(((w - alpha * q) ** 2).sum())
        if error < least:
            best, least, scale = q, error, alpha
    return best, scale


def refit(w: Tensor, alpha: float, most: int) -> tuple[Tensor, float]:
    """One round: the nearest levels at a scale, and the scale that is best for these levels."""
    q = (w / alpha).round().clamp(-most, most) if alpha else torch.zeros_like(w)
    squares = float((q**2).sum())
    return q, float((w * q).sum()) / squares if squares else 0.0


def project(weight: Tensor, sparsity: float = 0.0, bits: float = FULL) -> Tensor:
    """The weights of a layer, pruned and then those that are kept quantised.

    Args:
        weight: of any shape.
        sparsity: as in :func:`magnitude_mask`.
        bits: as in :func:`quantise`; 32 leaves them as they are.

    Returns:
        The projection, a tensor of its own.

    Raises:
        ValueError: a sparsity or bits that are none.
    """
    kept = torch.where(magnitude_mask(weight, sparsity), weight.detach(), 0)
    if bits == FULL:
        return kept
    q, alpha = quantise(kept[kept != 0], bits)
    found = torch.zeros_like(kept)
    found[kept != 0] = (alpha * q).to(kept.dtype)
    return found
