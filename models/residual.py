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
from tetviz.models.stack import BlockMaker, ResidualStack, stages

BLOCKS: dict[str, BlockMaker] = {"plain": BasicBlock, "sew": SEWBlock, "ms": MSBlock}

_PLAIN = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
_BOTTLENECKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_POOLED = {104: (3, 8, 32, 8)}
# Layers -> blocks of each stage, of the networks that were published.
DEPTHS = {"plain": _PLAIN, "sew": _PLAIN | _BOTTLENECKS, "ms": _PLAIN | _POOLED}


class ResidualNetwork(SpikingNetwork):
    """A stem, residual blocks, the mean over the image, and a linear readout of every step."""

    def __init__(
        self, stem: nn.Module, blocks: ResidualStack, neck: nn.Module, readout: nn.Linear, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.stem, self.blocks, self.neck = stem, blocks, neck
        self.dropout, self.fc = DropoutOverTime(dropout), readout

    def body(self, x_TBCHW: Tensor) -> Tensor:
        """The network on a time-major input."""
        x = self.neck(self.blocks(self.stem(x_TBCHW)))
        return step_by_step(self.fc, self.dropout(x.mean((3, 4))))


class ImageNetResNet(ResidualNetwork):
    """The ImageNet plan of He et al. 2016 with any of the three blocks.

    ``plain``, Spiking-ResNet, the baseline of Fang et al. 2021: conv7x7/2 64 - norm - neuron - maxpool3x3/2, four
    stages of 64 to 512 channels, readout; neurons for the ReLUs of torchvision, and its Kaiming-normal convolutions. 18
    layers: 11,689,512 parameters, 34: 21,797,672 (3 channels, 1000 classes). The published code runs the stem's
    convolution and normalisation once and repeats the result T times. Here it runs at every step, which gives the same
    numbers, and makes sequences and streaming possible.

    ``sew``, SEW-ResNet: the same, the shortcut joins behind the neurons (Fang et al. 2021); 50 (bottlenecks from here
    on): 25,557,032, 101: 44,549,160, 152: 60,192,808.

    ``ms``, MS-ResNet: potentials between blocks (Hu et al. 2022). No neuron and no pooling in the stem, the first stage
    halves the image too; neurons before the readout. 104 layers: the stem is three 3 x 3 convolutions with biases and
    one normalisation, shortcuts pool, and a fifth of the features is dropped before the readout. 18: 11,693,736, 34:
    21,801,896, 104: 77,350,504. Normalisations start at weight V_th, as in the published code (with tdBN at 1, which
    has V_th as a factor beside the weight), convolutions as torch makes them.

    Args:
        num_classes: classes K.
        in_channels: channels of the input.
        image_size: side of the square input, any; the network does not depend on it.
        width: multiplier of the channels.
        parts: neuron and normalisation.
        depth: layers, a published number.
        block: ``plain`` (:class:`BasicBlock`), ``sew`` or ``ms``.
        connect: of ``sew``, how spikes of branch and shortcut join, ``ADD``, ``AND`` or ``IAND``.
        zero_init: whether every block starts as its shortcut; None for that of the block's paper, which is True for
            ``ms`` alone.
        checkpointing: blocks that are recomputed together in the backward pass, see
            :class:`tetviz.models.stack.ResidualStack`.

    Raises:
        ValueError: an unknown block, a depth that it was not published with, or ``connect`` of another block.
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
        block: str = "plain",
        connect: str = "ADD",
        zero_init: bool | None = None,
        checkpointing: int = 0,
    ) -> None:
        parts, potentials, make = parts or Parts(), block == "ms", _maker(block, connect)
        if depth not in DEPTHS[block]:
            known = ", ".join(map(str, DEPTHS[block]))
            raise ValueError(f"a {block} ResNet for ImageNet has {known} layers, got depth {depth}")
        deep, entering = depth in _POOLED, scaled(64, width)
        counts, expansion = DEPTHS[block][depth], 4 if depth in _BOTTLENECKS else 1
        plan = [(64 * 2**s, count, 2 if s or potentials else 1) for s, count in enumerate(counts)]
        make = partial(make, pooled=True) if deep else make
        blocks, leaving = stages(make, entering, plan, width, parts, expansion)
        stem = _deep_stem(in_channels, entering, parts) if deep else parts.conv(in_channels, entering, 7, 2, bias=False)
        if not potentials:
            stem = nn.Sequential(stem, parts.neuron(), OverTime(nn.MaxPool2d(3, 2, 1)))
        neck = parts.neuron() if potentials else nn.Identity()
        stack = ResidualStack(*blocks, checkpointing=checkpointing)
        super().__init__(stem, stack, neck, nn.Linear(leaving, num_classes), dropout=0.2 if deep else 0.0)
        _start(self, parts, potentials, zero_init)


class CIFARResNet(ResidualNetwork):
    """The CIFAR plan of He et al. 2016 with any of the three blocks; MS-ResNet-20, -110 and -482 (Hu et al. 2022).

    conv3x3 16 - norm, three stages of (depth - 2) / 6 blocks of 16, 32 and 64 channels, the second and third of which
    halve the image, with conv1x1 shortcuts; readout. 20 layers: 272,474 parameters, 110: 1,730,714, 482: 7,758,106
    (3 channels, 10 classes), with every block.

    Plain and SEW blocks take the stem's spikes, MS blocks its potentials; all starts as in :class:`ImageNetResNet`.

    Args:
        num_classes: classes K.
        in_channels: channels of the input.
        image_size: side of the square input, any; the network does not depend on it.
        width: multiplier of the channels.
        parts: neuron and normalisation.
        depth: 6 n + 2 with n >= 1.
        block: ``plain`` (:class:`BasicBlock`), ``sew`` or ``ms``.
        connect: of ``sew``, ``ADD``, ``AND`` or ``IAND``.
        zero_init: as in :class:`ImageNetResNet`.
        checkpointing: blocks that are recomputed together in the backward pass, see
            :class:`tetviz.models.stack.ResidualStack`.

    Raises:
        ValueError: another depth, an unknown block, or ``connect`` of another block.
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
        parts, potentials, make = parts or Parts(), block == "ms", _maker(block, connect)
        entering, count = scaled(16, width), (depth - 2) // 6
        blocks, leaving = stages(make, entering, [(16, count, 1), (32, count, 2), (64, count, 2)], width, parts)
        conv = parts.conv(in_channels, entering, bias=False)
        stem, neck = (conv, parts.neuron()) if potentials else (nn.Sequential(conv, parts.neuron()), nn.Identity())
        stack = ResidualStack(*blocks, checkpointing=checkpointing)
        super().__init__(stem, stack, neck, nn.Linear(leaving, num_classes))
        _start(self, parts, potentials, zero_init)


def _maker(block: str, connect: str) -> BlockMaker:
    if block not in BLOCKS:
        raise ValueError(unknown("block", block, BLOCKS))
    if connect != "ADD" and block != "sew":
        raise ValueError(f"connect={connect} is for block=sew, got block={block}")
    return partial(SEWBlock, connect=connect) if block == "sew" else BLOCKS[block]


def _deep_stem(in_channels: int, channels: int, parts: Parts) -> nn.Module:
    return nn.Sequential(
        OverTime(nn.Conv2d(in_channels, channels, 3, 2, 1)),
        OverTime(nn.Conv2d(channels, channels, 3, 1, 1)),
        parts.conv(channels, channels, bias=True),
    )


def _start(network: ResidualNetwork, parts: Parts, potentials: bool, zero_init: bool | None) -> None:
    if potentials:
        for module in network.stem.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, parts.gain)
    else:
        init_kaiming(network)
    if potentials if zero_init is None else zero_init:
        for block in network.blocks:
            block.silence()  # type: ignore[operator]
