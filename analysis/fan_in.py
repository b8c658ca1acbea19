"""Pairs of an input and an output that a weight joins, counted at the outputs, where inputs and errors meet."""

import torch
from torch import Tensor, nn


class FanIn:
    """How many marked inputs every output of a layer receives.

    It is the layer itself with weights of one on the marks: exact in float32, since a fan-in is far below 2^24. All
    output channels of a group receive the same, so one stands for them.
    """

    def __init__(self, layer: nn.Conv2d | nn.Linear) -> None:
        self.layer = layer
        self.groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
        self._ones = _layer_of_ones(layer)
        self._all: dict[tuple[int, ...], Tensor] = {}

    def rows(self, x: Tensor) -> Tensor:
        """Merges all that stands before the axes of one input or output."""
        return x.reshape(-1, *x.shape[-3:]) if isinstance(self.layer, nn.Conv2d) else x.reshape(-1, x.shape[-1])

    def of_marks(self, marks: Tensor) -> Tensor:
        """Marked inputs of every output."""
        counts: Tensor = self._ones(marks.to(torch.float32))
        return counts.round().reshape(len(marks), self.groups, -1)

    def of_all(self, marks: Tensor) -> Tensor:
        """Inputs of every output, whatever they are."""
        shape = tuple(marks.shape[1:])
        if shape not in self._all:
            self._all[shape] = self.of_marks(torch.ones_like(marks[:1]))
        return self._all[shape]

    def outputs(self, marks: Tensor) -> Tensor:
        """Marked outputs, the channels of a group added."""
        channels = marks.shape[1] // self.groups
        return marks.reshape(len(marks), self.groups, channels, -1).sum(2)


def count_pairs(inputs: Tensor, outputs: Tensor) -> Tensor:
    """Pairs of a marked input and a marked output."""
    return (inputs.double() * outputs.double()).sum((1, 2)).round().long()


def _layer_of_ones(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    ones: nn.Module
    # Made without initial values, which would draw random numbers.
    if isinstance(layer, nn.Conv2d):
        ones = nn.Conv2d(
            layer.in_channels,
            layer.groups,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            layer.padding,  # type: ignore[arg-type]
            layer.dilation,  # type: ignore[arg-type]
            layer.groups,
            bias=False,
            padding_mode=layer.padding_mode,
            device="meta",
            dtype=torch.float32,
        )
    else:
        ones = nn.Linear(layer.in_features, 1, bias=False, device="meta", dtype=torch.float32)
    ones.to_empty(device=layer.weight.device).requires_grad_(False)
    for weight in ones.parameters():
        weight.fill_(1.0)
    return ones
