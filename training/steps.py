"""What a training step keeps for its backward pass: of normalisation and neurons, and of spikes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn

from tetviz.models.blocks import BasicBlock, MSBlock
from tetviz.models.convnets import ConvNet
from tetviz.models.fused import can_fuse, normalise_and_fire
from tetviz.models.layers import SpikingNetwork
from tetviz.models.neuron import LIF
from tetviz.models.norm import ConvNorm
from tetviz.models.resnet import ResNet19

Kept = tuple[Tensor, torch.dtype | None]


def fusable(model: nn.Module) -> list[tuple[ConvNorm, LIF]]:
    """The convolutions with a normalisation, and the neurons right behind, that a training step runs as one.

    Args:
        model: any network; of one that is not tetviz's own there are none.

    Returns:
        The pairs. What someone watches with hooks, what runs in eval mode, and what carries its membranes is not among
        them.
    """
    if not isinstance(model, SpikingNetwork):
        return []
    found = [pair for module in model.modules() for pair in pairwise(_chain(module)) if can_fuse(*pair)]
    return [(conv, neuron) for conv, neuron in found if conv.norm.training and not neuron.carry]


def _chain(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, nn.Sequential):
        return list(module)
    if isinstance(module, ConvNet):
        return list(module.features)
    if isinstance(module, ResNet19):
        return [module.stem, module.lif]
    if isinstance(module, BasicBlock):
        return [module.conv1, module.lif1]
    if isinstance(module, MSBlock):
        return [module.conv1, module.lif2]
    return []


@contextmanager
def lean(model: nn.Module) -> Iterator[None]:
    """Training steps that keep less: the same gradients, to the last bit.

    Normalisation and neurons keep what their convolution gave, and spikes are kept as bytes.

    Args:
        model: a network in training. Forward and backward pass both belong inside.
    """
    pairs = fusable(model)
    try:
        for conv, neuron in pairs:
            conv.firing, neuron.fired = _fired_by(conv, neuron), True
        yield
    finally:
        for conv, neuron in pairs:
            conv.firing, neuron.fired = None, False


def spikes_as_bytes() -> torch.autograd.graph.saved_tensors_hooks:
    """Keeps spikes for the backward pass as bytes, inside of a ``with`` around a forward pass."""
    return torch.autograd.graph.saved_tensors_hooks(_pack, _unpack)


def _fired_by(conv: ConvNorm, neuron: LIF) -> Callable[[Tensor, int], Tensor]:
    def fire(merged: Tensor, timesteps: int) -> Tensor:
        spikes = normalise_and_fire(merged, timesteps, conv.norm, neuron)
        spikes.are_spikes = True
        return spikes

    return fire


def _pack(tensor: Tensor) -> Kept:
    whole = tensor if tensor._base is None else tensor._base
    if getattr(whole, "are_spikes", False):
        return tensor.to(torch.uint8), tensor.dtype
    return tensor, None


def _unpack(kept: Kept) -> Tensor:
    tensor, dtype = kept
    return tensor if dtype is None else tensor.to(dtype)
