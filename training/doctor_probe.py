"""What the doctor examines with: copies, hooks, runs that leave everything alone, comparisons, names."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tetviz.models.hosting import generators_kept as generators_kept
from tetviz.models.resting import close
from tetviz.training.profile import evaluating, outputs

# What a module may raise that was written for other inputs or another precision, or that its state no longer fits.
CANNOT_RUN = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, AssertionError)

Seen = Callable[[str, list[Tensor], list[Tensor]], None]


def held(model: nn.Module) -> Iterator[tuple[str, str, Any]]:
    """Everything that the modules hold: parameters, buffers and attributes, also inside lists, tuples and dicts."""
    for name, module in model.named_modules():
        for path, value in _flat(vars(module), ()):
            # Of _buffers, running_mean the second is the attribute; of state, 0 the first.
            yield name, path[1] if path[0].startswith("_") and len(path) > 1 else path[0], value


def _flat(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Tensor | int | float):
        yield path, value
    elif len(path) < 4 and isinstance(value, Mapping | list | tuple):
        parts = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, part in parts:
            yield from _flat(part, (*path, str(key)))


def clone(model: nn.Module) -> nn.Module:
    """A copy that shares nothing with the model, also of one that keeps tensors of a graph after training."""
    kept = [value for _, _, value in held(model) if isinstance(value, Tensor) and not value.is_leaf]
    return copy.deepcopy(model, {id(value): value.detach().clone() for value in kept})


@contextmanager
def state_kept(model: nn.Module) -> Iterator[None]:
    """Puts what the modules hold back, but for their parameters: buffers, states of neurons, counters."""
    holders = [vars(module) for module in model.modules()]
    before = [(each, dict(each)) for holder in holders for each in (holder, *_containers(holder))]
    parameters = {id(parameter) for parameter in model.parameters()}
    tensors = {id(value): value for _, _, value in held(model) if isinstance(value, Tensor)}
    contents = [(value, value.detach().clone()) for key, value in tensors.items() if key not in parameters]
    try:
        yield
    finally:
        for holder, attributes in before:
            holder.clear()
            holder.update(attributes)
        with torch.no_grad():
            for value, content in contents:
                if not close(value, content):
                    value.copy_(content)


def _containers(holder: dict[str, Any]) -> list[dict[str, Any]]:
    return [value for value in holder.values() if isinstance(value, dict)]


@contextmanager
def watching(model: nn.Module, see: Seen, enter: Callable[[str], None] | None = None) -> Iterator[None]:
    """Shows every call of every module, the root's name being empty; a module comes after those inside it."""

    def hook(name: str) -> Callable[..., None]:
        def seen(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            see(name, _tensors([*args, *kwargs.values()]), _tensors(output))

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


def _tensors(value: Any) -> list[Tensor]:
    return [part for _, part in _flat(value, ("", "")) if isinstance(part, Tensor)]


def logits(model: nn.Module, x: Tensor, timesteps: int) -> Tensor:
    """One run, as :func:`tetviz.training.measure` makes it."""
    with evaluating(model):
        return torch.cat(list(outputs(model, x.clone(), timesteps)))


def listed(model: nn.Module, names: Iterable[str], shown: int = 4) -> str:
    """Modules for a message, such as ``features.1 (LIF), features.3 (LIF) and 2 more``."""
    unique = list(dict.fromkeys(names))
    texts = [f"{name or 'the network'} ({type(model.get_submodule(name)).__name__})" for name in unique[:shown]]
    return ", ".join(texts) + (f" and {len(unique) - shown} more" if len(unique) > shown else "")


def reason(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
