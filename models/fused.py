"""Normalisation and neurons as one step of a backward pass, which keeps what the convolution gave and nothing else."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tetviz.models.neuron import IF, LIF
from tetviz.models.norm import ConvNorm, TdBN

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def can_fuse(pair: nn.Module, neuron: nn.Module) -> bool:
    """Whether a normalisation and the neurons behind it are such that they run as one, and nobody watches them."""
    return (
        type(pair) is ConvNorm
        and type(neuron) in (LIF, IF)
        and type(pair.norm) in (nn.BatchNorm2d, TdBN)
        and pair.norm.affine  # type: ignore[union-attr]
        and pair.norm.track_running_stats  # type: ignore[union-attr]
        and pair.norm.momentum is not None  # type: ignore[union-attr]
        and all(isinstance(getattr(neuron, name), float | int) for name in ("leak", "threshold", "gamma"))
        and neuron.surrogate != "sigmoid"
        and not any(getattr(module, hooks) for module in (pair, pair.norm, neuron) for hooks in _HOOKS)
    )


def normalise_and_fire(x_NCHW: Tensor, timesteps: int, norm: nn.BatchNorm2d, neuron: LIF) -> Tensor:
    """Spikes of neurons behind a batch normalisation in training, from rest.

    The numbers of ``neuron(norm(x))``, forward and backward, to the last bit; the running statistics follow as they do
    there. Of the pass the backward pass keeps x and the statistics by channel. It runs the neurons again.

    Args:
        x_NCHW: what a convolution gave, time and batch merged.
        timesteps: T.
        norm: batch normalisation in training, with weight, bias and running statistics.
        neuron: the neurons; see :func:`can_fuse`.

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
    return _NormaliseAndFire.apply(  # type: ignore[no-untyped-call, no-any-return]
        x_NCHW, gain, norm.bias, norm.running_mean, norm.running_var, _Rule(timesteps, norm, neuron)
    )


class _Rule(NamedTuple):
    timesteps: int
    norm: nn.BatchNorm2d
    neuron: LIF

    def of_time(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW.view(self.timesteps, -1, *x_NCHW.shape[1:])

    def plain(self, x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        """The same of operations that torch differentiates, without a change of the running statistics."""
        return self.fire(F.batch_norm(x, None, None, gain, bias, True, 0.0, self.norm.eps))

    def fire(self, y: Tensor) -> Tensor:
        current_TB = self.of_time(y)
        return self.neuron._run(current_TB, self.neuron.rest(current_TB))[0]


class _NormaliseAndFire(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor, rule: _Rule
    ) -> Tensor:
        norm, neuron = rule.norm, rule.neuron
        y, mean, scale = torch.native_batch_norm(
            x, gain, bias, running_mean, running_var, True, norm.momentum, norm.eps
        )
        ctx.save_for_backward(x, gain, bias, mean, scale)
        ctx.rule = rule
        current_TB = rule.of_time(y)
        return neuron._run_in_place(current_TB, neuron.rest(current_TB))[0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, bias, mean, scale = ctx.saved_tensors
        rule, wanted = ctx.rule, ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # the gradient is differentiated again
            given = [each for each, needed in zip((x, gain, bias), wanted, strict=True) if needed]
            found = iter(torch.autograd.grad(rule.plain(x, gain, bias), given, grads[0], create_graph=True))
            return *(next(found) if needed else None for needed in wanted), None, None, None
        with torch.enable_grad():
            y = torch.native_batch_norm(x, gain, bias, None, None, True, 0.0, rule.norm.eps)[0].detach()
            y.requires_grad_()
            (grad_y,) = torch.autograd.grad(rule.fire(y), y, grads[0])
        found = torch.ops.aten.native_batch_norm_backward(
            grad_y, x, gain, None, None, mean, scale, True, rule.norm.eps, list(wanted)
        )
        return *(each if needed else None for each, needed in zip(found, wanted, strict=True)), None, None, None
