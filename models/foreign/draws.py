"""Random numbers that forward draws also in eval mode: a stream for each batch and draw, or held still."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from statistics import NormalDist
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tetviz.models.foreign.network import ForeignNetwork

B = TypeVar("B")

NOT_TORCHS = "random numbers that are not torch's (numpy.random) may do so too, draw them with torch"
QUANTILES = (0.1, 0.5, 0.9)  # at which random numbers are held still, for what is told of networks that draw some


def is_stochastic(model: nn.Module) -> bool:
    """Whether it is stated of a network that it draws random numbers."""
    return isinstance(model, ForeignNetwork) and model.calling.draws > 0


def draws_of(model: nn.Module) -> int:
    """Over how many draws of its random numbers a network is measured; 1 where it draws none."""
    return model.calling.draws if isinstance(model, ForeignNetwork) and model.calling.draws else 1


@contextmanager
def drawn(model: nn.Module, batches: Iterable[B]) -> Iterator[Iterator[B]]:
    """Batches, each once for every draw; meanwhile the network draws the random numbers of that batch and draw.

    Whoever goes through the same batches again gets the same numbers, at other weights too.
    """
    try:
        yield _passes(model, batches)
    finally:
        draw_anew(model, 0)


def _passes(model: nn.Module, batches: Iterable[B]) -> Iterator[B]:
    for number, batch in enumerate(batches):
        for draw in range(draws_of(model)):
            draw_anew(model, number, draw)
            yield batch


def draw_anew(model: nn.Module, batch: int, draw: int = 0) -> None:
    """Has a network draw the random numbers of another batch or draw."""
    if isinstance(model, ForeignNetwork):
        model.drawing = batch, draw


def stilled(model: nn.Module, quantile: float = QUANTILES[0]) -> AbstractContextManager[Any]:
    """Holds the random numbers still that a network is stated to draw."""
    return Stilled(quantile) if is_stochastic(model) else nullcontext()


class Stilled(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Gives every random number of torch a value of its distribution, low or high, that its place does not tell.

    It is then the same at every step and for every sample, so that a run of another length or of other samples can be
    compared. Random numbers that are not torch's, or of a distribution that has no rule here, are drawn as ever.
    """

    def __init__(self, quantile: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.quantile = quantile

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Draws as ever, and puts the fixed value in its place."""
        kwargs = kwargs or {}
        rule = _RULES.get(func.overloadpacket.__name__)
        given = [each.clone() if rule and isinstance(each, Tensor) else each for each in args]
        output = func(*args, **kwargs)
        if rule is not None and torch.Tag.nondeterministic_seeded in func.tags:
            defaults = {each.name: each.default_value for each in func._schema.arguments if each.has_default_value()}
            named = defaults | dict(zip((each.name for each in func._schema.arguments), given, strict=False)) | kwargs
            rule(output, named, self.quantile)
        return output


def _uniform(output: Tensor, given: dict[str, Any], q: float) -> None:
    low, high = given.get("from", 0.0), given.get("to", 1.0)  # rand has none
    output.fill_(low + q * (high - low))


def _normal(output: Tensor, given: dict[str, Any], q: float) -> None:
    mean, std = given.get("mean", 0.0), given.get("std", 1.0)
    output.copy_(torch.as_tensor(mean + std * NormalDist().inv_cdf(q)))


def _bernoulli(output: Tensor, given: dict[str, Any], q: float) -> None:
    output.copy_(torch.as_tensor(given["p"] if "p" in given else given["self"]) > q)


def _poisson(output: Tensor, given: dict[str, Any], q: float) -> None:
    output.copy_((given["self"] + 1 - q).floor())


def _exponential(output: Tensor, given: dict[str, Any], q: float) -> None:
    output.fill_(-math.log(1 - q) / given["lambd"])


def _integer(output: Tensor, given: dict[str, Any], q: float) -> None:
    low = given.get("low", 0)  # of some overloads
    output.fill_(low + int(q * (given["high"] - low)))


def _dropout(output: tuple[Tensor, Tensor], given: dict[str, Any], q: float) -> None:
    kept = 1 - given["p"]
    if given["train"] is not False:
        output[0].copy_(given["input"] / kept if kept > q else torch.zeros_like(given["input"]))
        output[1].fill_(kept > q)


_RULES: dict[str, Callable[..., None]] = {
    **dict.fromkeys(("rand", "rand_like", "uniform", "uniform_"), _uniform),
    **dict.fromkeys(("randn", "randn_like", "normal", "normal_", "normal_functional"), _normal),
    **dict.fromkeys(("bernoulli", "bernoulli_"), _bernoulli),
    **dict.fromkeys(("randint", "randint_like"), _integer),
    **dict.fromkeys(("exponential", "exponential_"), _exponential),
    "poisson": _poisson,
    "native_dropout": _dropout,
}
