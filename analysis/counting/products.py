"""Products of two activations, a row for each: how many pairs of elements they multiply.

Where both factors are spikes, a pair is two of them. What else a spike meets is added whatever its value, as a weight
is. Where neither is spikes, a pair is two values that are not 0.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from tetviz.analysis.counting.counts import Counts
from tetviz.analysis.counting.operands import ANALOG, FIXED_KINDS, SPIKE_KINDS, Operand, names_in, times
from tetviz.analysis.counting.operation import Operation

ATTENTIONS = names_in(
    """_scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu
    _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
    _scaled_dot_product_fused_attention_overrideable _scaled_dot_product_attention_math
    _scaled_dot_product_attention_math_for_mps"""
)
GATES = {"mul": (0, 1), "div": (0, 1), "addcmul": (1, 2), "bitwise_and": (0, 1), "logical_and": (0, 1)}
# name -> products of two elements for each element of the state that it gives
FUSED_GATES = {"_thnn_fused_lstm_cell": 3, "_thnn_fused_gru_cell": 2}
_NOT_THE_NETWORK = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


@dataclass(frozen=True)
class _Factors:
    """Two factors and what they are made of."""

    a: Tensor
    b: Tensor
    of_a: Operand
    of_b: Operand

    @property
    def kinds(self) -> str:
        return f"{self.of_a.kind} x {self.of_b.kind}"

    @property
    def spikes(self) -> tuple[bool, bool]:
        return self.of_a.kind in SPIKE_KINDS, self.of_b.kind in SPIKE_KINDS

    def marks(self) -> tuple[Tensor, Tensor]:
        """Which elements of both take part."""
        first, second = self.spikes
        left, right = self.a != 0, self.b != 0
        whole = second > first or self.of_a.kind in FIXED_KINDS, first > second or self.of_b.kind in FIXED_KINDS
        return torch.ones_like(left) if whole[0] else left, torch.ones_like(right) if whole[1] else right


class Products:
    """Adds products of activations to the counts."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self._rows: dict[tuple[str, str, str], str] = {}

    def matmul(self, operation: Operation, a: Tensor, b: Tensor, of_a: Operand, of_b: Operand) -> None:
        """Counts a product of vectors, matrices, or batches of matrices."""
        a = a[None] if a.dim() == 1 else a
        b = b[:, None] if b.dim() == 1 else b
        factors = _Factors(a.reshape(-1, *a.shape[-2:]), b.reshape(-1, *b.shape[-2:]), of_a, of_b)
        left, right = factors.marks()
        met = right.sum(-1, dtype=torch.float64)[:, None]  # of the second factor, by each element of the first
        marks, size = left, left.numel()
        if factors.spikes == (False, True):  # for each matrix alike, laid out as the first factor
            marks = right.sum((1, 2), keepdim=True, dtype=torch.float64) / max(left[0].numel(), 1)
            marks, size = marks.expand(left.shape), right.numel()
        row = self._row(operation.module, f"matmul over {left.shape[-1]}", factors.kinds, "matmul")
        self._count(row, "matmul", factors, left * met, left.numel() * right.shape[-1], marks, size)

    def elementwise(self, operation: Operation) -> str:
        """Counts a product of elements, if it is one, and names its row."""
        positions = GATES.get(operation.name)
        if positions is None or len(operation.given) <= max(positions):
            return ""
        a, b = (operation.given[position] for position in positions)
        of_a, of_b = (operation.operands[position] for position in positions)
        if not (isinstance(a, Tensor) and isinstance(b, Tensor)) or of_a.resets(of_b):  # by the spikes that it made
            return ""
        if {of_a.kind, of_b.kind} & set(FIXED_KINDS) and not _reaches_more(operation.output, (a, of_a), (b, of_b)):
            return ""
        factors = _Factors(a.expand(operation.output.shape), b.expand(operation.output.shape), of_a, of_b)
        left, right = factors.marks()
        row = self._row(operation.module, operation.name, factors.kinds, "mul")
        marks = right if factors.spikes == (False, True) else left
        fixed = [tensor.numel() for tensor, each in ((a, of_a), (b, of_b)) if each.kind in FIXED_KINDS]
        self.counts.layers[row].weights = sum(fixed)
        self._count(row, operation.name, factors, left & right, left.numel(), marks, left.numel())
        return row

    def gates(self, operation: Operation, state: Tensor, number: int) -> None:
        """Counts the products of elements in a kernel of a recurrent cell."""
        factors = _Factors(state, state, ANALOG, ANALOG)
        row, ones = self._row(operation.module, "mul", factors.kinds, "mul"), torch.ones_like(state)
        for _ in range(number):
            self._count(row, "mul", factors, ones, ones.numel(), ones, ones.numel())

    def attention(self, operation: Operation) -> None:
        """Counts what a kernel of softmax(Q K^T / sqrt(d)) V multiplies, as its parts would be counted."""
        named = operation.named
        query, key, value = (named[name] for name in ("query", "key", "value"))
        of_q, of_k, of_v = (operation.operand(named[name]) for name in ("query", "key", "value"))
        repeated = query.shape[-3] // key.shape[-3]  # heads of Q that share one of K and V
        key, value = (x.repeat_interleave(repeated, -3) for x in (key, value))
        scale = named.get("scale") or query.shape[-1] ** -0.5
        weights = _softmax(named, (query.double() @ key.double().transpose(-1, -2)) * scale).to(query.dtype)
        root = scale**0.5  # Q and K are both multiplied by it
        parts = [(query, key.transpose(-1, -2), times(of_q, root), times(of_k, root)), (weights, value, ANALOG, of_v)]
        for a, b, of_a, of_b in parts:
            if not {of_a.kind, of_b.kind} & set(FIXED_KINDS):
                self.matmul(operation, a, b, of_a, of_b)
        self.counts.add(operation.module, "softmax", weights, norm_mac=weights.numel())

    def _count(
        self, row: str, name: str, factors: _Factors, active: Tensor, dense: int, marks: Tensor, size: int
    ) -> None:
        columns: dict[str, Any] = {"ac" if any(factors.spikes) else "mac": active, "active_inputs": marks}
        self.counts.fed_by |= factors.of_a.makers | factors.of_b.makers
        self.counts.add(row, name, factors.a, dense_mac=dense, inbounds_mac=dense, input_elements=size, **columns)

    def _row(self, module: str, what: str, kinds: str, product: str) -> str:
        # A row for each pair of kinds and each line of code, since what they count as differs.
        base = f"{module or 'network'}: {what}"
        key = (base, kinds, _line_of_code())
        if key not in self._rows:
            like = sum(known == base for known, _, _ in self._rows)
            self._rows[key] = f"{base} ({like + 1})" if like else base
        self.counts.describe_product(self._rows[key], module, kinds, product)
        return self._rows[key]


def _reaches_more(output: Tensor, *factors: tuple[Tensor, Operand]) -> bool:
    # Weights that each activation is broadcast to; a gain or a mask has one for each.
    moving = [tensor.numel() for tensor, operand in factors if operand.kind not in FIXED_KINDS]
    return any(operand.kind == "weights" for _, operand in factors) and len(moving) == 1 and output.numel() > moving[0]


def _softmax(named: dict[str, Any], logits: Tensor) -> Tensor:
    mask = named.get("attn_mask") if named.get("attn_mask") is not None else named.get("attn_bias")
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else logits + mask
    if named.get("is_causal"):
        logits = logits.masked_fill(torch.ones_like(logits, dtype=torch.bool).tril().logical_not(), -torch.inf)
    return logits.softmax(-1)


def _line_of_code() -> str:
    # Where the network asks for the operation at hand.
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_THE_NETWORK):
        frame = frame.f_back
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
