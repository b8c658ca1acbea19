"""Weights that stay pruned, and on the levels of their layer, while a network is trained."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tetviz.training.compression.projections import FULL, largest_level, magnitude_mask, quantise, refit
from tetviz.training.constraint import Constraint


class Held(Constraint):
    """Keeps weights at 0 that are pruned, and all others on the levels of their layer, exactly, after every step.

    Which weights are pruned is decided when training starts. Of quantised layers the optimiser moves hidden weights in
    full precision by the gradient at the levels (the straight-through estimator); after a step the levels follow, their
    scale by the round of :func:`tetviz.training.compression.projections.refit`.

    Args:
        settings: as in :class:`Constraint`.
        sparsity: the share of each layer that is 0.
        bits: of the weights; 32 leaves them free.
        activity: as in :class:`Constraint`.
    """

    def __init__(
        self, settings: Mapping[str, Any], sparsity: float = 0.0, bits: float = FULL, activity: float = 0.0
    ) -> None:
        super().__init__(settings, activity)
        self.sparsity, self.bits = sparsity, bits
        self._masks: dict[str, Tensor] = {}
        self._hidden: dict[str, Tensor] = {}
        self._scales: dict[str, Tensor] = {}

    def start(self, model: nn.Module) -> None:
        """Decides what is pruned, and moves the weights where they may be."""
        super().start(model)
        with torch.no_grad():
            for name, weight in self.weights.items():
                self._masks[name] = magnitude_mask(weight, self.sparsity)
                weight.mul_(self._masks[name])
                if self.bits != FULL:
                    _, alpha = quantise(weight[self._masks[name]], self.bits)
                    self._hidden[name] = weight.detach().clone()
                    self._scales[name] = torch.tensor(alpha, dtype=torch.float64)
        self._hold()

    def before_step(self) -> None:
        """Shows the hidden weights to the optimiser."""
        with torch.no_grad():
            for name, hidden in self._hidden.items():
                self.weights[name].copy_(hidden)

    def after_step(self) -> None:
        """Keeps the hidden weights, and moves the others back where they may be."""
        with torch.no_grad():
            for name, mask in self._masks.items():
                self.weights[name].mul_(mask)
            for name, hidden in self._hidden.items():
                hidden.copy_(self.weights[name])
        self._hold()

    @torch.no_grad()
    def _hold(self) -> None:
        for name, hidden in self._hidden.items():
            q, alpha = refit(hidden.double(), float(self._scales[name]), largest_level(self.bits))
            self._scales[name].fill_(alpha)
            self.weights[name].copy_(alpha * q)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """Masks, and of quantised layers hidden weights and scales."""
        return {"masks": self._masks, "hidden": self._hidden, "scales": self._scales}
