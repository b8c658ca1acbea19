"""The outputs O(t) of a network of someone else's: SpikingJelly's, snnTorch's, norse's, or a plain module."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tetviz.errors import ModelError
from tetviz.models.foreign.convention import Calling
from tetviz.models.foreign.isolation import Isolation, generators_seeded
from tetviz.models.foreign.state import at_rest
from tetviz.models.layers import filled, time_major

_MEANS: tuple[Any, ...] = (torch.mean, Tensor.mean)
_SUMS: tuple[Any, ...] = (torch.sum, Tensor.sum)


class NetworkError(ModelError):
    """A network of someone else's raised something on its input."""


class ForeignNetwork(nn.Module):
    """Calls a network by the convention that is stated, and gives its outputs time first.

    Before every run its neurons are reset, as ``reset``, ``reset_mem``, ``reset_states`` and ``n_reset`` of its
    modules do; after it their states are taken away. The network gets a copy of the input, and tensors that it makes
    are in its own precision unless it says otherwise. :func:`tetviz.models.adapt` builds one and checks that the
    convention holds.

    Args:
        network: the network; it is not copied.
        calling: how it is called.
        timesteps: T that it was trained with, and that an image is shown for when a call does not say.

    Attributes:
        network: the network.
        calling: how it is called.
        timesteps: see above.
        drawing: where ``calling.draws`` says that it draws random numbers, the batch and the draw whose numbers it
            draws: the same in every run, and the caller's generators are left as they are.

    Raises:
        ValueError: a network that is fixed to one T, which is not said.
    """

    def __init__(self, network: nn.Module, calling: Calling, timesteps: int | None = None) -> None:
        super().__init__()
        if calling.fixed and not timesteps:
            raise ValueError("timesteps_by fixed: say the T that the network is fixed to (timesteps)")
        self.network, self.calling, self.timesteps = network, calling, timesteps
        self.drawing = (0, 0)

    def extra_repr(self) -> str:
        """The convention, for print(model)."""
        return self.calling.options()

    def forward(self, x: Tensor, timesteps: int | None = None) -> Tensor:
        """The output O(t) of every step.

        Args:
            x: x_BCHW, or x_TBCHW for a sequence; of vectors x_BF or x_TBF too.
            timesteps: number of steps T.

        Returns:
            logits_TBK.

        Raises:
            ModelError: the network raises something, or does not give what is stated.
        """
        x_TB = self._timed(x, timesteps)
        with self._isolated(), self._drawing(x.device):
            if self.calling.takes == "step":
                return self._by_steps(x_TB)
            if self.calling.recover == "prefix":
                return self._by_prefixes(x_TB)
            return self._at_once(x_TB)

    def own_output(self, x: Tensor, timesteps: int) -> Tensor:
        """What the network itself gives in one run, nothing skipped: B x K where it averages or adds up over time."""
        with self._isolated(), self._drawing(x.device):
            return self._run(self._timed(x, timesteps))

    def result(self, x: Tensor, timesteps: int) -> Any:
        """What one call of the network returns, as it is; a network that takes one step is shown the first."""
        x_TB = self._timed(x, timesteps)
        with self._isolated(), self._drawing(x.device):
            if self.calling.takes != "step":
                return self._call(x_TB)
            with at_rest(self.network):
                return self.network(x_TB[0].clone(), *([None] if self.calling.state == "passed" else []))

    def _timed(self, x: Tensor, timesteps: int | None) -> Tensor:
        x = full(x)
        if timesteps is None and (x.dim() == 4 or self.calling.fixed):
            timesteps = self.timesteps
        x_TB = time_major(x, timesteps)
        if self.calling.fixed and len(x_TB) != self.timesteps:
            raise ModelError(
                f"the network runs for T = {self.timesteps} alone (--timesteps-by fixed), a run of {len(x_TB)} steps "
                f"was asked for; ask for {self.timesteps} (--timesteps, of scale and energy --tmax), or have forward "
                "take T"
            )
        if self.calling.takes == "static" and x.dim() == 5:
            raise ModelError(
                "the network takes static images and repeats them itself (takes static), the data are sequences; state "
                "time-major or batch-major for a network that takes sequences"
            )
        return self._of_samples(x_TB)

    def _of_samples(self, x_TB: Tensor) -> Tensor:
        # With the axes that the network's samples have, in the type that it takes.
        axes = 2 + self.calling.sample_axes
        if any(size > 1 for size in x_TB.shape[axes:]):
            raise ModelError(
                f"the network takes samples of {self.calling.sample_axes} axes at a step, the data have "
                f"{' x '.join(map(str, x_TB.shape[2:]))}; name data of its shape, or say with --axes what theirs is"
            )
        x_TB = x_TB.reshape(x_TB.shape[:axes])
        return x_TB.long() if self.calling.integers else x_TB

    def _isolated(self) -> Isolation:
        weight = next(self.network.parameters(), None)
        return Isolation("the network raised", NetworkError, None if weight is None else weight.dtype)

    def _drawing(self, device: torch.device) -> AbstractContextManager[None]:
        return generators_seeded(device, *self.drawing) if self.calling.draws else nullcontext()

    def _by_steps(self, x_TB: Tensor) -> Tensor:
        passed, state, outputs = self.calling.state == "passed", None, []
        with at_rest(self.network):
            for x_B in x_TB.clone():
                result = self.network(x_B, state) if passed else self.network(x_B)
                if passed:
                    if not isinstance(result, tuple) or len(result) != 2:
                        raise ModelError(f"expected (output, state) of each step, got {_described(result)}")
                    result, state = result
                outputs.append(self._checked(self._picked(result), x_TB.shape[:2], "step"))
        return torch.stack(outputs)

    def _by_prefixes(self, x_TB: Tensor) -> Tensor:
        sums = [torch.zeros((), dtype=torch.float64, device=x_TB.device)]
        for t in range(1, len(x_TB) + 1):
            run = self._run(x_TB[:t])
            sums.append(run.double() * (t if self.calling.gives == "mean" else 1))
        return torch.stack([after - before for before, after in pairwise(sums)]).to(run.dtype)

    def _at_once(self, x_TB: Tensor) -> Tensor:
        timesteps, samples, axis = *x_TB.shape[:2], self.calling.time_axis
        if not self.calling.reduced:
            outputs = self._run(x_TB)
            return _time_first(outputs, self.calling.gives)
        with TimeKept(timesteps, axis, self.calling.gives) as kept:
            outputs = self._picked(self._call(x_TB))
        if kept.skipped != 1:
            raise ModelError(
                f"the network calls mean or sum over axis {axis} of length T = {timesteps} {kept.skipped} times, "
                "expected once; state another time_axis, or recover prefix"
            )
        given = {0: "time-major", 1: "batch-major", -1: "batch-channel-time"}[axis]
        return _time_first(self._checked(outputs, (timesteps, samples), given), given)

    def _run(self, x_TB: Tensor) -> Tensor:
        return self._checked(self._picked(self._call(x_TB)), x_TB.shape[:2], self.calling.gives)

    def _call(self, x_TB: Tensor) -> Any:
        other = {"static": x_TB[0], "batch-major": x_TB.transpose(0, 1), "batch-channel-time": x_TB.movedim(0, -1)}
        x = other.get(self.calling.takes, x_TB)
        kind, _, name = self.calling.timesteps_by.partition(":")
        arguments: dict[str, Any] = {name: len(x_TB)} if kind == "argument" and name else {}
        positional = (len(x_TB),) if kind == "argument" and not name else ()
        x = x.clone(memory_format=torch.contiguous_format)
        with at_rest(self.network), _told(self.network, name if kind == "attribute" else "", len(x_TB)):
            return self.network(x, *positional, **arguments)

    def _picked(self, result: Any) -> Tensor:
        item = self.calling.item
        if item is not None:
            result = _item(result, item)
        if self.calling.gives == "time-major" and isinstance(result, list) and _of_steps(result):
            return torch.stack(result)
        if not isinstance(result, Tensor):
            raise ModelError(f"the output is {_described(result)}, expected a tensor; state which item of it is O(t)")
        return result

    def _checked(self, outputs: Tensor, time_batch: Sequence[int], gives: str) -> Tensor:
        timesteps, samples = time_batch
        names, leading, trailing = {
            "time-major": ("T x B x K", [timesteps, samples], []),
            "batch-major": ("B x T x K", [samples, timesteps], []),
            "batch-channel-time": ("B x K x T", [samples], [timesteps]),
        }.get(gives, ("B x K", [samples], []))
        shape, axes = [*outputs.shape], len(leading) + 1 + len(trailing)
        fits = shape[: len(leading)] == leading and shape[axes - len(trailing) :] == trailing
        if len(shape) == axes and fits and outputs.is_floating_point():
            return outputs
        hint = ""
        if len(leading) == 2 and shape[:-1] == leading[::-1]:
            hint = ": time and samples are swapped, state the other of time-major and batch-major"
        elif axes == 3 and len(shape) == 2:
            hint = ": if that is a mean or a sum over time, state gives mean or sum"
        expected = " x ".join(map(str, [*leading, "K", *trailing]))
        raise ModelError(
            f"expected outputs {names} = {expected} of floating point, as gives {gives} says, got "
            f"{_described(outputs)}{hint}"
        )


