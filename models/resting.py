"""The state that networks of other libraries keep in their modules: put to rest before a run, taken away after it.

Libraries are told by the names of their methods, none is imported.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
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
    resettable = reset(network)
    holders = [vars(module) for module in resettable]
    before = [(each, dict(each)) for holder in holders for each in (holder, *_dictionaries(holder))]
    try:
        yield
    finally:
        for holder, attributes in before:
            holder.clear()
            holder.update(attributes)
    reset(network)


def reset(network: nn.Module) -> list[nn.Module]:
    """Calls every method by which modules reset their state."""
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


def _dictionaries(holder: dict[str, Any]) -> list[dict[str, Any]]:
    return [value for value in holder.values() if isinstance(value, dict)]


def state_of(network: nn.Module) -> dict[str, Any]:
    """What modules hold besides their parameters."""
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
    return [name for name, value in after.items() if name not in before or not _same(before[name], value)]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and close(a, b)
    return type(a) is type(b) and bool(a == b or a != a)


def close(a: Tensor, b: Tensor, tolerance: float = 0.0) -> bool:
    """Whether two tensors agree; NaN equals NaN."""
    if a.shape != b.shape:
        return False
    equal = (a == b) | (a.isnan() & b.isnan())
    if bool(equal.all()) or not tolerance:
        return bool(equal.all())
    allowed = tolerance * torch.nan_to_num(b.double(), posinf=0.0, neginf=0.0).abs().max()
    return bool((equal | ((a.double() - b.double()).abs() <= allowed)).all())
