"""Code of someone else's, named as ``module:function``: imported and called only for who says that it is trusted."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tetviz.errors import CheckpointError, ForeignCode, ModelError, TetvizError, unknown
from tetviz.models import ForeignSpec
from tetviz.models.calling import split_reference


def import_function(reference: str, *, trust: bool, kind: type[TetvizError] = ModelError) -> Callable[..., Any]:
    """Imports a function; the current folder comes first in where it is looked for.

    Args:
        reference: ``module:function``.
        trust: whether the module may be imported, which runs it.
        kind: the error to raise.

    Returns:
        The function.

    Raises:
        TetvizError: of that kind: it is not trusted, cannot be imported, or there is no such function.
    """
    module_name, function_name = split_reference(reference)
    if not trust:
        raise kind(
            f"{reference}: is Python code, which tetviz would import from the module {module_name!r} (here or on the "
            "Python path) and run; look at it, and pass --trust (in Python trust=True) if you trust it"
        )
    with ForeignCode(f"{reference}: importing {module_name} raised", kind), _importable_from_here():
        module = import_module(module_name)
    value: Any = module
    for name in function_name.split("."):
        if not hasattr(value, name):
            where = getattr(module, "__file__", None) or module_name
            raise kind(f"{reference}: in {where}: {unknown('function', name, _functions(value))}")
        value = getattr(value, name)
    if not callable(value):
        raise kind(f"{reference}: is of type {type(value).__name__}, expected a function")
    return value  # type: ignore[no-any-return]


def _functions(owner: Any) -> list[str]:
    names = vars(owner) if hasattr(owner, "__dict__") else {}
    return [name for name, value in names.items() if callable(value) and not name.startswith("_")]


@contextmanager
def _importable_from_here() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def build_foreign(spec: ForeignSpec, *, trust: bool) -> nn.Module:
    """Calls the factory of a network.

    Args:
        spec: names it and its arguments.
        trust: whether it may run.

    Returns:
        The network, with the weights that the factory gives it, on the CPU.

    Raises:
        CheckpointError: it is not trusted.
        ModelError: it cannot be imported, raises, or gives something else than a network.
    """
    factory = import_function(spec.factory, trust=trust, kind=ModelError if trust else CheckpointError)
    # Fresh weights draw random numbers, and the caller's generator must not notice.
    with torch.random.fork_rng([]), ForeignCode(f"{spec.factory}: raised"), _importable_from_here():
        network = factory(**spec.arguments)
        if not isinstance(network, nn.Module):
            got = network.__name__ if isinstance(network, type) else f"something of type {type(network).__name__}"
            raise ModelError(f"{spec.factory}: gave {got}, expected a torch.nn.Module; return the network itself")
        lazy = [name for name, each in network.named_parameters() if isinstance(each, nn.UninitializedParameter)]
        if lazy:
            raise ModelError(
                f"{spec.factory}: the shape of {lazy[0]} is open until the network is run; run a batch through it in "
                "the factory"
            )
        return network.cpu()
