"""ResNet-19 of tdBN and TET."""

from torch import Tensor, nn

from tetviz.models.blocks import BasicBlock
from tetviz.models.layers import Parts, SpikingNetwork, scaled, step_by_step
from tetviz.models.stack import ResidualStack, stages


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
        spiking_readout: whether the outputs are spikes of neurons behind fc2, as in STBP-simple.
        checkpointing: blocks that are recomputed together in the backward pass, see
            :class:`tetviz.models.stack.ResidualStack`.
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
        spiking_readout: bool = False,
        checkpointing: int = 0,
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
        plan = ((128, 3, 1), (256, 3, 2), (512, 2, 2))
        blocks, channels = stages(BasicBlock, channels, plan, width, parts)
        self.blocks = ResidualStack(*blocks, checkpointing=checkpointing)
        hidden = scaled(256, width)
        self.fc1 = nn.Linear(channels, hidden)
        self.lif_fc1 = parts.neuron()
        self.fc2 = nn.Linear(hidden, num_classes)
        self.lif_fc2 = parts.neuron() if spiking_readout else nn.Identity()

    def body(self, x_TBCHW: Tensor) -> Tensor:
        """The network on a time-major input."""
        x = self.blocks(self.lif(self.stem(x_TBCHW)))
        pooled = x.mean((3, 4))
        hidden = self.lif_fc1(step_by_step(self.fc1, pooled))
        return self.lif_fc2(step_by_step(self.fc2, hidden))  # type: ignore[no-any-return]
