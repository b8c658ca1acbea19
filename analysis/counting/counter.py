"""Watches a network run: which module is running, what each tensor is made of, and which spikes come out."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tetviz.analysis.counting.counts import Counts, around, holders
from tetviz.analysis.counting.operands import (
    ANALOG,
    SPIKE_KINDS,
    WEIGHTS,
    Operand,
    constant,
    derive,
    follow,
    joined,
    keeps,
    place,
    times,
)
from tetviz.analysis.counting.operation import Operation
from tetviz.analysis.counting.rules import Rules
from tetviz.analysis.counting.sparse import SparseRules


class _Signature(NamedTuple):
    """What the schema of an operation says: its name, whether it only gives views, which arguments it writes to."""

    name: str
    view: bool
    written: tuple[tuple[int, str], ...]


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations of whatever runs inside ``with counter:``, for one network."""

    def __init__(self, model: nn.Module, spiking: Collection[str] = (), skip_zero_weights: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts = Counts()
        self.model, self.spiking = model, spiking
        self._operands: dict[int, Operand] = {}
        self._running: list[str] = [""]
        self._sums = 0
        self._signatures: dict[Any, _Signature] = {}
        self._types = {name: type(module).__name__ for name, module in model.named_modules(remove_duplicate=False)}
        self._names = _names(model)
        self._hooks = ExitStack()
        owners: dict[int, str] = {}
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            self._operands[place(tensor)] = WEIGHTS
            owners.setdefault(place(tensor), name.removesuffix(".weight"))
        parameters = {place(parameter) for parameter in model.parameters()}
        self.rules = Rules(self.counts, owners, parameters, skip_zero_weights)
        self._sparse = SparseRules(self.counts, self.rules, self._operand)

    def __enter__(self) -> "Counter":
        with ExitStack() as stack:
            for module, names in self._names.items():
                stack.callback(module.register_forward_pre_hook(self._entering(names)).remove)
                stack.callback(module.register_forward_hook(self._leaving(names), always_call=True).remove)
            stack.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
            torch.backends.mha.set_fastpath_enabled(False)  # one kernel for a whole layer of attention
            self._hooks = stack.pop_all()
        return super().__enter__()  # type: ignore[no-any-return, no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        self._hooks.close()
        self._running = [""]
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def feed(self, x: Tensor, static: bool, spikes: bool = False) -> None:
        """Says what the input of the network is."""
        self._operands[place(x)] = Operand("binary", 1.0, static=static) if spikes else Operand("data", static=static)

    def neuron_name(self, module: str) -> str:
        """The layer of neurons that a module which returns spikes belongs to."""
        parent = module.rpartition(".")[0]
        while parent and len(list(self.model.get_submodule(parent).children())) == 1:
            module, parent = parent, parent.rpartition(".")[0]
        return module

    def updating_modules(self) -> set[str]:
        """The modules that hold the whole update of neurons."""
        adding = (name for name, entry in self.counts.layers.items() if "residual_add" in entry.columns)
        summing = holders([*self.counts.leaking, *adding])
        return {name if name in summing else self.neuron_name(name) for name in self.counts.spikes}

    def type_of(self, layer: str) -> str:
        """The type of the module that a layer is."""
        entry = self.counts.layers.get(layer)
        if entry is not None and entry.product:
            return f"{entry.product}, summed" if entry.summed else entry.product
        return self._types.get(layer) or self._types[layer.rpartition(".")[0]]

    def remarks(self) -> list[str]:
        """What a reader should know about the counts."""
        loose = sorted(self.counts.fed_by - set(self.counts.returned_by))
        texts = [
            f"{name or 'network'}: makes spikes that no module returns as such; they are counted where they are used, "
            "but not as spikes of neurons"
            for name in loose
        ]
        for name, module in self.model.named_modules():
            weight = getattr(module, "weight", None)
            if isinstance(weight, nn.Parameter) and weight.dim() > 1 and place(weight) not in self.rules.used:
                texts.append(f"{name} ({self.type_of(name)}): has weights that no operation used")
        return texts

    def _entering(self, names: list[str]) -> Any:
        inside: dict[str, str] = {}  # the first of its names in each module around it
        for name in names:
            for module in list(around(name))[1:]:
                inside.setdefault(module, name)

        def enter(*_: Any) -> None:
            self._running.append(inside.get(self._running[-1], names[0]))

        return enter

    def _leaving(self, names: list[str]) -> Any:
        known = set(names)

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            name = self._running.pop() if self._running[-1] in known else names[0]
            returned = list(_tensors([output]))
            if returned and (name in self.spiking or type(module).__name__ in self.spiking):
                self._operands[place(returned[0])] = Operand("binary", 1.0, frozenset({name}))
            spikes = [tensor for tensor in returned if self._made_spikes(name, tensor)]
            if spikes:  # what is done with them is not the network's
                super(Counter, self).__exit__(None, None, None)  # type: ignore[no-untyped-call]
                try:
                    self.counts.add_spikes(name, self._operands[place(spikes[0])], spikes[0])
                finally:  # else whoever leaves the counter would take another mode off
                    super(Counter, self).__enter__()  # type: ignore[no-untyped-call]

        return leave

    def _made_spikes(self, module: str, tensor: Tensor) -> bool:
        operand = self._operands.get(place(tensor), ANALOG)
        if not module or operand.kind not in SPIKE_KINDS or not operand.makers:
            return False
        return all(maker == module or maker.startswith(f"{module}.") for maker in operand.makers)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        signature = self._signatures.get(func) or self._learn(func)
        if signature.view:
            if signature.name == "lift_fresh":  # made outside of torch, where another tensor may have been
                self._operands.pop(place(output), None)
            return output
        given = list(_flat(args, kwargs))
        if any(isinstance(value, Tensor) and value.layout is not torch.strided for value in [*given, output]):
            layer = self._sparse.count(signature.name, given, output, self._running[-1])
            for tensor in _tensors([output]):
                self._operands[place(tensor)] = replace(ANALOG, layer=layer)
            return output
        operands = [self._operand(value) for value in given]
        if "alpha" in kwargs:  # a + alpha b
            operands[1] = times(operands[1], float(kwargs["alpha"]))
        name, module = signature.name, self._running[-1]
        marks = self.rules.count(Operation(name, func, args, kwargs, given, operands, output, module))
        if keeps(name):  # the numbers among its arguments are places and sizes
            operands = [operand for value, operand in zip(given, operands, strict=True) if isinstance(value, Tensor)]
        self._sums += 1
        made = follow(name, derive(name, operands, args, output, module), operands, self._sums)
        self._keep(signature, args, kwargs, given, output, replace(made, **marks) if any(marks.values()) else made)
        return output

    def _learn(self, func: Any) -> _Signature:
        schema = func._schema
        written = tuple(
            (i, each.name) for i, each in enumerate(schema.arguments) if each.alias_info and each.alias_info.is_write
        )
        view = not written and any(each.alias_info for each in schema.returns)
        self._signatures[func] = _Signature(func.overloadpacket.__name__.rstrip("_"), view, written)
        return self._signatures[func]

    def _operand(self, value: Any) -> Operand:
        if not isinstance(value, Tensor):
            return constant(value)
        known = self._operands.get(place(value))
        if known is None and value.dim() == 0:
            return constant(float(value))
        return known or ANALOG

    def _keep(
        self, signature: _Signature, args: Any, kwargs: Any, given: list[Any], output: Any, made: Operand
    ) -> None:
        for index, name in signature.written:
            for tensor in _tensors([args[index] if index < len(args) else kwargs.get(name)]):
                whole = tensor.numel() * tensor.element_size() >= tensor.untyped_storage().nbytes()
                before = self._operands.get(place(tensor), ANALOG)
                self._operands[place(tensor)] = made if whole else joined([before, made])
        shared = {place(value) for value in given if isinstance(value, Tensor)}
        for tensor in _tensors([output]):
            if place(tensor) not in shared:  # else a view, or written to above
                self._operands[place(tensor)] = made


def _names(model: nn.Module) -> dict[nn.Module, list[str]]:
    # A module that holds nothing, such as a surrogate function that neurons share, has all its names; else the first.
    names: dict[nn.Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, torch.jit._script.RecursiveScriptModule):  # takes no hooks; its operations are seen
            continue
        holds = next(chain(module.parameters(), module.buffers()), None) is not None
        if module not in names or not holds:
            names.setdefault(module, []).append(name)
    return names


def _flat(args: Iterable[Any], kwargs: dict[str, Any]) -> Iterator[Any]:
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor) or (isinstance(value, int | float) and not isinstance(value, bool)):
            yield value
        elif isinstance(value, list | tuple):
            yield from (each for each in value if isinstance(each, Tensor))


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            if value.layout is torch.strided:
                yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
        elif isinstance(value, dict):
            yield from _tensors(value.values())
