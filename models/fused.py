"""Normalisation and neurons as one step of a backward pass, which keeps what the convolution gave and nothing else."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tetviz.models.kernels import Kernels, Rule
from tetviz.models.neuron import IF, LIF
from tetviz.models.norm import ConvNorm, TdBN
from tetviz.models.surrogate import KERNELS

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def can_fuse(neuron: nn.Module) -> bool:
    """Whether neurons are such that their backward pass can run them again, and nobody watches them."""
    if type(neuron) not in (LIF, IF) or not isinstance(neuron, LIF):
        return False
    constants = (neuron.leak, neuron.threshold, neuron.gamma)
    known = neuron.surrogate in KERNELS and not any(isinstance(each, Tensor) for each in constants)
    return known and neuron.potentials is None and _unwatched(neuron)


def can_fuse_with(pair: nn.Module, neuron: nn.Module) -> bool:
    """Whether a normalisation and the neurons behind it can run as one, and nobody watches them."""
    if type(pair) is not ConvNorm or not can_fuse(neuron):
        return False
    norm = pair.norm
    return (
        type(norm) in (nn.BatchNorm2d, TdBN)
        and isinstance(norm, nn.BatchNorm2d)
        and norm.affine
        and norm.track_running_stats
        and norm.momentum is not None
        and _unwatched(pair, norm)
    )


def _unwatched(*modules: nn.Module) -> bool:
    return not any(getattr(module, hooks) for module in modules for hooks in _HOOKS)


def fire(current_TB: Tensor, neuron: LIF, kernels: Kernels | None = None) -> Tensor:
    """Spikes of neurons, from rest, of which the backward pass keeps the input and nothing else.

    The numbers of ``neuron(current_TB)``, forward and backward, to the last bit.

    Args:
        current_TB: synaptic input, T x B x any further axes.
        neuron: the neurons; see :func:`can_fuse`.
        kernels: of the neurons' rule, compiled; None where they run as they are.

    Returns:
        Spikes, shaped and typed like the input.
    """
    return _Fire.apply(current_TB, _Neurons(neuron, kernels))  # type: ignore[no-untyped-call, no-any-return]


def normalise_and_fire(
    x_NCHW: Tensor, timesteps: int, norm: nn.BatchNorm2d, neuron: LIF, kernels: Kernels | None = None
) -> Tensor:
    """Spikes of neurons behind a batch normalisation in training, from rest.

    The numbers of ``neuron(norm(x))``, forward and backward, to the last bit; the running statistics follow as they do
    there. Of the pass the backward pass keeps x and the statistics by channel. It runs the neurons again.

    Args:
        x_NCHW: what a convolution gave, time and batch merged.
        timesteps: T.
        norm: batch normalisation in training, with weight, bias and running statistics.
        neuron: the neurons; see :func:`can_fuse_with`.
        kernels: of the neurons' rule, compiled; None where they run as they are.

    Returns:
        s_TBCHW, typed like x.

    Raises:
        ValueError: no more than one value a channel.
    """
    if x_NCHW.numel() == x_NCHW.shape[1]:
        raise ValueError(f"expected more than one value a channel in training, got shape {tuple(x_NCHW.shape)}")
    gain = norm.gain if isinstance(norm, TdBN) else norm.weight
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    layer = _Layer(timesteps, norm, _Neurons(neuron, kernels))
    return _NormaliseAndFire.apply(  # type: ignore[no-untyped-call, no-any-return]
        x_NCHW, gain, norm.bias, norm.running_mean, norm.running_var, layer
    )


class _Neurons(NamedTuple):
    neuron: LIF
    compiled: Kernels | None

    def plain(self, current_TB: Tensor) -> Tensor:
        """The same of operations that torch differentiates."""
        return self.neuron._run(current_TB, self.neuron.rest(current_TB))[0]

    def fire(self, current_TB: Tensor) -> Tensor:
        if self.compiled is None or not current_TB.is_contiguous():
            return self.neuron._run_in_place(current_TB, self.neuron.rest(current_TB))[0]
        return self.compiled.forward(current_TB.flatten(1).unbind()).view(current_TB.shape)

    def grad(self, current_TB: Tensor, grad_TB: Tensor) -> Tensor:
        """The gradient of the input, of that of the spikes."""
        if self.compiled is None or not current_TB.is_contiguous():
            return Rule.of(self.neuron).kernels().backward(current_TB.unbind(), grad_TB.unbind())
        found = self.compiled.backward(current_TB.flatten(1).unbind(), grad_TB.flatten(1).unbind())
        return found.view(current_TB.shape)


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current_TB: Tensor, neurons: _Neurons) -> Tensor:
        ctx.save_for_backward(current_TB)
        ctx.neurons = neurons
        return neurons.fire(current_TB)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (current_TB,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is differentiated again
            spikes = ctx.neurons.plain(current_TB)
            return torch.autograd.grad(spikes, current_TB, grads[0], create_graph=True)[0], None
        return ctx.neurons.grad(current_TB, grads[0]), None


class _Layer(NamedTuple):
    timesteps: int
    norm: nn.BatchNorm2d
    neurons: _Neurons

    def of_time(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW.view(self.timesteps, -1, *x_NCHW.shape[1:])

    def plain(self, x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        """The same of operations that torch differentiates, without a change of the running statistics."""
        return self.neurons.plain(self.of_time(F.batch_norm(x, None, None, gain, bias, True, 0.0, self.norm.eps)))


class _NormaliseAndFire(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor, layer: _Layer
    ) -> Tensor:
        norm, momentum = layer.norm, layer.norm.momentum
        assert momentum is not None
        y, mean, scale = torch.native_batch_norm(x, gain, bias, running_mean, running_var, True, momentum, norm.eps)
        ctx.save_for_backward(x, gain, bias, mean, scale)
        ctx.layer = layer
        return layer.neurons.fire(layer.of_time(y))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, bias, mean, scale = ctx.saved_tensors
        layer, wanted = ctx.layer, ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # the gradient is differentiated again
            given = [each for each, needed in zip((x, gain, bias), wanted, strict=True) if needed]
            found = iter(torch.autograd.grad(layer.plain(x, gain, bias), given, grads[0], create_graph=True))
            return *(next(found) if needed else None for needed in wanted), None, None, None
        # With variance 1 torch multiplies by gain * scale as in the forward pass, and rounds as there.
        y = F.batch_norm(x, mean, torch.ones_like(mean), gain * scale, bias, False, 0.0, 0.0)
        grad_y = layer.neurons.grad(layer.of_time(y), grads[0]).view(x.shape)
        found = torch.ops.aten.native_batch_norm_backward(
            grad_y, x, gain, None, None, mean, scale, True, layer.norm.eps, list(wanted)
        )
        return *(each if needed else None for each, needed in zip(found, wanted, strict=True)), None, None, None
