"""Synapses, the pairs of an input element and an output that a weight joins, and how many of them are active.

Running a network, they are counted at the inputs, by fan-out maps; training it, at the outputs, where inputs and errors
meet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Geometry:
    """What decides which input elements reach which outputs.

    Attributes:
        weight_shape: shape of the kernel, or of the matrix (inputs, outputs).
        inputs: shape of one input, channels first; of a matrix product (features,).
        convolution: stride, padding, dilation, whether it is transposed, output padding and groups; None for a
            matrix product.
        margins: zero margins that an explicit padding has added to the input, last axis first.
    """

    weight_shape: tuple[int, ...]
    inputs: tuple[int, ...]
    convolution: tuple[Any, ...] | None = None
    margins: tuple[int, ...] = ()


class FanOut:
    """Fan-out maps, made once for every geometry."""

    def __init__(self) -> None:
        self._maps: dict[Geometry, Tensor] = {}

    def map(self, geometry: Geometry, present: Tensor | None = None) -> Tensor:
        """The number of outputs that each input element reaches.

        It is the gradient of the sum of the outputs of the layer with weights of one, in float64. All channels of
        an input reach the same number of outputs, so one is enough.

        Args:
            present: the weights as 0 and 1, to leave pruned ones out; None for all.
        """
        if present is not None:
            return _whole(geometry, present)
        if geometry not in self._maps:
            self._maps[geometry] = _spatial(geometry)
        return self._maps[geometry]


def _spatial(geometry: Geometry) -> Tensor:
    if geometry.convolution is None:
        return torch.tensor(float(geometry.weight_shape[1]), dtype=torch.float64)
    stride, padding, dilation, transposed, output_padding, groups = geometry.convolution
    outputs = geometry.weight_shape[1] if transposed else geometry.weight_shape[0] // groups
    kernel = torch.ones((1, 1, *geometry.weight_shape[2:]), dtype=torch.float64)
    x = torch.zeros((1, 1, *geometry.inputs[1:]), dtype=torch.float64)
    one_group = (stride, padding, dilation, transposed, output_padding, 1)
    return _gradient(x, kernel, one_group)[0, 0] * outputs


def _whole(geometry: Geometry, present: Tensor) -> Tensor:
    present = present.detach().to("cpu", torch.float64)
    if geometry.convolution is None:
        return present.sum(1)
    return _gradient(torch.zeros((1, *geometry.inputs), dtype=torch.float64), present, geometry.convolution)[0]


def _gradient(x: Tensor, kernel: Tensor, convolution: Sequence[Any]) -> Tensor:
    stride, padding, dilation, transposed, output_padding, groups = convolution
    aten = torch.ops.aten
    y = aten.convolution(x, kernel, None, stride, padding, dilation, transposed, output_padding, groups)
    gradient: Tensor = aten.convolution_backward(
        torch.ones_like(y),
        x,
        kernel,
        None,
        stride,
        padding,
        dilation,
        transposed,
        output_padding,
        groups,
        [True, False, False],
    )[0]
    return gradient.round()


def inbounds_pairs(geometry: Geometry, fan_out: Tensor) -> int:
    """Pairs of one input, whatever its values."""
    shape = geometry.inputs
    whole = fan_out.dim() == len(shape)
    inside = fan_out if whole or not shape[1:] else fan_out.expand(shape)
    if not whole and not shape[1:]:
        return int(fan_out) * shape[0]
    for axis in range(len(geometry.margins) // 2):
        low, high = geometry.margins[2 * axis : 2 * axis + 2]
        dim = inside.dim() - 1 - axis
        inside = inside.narrow(dim, max(low, 0), inside.shape[dim] - max(low, 0) - max(high, 0))
    return int(inside.sum())


def active_pairs(marks: Tensor, fan_out: Tensor, largest: float = 1.0) -> Tensor:
    """Pairs of each row, every input element counted as often as its mark says.

    Returns:
        Counts (rows,), float64, whole up to 2^53; NaN where a mark is NaN.
    """
    places = marks
    if fan_out.dim() < marks.dim() - 1:
        exact = largest * marks.shape[1] < 2**24  # float32 adds whole numbers exactly up to there
        places = marks.sum(1, dtype=None if exact else torch.float64)
    return places.reshape(len(marks), -1).double() @ fan_out.to(marks.device).flatten()


def active_elements(marks: Tensor, fan_out: Tensor) -> Tensor:
    """The same for each element alone; float64, shaped like the marks."""
    return marks.double() * fan_out.to(marks.device)


def windows_of(name: str, args: Sequence[Any], output: Tensor) -> Tensor | None:
    """The number of windows of a pooling that each place belongs to.

    Returns:
        Counts over the pooled axes; None for means and sums, which add each value once.
    """
    if "pool" not in name:
        return None
    axes = int(name[-2])
    counts: list[Tensor] = []
    for axis in range(axes):
        size, outputs = args[0].shape[axis - axes], output.shape[axis - axes]
        o = torch.arange(outputs)
        if name.startswith("_adaptive"):
            first, last = o * size // outputs, -(-(o + 1) * size // outputs)
        else:
            kernel = _each(args[1], axes)[axis]
            stride = _each(args[2] if len(args) > 2 and args[2] else args[1], axes)[axis]
            first = o * stride - _each(args[3] if len(args) > 3 else 0, axes)[axis]
            last = first + kernel
        place = torch.arange(size)[:, None]
        counts.append(((place >= first) & (place < last)).sum(1))
    windows = counts[0]
    for each in counts[1:]:
        windows = windows[..., None] * each
    return windows


def _each(value: Any, axes: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values


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
