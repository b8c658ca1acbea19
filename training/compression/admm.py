"""The alternating direction method of multipliers: weights that are drawn to where they may be."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tetviz.training.compression.projections import FULL, project
from tetviz.training.constraint import Constraint


class Admm(Constraint):
    """Draws the weights W of each layer to their projection Z (Deng et al. 2019, arXiv 1911.00822; Boyd et al. 2011).

    The loss gets rho / 2 ||W - Z + U||^2. After every epoch Z = project(W + U), and then U += W - Z. The network
    itself is not projected, so weights that are small now may grow. The epoch's record has ``admm_distance``,
    ||W - Z|| / ||W|| over all layers.

    Sets of few non-zero entries or levels are not convex, and with a constant rho W and Z may go round each other: rho
    is multiplied by ``growth`` after every epoch, and U, which is in units of 1 / rho, divided by it.

    Args:
        settings: as in :class:`Constraint`.
        sparsity: the share of each layer that Z has at 0.
        bits: of the levels of Z; 32 leaves them free.
        activity: as in :class:`Constraint`.
        rho: weight of the penalty in the first epoch.
        growth: what it is multiplied by after every epoch.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        sparsity: float = 0.0,
        bits: float = FULL,
        activity: float = 0.0,
        rho: float = 0.01,
        growth: float = 1.0,
    ) -> None:
        super().__init__(settings, activity)
        self.sparsity, self.bits, self.growth = sparsity, bits, growth
        self._rho = torch.tensor(rho, dtype=torch.float64)
        self._z: dict[str, Tensor] = {}
        self._u: dict[str, Tensor] = {}

    def start(self, model: nn.Module) -> None:
        """Projects copies of the weights."""
        super().start(model)
        self._z = {name: project(weight, self.sparsity, self.bits) for name, weight in self.weights.items()}
        self._u = {name: torch.zeros_like(z) for name, z in self._z.items()}

    def penalty(self) -> Tensor | float:
        """Rho / 2 ||W - Z + U||^2 over all layers, and that of the spikes."""
        squares = [((w - self._z[name] + self._u[name]) ** 2).sum() for name, w in self.weights.items()]
        return super().penalty() + float(self._rho) / 2 * torch.stack(squares).sum()

    @torch.no_grad()
    def after_epoch(self) -> dict[str, float]:
        """Moves Z and U."""
        apart = size = 0.0
        for name, weight in self.weights.items():
            z, u = self._z[name], self._u[name]
            z.copy_(project(weight + u, self.sparsity, self.bits))
            u.add_(weight - z).div_(self.growth)
            apart += float(((weight - z).double() ** 2).sum())
            size += float((weight.double() ** 2).sum())
        self._rho *= self.growth
        return {"admm_distance": (apart / size) ** 0.5 if size else 0.0}

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """Z, U and rho."""
        return {"z": self._z, "u": self._u, "penalty": {"rho": self._rho}}
