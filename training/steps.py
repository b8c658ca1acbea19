"""What a training step keeps for its backward pass: of normalisation and neurons, and of spikes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn

from tetviz.models.blocks import BasicBlock, MSBlock
from tetviz.models.convnets import ConvNet
from tetviz.models.fused import can_fuse, can_fuse_with, fire, normalise_and_fire
from tetviz.models.kernels import Kernels, Rule
from tetviz.models.layers import SpikingNetwork
from tetviz.models.neuron import LIF
from tetviz.models.norm import ConvNorm
from tetviz.models.resnet import ResNet19
from tetviz.training.passes import has_compiler, how_to_compile

Pair = tuple[ConvNorm, LIF]
Kept = tuple[Tensor, torch.dtype | None]
_MARK = "are_spikes"
_COMPARED = (4099, 64)  # neurons; of the first number some are left when the processor has taken them by 8 or 16
_LONGEST = 16  # steps, which are compiled in one piece

# Measured: seconds that the kernels of a rule take to compile the first time, and the share of a training step that
# they save at least (benchmarks/training_step.py).
_SECONDS_TO_COMPILE, _SAVED = 12.0, 0.2


class LeanSteps:
    """Training steps of a network that keep less and, compiled, take less time: the same gradients, to the last bit.

    Normalisation and neurons keep what their convolution gave, and spikes are kept as bytes. The kernels of neurons are
    compiled as :func:`tetviz.training.passes.compiling` says; with ``auto`` once the steps so far have taken so long
    that this would have paid. What is compiled is held against what it stands for, bit by bit, before it is used.
    """

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._kernels: dict[tuple[Rule, int], Kernels | None] = {}

    @contextmanager
    def step(self, model: nn.Module, timesteps: int) -> Iterator[None]:
        """One training step.

        Args:
            model: a network in training. Forward and backward pass both belong inside.
            timesteps: T.
        """
        pairs, alone = fusable(model)
        neurons = [*(neuron for _, neuron in pairs), *alone]
        compiled = self._compiled(model, {Rule.of(neuron) for neuron in neurons}, timesteps)
        began = time.perf_counter()
        try:
            for conv, neuron in pairs:
                conv.firing, neuron.firing = _firing(conv, neuron, compiled.get(Rule.of(neuron))), _as_it_is
            for neuron in alone:
                neuron.firing = _firing(None, neuron, compiled.get(Rule.of(neuron)))
            yield
        finally:
            for conv, _ in pairs:
                conv.firing = None
            for neuron in neurons:
                neuron.firing = None
        self._seconds[timesteps] = self._seconds.get(timesteps, 0.0) + time.perf_counter() - began

    def _compiled(self, model: nn.Module, rules: set[Rule], timesteps: int) -> dict[Rule, Kernels | None]:
        weight = next(model.parameters())
        when, _ = how_to_compile()
        if (
            when == "off"
            or timesteps > _LONGEST
            or (weight.dtype, weight.device.type) != (torch.float32, "cpu")
            or not has_compiler()
        ):
            return {}
        seconds = self._seconds.get(timesteps, 0.0)
        if when == "auto" and seconds * _SAVED < _SECONDS_TO_COMPILE * len(rules):
            return {}
        for rule in rules:
            if (rule, timesteps) not in self._kernels:
                self._kernels[rule, timesteps] = _verified(rule, timesteps)
        return {rule: self._kernels[rule, timesteps] for rule in rules}


def _verified(rule: Rule, timesteps: int) -> Kernels | None:
    """The compiled kernels of a rule; None where they cannot be compiled or give other bits."""
    _, say = how_to_compile()
    say(f"compiling the neurons of a training step, about {_SECONDS_TO_COMPILE:.0f} s; --compile off goes without")
    began, plain, generator = time.perf_counter(), rule.kernels(), torch.Generator().manual_seed(0)
    try:
        compiled = plain.compiled()
        for neurons in _COMPARED:
            normal = torch.randn(2, timesteps, neurons, generator=generator)
            current, grad = (2 * rule.threshold * normal[0]).unbind(), normal[1].unbind()
            pairs = [(k.forward(current), k.backward(current, grad)) for k in (plain, compiled)]
            if not all(torch.equal(*each) for each in zip(*pairs, strict=True)):
                say("the compiled neurons round otherwise on this machine: they run as they are")
                return None
    except RuntimeError as error:  # what torch._dynamo raises, which takes a second to load
        say(f"the neurons cannot be compiled here ({type(error).__name__}): they run as they are")
        return None
    say(f"compiled in {time.perf_counter() - began:.0f} s; the gradients are the same to the last bit")
    return compiled


def fusable(model: nn.Module) -> tuple[list[Pair], list[LIF]]:
    """What a training step runs as one.

    Args:
        model: any network; of one that is not tetviz's own there is nothing.

    Returns:
        The convolutions with a normalisation and the neurons right behind, and neurons that stand alone. What someone
        watches with hooks, what runs in eval mode, and what carries its membranes is not among them.
    """
    if not isinstance(model, SpikingNetwork):
        return [], []
    neurons = [each for each in model.modules() if isinstance(each, LIF) and each.training and not each.carry]
    pairs = [
        (conv, neuron)
        for module in model.modules()
        for conv, neuron in pairwise(_chain(module))
        if isinstance(conv, ConvNorm) and isinstance(neuron, LIF) and can_fuse_with(conv, neuron)
        if conv.norm.training and neuron in neurons
    ]
    behind = {neuron for _, neuron in pairs}
    return pairs, [neuron for neuron in neurons if neuron not in behind and can_fuse(neuron)]


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


def spikes_as_bytes() -> torch.autograd.graph.saved_tensors_hooks:
    """Keeps spikes for the backward pass as bytes, inside of a ``with`` around a forward pass."""
    return torch.autograd.graph.saved_tensors_hooks(_pack, _unpack)


def _firing(conv: ConvNorm | None, neuron: LIF, kernels: Kernels | None) -> Callable[..., Tensor]:
    def firing(current: Tensor, timesteps: int = 0) -> Tensor:
        own = kernels if current.dtype == torch.float32 else None
        if conv is None:
            spikes = fire(current, neuron, own)
        else:
            assert isinstance(conv.norm, nn.BatchNorm2d)
            spikes = normalise_and_fire(current, timesteps, conv.norm, neuron, own)
        setattr(_whole(spikes), _MARK, True)
        return spikes

    return firing


def _as_it_is(spikes_TB: Tensor) -> Tensor:
    return spikes_TB


def _whole(tensor: Tensor) -> Tensor:
    return tensor if tensor._base is None else tensor._base


def _pack(tensor: Tensor) -> Kept:
    if hasattr(_whole(tensor), _MARK):
        return tensor.to(torch.uint8), tensor.dtype
    return tensor, None


def _unpack(kept: Kept) -> Tensor:
    tensor, dtype = kept
    return tensor if dtype is None else tensor.to(dtype)