def full(x: Tensor) -> Tensor:
    """Vectors as images of one pixel, x_BF or x_TBF as x_BCHW or x_TBCHW; what has their axes stays as it is."""
    return filled(x, 1) if x.dim() in (2, 3) else x


def _time_first(outputs: Tensor, gives: str) -> Tensor:
    other = {"batch-major": (1, 0, 2), "batch-channel-time": (2, 0, 1)}
    return outputs.permute(other[gives]) if gives in other else outputs


def _item(result: Any, item: int | str) -> Any:
    # One item, or one inside another with dots between; a key may have dots itself.
    if not isinstance(result, tuple | list | dict):
        raise ModelError(f"item {item} of the output is stated, the output is {_described(result)}")
    if isinstance(result, dict) and item in result:
        return result[item]
    if isinstance(item, str) and "." in item:
        head, _, tail = item.partition(".")
        return _item(_item(result, head), tail)
    key: Any = item if isinstance(result, dict) else {"spk": 0, "mem": -1}.get(str(item), item)
    if isinstance(key, str) and key.removeprefix("-").isdecimal():
        key = int(key)
    try:
        return result[key]
    except (LookupError, TypeError):
        raise ModelError(f"the output has no item {item!r}: it is {_described(result)}") from None


def only_length(model: nn.Module) -> int | None:
    """The one T that a network runs for (``timesteps_by="fixed"``); None where it takes any."""
    return model.timesteps if isinstance(model, ForeignNetwork) and model.calling.fixed else None


