"""Residual networks with global pooling: Spiking-ResNet, SEW-ResNet and MS-ResNet, for ImageNet and for CIFAR.

All are fully convolutional and padded, so they take an image of any size; in an ImageNet plan the last stages of one
below 32 see single pixels. The published networks apply their readout to the mean of its input over time. Here it is
applied to every step, which gives the outputs O(t); it is affine, so their mean is the published output.
"""

from functools import partial

from torch import Tensor, nn

from tetviz.errors import unknown
from tetviz.models.blocks import BasicBlock, MSBlock, SEWBlock
from tetviz.models.layers import (
    DropoutOverTime,
    OverTime,
    Parts,
    SpikingNetwork,
    init_kaiming,
    scaled,
    step_by_step,
)
from tetviz.models.stack import Block, ResidualStack, stages

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 104: (3, 8, 32, 8)}
BLOCKS: dict[str, Block] = {"plain": BasicBlock, "sew": SEWBlock, "ms": MSBlock}


class ResidualNetwork(SpikingNetwork):
    """A stem, residual blocks, the mean over the image, and a linear readout of every step.

    Args:
        stem: from the input to what the blocks take.
        blocks: the blocks.
        neck: what stands between the blocks and the pooling: neurons where blocks hand on potentials.
        readout: the linear layer.
        dropout: share of the pooled features that is dropped in training.
    """

    def __init__(
        self, stem: nn.Module, blocks: ResidualStack, neck: nn.Module, readout: nn.Linear, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.stem, self.blocks, self.neck = stem, blocks, neck
        self.dropout, self.fc = DropoutOverTime(dropout), readout

    def body(self, x_TBCHW: Tensor) -> Tensor:
        """The network on a time-major input.

        Args:
            x_TBCHW: input.

        Returns:
            logits_TBK.
        """
        x = self.neck(self.blocks(self.stem(x_TBCHW)))
        return step_by_step(self.fc, self.dropout(x.mean((3, 4))))


class _FiringResNet(ResidualNetwork):
    """The ImageNet plan of torchvision (He et al. 2016), neurons for its ReLUs, as Fang et al. 2021 have it.

    conv7x7/2 64 - norm - LIF - maxpool3x3/2, four stages of 64 to 512 channels, readout. Kaiming-normal convolutions.
    Their code runs the stem's convolution and normalisation once and repeats the result T times. Here it runs at every
    step, which gives the same numbers, and makes sequences and streaming possible.
    """

    def __init__(
        self,
        block: Block,
        depth: int,
        num_classes: int,
        in_channels: int,
        width: float,
        parts: Parts,
        zero_init: bool,
        checkpointing: int,
        expansion: int = 1,
    ) -> None:
        plan = [(64 * 2**s, count, 1 if s == 0 else 2) for s, count in enumerate(DEPTHS[depth])]
        entering = scaled(64, width)
        blocks, leaving = stages(block, entering, plan, width, parts, expansion)
        stem = nn.Sequential(
            parts.conv(in_channels, entering, 7, 2, bias=False), parts.neuron(), OverTime(nn.MaxPool2d(3, 2, 1))
        )
        stack = ResidualStack(*blocks, checkpointing=checkpointing)
        super().__init__(stem, stack, nn.Identity(), nn.Linear(leaving, num_classes))
        init_kaiming(self)
        if zero_init:
            _silence(stack)


class SpikingResNet(_FiringResNet):
    """Spiking-ResNet: ResNet with neurons for ReLUs, spikes between blocks (the baseline of Fang et al. 2021).

    18 layers: 11,689,512 parameters, 34: 21,797,672 (3 channels, 1000 classes).

    Args:
        num_classes: classes K.
        in_channels: channels of the input.
        image_size: side of the square input, any; the network does not depend on it.
        width: multiplier of the channels.
        parts: neuron and normalisation.
        depth: 18 or 34.
        zero_init: whether the last normalisation of every branch starts at weight 0.
        checkpointing: blocks that are recomputed together in the backward pass, see
            :class:`tetviz.models.stack.ResidualStack`.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        width: float = 1.0,
        parts: Parts | None = None,
        *,
        depth: int = 18,
        zero_init: bool = False,
        checkpointing: int = 0,
    ) -> None:
        _check_depth("Spiking-ResNet", depth, (18, 34))
        super().__init__(BasicBlock, depth, num_classes, in_channels, width, parts or Parts(), zero_init, checkpointing)


class SEWResNet(_FiringResNet):
    """SEW-ResNet: the shortcut joins behind the neurons (Fang et al. 2021).

    18 layers: 11,689,512 parameters, 34: 21,797,672, 50 (bottlenecks): 25,557,032 (3 channels, 1000 classes).

    Args:
        num_classes: classes K.
        in_channels: channels of the input.
        image_size: side of the square input, any; the network does not depend on it.
        width: multiplier of the channels.
        parts: neuron and normalisation.
        depth: 18, 34 or 50.
        connect: how spikes of branch and shortcut join, ``ADD``, ``AND`` or ``IAND``.
        zero_init: whether every block starts as its shortcut.
        checkpointing: blocks that are recomputed together in the backward pass, see
            :class:`tetviz.models.stack.ResidualStack`.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        width: float = 1.0,
        parts: Parts | None = None,
        *,
        depth: int = 18,
        connect: str = "ADD",
        zero_init: bool = False,
        checkpointing: int = 0,
    ) -> None:
        _check_depth("SEW-ResNet", depth, (18, 34, 50))
        super().__init__(
            partial(SEWBlock, connect=connect),
            depth,
            num_classes,
            in_channels,
            width,
            parts or Parts(),
            zero_init,
            checkpointing,
            expansion=4 if depth == 50 else 1,
        )


