"""How to call a network of someone else's, proposed by trying."""

import inspect
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from tetviz.errors import ModelError
from tetviz.models.foreign.check import check_contract
from tetviz.models.foreign.convention import Calling
from tetviz.models.foreign.network import ForeignNetwork, NetworkError


def propose(network: nn.Module, x: Tensor, timesteps: int, **given: Any) -> list[Calling]:
    """The conventions that a network keeps the contract under, found by trying.

    Several may fit: whether O(t) is spikes or membranes, or a single output a mean or a sum, no run can tell. So
    nothing is chosen. Where T can be told to a network, or stands in its output, a call is a whole run, and not a step.

    Args:
        network: any module, left as it was.
        x: a real batch, as for :func:`tetviz.models.adapt`.
        timesteps: T that it was trained with.
        **given: fields of :class:`tetviz.models.Calling` that are known, such as ``sample_axes``.

    Returns:
        The conventions that fit, at least one.

    Raises:
        ModelError: none fits; with the reason of what came furthest.
    """
    attempts = _Attempts(network, x, timesteps, given)
    whole = ["time-major", "batch-major", "batch-channel-time", *(["static"] if x.dim() == 4 else [])]
    for takes in whole:
        for by in _tellers(network, timesteps) if takes == "static" else ("",):
            attempts.whole_runs(Calling(takes, "time-major", timesteps_by=by))
    if not attempts.fitting:
        for takes in whole:
            attempts.whole_runs(Calling(takes, "time-major", timesteps_by="fixed"))
    if not attempts.fitting:
        attempts.single_steps()
    if not attempts.fitting:
        raise attempts.furthest()
    return attempts.fitting


class _Attempts:
    """Conventions that were tried, those that fit, and why the others do not."""

    def __init__(self, network: nn.Module, x: Tensor, timesteps: int, given: dict[str, Any]) -> None:
        self.network, self.x, self.timesteps, self.given = network, x, timesteps, given
        self.fitting: list[Calling] = []
        self.failures: list[tuple[int, Calling, ModelError]] = []

    def whole_runs(self, calling: Calling) -> None:
        """Tries all that one call of a whole run may give."""
        for item in self._items(calling):
            stated = replace(calling, item=item)
            for gives in ("time-major", "batch-major", "batch-channel-time"):
                self._fits(replace(stated, gives=gives))
            reductions = [
                self._fits(replace(stated, gives=gives, recover="reduction", time_axis=axis))
                for gives in ("mean", "sum")
                for axis in (0, 1, -1)
            ]
            if not any(reductions) and not calling.fixed and not self.given.get("draws"):
                for gives in ("mean", "sum"):
                    self._fits(replace(stated, gives=gives, recover="prefix"))

    def single_steps(self) -> None:
        """Tries calls of one step, with a state that is passed on or kept in the modules."""
        if not self._fits(Calling("step", "step", state="passed")):
            for item in self._items(Calling("step", "step")):
                self._fits(Calling("step", "step", item))

    def furthest(self) -> ModelError:
        """Why the convention failed that finished most runs; of several, the commonest reason."""
        most = max(runs for runs, _, _ in self.failures)
        last = [(calling, error) for runs, calling, error in self.failures if runs == most]
        reason, _ = Counter(str(error) for _, error in last).most_common(1)[0]
        calling, error = next((calling, error) for calling, error in last if str(error) == reason)
        return type(error)(f"called with {calling.options()}: {error}")

    def _items(self, calling: Calling) -> list[int | str | None]:
        try:
            told = replace(calling, **self.given)
            result = ForeignNetwork(self.network, told, self.timesteps).result(self.x, self.timesteps)
        except ModelError as error:
            self.failures.append((-1, calling, error))
            return []
        if isinstance(result, list) and calling.takes != "step":
            return [None]  # of the steps
        return [*_items_of(result)] or [None]

    def _fits(self, calling: Calling) -> bool:
        calling = replace(calling, **self.given)
        model, runs = ForeignNetwork(self.network, calling, self.timesteps), []
        model.register_forward_hook(lambda *_: runs.append(1))
        try:
            check_contract(model, self.x, self.timesteps)
        except ModelError as error:
            done = -1 if isinstance(error, NetworkError) and not runs else len(runs)
            self.failures.append((done, calling, error))
            return False
        self.fitting.append(calling)
        return True


def _items_of(result: Any) -> list[int | str]:
    # The outputs in a tuple or dictionary, and in those inside it, as --item names them.
    if isinstance(result, dict):
        parts: list[tuple[int | str, Any]] = [(key, part) for key, part in result.items() if isinstance(key, str)]
    elif isinstance(result, tuple | list) and result:
        names = ["spk", *range(1, len(result) - 1), *(["mem"] if len(result) > 1 else [])]
        parts = list(zip(names, result, strict=True))
    else:
        return []
    found: list[int | str] = []
    for name, part in parts:
        nested = isinstance(part, dict) or (isinstance(part, tuple) and isinstance(result, dict))
        found += [f"{name}.{inner}" for inner in _items_of(part)] if nested else [name]
    return found


def _tellers(network: nn.Module, timesteps: int) -> Iterator[str]:
    parameters: list[Any] = [
        p for p in inspect.signature(network.forward).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    if len(parameters) > 1:
        yield "argument"
    for name in _integers(network, timesteps):
        yield f"attribute:{name}"
    inside = dict.fromkeys(name for module in network.modules() for name in _integers(module, timesteps))
    for name in inside:
        if name not in _integers(network, timesteps):
            yield f"attribute:*.{name}"


def _integers(module: nn.Module, value: int) -> list[str]:
    return [name for name, held in vars(module).items() if type(held) is int and held == value]
