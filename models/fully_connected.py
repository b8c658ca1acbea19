"""A network without convolutions."""

from itertools import pairwise

from torch import Tensor, nn

from tetviz.models.layers import Parts, SpikingNetwork, scaled, step_by_step

_MOST_LAYERS = 1_000


class FullyConnected(SpikingNetwork):
    """Linear layers with neurons behind, then a linear readout: 784-400-200-10 on MNIST.

    Args:
        num_classes: classes K.
        in_channels: channels of the input.
        image_size: side of the square input.
        width: multiplier of the hidden features.
        parts: neurons; there is no normalisation.
        hidden: hidden features of each layer, such as 400-200; a number where there is one.
        spiking_output: whether neurons stand behind the readout too, so that O(t) are their spikes.
    """

    known_norms = ("none",)

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: int = 28,
        width: float = 1.0,
        parts: Parts | None = None,
        *,
        hidden: int | str = "400-200",
        spiking_output: bool = False,
    ) -> None:
        super().__init__()
        parts, sizes = parts or Parts(norm="none"), str(hidden).split("-")
        if len(sizes) > _MOST_LAYERS or not all(size.isdecimal() and 1 <= int(size) <= 1_000_000 for size in sizes):
            raise ValueError(
                f"hidden: expected features of up to {_MOST_LAYERS} layers such as 400-200, got {str(hidden)[:60]!r}"
            )
        features = [in_channels * image_size**2, *(scaled(int(size), width) for size in sizes)]
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(features))
        self.neurons = nn.ModuleList(parts.neuron() for _ in self.hidden)
        self.classifier = nn.Linear(features[-1], num_classes)
        self.output = parts.neuron() if spiking_output else nn.Identity()

    def body(self, x_TBCHW: Tensor) -> Tensor:
        """The network on a time-major input."""
        x = x_TBCHW.flatten(2)
        for linear, neuron in zip(self.hidden, self.neurons, strict=True):
            x = neuron(step_by_step(linear, x))
        outputs_TBK: Tensor = self.output(step_by_step(self.classifier, x))
        return outputs_TBK
