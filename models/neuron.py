"""Leaky integrate-and-fire neurons with a hard reset, and membranes carried across calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tetviz.errors import unknown
from tetviz.models.surrogate import SURROGATES


class LIF(nn.Module):
    """Leaky integrate-and-fire neurons (Deng et al. 2022, eqs. 1 to 3).

    For every step t, from u(0) = 0::

        u(t) = leak * u(t-1) * (1 - s(t-1)) + current(t)
        s(t) = 1 if u(t) > threshold else 0

    The comparison is strict, the reset is to 0. The gradient flows through the reset as well unless
    ``detach_reset``. The potential is kept in float32 at least, also under autocast. Every call starts from
    rest, except inside :func:`streaming`.

    Args:
        leak: share of the potential that is left after one step (tau in the paper).
        threshold: firing threshold V_th.
        surrogate: a name in :data:`tetviz.models.SURROGATES`.
        gamma: width of the surrogate.
        detach_reset: whether the reset is a constant for the gradient.
    """

    def __init__(
        self,
        leak: float = 0.5,
        threshold: float = 1.0,
        surrogate: str = "triangle",
        gamma: float = 1.0,
        detach_reset: bool = False,
    ) -> None:
        super().__init__()
        if surrogate not in SURROGATES:
            raise ValueError(unknown("surrogate", surrogate, SURROGATES))
        if not gamma > 0:
            raise ValueError(f"the surrogate's width gamma must be positive, got {gamma}")
        self.leak, self.threshold = leak, threshold
        self.surrogate, self.gamma, self.detach_reset = surrogate, gamma, detach_reset
        self.carry = False
        self.membrane: Tensor | None = None

    def forward(self, current_TB: Tensor) -> Tensor:
        """Runs the neurons over time.

        Args:
            current_TB: synaptic input, T x B x any further axes.

        Returns:
            Spikes, 0 or 1 (graded with the smooth ``sigmoid``), shaped and typed like the input.

        Raises:
            ValueError: no timesteps, or inside streaming() another batch or another type than before.
        """
        if len(current_TB) == 0:
            raise ValueError("the input has no timesteps; expected at least one timestep on its first axis")
        u = self._membrane_before(current_TB)
        if torch.is_grad_enabled() or self.surrogate == "sigmoid":
            spikes_TB, u = self._run(current_TB, u)
        else:
            spikes_TB, u = self._run_in_place(current_TB, u)
        if self.carry:
            self.membrane = u.detach()
        return spikes_TB

    def _run(self, current_TB: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        spike = SURROGATES[self.surrogate]
        spikes = []
        for current in current_TB.to(u.dtype):
            u = self.leak * u + current
            s = spike(u, self.threshold, self.gamma)
            u = u * (1 - (s.detach() if self.detach_reset else s))
            spikes.append(s)
        return torch.stack(spikes).to(current_TB.dtype), u

    def _run_in_place(self, current_TB: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        # The same numbers as _run without a graph, in half the passes over memory.
        u, spikes_TB = u.clone(), torch.empty_like(current_TB)
        for current, s in zip(current_TB, spikes_TB, strict=True):
            u.mul_(self.leak).add_(current)
            torch.gt(u, self.threshold, out=s)
            u.addcmul_(u, s, value=-1)
        return spikes_TB, u

    def _membrane_before(self, current_TB: Tensor) -> Tensor:
        dtype = torch.promote_types(current_TB.dtype, torch.float32)
        if self.membrane is None:
            return torch.zeros(current_TB.shape[1:], dtype=dtype, device=current_TB.device)
        kept, new = (tuple(self.membrane.shape), self.membrane.dtype), (tuple(current_TB.shape[1:]), dtype)
        if kept != new:
            raise ValueError(
                f"the batch changed inside streaming(): membranes are {kept[0]} {kept[1]}, the input needs "
                f"{new[0]} {new[1]}; leave streaming() before the next batch"
            )
        return self.membrane

    def __getstate__(self) -> dict[str, Any]:
        # A copy or a pickle made inside streaming() starts from rest and is not in it.
        return {**self.__dict__, "carry": False, "membrane": None}

    def extra_repr(self) -> str:
        """The constants, for print(model).

        Returns:
            A line of text.
        """
        reset = ", detach_reset" if self.detach_reset else ""
        return f"leak={self.leak}, threshold={self.threshold}, surrogate={self.surrogate}, gamma={self.gamma}{reset}"


class IF(LIF):
    """Integrate-and-fire neurons: :class:`LIF` without leak.

    Args:
        threshold: firing threshold V_th.
        surrogate: a name in :data:`tetviz.models.SURROGATES`.
        gamma: width of the surrogate.
        detach_reset: whether the reset is a constant for the gradient.
    """

    def __init__(
        self,
        threshold: float = 1.0,
        surrogate: str = "triangle",
        gamma: float = 1.0,
        detach_reset: bool = False,
    ) -> None:
        super().__init__(1.0, threshold, surrogate, gamma, detach_reset)


@contextmanager
def streaming(model: nn.Module) -> Iterator[nn.Module]:
    """Carries membranes from one call of the model to the next, so that a long run goes in time chunks.

    The carried potential is detached: gradients stop at the border of a chunk. On exit, also after an
    exception, every neuron is at rest and forgetful again.

    Args:
        model: a network of :class:`LIF` neurons.

    Yields:
        The same model.

    Raises:
        ValueError: the model is inside streaming() already.
    """
    neurons = [module for module in model.modules() if isinstance(module, LIF)]
    if any(neuron.carry for neuron in neurons):
        raise ValueError("this model is inside streaming() already")
    try:
        for neuron in neurons:
            neuron.carry = True
        yield model
    finally:
        for neuron in neurons:
            neuron.carry, neuron.membrane = False, None
