"""What enters a layer: its non-zero elements, and whether its values are the spikes that they were made of."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tetviz.analysis.counting.operands import COUNTABLE_KINDS, SPIKE_KINDS, Operand

_TOLERANCE = 1e-3  # of a whole number of spikes, for values that were divided and rounded


@dataclass(frozen=True)
class LayerInput:
    """The input of a layer in one call.

    Attributes:
        active: 1 where the input is not 0, else 0; NaN where it is NaN; shaped like the input.
        spikes: how many spikes each element stands for; None where it cannot be said.
        contradiction: how the values disagree with what they were made of, or nothing.
    """

    active: Tensor
    spikes: Tensor | None
    contradiction: str


class Signs:
    """Signs of tensors; the last one is kept, since what neurons return is mostly what the next layer gets."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, int, Tensor, Tensor] | None = None

    def of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The signs of a tensor."""
        if self._last is not None:
            known, version, signs, active = self._last
            same = known.data_ptr() == x.data_ptr() and known.numel() == x.numel() and known.dtype == x.dtype
            if same and known.is_contiguous() and x.is_contiguous() and x._version == version:
                return signs.view(x.shape), active.view(x.shape)
        signs = (x if x.dtype in (torch.float32, torch.float64) else x.float()).sign()
        active = signs.abs() if signs.numel() and float(signs.min()) < 0 else signs
        self._last = x, x._version, signs, active
        return signs, active

    def active(self, x: Tensor, operand: Operand) -> Tensor:
        """The elements that are not 0, without a look at spikes: the layer that they enter checks their values."""
        plain = operand.kind == "binary" and x.dtype in (torch.float32, torch.float64)
        return x if plain else self.of(x)[1]


def check_spikes(x: Tensor, operand: Operand, known: Signs) -> LayerInput:
    """Finds the non-zero elements of an input, and checks its values against what they were made of."""
    signs, active = known.of(x)
    x = x.to(signs.dtype)
    if operand.kind in SPIKE_KINDS:
        return LayerInput(active, None, _spike_contradiction(x, signs, active, operand))
    if operand.kind == "mixed":
        return LayerInput(active, None, "is made of spikes and of other values, and counted as analog")
    if operand.kind in COUNTABLE_KINDS:
        return _countable(x, active, operand)
    few = x.flatten()[:64]  # looks at all only where these could be spikes
    binary = torch.equal(few, few.sign().abs()) and torch.equal(x, active) and bool(active.any())
    made, named = "come from no comparison but", "spiking (--spiking MODULE)"
    if operand.kind == "data":
        made, named = "are data and", "input_spikes (--input-spikes yes)"
    text = f"has values that {made} only 0 and 1, counted as analog; if they are spikes, say so with {named}"
    return LayerInput(active, None, text if binary else "")


def _spike_contradiction(x: Tensor, signs: Tensor, active: Tensor, operand: Operand) -> str:
    if operand.kind == "scaled":
        axes = tuple(axis for axis in range(x.dim()) if axis != 1)
        height = x.abs().amax(axes, keepdim=True) if x.numel() else x
        agree = torch.equal(x.abs(), active * height)
        return "" if agree else "comes from scaled spikes, but has several values that are not 0 in a channel"
    agree = torch.equal(x, signs) and (operand.kind == "ternary" or active is signs or torch.equal(active, signs))
    allowed = "0 and 1" if operand.kind == "binary" else "-1, 0 and 1"
    return "" if agree else f"comes from spikes, but has values besides {allowed}; its non-zero values count as spikes"


def _countable(x: Tensor, active: Tensor, operand: Operand) -> LayerInput:
    if not operand.unit:
        return LayerInput(active, None, "")
    exact = x / operand.unit
    spikes = exact.round()
    if x.numel() and float(exact.sub_(spikes).abs_().max()) > _TOLERANCE:
        return LayerInput(
            active, None, f"comes from {operand.kind} spikes, but its values are no whole numbers of spikes"
        )
    return LayerInput(active, spikes.abs() if spikes.numel() and float(spikes.min()) < 0 else spikes, "")
