"""What the architectures share: the time axis, the building blocks, the choice of neuron and norm."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tetviz.models.neuron import LIF
from tetviz.models.norm import ConvNorm, TdBN


def over_time(module: nn.Module, x_TB: Tensor) -> Tensor:
    """Applies a stateless module to every timestep at once, time merged into the batch."""
    merged: Tensor = module(x_TB.flatten(0, 1))
    return merged.view(*x_TB.shape[:2], *merged.shape[1:])


class OverTime(nn.Module):
    """A stateless module at every timestep, time merged into the batch."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x_TB: Tensor) -> Tensor:
        """Applies the module."""
        return over_time(self.module, x_TB)


class DropoutOverTime(nn.Dropout):
    """Dropout with one mask for all timesteps of a run, as if it stood behind a mean over time."""

    def forward(self, x_TB: Tensor) -> Tensor:
        """Drops features in training."""
        return x_TB * super().forward(torch.ones_like(x_TB[0])) if self.training else x_TB


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[nn.Module]:
    """Puts a model into eval mode; on exit every module's mode is as it was."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield model.eval()
    finally:
        for module, training in modes.items():
            module.training = training


SAMPLE_AXES = 3  # C x H x W


def step_by_step(module: nn.Module, x_TB: Tensor) -> Tensor:
    """Applies a linear layer to one timestep after the other.

    A matrix product rounds differently for other numbers of rows. One product for each step makes the output
    of step t the same bits however long the run is.
    """
    return torch.stack([module(x_B) for x_B in x_TB])


def filled(x: Tensor, axes: int) -> Tensor:
    """Gives samples of so many axes those of C x H x W that they lack, of length 1, at the end."""
    return x.reshape(*x.shape, *[1] * (SAMPLE_AXES - axes))


def time_major(x: Tensor, timesteps: int | None) -> Tensor:
    """Gives an input its time axis.

    Args:
        timesteps: number of steps T; may be None for a sequence.
    """
    if x.dim() not in (4, 5):
        raise ValueError(f"expected images x_BCHW or a sequence x_TBCHW, got shape {tuple(x.shape)}")
    if timesteps is None and x.dim() == 4:
        raise ValueError("static images have no time axis: say for how many timesteps, model(x, timesteps)")
    if timesteps is not None and timesteps < 1:
        raise ValueError(f"timesteps must be at least 1, got {timesteps}")
    if x.dim() == 4:
        return x.expand(timesteps or 0, *x.shape)
    if len(x) == 0:
        raise ValueError("the sequence has no timesteps; expected at least one timestep on its first axis")
    if timesteps is not None and timesteps > len(x):
        raise ValueError(f"the sequence has {len(x)} timesteps, {timesteps} were asked for")
    return x[:timesteps]


class SpikingNetwork(nn.Module):
    """Base of the architectures: turns its input time-major and hands it to :meth:`body`.

    Attributes:
        timesteps: how many steps a static image is shown for when the call does not say.
    """

    timesteps: int | None = None

    def forward(self, x: Tensor, timesteps: int | None = None) -> Tensor:
        """The output O(t) of every step.

        Args:
            x: x_BCHW, or x_TBCHW for a sequence.
            timesteps: number of steps T.

        Returns:
            logits_TBK, the input of the output layer at every step.
        """
        if timesteps is None and x.dim() == 4:
            timesteps = self.timesteps
        return self.body(time_major(x, timesteps))

    def body(self, x_TBCHW: Tensor) -> Tensor:
        """The outputs logits_TBK of a time-major input; every architecture defines them."""
        raise NotImplementedError


@dataclass(frozen=True)
class Parts:
    """The neuron and the normalisation that an architecture is built from."""

    neuron: Callable[[], nn.Module] = LIF
    norm: str = "bn"
    threshold: float = 1.0

    @property
    def gain(self) -> float:
        """The weight with which a normalisation spreads potentials by V_th; tdBN has that factor beside its weight."""
        return 1.0 if self.norm == "tdbn" else self.threshold

    def conv(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        *,
        bias: bool,
        alpha: float = 1.0,
    ) -> ConvNorm:
        """A 'same'-padded convolution with its normalisation."""
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=bias)
        tdbn = self.norm == "tdbn"
        return ConvNorm(conv, TdBN(out_channels, alpha, self.threshold) if tdbn else nn.BatchNorm2d(out_channels))


def scaled(channels: int, width: float) -> int:
    """Channels of a layer at a width multiplier."""
    return max(1, round(channels * width))


def init_kaiming(model: nn.Module) -> None:
    """Kaiming-normal (fan-out, ReLU gain) weights for every convolution, as the TET code does for VGGSNN.

    Args:
        model: the network, changed in place.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
