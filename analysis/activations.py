"""One run of a network with its graph: what goes into its modules and what comes out, step by step."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from tetviz.errors import ModelError
from tetviz.models import LIF, ForeignNetwork, SpikingNetwork
from tetviz.models.foreign.state import clone
from tetviz.results.schema import FloatArray

WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
STEPS_EXPECTED = (
    "expected a call for each step, or one call with all steps, time first (samples first in a network that is "
    "batch-major)"
)
# A normalisation of weight 0 gives zeros, too.
_SILENT = (_NormBase, nn.GroupNorm, nn.LayerNorm)


class Activations:
    """Runs a copy of a network and keeps the tensors, with their graph; the network itself is left alone.

    Modules get and hand on copies of what is kept, so one that works in place changes nothing in it.

    Attributes:
        model: the copy.
        entered: what went in, by module and call, with its graph for those in ``whole``.
        left: what came out, by module and call.
        order: the modules that were called, in order of their first return.
    """

    def __init__(self, model: nn.Module, bn: str, whole: Collection[str] = ()) -> None:
        self.model = clone(model).requires_grad_(True)
        self.entered: dict[str, list[Tensor]] = {}
        self.left: dict[str, list[Tensor]] = {}
        self.timesteps = self.samples = 0
        calling = model.calling if isinstance(model, ForeignNetwork) else None
        self._batch_major = calling is not None and "batch-major" in (calling.takes, calling.gives)
        set_modes(self.model, bn)
        for name, module in self.model.named_modules():
            if name in whole:
                module.register_forward_pre_hook(lambda _, args, name=name: self._enter(name, args))
            if name in whole or (name and not any(isinstance(part, WEIGHTED) for part in list(module.modules())[1:])):
                module.register_forward_hook(
                    lambda _, args, output, name=name, seen=name in whole: self._leave(name, args, output, seen)
                )

    @property
    def order(self) -> list[str]:
        """The modules that were called, in order of their first return."""
        return list(self.left)

    def run(self, x: Tensor, timesteps: int, samples: int) -> Tensor:
        """Replaces what was kept by what one batch shows."""
        self.entered, self.left, self.timesteps, self.samples = {}, {}, timesteps, samples
        with torch.enable_grad():
            # All that follows has a graph, also where no weights come first; a leaf cannot be worked on in place.
            leaf = x.detach().clone().requires_grad_()
            return self.model(leaf.clone(), timesteps)  # type: ignore[no-any-return]

    def tells_steps(self, tensors: Sequence[Tensor]) -> bool:
        """Whether the calls of a module say which step is which."""
        return self._in_steps(tensors) is not None

    def by_step(self, tensors: Sequence[Tensor]) -> Tensor:
        """The tensors of all calls of a module, or their gradients, as one.

        Rows of a call that holds all steps of all samples are in order of time, or of samples in a network of
        someone else's that takes or gives them batch first.

        Returns:
            T x B x any further axes.
        """
        found = self._in_steps(tensors)
        if found is None:
            raise ModelError(f"a module is called otherwise in one batch than in another; {STEPS_EXPECTED}")
        return found

    def _in_steps(self, tensors: Sequence[Tensor]) -> Tensor | None:
        if not tensors or any(tensor.shape != tensors[0].shape for tensor in tensors):
            return None
        T, B, shape = self.timesteps, self.samples, tensors[0].shape
        if len(tensors) == T and shape[:1] == (B,):
            return torch.stack(list(tensors))
        if len(tensors) == T and shape[:2] == (1, B):
            return torch.cat(list(tensors))
        if len(tensors) > 1 or not shape:
            return None
        leading = (B, T) if self._batch_major else (T, B)
        if shape[:2] != leading and shape[0] != T * B:
            return None
        ordered = tensors[0].reshape(*leading, *shape[2 if shape[:2] == leading else 1 :])
        return ordered.transpose(0, 1) if self._batch_major else ordered

    def neurons(self) -> list[str]:
        """The layers of neurons."""
        ours = [name for name in self.order if isinstance(self.model.get_submodule(name), LIF)]
        firing = ours or [name for name in self.order if self._fires(name)]
        return [name for name in firing if not any(other.startswith(f"{name}.") for other in firing)]

    def layers(self) -> list[str]:
        """The layers with weights."""
        return [name for name in self.order if isinstance(self.model.get_submodule(name), WEIGHTED)]

    def _fires(self, name: str) -> bool:
        module = self.model.get_submodule(name)
        if any(isinstance(part, (*WEIGHTED, *_SILENT)) for part in module.modules()) or not self.entered[name]:
            return False
        return all(map(_binary, self.left[name])) and not all(map(_binary, self.entered[name]))

    def _enter(self, name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if not args or not isinstance(args[0], Tensor):
            return args
        x, *others = args
        self.entered.setdefault(name, []).append(x)
        return (x.clone(), *others)

    def _leave(self, name: str, args: tuple[Any, ...], output: Any, seen: bool) -> Any:
        y, *others = output if isinstance(output, tuple) and output else (output,)
        if not isinstance(y, Tensor) or not y.is_floating_point():
            return None
        if not seen:
            self.entered.setdefault(name, []).extend(x.detach() for x in args[:1] if isinstance(x, Tensor))
        self.left.setdefault(name, []).append(y)
        return (y.clone(), *others) if isinstance(output, tuple) else y.clone()


def set_modes(model: nn.Module, bn: str) -> None:
    """Puts modules into the mode in which they have gradients, and normalise as asked for.

    Neurons of some libraries have no surrogate derivative in eval mode. Dropout stays off.

    Args:
        model: changed in place.
    """
    own = isinstance(model, SpikingNetwork)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.training = bn == "batch"
        else:
            module.training = not own and "dropout" not in type(module).__name__.lower()


def neuron_means(activations: Activations, neurons: Sequence[str]) -> dict[str, FloatArray]:
    """What layers of neurons do, on average over neurons and samples.

    Returns:
        By layer and step: ``rate``; ``potential_mean``, ``potential_square`` and ``mass`` (of the squared surrogate
        derivative), NaN for neurons that are not :class:`tetviz.models.LIF`.
    """
    rows = []
    for name in neurons:
        module = activations.model.get_submodule(name)
        rate = mean_by_step(activations.by_step(activations.left[name]).detach())
        potential_mean = potential_square = mass = np.full_like(rate, np.nan)
        if isinstance(module, LIF):
            traced = module.trace(activations.by_step(activations.entered[name]))
            u_TB, slopes_TB = traced.potentials.double(), traced.slopes.double()
            potential_mean, potential_square, mass = map(mean_by_step, (u_TB, u_TB**2, slopes_TB**2))
        rows.append([rate, potential_mean, potential_square, mass])
    columns = np.array(rows).reshape(-1, 4, activations.timesteps).swapaxes(0, 1)
    return dict(zip(("rate", "potential_mean", "potential_square", "mass"), columns, strict=True))


def mean_by_step(x_TB: Tensor) -> FloatArray:
    """The mean over all axes but time."""
    return x_TB.double().flatten(1).mean(1).cpu().numpy()


def _binary(x: Tensor) -> bool:
    return bool(((x == 0) | (x == 1)).all())