@contextmanager
def _told(network: nn.Module, path: str, timesteps: int) -> Iterator[None]:
    # Sets the attributes that say T, and puts them back.
    owner, _, name = path.rpartition(".")
    owners = list(network.modules()) if owner == "*" else [_attribute(network, owner)] if path else []
    owners = [each for each in owners if isinstance(getattr(each, name, None), int)]
    if path and not owners:
        raise ModelError(
            f"the network has no integer attribute {path}, which timesteps_by says T is; name the one that "
            "forward reads"
        )
    before = [getattr(each, name) for each in owners]
    try:
        for each in owners:
            setattr(each, name, timesteps)
        yield
    finally:
        for each, value in zip(owners, before, strict=True):
            setattr(each, name, value)


def _of_steps(result: list[Any]) -> bool:
    return all(isinstance(each, Tensor) and each.dim() == 2 for each in result) and len({e.shape for e in result}) == 1


def _attribute(value: Any, path: str) -> Any:
    for part in filter(None, path.split(".")):
        value = getattr(value, part, None)
    return value


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {' x '.join(map(str, value.shape)) or 'no axes'} ({str(value.dtype)[6:]})"
    if isinstance(value, tuple | list):
        parts = ", ".join(_described(each) for each in value[:3]) + (", ..." if len(value) > 3 else "")
        return f"a {type(value).__name__} of {len(value)} ({parts})"
    if isinstance(value, dict):
        return f"a dictionary of {', '.join(map(repr, list(value)[:4]))}"
    return f"of type {type(value).__name__}"


class TimeKept(TorchFunctionMode):
    """Skips means and sums over time, so that all that follows acts on every step.

    A call counts that reduces the time axis alone, of a tensor of three axes or more, where that axis is T long. Its
    input takes its place, scaled so that the reduction that the network is said to end in gives what the call
    would have given. What follows has to be linear, or mean(f(O)) is not f(mean(O)); the contract tests that.

    Attributes:
        skipped: how many calls were skipped.
    """

    def __init__(self, timesteps: int, axis: int, gives: str = "mean") -> None:
        super().__init__()
        self.timesteps, self.axis, self.gives, self.skipped = timesteps, axis, gives, 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Passes a call on, or skips it."""
        kwargs = kwargs or {}
        if func not in (*_MEANS, *_SUMS) or not self._over_time(*args, **kwargs):
            return func(*args, **kwargs)
        self.skipped += 1
        x = args[0] if args else kwargs["input"]
        if (func in _SUMS) == (self.gives == "sum"):
            return x
        return x * self.timesteps if func in _SUMS else x / self.timesteps

    def _over_time(self, input: Tensor, dim: Any = None, *_: Any, axis: Any = None, **__: Any) -> bool:
        dim = axis if dim is None else dim
        if isinstance(dim, tuple | list):
            dim = dim[0] if len(dim) == 1 else None
        if not isinstance(dim, int) or isinstance(dim, bool) or input.dim() < 3:
            return False
        axis = self.axis % input.dim()
        return bool(dim % input.dim() == axis and input.shape[axis] == self.timesteps)
