"""The plain convolutional networks of the TET paper: SNN-5 and VGGSNN."""

from torch import Tensor, nn

from tetviz.models.layers import Parts, SpikingNetwork, init_kaiming, over_time, scaled, step_by_step


class ConvNet(SpikingNetwork):
    """Convolution, normalisation, neuron, perhaps a 2 x 2 average pooling, repeated; then a linear readout."""

    def __init__(
        self,
        plan: list[tuple[int, int, int, bool]],
        num_classes: int,
        in_channels: int,
        image_size: int,
        width: float,
        parts: Parts,
    ) -> None:
        super().__init__()
        halvings = sum(pooled or stride == 2 for _, _, stride, pooled in plan)
        if image_size < 2**halvings:
            raise ValueError(
                f"{type(self).__name__} halves the image {halvings} times: "
                f"image_size must be at least {2**halvings}, got {image_size}"
            )
        layers: list[nn.Module] = []
        channels, side = in_channels, image_size
        for published, kernel, stride, pooled in plan:
            out_channels = scaled(published, width)
            layers += [parts.conv(channels, out_channels, kernel, stride, bias=True), parts.neuron()]
            if pooled:
                layers.append(nn.AvgPool2d(2))
            channels, side = out_channels, side // 2 if pooled else -(-side // stride)
        self.features = nn.ModuleList(layers)
        self.classifier = nn.Linear(channels * side**2, num_classes)
        init_kaiming(self)

    def body(self, x_TBCHW: Tensor) -> Tensor:
        """The network on a time-major input."""
        x = x_TBCHW
        for layer in self.features:
            x = over_time(layer, x) if isinstance(layer, nn.AvgPool2d) else layer(x)
        return step_by_step(self.classifier, x.flatten(2))


class SNN5(ConvNet):
    """SNN-5 (Deng et al. 2022, section 5.1): five convolutions and a linear readout.

    16C3-LIF-64C5-LIF-AP2-128C5-LIF-AP2-256C5-LIF-AP2-512C3-LIF-AP2-FC; 2,253,098 parameters on
    3 x 32 x 32 and 10 classes.

    Args:
        num_classes: classes K.
        in_channels: channels of the input.
        image_size: side of the square input, at least 16.
        width: multiplier of the channels.
        parts: neuron and normalisation.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        image_size: int = 32,
        width: float = 1.0,
        parts: Parts | None = None,
    ) -> None:
        plan = [(16, 3, 1, False), (64, 5, 1, True), (128, 5, 1, True), (256, 5, 1, True), (512, 3, 1, True)]
        super().__init__(plan, num_classes, in_channels, image_size, width, parts or Parts())


class VGGSNN(ConvNet):
    """VGGSNN (the TET code's network for DVS-CIFAR10): eight 3 x 3 convolutions and a linear readout.

    64-128-AP2-256-256-AP2-512-512-AP2-512-512-AP2-FC; 9,271,498 parameters on 2 x 48 x 48 and 10 classes.
    No neuron follows a pooling, so the layer behind one receives quarters of spikes.

    Args:
        num_classes: classes K.
        in_channels: channels of the input.
        image_size: side of the square input, at least 16.
        width: multiplier of the channels.
        parts: neuron and normalisation.
        pool: False for the variant of the released scripts, stride 2 in place of the poolings.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 2,
        image_size: int = 48,
        width: float = 1.0,
        parts: Parts | None = None,
        *,
        pool: bool = True,
    ) -> None:
        channels = [64, 128, 256, 256, 512, 512, 512, 512]
        halved = [index % 2 == 1 for index in range(len(channels))]
        plan = [(c, 3, 2 if h and not pool else 1, h and pool) for c, h in zip(channels, halved, strict=True)]
        super().__init__(plan, num_classes, in_channels, image_size, width, parts or Parts())
