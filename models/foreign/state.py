"""The state that modules keep: put to rest before a run, looked at, copied, and put back after it.

Libraries are told by the names of their methods, none is imported.
"""

import copy
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

# SpikingJelly (and most own networks), snnTorch, sinabs, BrainCog.
RESET_METHODS = ("reset", "reset_mem", "reset_states", "n_reset")


@contextmanager
def at_rest(network: nn.Module) -> Iterator[None]:
    """Resets a network, and leaves its resettable modules without the state of the run.

    What a run leaves in them may have the shape of its batch, or hold on to its graph.
    """
    with _attributes_kept(reset(network)):
        yield
    reset(network)


def reset(network: nn.Module) -> list[nn.Module]:
    """Calls every method by which modules reset their state, and gives the modules that have one."""
    found = []
    for module in network.modules():
        hooks = _hooks(module)
        for hook in hooks:
            hook()
        found += [module] if hooks else []
    return found


def _hooks(module: nn.Module) -> list[Callable[[], Any]]:
    named = [getattr(module, name, None) for name in RESET_METHODS]
    # snnTorch's neurons keep a tensor in the attribute reset, and a child module may have that name.
    return [hook for hook in named if inspect.isroutine(hook) and _takes_nothing(hook)]


def _takes_nothing(hook: Callable[..., Any]) -> bool:
    kinds = inspect.Parameter
    return all(
        parameter.default is not kinds.empty or parameter.kind in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
        for parameter in inspect.signature(hook).parameters.values()
    )


@contextmanager
def state_kept(model: nn.Module) -> Iterator[None]:
    """Puts what the modules hold back, but for their parameters: buffers, states of neurons, counters."""
    parameters = {id(parameter) for parameter in model.parameters()}
    tensors = {id(value): value for _, _, value in held(model) if isinstance(value, Tensor)}
    contents = [(value, value.detach().clone()) for key, value in tensors.items() if key not in parameters]
    try:
        with _attributes_kept(model.modules()):
            yield
    finally:
        with torch.no_grad():
            for value, content in contents:
                if not close(value, content):
                    value.copy_(content)


@contextmanager
def _attributes_kept(modules: Iterable[nn.Module]) -> Iterator[None]:
    holders = [vars(module) for module in modules]
    holders += [value for holder in holders for value in holder.values() if isinstance(value, dict)]
    before = [(holder, dict(holder)) for holder in holders]
    try:
        yield
    finally:
        for holder, attributes in before:
            holder.clear()
            holder.update(attributes)


def clone(model: nn.Module) -> nn.Module:
    """A copy that shares nothing with the model, also of one that keeps tensors of a graph after training."""
    kept = [value for _, _, value in held(model) if isinstance(value, Tensor) and not value.is_leaf]
    return copy.deepcopy(model, {id(value): value.detach().clone() for value in kept})


def held(model: nn.Module) -> Iterator[tuple[str, str, Any]]:
    """Everything that the modules hold: parameters, buffers and attributes, also inside lists, tuples and dicts.

    Yields:
        Name of the module, name of the attribute, and a tensor or number.
    """
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


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors of what a module is given or gives, also inside lists, tuples and dicts."""
    if isinstance(value, Mapping | list | tuple):
        return [part for each in (value.values() if isinstance(value, Mapping) else value) for part in tensors_in(each)]
    return [value] if isinstance(value, Tensor) else []


def state_of(network: nn.Module) -> dict[str, Any]:
    """What modules hold besides their parameters, such as ``lif (LIFNode).v``."""
    found: dict[str, Any] = {}
    for name, module in network.named_modules():
        for key, value in vars(module).items():
            if key not in ("_parameters", "_modules"):
                _collect(found, f"{name} ({type(module).__name__}).{key}".strip(), value)
    return found


def _collect(found: dict[str, Any], path: str, value: Any, depth: int = 0) -> None:
    if isinstance(value, Tensor):
        found[path] = value.detach().clone()
    elif isinstance(value, int | float) or value is None:
        found[path] = value
    elif isinstance(value, dict | list | tuple) and depth < 3:
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            parent = path.removesuffix("._buffers").removesuffix("._memories")
            _collect(found, f"{parent}.{key}", part, depth + 1)


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between two descriptions of a network."""
    return [name for name, value in after.items() if name not in before or not same(before[name], value)]


def same(a: Any, b: Any) -> bool:
    """Whether two values that a module holds are equal; NaN equals NaN."""
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return isinstance(a, Tensor) and isinstance(b, Tensor) and close(a, b)
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return type(a) is type(b) and bool(a == b)


def close(a: Tensor, b: Tensor, tolerance: float = 0.0) -> bool:
    """Whether two tensors agree up to a share of the largest value; NaN equals NaN."""
    if a.shape != b.shape:
        return False
    equal = (a == b) | (a.isnan() & b.isnan())
    if bool(equal.all()) or not tolerance:
        return bool(equal.all())
    allowed = tolerance * torch.nan_to_num(b.double(), posinf=0.0, neginf=0.0).abs().max()
    return bool((equal | ((a.double() - b.double()).abs() <= allowed)).all())
