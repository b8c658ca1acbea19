"""Runs of a network that is examined: their outputs, what its modules are given and give, and names for messages."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tetviz.models.foreign.state import tensors_in
from tetviz.training.passes import outputs
from tetviz.training.profile import evaluating

# What a module may raise that was written for other inputs or another precision, or that its state no longer fits.
CANNOT_RUN = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, AssertionError)

Seen = Callable[[str, list[Tensor], list[Tensor]], None]


class Attempt:
    """Runs what a network may be unable to, and keeps why it is; memory that runs out is another matter.

    Attributes:
        error: what was raised, in one line; empty where nothing was.
    """

    error = ""

    def __enter__(self) -> "Attempt":
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        """Keeps what was raised."""
        if not isinstance(error, CANNOT_RUN) or isinstance(error, torch.OutOfMemoryError):
            return False
        self.error = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        return True


@contextmanager
def watching(model: nn.Module, see: Seen, enter: Callable[[str], None] | None = None) -> Iterator[None]:
    """Shows every call of every module, the root's name being empty; a module comes after those inside it."""

    def hook(name: str) -> Callable[..., None]:
        def seen(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            see(name, _dense([*args, *kwargs.values()]), _dense(output))

        return seen

    handles = [module.register_forward_hook(hook(name), with_kwargs=True) for name, module in model.named_modules()]
    if enter is not None:
        for name, module in model.named_modules():
            handles.append(module.register_forward_pre_hook(lambda *_, name=name: enter(name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _dense(values: Any) -> list[Tensor]:
    return [tensor for tensor in tensors_in(values) if tensor.layout is torch.strided]


def logits(model: nn.Module, x: Tensor, timesteps: int) -> Tensor:
    """One run, as :func:`tetviz.training.measure` makes it."""
    with evaluating(model):
        return torch.cat(list(outputs(model, x.clone(), timesteps)))


def listed(model: nn.Module, names: Iterable[str], shown: int = 4) -> str:
    """Modules for a message, such as ``features.1 (LIF), features.3 (LIF) and 2 more``."""
    unique = list(dict.fromkeys(names))
    texts = [f"{name or 'the network'} ({type(model.get_submodule(name)).__name__})" for name in unique[:shown]]
    return ", ".join(texts) + (f" and {len(unique) - shown} more" if len(unique) > shown else "")
