"""What the training loop asks, at every step, of what holds the weights of a network."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tetviz.models import LIF


def compressible(model: nn.Module) -> dict[str, Tensor]:
    """The weights that compression is about, by name: those of convolutions and linear layers, no biases or norms."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    return {f"{name}.weight": module.weight for name, module in model.named_modules() if isinstance(module, kinds)}


class Constraint:
    """Holds the weights of a network while it is trained, and regularises its spikes.

    The penalty is lambda times the spikes of a neuron and step, mean over all neurons, steps and samples of the batch.
    A subclass adds to it, or moves the weights around a step of the optimiser.

    Args:
        settings: what the checkpoint records of the compression.
        activity: lambda.
    """

    def __init__(self, settings: Mapping[str, Any], activity: float = 0.0) -> None:
        self.settings, self.activity = dict(settings), activity
        self.weights: dict[str, Tensor] = {}
        self._spikes: list[Tensor] = []
        self._neurons = 0

    def start(self, model: nn.Module) -> None:
        """Takes hold of a network, whose weights are those that training starts from."""
        self.weights = compressible(model)
        if self.activity:
            for module in model.modules():
                if isinstance(module, LIF):
                    module.register_forward_hook(self._count)

    def _count(self, module: nn.Module, _: Any, spikes_TB: Tensor) -> None:
        if module.training and torch.is_grad_enabled():
            self._spikes.append(spikes_TB.sum(dtype=torch.float32))
            self._neurons += spikes_TB.numel()

    def penalty(self) -> Tensor | float:
        """What is added to the loss of the batch that has just passed."""
        spikes, neurons = self._spikes, self._neurons
        self._spikes, self._neurons = [], 0
        return self.activity * torch.stack(spikes).sum() / neurons if neurons else 0.0

    def before_step(self) -> None:
        """The optimiser is about to step."""

    def after_step(self) -> None:
        """The optimiser has stepped."""

    def after_epoch(self) -> dict[str, float]:
        """The epoch is over; what its record adds."""
        return {}

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """What a run needs to go on."""
        return {}

    def load_state_dict(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Takes that up.

        Raises:
            ValueError: it is of other weights.
        """
        mine = self.state_dict()
        if state.keys() != mine.keys():
            raise ValueError("what its compression keeps is of another kind")
        for kind, tensors in mine.items():
            if {n: t.shape for n, t in tensors.items()} != {n: t.shape for n, t in state[kind].items()}:
                raise ValueError("what its compression keeps does not fit the weights")
            for name, tensor in tensors.items():
                tensor.copy_(state[kind][name])
