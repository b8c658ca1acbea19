"""Integrate-and-fire neurons, leaky or not, and membranes carried across calls."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tetviz.errors import unknown
from tetviz.models.surrogate import SURROGATES, surrogate_slope

RESETS = ("hard", "soft")


class NeuronTrace(NamedTuple):
    """What neurons did at every step of a run, T x B x any further axes, in float32 at least.

    Attributes:
        potentials: u(t), before the reset.
        slopes: the surrogate derivative there.
        spikes: s(t).
    """

    potentials: Tensor
    slopes: Tensor
    spikes: Tensor


class Carrying(nn.Module):
    """A module with a state, which goes from one call to the next inside :func:`streaming` and is forgotten outside.

    Attributes:
        carry: whether it is inside.
        membrane: the state that the call before left, of neurons their potentials; None where a run begins.
    """

    def __init__(self) -> None:
        super().__init__()
        self.carry = False
        self.membrane: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A copy or a pickle made inside streaming() starts from rest and is not in it.
        return {**self.__dict__, "carry": False, "membrane": None}


class LIF(Carrying):
    """Leaky integrate-and-fire neurons (Deng et al. 2022, eqs. 1 to 3).

    For every step t, from u(0) = 0::

        u(t) = leak * v(t-1) + current(t)
        s(t) = 1 if u(t) > threshold else 0
        v(t) = u(t) * (1 - s(t))              reset to 0 (hard)
        v(t) = u(t) - threshold * s(t)        reset by subtraction (soft)

    The comparison is strict. The gradient flows through the reset as well unless ``detach_reset``, and from step to
    step unless ``detach_carry`` (SLTT, Meng et al. 2023). The potential is kept in float32 at least, also under
    autocast. Every call starts from rest, except inside :func:`streaming`. A neuron with another rule is a subclass
    with other :meth:`steps`. leak, threshold and gamma are a number for the whole layer, or a tensor with one for every
    neuron, shaped like the input behind T x B, which becomes a buffer.

    Args:
        leak: share of the potential that is left after one step (tau in the paper).
        threshold: firing threshold V_th.
        surrogate: a name in :data:`tetviz.models.SURROGATES`.
        gamma: width of the surrogate.
        detach_reset: whether the reset is a constant for the gradient.
        reset: ``hard`` or ``soft``.
        detach_carry: whether the potential that a step leaves to the next is a constant for the gradient.
    """

    _leak: float | Tensor
    threshold: float | Tensor
    gamma: float | Tensor

    def __init__(
        self,
        leak: float | Tensor = 0.5,
        threshold: float | Tensor = 1.0,
        surrogate: str = "triangle",
        gamma: float | Tensor = 1.0,
        detach_reset: bool = False,
        reset: str = "hard",
        detach_carry: bool = False,
    ) -> None:
        super().__init__()
        if surrogate not in SURROGATES:
            raise ValueError(unknown("surrogate", surrogate, SURROGATES))
        if reset not in RESETS:
            raise ValueError(unknown("reset", reset, RESETS))
        if not isinstance(gamma, Tensor) and not gamma > 0:
            raise ValueError(f"the surrogate's width gamma must be positive, got {gamma}")
        self._set_constants(_leak=leak, threshold=threshold, gamma=gamma)
        self.surrogate, self.reset, self.detach_reset = surrogate, reset, detach_reset
        self.detach_carry = detach_carry
        self.firing: Callable[[Tensor], Tensor] | None = None  # in place of running it where set
        self.potentials: list[Tensor] | None = None  # u(t) of every run with gradients, where set

    def _set_constants(self, **constants: float | Tensor) -> None:
        for name, value in constants.items():
            if isinstance(value, Tensor):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    @property
    def leak(self) -> float | Tensor:
        """Share of the potential that is left after one step."""
        return self._leak

    def rest(self, current_TB: Tensor) -> Tensor:
        """The state that a run starts from, in float32 at least."""
        if len(current_TB) == 0:
            raise ValueError("the input has no timesteps; expected at least one timestep on its first axis")
        dtype = torch.promote_types(current_TB.dtype, torch.float32)
        return torch.zeros_like(current_TB[0], dtype=dtype)

    def after_reset(self, u: Tensor, s: Tensor) -> Tensor:
        """The potential v that neurons are left with, of u before the reset and their spikes s."""
        s = s.detach() if self.detach_reset else s
        v = u * (1 - s) if self.reset == "hard" else u - self.threshold * s
        return v.detach() if self.detach_carry else v

    def forward(self, current_TB: Tensor) -> Tensor:
        """Runs the neurons over time.

        Args:
            current_TB: synaptic input, T x B x any further axes.

        Returns:
            Spikes, 0 or 1 (graded with the smooth ``sigmoid``), shaped and typed like the input.

        Raises:
            ValueError: no timesteps, or inside streaming() another batch or another type than before.
        """
        if self.firing is not None:
            return self.firing(current_TB)
        u = self._membrane_before(current_TB)
        if (
            torch.is_grad_enabled()
            or torch.compiler.is_compiling()
            or self.surrogate == "sigmoid"
            or self._has_own_rule()
        ):
            spikes_TB, u = self._run(current_TB, u)
        else:
            spikes_TB, u = self._run_in_place(current_TB, u)
        if self.carry:
            self.membrane = u.detach()
        return spikes_TB

    def steps(self, current_TB: Tensor, v: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The rule of the neurons, step by step.

        Args:
            current_TB: synaptic input, typed like v.
            v: state that the step before left, the potential.

        Yields:
            Of every step u(t), s(t) and the state v(t).
        """
        spike, leak = SURROGATES[self.surrogate], self.leak
        for current in current_TB:
            u = leak * v + current
            s = spike(u, self.threshold, self.gamma)
            v = self.after_reset(u, s)
            yield u, s, v

    @torch.no_grad()
    def trace(self, current_TB: Tensor) -> NeuronTrace:
        """Runs the neurons from rest, without gradients, and keeps what they do at every step.

        Args:
            current_TB: synaptic input, T x B x any further axes.

        Returns:
            Potentials, slopes and spikes, shaped like the input.

        Raises:
            ValueError: no timesteps.
        """
        rest = self.rest(current_TB)
        seen = [
            (u, surrogate_slope(u, self.surrogate, self.threshold, self.gamma), s)
            for u, s, _ in self.steps(current_TB.to(rest.dtype), rest)
        ]
        return NeuronTrace(*map(torch.stack, zip(*seen, strict=True)))

    def _has_own_rule(self) -> bool:
        return type(self).steps is not LIF.steps or type(self).after_reset is not LIF.after_reset

    def _run(self, current_TB: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        spikes, potentials = [], []
        for u, s, after in self.steps(current_TB.to(v.dtype), v):
            spikes.append(s)
            potentials += [u] if self.potentials is not None else []
            v = after
        if self.potentials is not None:
            self.potentials.append(torch.stack(potentials))
        spikes_TB = torch.stack(spikes) if len(spikes) > 1 else spikes[0][None]  # which keeps the channels last
        return spikes_TB.to(current_TB.dtype), v

    def _run_in_place(self, current_TB: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        # The same numbers as _run without a graph, in half the passes over memory.
        u, spikes_TB, leak = u.clone(), torch.empty_like(current_TB), self.leak
        for current, s in zip(current_TB, spikes_TB, strict=True):
            u.mul_(leak).add_(current)
            torch.gt(u, self.threshold, out=s)
            if self.reset == "hard":
                u.addcmul_(u, s, value=-1)
            else:
                u.sub_(s.to(u.dtype) * self.threshold)
        return spikes_TB, u

    def _membrane_before(self, current_TB: Tensor) -> Tensor:
        rest = self.rest(current_TB)
        if self.membrane is None:
            return rest
        kept, new = (tuple(self.membrane.shape), self.membrane.dtype), (tuple(rest.shape), rest.dtype)
        if kept != new:
            raise ValueError(
                f"the batch changed inside streaming(): membranes are {kept[0]} {kept[1]}, the input needs "
                f"{new[0]} {new[1]}; leave streaming() before the next batch"
            )
        return self.membrane

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "firing": None, "potentials": None}

    def extra_repr(self) -> str:
        """The constants, for print(model)."""
        surrogate = f"surrogate={self.surrogate}, gamma={_shown(self.gamma)}"
        reset = f"reset={self.reset}" + (", detach_reset" if self.detach_reset else "")
        reset += ", detach_carry" if self.detach_carry else ""
        return f"leak={_shown(self._leak)}, threshold={_shown(self.threshold)}, {surrogate}, {reset}"


class IF(LIF):
    """Integrate-and-fire neurons: :class:`LIF` without leak.

    Args:
        threshold: firing threshold V_th.
        surrogate: a name in :data:`tetviz.models.SURROGATES`.
        gamma: width of the surrogate.
        detach_reset: whether the reset is a constant for the gradient.
        reset: ``hard`` or ``soft``.
        detach_carry: whether the potential that a step leaves to the next is a constant for the gradient.
    """

    def __init__(
        self,
        threshold: float = 1.0,
        surrogate: str = "triangle",
        gamma: float = 1.0,
        detach_reset: bool = False,
        reset: str = "hard",
        detach_carry: bool = False,
    ) -> None:
        super().__init__(1.0, threshold, surrogate, gamma, detach_reset, reset, detach_carry)


class PLIF(LIF):
    """Leaky integrate-and-fire neurons that learn their leak (Fang et al. 2021), one for the whole layer.

    leak = 1 - 1 / tau with 1 / tau = sigmoid(w), so it stays between 0 and 1; w is the parameter. The input is not
    scaled by 1 / tau: as long as w has not moved, these are :class:`LIF`.

    Args:
        leak: where the leak starts, between 0 and 1, both excluded.
        threshold: firing threshold V_th.
        surrogate: a name in :data:`tetviz.models.SURROGATES`.
        gamma: width of the surrogate.
        detach_reset: whether the reset is a constant for the gradient.
        reset: ``hard`` or ``soft``.
        detach_carry: whether the potential that a step leaves to the next is a constant for the gradient.
    """

    def __init__(
        self,
        leak: float = 0.5,
        threshold: float = 1.0,
        surrogate: str = "triangle",
        gamma: float = 1.0,
        detach_reset: bool = False,
        reset: str = "hard",
        detach_carry: bool = False,
    ) -> None:
        if not 0 < leak < 1:
            raise ValueError(f"a learned leak starts between 0 and 1, both excluded, got {leak}")
        super().__init__(leak, threshold, surrogate, gamma, detach_reset, reset, detach_carry)
        self.w = nn.Parameter(torch.tensor(math.log((1 - leak) / leak)))

    @property
    def leak(self) -> Tensor:
        """Share of the potential that is left after one step, as it is now."""
        return torch.sigmoid(-self.w)

    def extra_repr(self) -> str:
        """The constants, for print(model)."""
        return f"learned {super().extra_repr()}"


class CubaLIF(LIF):
    """Current-based leaky integrate-and-fire neurons: the synaptic current leaks as well.

    For every step t, from u(0) = i(0) = 0, with the spikes and the reset of :class:`LIF`::

        i(t) = synaptic_leak * i(t-1) + current(t)
        u(t) = leak * v(t-1) + i(t)

    The state of a step is the pair of v and i.

    Args:
        synaptic_leak: share of the synaptic current that is left after one step.
        leak: share of the potential that is left after one step.
        **constants: the others of :class:`LIF`.
    """

    synaptic_leak: float | Tensor

    def __init__(self, synaptic_leak: float | Tensor, leak: float | Tensor, **constants: Any) -> None:
        super().__init__(leak, **constants)
        self._set_constants(synaptic_leak=synaptic_leak)

    def rest(self, current_TB: Tensor) -> Tensor:
        """No potential and no current."""
        return super().rest(current_TB).expand(2, *current_TB.shape[1:])

    def steps(self, current_TB: Tensor, v: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The rule of the neurons, step by step."""
        spike, leak = SURROGATES[self.surrogate], self.leak
        potential, current = v.unbind()
        for x in current_TB:
            current = self.synaptic_leak * (current.detach() if self.detach_carry else current) + x
            u = leak * potential + current
            s = spike(u, self.threshold, self.gamma)
            potential = self.after_reset(u, s)
            yield u, s, torch.stack([potential, current])

    def extra_repr(self) -> str:
        """The constants, for print(model)."""
        return f"synaptic_leak={_shown(self.synaptic_leak)}, {super().extra_repr()}"


def _shown(constant: float | Tensor) -> str:
    return "by neuron" if isinstance(constant, Tensor) else str(constant)


NEURONS: dict[str, type[LIF]] = {"lif": LIF, "if": IF, "plif": PLIF}


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
    carrying = [module for module in model.modules() if isinstance(module, Carrying)]
    if any(module.carry for module in carrying):
        raise ValueError("this model is inside streaming() already")
    try:
        for module in carrying:
            module.carry = True
        yield model
    finally:
        for module in carrying:
            module.carry, module.membrane = False, None
