"""Spatial-temporal feature normalisation, of the nodes of a graph."""

import torch
from torch import Tensor, nn

from tetviz.models.neuron import Carrying

STATISTICS = ("run", "past")


class STFN(Carrying):
    """Spatial-temporal feature normalisation (Xu et al. 2021, arXiv:2107.06865).

    Of every node v, with mean and variance over its features and the timesteps::

        y = weight * (rho * threshold * (x - mean_v) / sqrt(var_v + eps)) + bias

    Args:
        nodes: number of nodes N.
        features: number of features F.
        threshold: the firing threshold V_th of the neuron that follows.
        rho: how wide potentials are spread, in thresholds.
        statistics: ``run``, of all timesteps as in the paper: the first steps of a run are then no shorter run. Or
            ``past``, at step t of the steps 1..t: those are; at the last step both are the same.

    Attributes:
        weight: scale, one number for each node and feature (N, F), 1 at first.
        bias: shift, likewise, 0 at first.

    Raises:
        ValueError: unknown statistics.
    """

    eps = 1e-5

    def __init__(
        self, nodes: int, features: int, threshold: float = 1.0, rho: float = 1.0, statistics: str = "run"
    ) -> None:
        super().__init__()
        if statistics not in STATISTICS:
            raise ValueError(f"statistics must be one of {', '.join(STATISTICS)}, got {statistics!r}")
        self.spread, self.statistics = rho * threshold, statistics
        self.weight = nn.Parameter(torch.ones(nodes, features))
        self.bias = nn.Parameter(torch.zeros(nodes, features))

    def forward(self, x_TNF: Tensor) -> Tensor:
        """Normalises T x N x F."""
        mean, variance = self._past(x_TNF) if self.statistics == "past" else self._run(x_TNF)
        gain = self.spread / torch.sqrt(variance + self.eps) * self.weight
        return (x_TNF - mean) * gain + self.bias

    def _run(self, x_TNF: Tensor) -> tuple[Tensor, Tensor]:
        variance, mean = torch.var_mean(x_TNF, (0, 2), correction=0)
        return mean[:, None], variance[:, None]

    def _past(self, x_TNF: Tensor) -> tuple[Tensor, Tensor]:
        # Sums over the steps so far of the mean of each step and of its mean square, and the number of steps.
        variance, mean = torch.var_mean(x_TNF.double(), 2, correction=0)
        of_step = torch.stack([mean, variance + mean**2, torch.ones_like(mean)], 1)
        before = of_step.new_zeros(of_step.shape[1:]) if self.membrane is None else self.membrane
        sums = before + of_step.cumsum(0)
        if self.carry:
            self.membrane = sums[-1].detach()
        mean, square = (sums[:, :2] / sums[:, 2:]).unbind(1)
        variance = (square - mean**2).clamp_min(0)
        return mean[..., None].to(x_TNF.dtype), variance[..., None].to(x_TNF.dtype)

    def extra_repr(self) -> str:
        """The constants, for print(model)."""
        return f"rho * threshold={self.spread}, statistics={self.statistics}"
