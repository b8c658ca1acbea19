"""The graph of layers of a network of tetviz, told by running it."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tetviz.errors import ModelError
from tetviz.models.graph import INPUT, GraphNetwork, GraphSpec, Scale, SumPool2d
from tetviz.models.layers import SpikingNetwork
from tetviz.models.neuron import LIF, CubaLIF
from tetviz.models.nodes import refuse_graph
from tetviz.models.norm import fold
from tetviz.models.spec import ModelSpec

_Shape = tuple[int, ...]
_COPIES = ("clone", "stack", "cat", "_to_copy")


def trace_graph(model: SpikingNetwork, spec: ModelSpec | GraphSpec) -> tuple[GraphSpec, dict[str, Tensor]]:
    """A network of tetviz as a graph that gives the same outputs, its normalisations folded into the convolutions.

    Args:
        model: the network; it is left as it is.
        spec: what it was built from.

    Returns:
        The graph and its state_dict.

    Raises:
        ModelError: the network does something that no layer of a graph does.
    """
    refuse_graph(model, "NIR has no layer that sums over neighbours")
    image = (spec.in_channels, spec.image_size, spec.image_size)
    shape = tuple(spec.input_shape) if isinstance(spec, GraphSpec) else image
    folded = fold(model).eval()
    tracer = _Tracer(folded, shape, spec.gamma)
    sample = shape if len(shape) == 3 else (math.prod(shape), 1, 1)
    x = torch.zeros(1, 1, *sample, dtype=next(folded.parameters()).dtype)
    with torch.no_grad(), tracer:
        outputs = tracer.sources(folded(tracer.feed(x)), (spec.num_classes,), "output")
    told = {name: getattr(spec, name) for name in ("num_classes", "in_channels", "image_size")}
    neurons = {name: getattr(spec, name) for name in ("surrogate", "gamma", "detach_reset", "detach_carry")}
    graph = GraphSpec(**told, input_shape=list(shape), nodes=tracer.nodes, outputs=list(outputs), **neurons)
    weights = {name: module.state_dict() for name, module in tracer.modules.items()}
    state = {f"nodes.{name}.{key}": value.clone() for name, held in weights.items() for key, value in held.items()}
    return graph, {name: state[name] for name in GraphNetwork(graph).state_dict()}  # a learned leak is a number there


class _Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows one step of one sample through a network: modules of known kinds are nodes, sums between them edges.

    Attributes:
        nodes: those of :class:`GraphSpec`, in order of execution.
        modules: what they are in the network.
    """

    def __init__(self, model: nn.Module, shape: _Shape, gamma: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes: dict[str, dict[str, Any]] = {}
        self.modules: dict[str, nn.Module] = {}
        self._shapes, self._gamma = {INPUT: shape}, gamma
        self._made: dict[int, tuple[str, ...]] = {}
        self._alive: list[Tensor] = []  # else the memory of one tensor becomes that of another
        self._model, self._running, self._hooks = model, [("", model)], ExitStack()

    def __enter__(self) -> "_Tracer":
        for path, module in self._model.named_modules():
            before = module.register_forward_pre_hook(lambda module, _, path=path: self._enter(path, module))
            self._hooks.callback(before.remove)
            self._hooks.callback(module.register_forward_hook(self._leave).remove)
        return super().__enter__()  # type: ignore[no-any-return, no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        self._hooks.close()
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def feed(self, x: Tensor) -> Tensor:
        """Says what the input of the network is."""
        return self._keep(x, (INPUT,))

    def sources(self, x: Tensor, shape: _Shape, user: str) -> tuple[str, ...]:
        """The nodes whose outputs a tensor is the sum of, as a user of this shape sees them."""
        made = self._made.get(_place(x))
        if made is None:
            raise ModelError(f"{user}: takes what no layer has given")
        return tuple(self._shaped(source, shape, user) for source in made)

    def _shaped(self, source: str, shape: _Shape, user: str) -> str:
        before = self._shapes[source]
        if before == shape:
            return source
        if shape != (math.prod(before),):
            raise ModelError(f"{user}: takes {shape} of the {before} that {source} gives")
        flat = f"{source}_flat"
        if flat not in self.nodes:
            self._add(flat, (source,), shape, {"kind": "flatten", "start_dim": 1, "end_dim": -1})
        return flat

    def _add(self, name: str, inputs: Sequence[str], shape: _Shape, described: dict[str, Any]) -> None:
        if name in self.nodes:
            raise ModelError(f"{name}: is called twice in a step; in a graph every layer is called once")
        self.nodes[name] = {**described, "inputs": list(inputs), "shape": list(shape)}
        self._shapes[name] = shape

    def _enter(self, path: str, module: nn.Module) -> None:
        self._running.append((path, module))

    def _leave(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        path, _ = self._running[-1]
        if describe := _describer(module):
            lead = 2 if isinstance(module, LIF) else 1
            name = path.removeprefix("nodes.").removesuffix(".conv").removesuffix(".module").replace(".", "_")
            before, after = tuple(args[0].shape[lead:]), tuple(output.shape[lead:])
            described = describe(module, before, name)
            if "width" in described:
                described["width"] /= self._gamma
            self._add(name, self.sources(args[0], before, name), after, described)
            self.modules[name] = module
            self._keep(output, (name,))
        self._running.pop()

    def _keep(self, x: Tensor, made: tuple[str, ...]) -> Tensor:
        self._alive.append(x)
        self._made[_place(x)] = made
        return x

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        path, module = self._running[-1]
        if _describer(module) is None and not any(each.alias_info for each in func._schema.returns):
            operation = func.overloadpacket.__name__
            made = self._combined(operation, args, kwargs or {})
            if made is None:
                raise ModelError(
                    f"{path or 'the network'} ({type(module).__name__}): computes {operation}, which no layer of a "
                    "graph does"
                )
            self._keep(output, made)
        return output

    def _combined(self, operation: str, args: Any, kwargs: Any) -> tuple[str, ...] | None:
        parts = args[0] if isinstance(args[0], list | tuple) else args[:1]
        if operation in _COPIES and len(parts) == 1:
            return self._made.get(_place(parts[0]))
        if operation == "add" and isinstance(args[1], Tensor) and kwargs.get("alpha", 1) == 1:
            a, b = (self._made.get(_place(x), ()) for x in args[:2])
            # The longer sum first: the order in which a chain of residual blocks adds up.
            made = a + b if len(a) >= len(b) else b + a
            return made if a and b and args[0].shape == args[1].shape and len({*made}) == len(made) else None
        if operation == "mean" and args[0].dim() == 5 and [axis % 5 for axis in args[1]] == [3, 4]:
            return self._mean(args[0])
        return None

    def _mean(self, x: Tensor) -> tuple[str, ...]:
        size = tuple(x.shape[2:])
        inputs = self.sources(x, size, "mean")
        name, window = f"{inputs[-1]}_mean", list(size[1:])
        settings = {"kernel_size": window, "stride": window, "padding": [0, 0]}
        self._add(name, inputs, (size[0], 1, 1), {"kind": "avgpool2d", **settings})
        return (name,)


def _place(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _conv(module: Any, before: _Shape, name: str) -> dict[str, Any]:
    if module.padding_mode != "zeros":
        raise ModelError(f"{name}: pads with {module.padding_mode!r}; a graph pads with zeros")
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    settings = {each: _plain(getattr(module, each)) for each in names}
    return {"kind": f"conv{len(before) - 1}d", **settings, "bias": module.bias is not None}


def _linear(module: Any, before: _Shape, name: str) -> dict[str, Any]:
    settings = {each: getattr(module, each) for each in ("in_features", "out_features")}
    return {"kind": "linear", **settings, "bias": module.bias is not None}


def _pool(module: Any, before: _Shape, name: str) -> dict[str, Any]:
    kernel, stride, padding = (
        [value, value] if isinstance(value, int) else list(value)
        for value in (module.kernel_size, module.stride, module.padding)
    )
    summed = isinstance(module, SumPool2d)
    over = [(size + 2 * p - k) % s for size, k, s, p in zip(before[1:], kernel, stride, padding, strict=True)]
    if module.ceil_mode and any(over):
        raise ModelError(f"{name}: its last windows hang over the edge of the image; those of a graph do not")
    if not summed and ((any(padding) and not module.count_include_pad) or module.divisor_override):
        raise ModelError(f"{name}: divides by another number than the size of its window")
    kind = "sumpool2d" if summed else "avgpool2d"
    return {"kind": kind, "kernel_size": kernel, "stride": stride, "padding": padding}


def _flatten(module: Any, before: _Shape, name: str) -> dict[str, Any]:
    return {"kind": "flatten", "start_dim": module.start_dim, "end_dim": module.end_dim}


def _scale(module: Any, before: _Shape, name: str) -> dict[str, Any]:
    return {"kind": "scale", "size": list(module.scale.shape)}


def _neuron(module: LIF, before: _Shape, name: str) -> dict[str, Any]:
    if module.reset != "hard":
        raise ModelError(f"{name}: resets by subtraction, which no node of NIR does; train with --reset hard")
    if module.surrogate == "sigmoid":
        raise ModelError(f"{name}: its neurons are smooth and do not spike (surrogate sigmoid); NIR has none of those")
    constants = {"leak": module.leak, "threshold": module.threshold, "width": module.gamma}
    if isinstance(module, CubaLIF):
        constants["synaptic_leak"] = module.synaptic_leak
    kind = "cubalif" if isinstance(module, CubaLIF) else "lif"
    if isinstance(module.threshold, Tensor):
        return {"kind": kind, "neurons": list(before)}
    return {"kind": kind} | {each: float(value) for each, value in constants.items()}


_DESCRIBERS: dict[type[nn.Module], Callable[[Any, _Shape, str], dict[str, Any]]] = {
    nn.Conv1d: _conv,
    nn.Conv2d: _conv,
    nn.Linear: _linear,
    nn.AvgPool2d: _pool,
    nn.Flatten: _flatten,
    Scale: _scale,
    LIF: _neuron,
}


def _describer(module: nn.Module) -> Callable[[Any, _Shape, str], dict[str, Any]] | None:
    return next((describe for kind, describe in _DESCRIBERS.items() if isinstance(module, kind)), None)
