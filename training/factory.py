"""Code of someone else's, named as ``module:function``: imported and called only for who says that it is trusted."""

import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn

from tetviz.errors import CheckpointError, ModelError, TetvizError, unknown
from tetviz.models import ForeignSpec
from tetviz.models.foreign.convention import split_reference
from tetviz.models.foreign.isolation import Isolation, generators_kept
from tetviz.models.foreign.state import clone

_BUILT: WeakSet[nn.Module] = WeakSet()  # modules that a caller has, who may load weights into them


def import_function(reference: str, *, trust: bool, kind: type[TetvizError] = ModelError) -> Callable[..., Any]:
    """Imports a function; the current folder comes first in where it is looked for.

    Args:
        reference: ``module:function``.
    """
    module_name, function_name = split_reference(reference)
    if not trust:
        raise kind(
            f"{reference}: is Python code, which tetviz would import from the module {module_name!r} (here or on the "
            "Python path) and run; look at it, and pass --trust (in Python trust=True) if you trust it"
        )
    with Isolation(f"{reference}: importing {module_name} raised", kind), run_from_here(module_name):
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
def run_from_here(name: str) -> Iterator[None]:
    """Lets code import from the current folder, and see no command line, which is tetviz's.

    A script that reads its options when it is imported gets its defaults. Fresh weights draw random numbers, and the
    caller's generators must not notice.
    """
    path, arguments = list(sys.path), list(sys.argv)
    sys.path.insert(0, str(Path.cwd()))
    sys.argv[:] = [name]
    try:
        with chdir("."), generators_kept(torch.device("cpu")):
            yield
    finally:
        sys.path[:], sys.argv[:] = path, arguments


def build_foreign(spec: ForeignSpec, *, trust: bool) -> nn.Module:
    """Calls the factory of a network."""
    factory = import_function(spec.factory, trust=trust, kind=ModelError if trust else CheckpointError)
    with Isolation(f"{spec.factory}: raised"), run_from_here(spec.factory):
        network = _unwrapped(factory(**spec.arguments))
        if not isinstance(network, nn.Module):
            got = network.__name__ if isinstance(network, type) else f"something of type {type(network).__name__}"
            raise ModelError(f"{spec.factory}: gave {got}, expected a torch.nn.Module; return the network itself")
        lazy = [name for name, each in network.named_parameters() if isinstance(each, nn.UninitializedParameter)]
        if lazy:
            raise ModelError(
                f"{spec.factory}: the shape of {lazy[0]} is open until the network is run; run a batch through it in "
                "the factory"
            )
        odd = [name for name, value in network.state_dict().items() if not isinstance(value, Tensor)]
        if odd:
            raise ModelError(
                f"{spec.factory}: the state_dict holds {odd[0]}, which is no tensor; a checkpoint keeps tensors alone"
            )
        if isinstance(network, torch.jit.ScriptModule):
            raise ModelError(
                f"{spec.factory}: gave a TorchScript module, which shows nothing inside; return the network"
            )
        if any(module in _BUILT for module in network.modules()):
            network = clone(network)  # the factory gave it before, or a part of it
        _BUILT.update(network.modules())
        return network.cpu()


def _unwrapped(network: Any) -> Any:
    # What only runs another network, under names of its own: DataParallel, torch.compile.
    while inner := getattr(network, "_orig_mod", None) or (
        network.module if isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel) else None
    ):
        network = inner
    return network
