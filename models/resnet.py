"""Residual spiking networks: ResNet-19 of tdBN and TET."""

import math

from torch import Tensor, nn

from tetviz.models.layers import Parts, SpikingNetwork, scaled, step_by_step


class BasicBlock(nn.Module):
    """conv-norm-LIF-conv-norm plus shortcut, then LIF (Zheng et al. 2021).

    The shortcut is the identity, or conv1x1-norm without a neuron where the shape changes. With tdBN the two
    normalisations that meet in the addition have alpha = 1 / sqrt(2).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: stride of the first convolution and of the shortcut.
        parts: neuron and normalisation.
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
        """Runs the block.

        Args:
            x_TBCHW: spikes.

        Returns:
            Spikes, T x B x C' x H' x W'.
        """
        branch = self.conv2(self.lif1(self.conv1(x_TBCHW)))
        return self.lif2(branch + self.shortcut(x_TBCHW))  # type: ignore[no-any-return]


class ResNet19(SpikingNetwork):
    """ResNet-19: a stem, 3 + 3 + 2 blocks of 128, 256 and 512 channels, FC 256 with neurons, FC.

    12,630,858 parameters with the 64-channel stem of the TET code on 10 classes; 12,697,994 with the
    128-channel stem of other implementations, which needs no shortcut convolution in the first stage.
    fc1 receives pooled spikes, not binary values.

    Args:
        num_classes: classes K.
        in_channels: channels of the input.
        image_size: side of the square input, at least 4.
        width: multiplier of the channels.
        parts: neuron and normalisation.
        stem: channels of the first convolution in the published network, 64 or 128.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        image_size: int = 32,
        width: float = 1.0,
        parts: Parts | None = None,
        *,
        stem: int = 64,
    ) -> None:
        super().__init__()
        if stem not in (64, 128):
            raise ValueError(f"ResNet-19 has a stem of 64 or of 128 channels, got {stem}")
        if image_size < 4:
            raise ValueError(f"ResNet-19 halves the image twice: image_size must be at least 4, got {image_size}")
        parts = parts or Parts()
        channels = scaled(stem, width)
        self.stem = parts.conv(in_channels, channels, bias=False)
        self.lif = parts.neuron()
        blocks = []
        for published, count, stride in ((128, 3, 1), (256, 3, 2), (512, 2, 2)):
            for index in range(count):
                out_channels = scaled(published, width)
                blocks.append(BasicBlock(channels, out_channels, stride if index == 0 else 1, parts))
                channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        hidden = scaled(256, width)
        self.fc1 = nn.Linear(channels, hidden)
        self.lif_fc1 = parts.neuron()
        self.fc2 = nn.Linear(hidden, num_classes)

    def body(self, x_TBCHW: Tensor) -> Tensor:
        """The network on a time-major input.

        Args:
            x_TBCHW: input.

        Returns:
            logits_TBK.
        """
        x = self.blocks(self.lif(self.stem(x_TBCHW)))
        pooled = x.mean((3, 4))
        return step_by_step(self.fc2, self.lif_fc1(step_by_step(self.fc1, pooled)))
