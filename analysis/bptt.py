"""One pass of backpropagation through time, seen at every layer: what is active, what has an error, who needs it.

Where the error is needed is found by forward-mode differentiation, beside the run. Neurons send out a tangent that is
not 0 where their surrogate derivative is not; whatever stands between them and the next layer, a pooling or a sum,
passes it on as its own derivatives say; the layer finds it at its input. Parameters want a gradient whatever the
neurons do, so a module that has some sends out a tangent everywhere.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tetviz.errors import TrainingError
from tetviz.models import LIF
from tetviz.training.losses import Loss
from tetviz.training.profile import a_parameter, check_length, check_outputs, exact_kernels

Layer = nn.Conv2d | nn.Linear
forward_ad: Any = torch.autograd.forward_ad
_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


@dataclass
class Call:
    """One execution of a layer.

    Attributes:
        name: of the layer.
        active: where its input is not 0.
        binary: whether all of its input is 0 or 1.
        needed: where the error is needed at its input; None where the input takes no gradient.
        output: its output.
        error: where the gradient of the loss with respect to the output is not 0.
    """

    name: str
    active: Tensor
    binary: bool
    needed: Tensor | None
    output: Tensor
    error: Tensor = field(default_factory=lambda: torch.zeros(0))


class Backpropagation:
    """Runs copies of a network forward and backward and keeps what passed; the network itself is left alone."""

    def __init__(self, model: nn.Module, bn: str = "frozen") -> None:
        self.model = copy.deepcopy(model).requires_grad_(True).eval()
        if not any(isinstance(module, LIF) for module in self.model.modules()):
            raise ValueError("the network has no LIF neurons: no surrogate derivative says where errors are needed")
        self.layers: dict[str, Layer] = {}
        self.neurons: dict[str, LIF] = {}
        self.strange: dict[str, nn.Module] = {}
        self.calls: list[Call] = []
        self.responsive: dict[str, Tensor] = {}
        self.normalised = 0
        self._needed: dict[str, Tensor | None] = {}
        self._generator = torch.Generator(a_parameter(model).device).manual_seed(0)
        for name, module in self.model.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train(bn == "batch")
            self._watch(name, module)

    def _watch(self, name: str, module: nn.Module) -> None:
        if isinstance(module, LIF):
            self.neurons[name] = module
            module.register_forward_pre_hook(lambda _, args: _plain(args))
            module.register_forward_hook(lambda neuron, args, output: self._fired(name, neuron, args[0], output))
        elif isinstance(module, Layer):
            self.layers[name] = module
            module.register_forward_pre_hook(lambda _, args: self._enter(name, args))
            module.register_forward_hook(lambda _, args, output: self._leave(name, args[0], output))
        elif any(True for _ in module.parameters(recurse=False)) or isinstance(module, _NORMS):
            if not isinstance(module, _NORMS):
                self.strange[name] = module
            module.register_forward_pre_hook(lambda _, args: _plain(args))
            module.register_forward_hook(lambda module, _, output: self._passed(module, output))

    def run(self, x: Tensor, labels_B: Tensor, timesteps: int, loss: Loss) -> None:
        """Replaces what was kept by what one batch shows."""
        check_length(x, timesteps)
        self.calls, self.responsive, self.normalised = [], {}, 0
        with exact_kernels(), torch.enable_grad(), forward_ad.dual_level():
            (logits_TBK,) = _plain((self.model(x.detach().clone(), timesteps),))
            check_outputs(logits_TBK, labels_B)
            value = loss(logits_TBK, labels_B)
            if not torch.isfinite(value):
                raise TrainingError(f"the loss is {value.item()}: a network that has diverged has no training cost")
            gradients = torch.autograd.grad(value, [call.output for call in self.calls], allow_unused=True)
        for call, gradient in zip(self.calls, gradients, strict=True):
            call.error = torch.zeros_like(call.output, dtype=torch.bool) if gradient is None else gradient != 0
            call.output = call.output.detach()

    def _enter(self, name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        x, tangent = forward_ad.unpack_dual(args[0])
        if not x.requires_grad:
            self._needed[name] = None
        else:
            self._needed[name] = torch.ones_like(x, dtype=torch.bool) if tangent is None else tangent != 0
        return (x, *args[1:])

    def _leave(self, name: str, x: Tensor, output: Tensor) -> Tensor:
        x = x.detach()
        active = x != 0
        binary = bool((active == x).all())
        self.calls.append(Call(name, active, binary, self._needed.pop(name), output))
        return _wanted(output)

    def _passed(self, module: nn.Module, output: Any) -> Any:
        if isinstance(module, _NORMS):
            self.normalised += output.numel()
        return _wanted(output) if isinstance(output, Tensor) else output

    def _fired(self, name: str, neuron: nn.Module, current_TB: Tensor, spikes_TB: Tensor) -> Tensor:
        assert isinstance(neuron, LIF)
        responsive_TB = neuron.trace(current_TB).slopes != 0
        self.responsive[name] = responsive_TB
        # Another size for each neuron, so that a difference of two spikes does not cancel.
        tangent = torch.empty_like(spikes_TB, requires_grad=False).uniform_(0.5, 1.5, generator=self._generator)
        dual: Tensor = forward_ad.make_dual(spikes_TB, tangent * responsive_TB)
        return dual


def _plain(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(forward_ad.unpack_dual(arg).primal if isinstance(arg, Tensor) else arg for arg in args)


def _wanted(output: Tensor) -> Tensor:
    dual: Tensor = forward_ad.make_dual(output, torch.ones_like(output, requires_grad=False))
    return dual
