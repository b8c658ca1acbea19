"""The neurons of a layer over a measurement: their spikes, and which never or always fired."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tetviz.results.schema import IntArray


@dataclass
class Population:
    """The neurons of one layer, over all samples so far.

    Attributes:
        first: for each neuron, the first step at which a sample has made it fire; the longest run if none.
        silent: for each neuron, the first step at which it stayed silent for a sample; likewise.
        spikes: number of spikes, (timestep,).
        updates: neurons times samples, (timestep,).
    """

    first: Tensor
    silent: Tensor
    spikes: IntArray
    updates: IntArray

    @classmethod
    def of(cls, size: int, timesteps: int) -> "Population":
        """Neurons of which nothing is known yet."""
        spikes, updates = np.zeros((2, timesteps), np.int64)
        return cls(torch.full((size,), timesteps), torch.full((size,), timesteps), spikes, updates)

    def note(self, fired_BN: Tensor, t: int, begin: int = 0) -> None:
        """Adds what neurons did at a step."""
        end, timesteps = begin + fired_BN.shape[1], len(self.spikes)
        new = torch.full((max(0, end - len(self.first)),), timesteps)
        if len(new):
            self.first, self.silent = torch.cat([self.first, new]), torch.cat([self.silent, new])
        count_N = fired_BN.sum(0).cpu()  # whole numbers, exact in float32 below 2^24
        self.spikes[t] += int(count_N.sum(dtype=torch.float64))
        self.updates[t] += fired_BN.numel()
        self.first[begin:end].clamp_(max=torch.where(count_N > 0, t, timesteps))
        self.silent[begin:end].clamp_(max=torch.where(count_N < len(fired_BN), t, timesteps))
