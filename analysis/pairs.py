"""Pairs of an input element and an output that a weight joins: fan-out maps, and counts of non-zero inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


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


def windows_of(name: str, args: Sequence[Any], output: Tensor) -> Tensor | None:
    """The number of windows of a pooling that each place belongs to.

    Returns:
        Counts over the pooled axes; None for means and sums, where it is 1 everywhere.
    """
    if name in ("mean", "sum"):
        return None
    axes = output.dim() - 2
    counts: list[Tensor] = []
    for axis in range(axes):
        size, outputs = args[0].shape[2 + axis], output.shape[2 + axis]
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