class MSResNet(ResidualNetwork):
    """MS-ResNet for ImageNet: potentials between blocks (Hu et al. 2022).

    conv7x7/2 64 - norm and no pooling; four stages of 64 to 512 channels, each of which halves the image, the first
    too; LIF, readout. 104 layers: the stem is three 3 x 3 convolutions with biases and one normalisation, shortcuts
    pool, and a fifth of the features is dropped before the readout. 18: 11,693,736 parameters, 34: 21,801,896, 104:
    77,350,504 (3 channels, 1000 classes).

    Normalisations start at weight V_th, as in the published code (with tdBN at 1, which has V_th as a factor beside
    the weight), convolutions as torch makes them.

    Args:
        num_classes: classes K.
        in_channels: channels of the input.
        image_size: side of the square input, any; the network does not depend on it.
        width: multiplier of the channels.
        parts: neuron and normalisation.
        depth: 18, 34 or 104.
        zero_init: whether the last normalisation of every branch starts at weight 0, as published.
        checkpointing: blocks that are recomputed together in the backward pass, see
            :class:`tetviz.models.stack.ResidualStack`.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        width: float = 1.0,
        parts: Parts | None = None,
        *,
        depth: int = 18,
        zero_init: bool = True,
        checkpointing: int = 0,
    ) -> None:
        _check_depth("MS-ResNet", depth, (18, 34, 104))
        parts, deep = parts or Parts(), depth == 104
        entering = scaled(64, width)
        plan = [(64 * 2**s, count, 2) for s, count in enumerate(DEPTHS[depth])]
        blocks, leaving = stages(partial(MSBlock, pooled=deep), entering, plan, width, parts)
        stem: nn.Module = parts.conv(in_channels, entering, 7, 2, bias=False)
        if deep:
            stem = nn.Sequential(
                OverTime(nn.Conv2d(in_channels, entering, 3, 2, 1)),
                OverTime(nn.Conv2d(entering, entering, 3, 1, 1)),
                parts.conv(entering, entering, bias=True),
            )
        stack = ResidualStack(*blocks, checkpointing=checkpointing)
        readout = nn.Linear(leaving, num_classes)
        super().__init__(stem, stack, parts.neuron(), readout, dropout=0.2 if deep else 0.0)
        _start_at_gain(stem, parts)
        if zero_init:
            _silence(stack)


class CIFARResNet(ResidualNetwork):
    """The CIFAR plan of He et al. 2016 with any of the three blocks; MS-ResNet-20, -110 and -482 (Hu et al. 2022).

    conv3x3 16 - norm, three stages of (depth - 2) / 6 blocks of 16, 32 and 64 channels, the second and third of which
    halve the image, with conv1x1 shortcuts; readout. 20 layers: 272,474 parameters, 110: 1,730,714, 482: 7,758,106
    (3 channels, 10 classes), with every block.

    Plain and SEW blocks take the stem's spikes, and all starts as in :class:`SpikingResNet`; MS blocks take its
    potentials, and all starts as in :class:`MSResNet`.

    Args:
        num_classes: classes K.
        in_channels: channels of the input.
        image_size: side of the square input, any; the network does not depend on it.
        width: multiplier of the channels.
        parts: neuron and normalisation.
        depth: 6 n + 2 with n >= 1.
        block: ``plain`` (:class:`BasicBlock`), ``sew`` or ``ms``.
        connect: of ``sew``, ``ADD``, ``AND`` or ``IAND``.
        zero_init: whether the last normalisation of every branch starts at weight 0; None for that of the block's
            paper, which is True for ``ms`` alone.
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
        depth: int = 20,
        block: str = "ms",
        connect: str = "ADD",
        zero_init: bool | None = None,
        checkpointing: int = 0,
    ) -> None:
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"a ResNet for CIFAR has 6 n + 2 layers (8, 14, 20, ...), got depth {depth}")
        if block not in BLOCKS:
            raise ValueError(unknown("block", block, BLOCKS))
        if connect != "ADD" and block != "sew":
            raise ValueError(f"connect={connect} is for block=sew, got block={block}")
        parts, potentials = parts or Parts(), block == "ms"
        make = partial(SEWBlock, connect=connect) if block == "sew" else BLOCKS[block]
        entering, count = scaled(16, width), (depth - 2) // 6
        blocks, leaving = stages(make, entering, [(16, count, 1), (32, count, 2), (64, count, 2)], width, parts)
        conv = parts.conv(in_channels, entering, bias=False)
        stem, neck = (conv, parts.neuron()) if potentials else (nn.Sequential(conv, parts.neuron()), nn.Identity())
        stack = ResidualStack(*blocks, checkpointing=checkpointing)
        super().__init__(stem, stack, neck, nn.Linear(leaving, num_classes))
        if potentials:
            _start_at_gain(stem, parts)
        else:
            init_kaiming(self)
        if potentials if zero_init is None else zero_init:
            _silence(stack)


def _check_depth(name: str, depth: int, known: tuple[int, ...]) -> None:
    if depth not in known:
        raise ValueError(f"{name} has {', '.join(map(str, known))} layers, got depth {depth}")


def _start_at_gain(stem: nn.Module, parts: Parts) -> None:
    for module in stem.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, parts.gain)


def _silence(stack: ResidualStack) -> None:
    for block in stack:
        block.silence()  # type: ignore[operator]
