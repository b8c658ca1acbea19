"""Residual blocks: where the shortcut joins, and what flows along it."""

import math

from torch import Tensor, nn

from tetviz.errors import unknown
from tetviz.models.layers import OverTime, Parts
from tetviz.models.norm import ConvNorm

CONNECTIONS = ("ADD", "AND", "IAND")


class BasicBlock(nn.Module):
    """conv-norm-LIF-conv-norm plus shortcut, then LIF: the block of ResNet-19 and of Spiking-ResNet.

    Spikes flow between blocks. The shortcut is the identity, or conv1x1-norm without a neuron where the shape
    changes. With tdBN the two normalisations that meet in the addition have alpha = 1 / sqrt(2) (Zheng et al. 2021).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, parts: Parts) -> None:
        super().__init__()
        meeting = 1 / math.sqrt(2)
        self.conv1 = parts.conv(in_channels, out_channels, 3, stride, bias=False)
        self.lif1 = parts.neuron()
        self.conv2 = parts.conv(out_channels, out_channels, bias=False, alpha=meeting)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = parts.conv(in_channels, out_channels, 1, stride, bias=False, alpha=meeting)
        self.lif2 = parts.neuron()

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        """Runs the block."""
        branch = self.conv2(self.lif1(self.conv1(x_TBCHW)))
        return self.lif2(branch + self.shortcut(x_TBCHW))  # type: ignore[no-any-return]

    def silence(self) -> None:
        """Makes the branch add nothing at first: its last normalisation starts at weight 0."""
        nn.init.zeros_(_norm(self.conv2).weight)


class SEWBlock(nn.Module):
    """conv-norm-LIF twice or thrice, whose spikes A join the shortcut's spikes S element by element (Fang et al. 2021).

    ``ADD`` A + S, whole numbers from then on; ``AND`` A * S; ``IAND`` (1 - A) * S. The shortcut is the identity, or
    conv1x1-norm-LIF where the shape changes.

    Args:
        hidden: channels of a bottleneck, 1 x 1, 3 x 3, 1 x 1; None for two 3 x 3 convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        parts: Parts,
        *,
        connect: str = "ADD",
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        if connect not in CONNECTIONS:
            raise ValueError(unknown("connection", connect, CONNECTIONS))
        plan = [(out_channels, 3, stride), (out_channels, 3, 1)]
        if hidden is not None:
            plan = [(hidden, 1, 1), (hidden, 3, stride), (out_channels, 1, 1)]
        branch: list[nn.Module] = []
        channels = in_channels
        for after, kernel, step in plan:
            branch += [parts.conv(channels, after, kernel, step, bias=False), parts.neuron()]
            channels = after
        self.branch = nn.Sequential(*branch)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(parts.conv(in_channels, out_channels, 1, stride, bias=False), parts.neuron())
        self.connect, self.threshold = connect, parts.threshold

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        """Runs the block."""
        branch, shortcut = self.branch(x_TBCHW), self.shortcut(x_TBCHW)
        if self.connect == "ADD":
            return branch + shortcut  # type: ignore[no-any-return]
        if self.connect == "AND":
            return branch * shortcut  # type: ignore[no-any-return]
        return (1 - branch) * shortcut  # type: ignore[no-any-return]

    def silence(self) -> None:
        """Makes the block hand on its shortcut at first: the branch never fires, or always does with ``AND``.

        The published code sets the bias of ``AND`` to V_th, where its neurons fire at u >= V_th. Ours fire above it.
        """
        norm = _norm(self.branch[-2])
        nn.init.zeros_(norm.weight)
        if self.connect == "AND":
            nn.init.constant_(norm.bias, 1.001 * self.threshold)

    def extra_repr(self) -> str:
        """The connection, for print(model)."""
        return f"connect={self.connect}"


class MSBlock(nn.Module):
    """LIF-conv-norm-LIF-conv-norm plus shortcut, with no neuron behind the sum (Hu et al. 2022).

    Potentials flow between blocks, real values, and spikes only go into the branch's convolutions. The shortcut is the
    identity, or conv1x1-norm where the shape changes.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, parts: Parts, *, pooled: bool = False) -> None:
        super().__init__()
        self.lif1 = parts.neuron()
        self.conv1 = parts.conv(in_channels, out_channels, 3, stride, bias=False)
        self.lif2 = parts.neuron()
        self.conv2 = parts.conv(out_channels, out_channels, bias=False)
        self.shortcut: nn.Module = nn.Identity()
        if pooled and stride != 1:
            pool = OverTime(nn.AvgPool2d(stride, ceil_mode=True))
            self.shortcut = nn.Sequential(pool, parts.conv(in_channels, out_channels, 1, bias=False))
        elif stride != 1 or in_channels != out_channels:
            self.shortcut = parts.conv(in_channels, out_channels, 1, stride, bias=False)
        for module in self.modules():
            if isinstance(module, ConvNorm):
                nn.init.constant_(_norm(module).weight, parts.gain)

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        """Runs the block."""
        branch = self.conv2(self.lif2(self.conv1(self.lif1(x_TBCHW))))
        return branch + self.shortcut(x_TBCHW)  # type: ignore[no-any-return]

    def silence(self) -> None:
        """Makes the block hand on its shortcut at first: its last normalisation starts at weight 0."""
        nn.init.zeros_(_norm(self.conv2).weight)


def _norm(pair: nn.Module) -> nn.BatchNorm2d:
    assert isinstance(pair, ConvNorm)
    assert isinstance(pair.norm, nn.BatchNorm2d)
    return pair.norm
