"""Networks whose blocks have Jacobians that are known."""

import torch
from torch import Tensor, nn

from tetviz.models import LIF, ConvNorm, TdBN
from tetviz.models.layers import time_major


class Over(nn.Module):
    """Blocks one behind the other, then the outputs: means of groups of features."""

    def __init__(self, *blocks: nn.Module, classes: int = 2) -> None:
        super().__init__()
        self.blocks, self.classes = nn.Sequential(*blocks), classes

    def forward(self, x: Tensor, timesteps: int | None = None) -> Tensor:
        y = self.blocks(time_major(x, timesteps)).flatten(2)
        outputs: Tensor = y.unflatten(2, (self.classes, -1)).mean(3)
        return outputs


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class Carry(nn.Module):
    """y(t) = x(t) + carry * y(t - 1)."""

    def __init__(self, carry: float) -> None:
        super().__init__()
        self.carry = carry

    def forward(self, x_TB: Tensor) -> Tensor:
        y, outputs = torch.zeros_like(x_TB[0]), []
        for x in x_TB:
            y = x + self.carry * y
            outputs.append(y)
        return torch.stack(outputs)


def theory_network(
    surrogate: str, gamma: float, threshold: float, *, tdbn: bool, depth: int = 20, width: int = 128
) -> Over:
    """Blocks of neurons without leak, a linear layer and a normalisation."""

    def linear() -> ConvNorm:
        conv = nn.Conv2d(width, width, 1, bias=False)
        nn.init.normal_(conv.weight)
        return ConvNorm(conv, TdBN(width, 1, threshold) if tdbn else nn.BatchNorm2d(width))

    def neurons() -> LIF:
        return LIF(0.0, threshold, surrogate, gamma)

    blocks = [nn.Sequential(neurons(), linear()) for _ in range(depth)]
    return Over(*blocks)
