"""Residual networks as their papers draw them, slow and obvious, to judge the package by. Calls no tetviz.

NumPy float64. A state is a dictionary of arrays; ``name`` is where a layer's are in it. Normalisations use their
running statistics. Axis letters: T timesteps, B batch, C channels, H height, W width, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
State = Mapping[str, Array]


@dataclass(frozen=True)
class Neuron:
    """Constants of all neurons."""

    leak: float = 0.5
    threshold: float = 1.0
    soft: bool = False

    def __call__(self, current_TBCHW: Array) -> Array:
        v, spikes = np.zeros_like(current_TBCHW[0]), []
        for current in current_TBCHW:
            u = self.leak * v + current
            s = np.where(u > self.threshold, 1.0, 0.0)
            v = u - self.threshold * s if self.soft else np.where(s == 1, 0.0, u)
            spikes.append(s)
        return np.stack(spikes)


def conv(x_TBCHW: Array, kernel_OIHW: Array, stride: int, bias: Array | None = None) -> Array:
    """A convolution padded by half its kernel with zeros, tap by tap."""
    size = kernel_OIHW.shape[2]
    half, side = size // 2, x_TBCHW.shape[3]
    padded = np.pad(x_TBCHW, [(0, 0), (0, 0), (0, 0), (half, half), (half, half)])
    places = (side + 2 * half - size) // stride + 1
    y = np.zeros((*x_TBCHW.shape[:2], len(kernel_OIHW), places, places))
    for row in range(size):
        for column in range(size):
            seen = padded[..., row : row + stride * places : stride, column : column + stride * places : stride]
            seen = seen[..., :places, :places]
            y += np.einsum("tbihw,oi->tbohw", seen, kernel_OIHW[:, :, row, column])
    return y if bias is None else y + bias[:, None, None]


def normalise(x_TBCHW: Array, state: State, name: str) -> Array:
    """Batch normalisation by running statistics."""
    mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    gain, offset = state[f"{name}.weight"], state[f"{name}.bias"]
    columns = [v[:, None, None] for v in (mean, variance, gain, offset)]
    return columns[2] * (x_TBCHW - columns[0]) / np.sqrt(columns[1] + 1e-5) + columns[3]


def conv_norm(x_TBCHW: Array, state: State, name: str, stride: int = 1) -> Array:
    """A convolution and its normalisation."""
    y = conv(x_TBCHW, state[f"{name}.conv.weight"], stride, state.get(f"{name}.conv.bias"))
    return normalise(y, state, f"{name}.norm")


def pool(x_TBCHW: Array, size: int, stride: int, padding: int, kind: str) -> Array:
    """The largest or the mean of every window, without what lies in the padding; windows begin within the image."""
    side = x_TBCHW.shape[3]
    places = range(-padding, side, stride) if kind == "mean" else range(-padding, side + padding - size + 1, stride)
    rows = []
    for top in places:
        row = []
        for left in places:
            window = x_TBCHW[..., max(0, top) : top + size, max(0, left) : left + size]
            row.append(window.max((3, 4)) if kind == "max" else window.mean((3, 4)))
        rows.append(np.stack(row, -1))
    return np.stack(rows, -2)


def plain_block(x: Array, state: State, name: str, stride: int, neuron: Neuron) -> Array:
    """conv-norm-neuron-conv-norm plus shortcut, then neuron."""
    branch = conv_norm(neuron(conv_norm(x, state, f"{name}.conv1", stride)), state, f"{name}.conv2")
    if f"{name}.shortcut.conv.weight" in state:
        x = conv_norm(x, state, f"{name}.shortcut", stride)
    return neuron(branch + x)


def sew_block(x: Array, state: State, name: str, strides: list[int], connect: str, neuron: Neuron) -> Array:
    """conv-norm-neuron as often as there are strides, then g(A, S) (Fang et al. 2021, table 1)."""
    a, s = x, x
    for index, stride in enumerate(strides):
        a = neuron(conv_norm(a, state, f"{name}.branch.{2 * index}", stride))
    if f"{name}.shortcut.0.conv.weight" in state:
        s = neuron(conv_norm(x, state, f"{name}.shortcut.0", max(strides)))
    return {"ADD": a + s, "AND": a * s, "IAND": (1 - a) * s}[connect]


def ms_block(x: Array, state: State, name: str, stride: int, neuron: Neuron) -> Array:
    """neuron-conv-norm-neuron-conv-norm plus shortcut of potentials."""
    branch = conv_norm(neuron(x), state, f"{name}.conv1", stride)
    branch = conv_norm(neuron(branch), state, f"{name}.conv2")
    if f"{name}.shortcut.conv.weight" in state:
        x = conv_norm(x, state, f"{name}.shortcut", stride)
    elif f"{name}.shortcut.1.conv.weight" in state:
        x = conv_norm(pool(x, stride, stride, 0, "mean"), state, f"{name}.shortcut.1")
    return branch + x


def readout(x_TBCHW: Array, state: State) -> Array:
    """The linear layer on the mean over the image, at every step."""
    pooled: Array = x_TBCHW.mean((3, 4))
    return pooled @ state["fc.weight"].T + state["fc.bias"]


def strides_of(counts: list[int], first: int) -> list[int]:
    """The stride of every block: that of its stage in its first block, 1 in the others."""
    return [(first if s == 0 else 2) if b == 0 else 1 for s, count in enumerate(counts) for b in range(count)]


def cifar_resnet(x: Array, state: State, depth: int, block: str, connect: str, neuron: Neuron) -> Array:
    """O(t) of a ResNet for CIFAR of 6 n + 2 layers."""
    x = conv_norm(x, state, "stem") if block == "ms" else neuron(conv_norm(x, state, "stem.0"))
    for index, stride in enumerate(strides_of([(depth - 2) // 6] * 3, 1)):
        name = f"blocks.{index}"
        if block == "ms":
            x = ms_block(x, state, name, stride, neuron)
        elif block == "sew":
            x = sew_block(x, state, name, [stride, 1], connect, neuron)
        else:
            x = plain_block(x, state, name, stride, neuron)
    return readout(neuron(x) if block == "ms" else x, state)


def imagenet_resnet(x: Array, state: State, kind: str, counts: list[int], connect: str, neuron: Neuron) -> Array:
    """O(t) of Spiking-ResNet, SEW-ResNet (``sew``, or ``sew-bottleneck``) or MS-ResNet (``ms``, or ``ms-deep``)."""
    if kind == "ms":
        x = conv_norm(x, state, "stem", 2)
    elif kind == "ms-deep":
        for index, stride in ((0, 2), (1, 1)):
            x = conv(x, state[f"stem.{index}.module.weight"], stride, state[f"stem.{index}.module.bias"])
        x = conv_norm(x, state, "stem.2")
    else:
        x = pool(neuron(conv_norm(x, state, "stem.0", 2)), 3, 2, 1, "max")
    for index, stride in enumerate(strides_of(counts, 2 if kind.startswith("ms") else 1)):
        name = f"blocks.{index}"
        if kind.startswith("ms"):
            x = ms_block(x, state, name, stride, neuron)
        elif kind == "plain":
            x = plain_block(x, state, name, stride, neuron)
        else:
            strides = [1, stride, 1] if kind == "sew-bottleneck" else [stride, 1]
            x = sew_block(x, state, name, strides, connect, neuron)
    return readout(neuron(x) if kind.startswith("ms") else x, state)
