"""Products of two activations: how many pairs of elements that are not 0 they multiply."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tetviz.analysis.counting.operands import names_in

ATTENTIONS = names_in(
    """_scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu
    _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
    _scaled_dot_product_fused_attention_overrideable _scaled_dot_product_attention_math
    _scaled_dot_product_attention_math_for_mps"""
)


def as_batches(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Two factors, vectors or matrices, as batches of matrices n x i x k and n x k x j."""
    a = a[None] if a.dim() == 1 else a
    b = b[:, None] if b.dim() == 1 else b
    return (a if a.dim() == 3 else a[None]), (b if b.dim() == 3 else b[None])


def matmul_pairs(a: Tensor, b: Tensor) -> Tensor:
    """For each element of the first factor that is not 0, the elements that are not 0 which it meets in the second.

    Args:
        a: n x i x k.
        b: n x k x j.

    Returns:
        Counts, n x i x k, float64.
    """
    met = (b != 0).sum(-1, dtype=torch.float64)[:, None]
    return (a != 0) * met


@dataclass(frozen=True)
class Scores:
    """What softmax(Q K^T / sqrt(d)) V multiplies, laid out as it is.

    Attributes:
        query: Q.
        key: K, for as many heads as Q has.
        value: V, likewise.
        weights: the softmax.
        root: what Q and K are multiplied with before they meet.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    weights: Tensor
    root: float


def attention(name: str, given: dict[str, Any]) -> Scores:
    """The factors of a kernel of scaled dot product attention, from its arguments."""
    query, key, value = given["query"], given["key"], given["value"]
    heads = query.shape[-3]
    key, value = (x.repeat_interleave(heads // x.shape[-3], -3) for x in (key, value))
    scale = given.get("scale") or query.shape[-1] ** -0.5
    logits = (query.double() @ key.double().transpose(-1, -2)) * scale
    mask = given.get("attn_mask") if given.get("attn_mask") is not None else given.get("attn_bias")
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else logits + mask
    if given.get("is_causal"):
        logits = logits.masked_fill(torch.ones_like(logits, dtype=torch.bool).tril().logical_not(), -torch.inf)
    return Scores(query, key, value, logits.softmax(-1).to(query.dtype), scale**0.5)
