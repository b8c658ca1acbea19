"""Graphs of NIR (Pedersen et al. 2024) as networks of tetviz.

A neuron of NIR is a differential equation. It is taken over as snnTorch and SpikingJelly step it, with the explicit
Euler method at a step dt, in units of its input: v is counted from v_reset and divided by the gain of the input. Then
it is a :class:`tetviz.models.LIF`::

    LIF       tau dv/dt = v_leak - v + r I      leak 1 - dt/tau       gain r dt/tau
    IF            dv/dt = r I                   leak 1                gain r dt
    CubaLIF   tau_syn dI/dt = -I + w_in S       leak 1 - dt/tau_syn   gain w_in dt/tau_syn, times that of LIF
    threshold (v_threshold - v_reset) / gain
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.errors import UNREADABLE, CheckpointError, TetvizError, reading, reason
from tetviz.models.graph import INPUT, GraphSpec, run_node
from tetviz.results.contents import check_foreign
from tetviz.results.schema import FloatArray

DT = 1e-4  # the step that snnTorch and SpikingJelly assume, in seconds

_Settings = dict[str, Any]
_Arrays = dict[str, Any]
_Shape = tuple[int, ...]


@dataclass(frozen=True)
class NirGraph:
    """A graph of NIR as a network of tetviz.

    Attributes:
        spec: the network. ``in_channels`` and ``image_size`` are 0 where a sample has one or two axes: they are those
            of the data then, and have to be filled in.
        state: its state_dict.
        dt: the step in seconds that its equations are stepped with.
    """

    spec: GraphSpec
    state: dict[str, Tensor]
    dt: float


def import_nir() -> Any:
    """The package nir, which is an extra."""
    if find_spec("nir") is None:
        raise TetvizError("graphs of NIR are read and written with the package nir: pip install 'tetviz[nir]'")
    return import_module("nir")


def read_nir(
    path: str | Path,
    dt: float | None = None,
    *,
    surrogate: str = "triangle",
    gamma: float = 1.0,
    detach_reset: bool = False,
) -> NirGraph:
    """Reads a feed-forward graph of NIR.

    Args:
        path: the ``.nir`` file.
        dt: the step in seconds; None for the one that the graph's metadata name as ``dt``, or 0.0001.
        surrogate: name of the surrogate gradient, which NIR does not say.
        gamma: its width, in units of the membrane potential of NIR.
        detach_reset: whether the reset is a constant for the gradient.

    Returns:
        The network.

    Raises:
        ValueError: a surrogate whose neurons do not spike.
        CheckpointError: the file is missing or damaged, or the graph holds what tetviz would not run as it is meant.
        TetvizError: the package nir is not installed.
    """
    graph = _load(Path(path))
    with reading(path, CheckpointError, "is no graph of NIR", "write it anew"):
        stated = np.asarray(graph.metadata.get("dt", DT) if dt is None else dt)
        if stated.size != 1 or stated.dtype.kind not in "fiu" or not 0 < stated.item() < np.inf:
            raise CheckpointError(f"{path}: the step dt must be a positive number of seconds, got {stated}")
        dt, order = float(stated.item()), _ordered(path, graph)
    taken = _Reading(path, graph, dt, {"surrogate": surrogate, "gamma": gamma, "detach_reset": detach_reset})
    for name in order:
        taken.take(name)
    return taken.finished()


def _load(path: Path) -> Any:
    nir = import_nir()
    if not path.is_file():
        raise CheckpointError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}, expected a graph of NIR")
    with reading(path, CheckpointError, f"nir {nir.version} cannot read it", "write it anew"):
        check_foreign(path)
        return nir.read(path, type_check=False)


def _ordered(path: str | Path, graph: Any) -> list[str]:
    kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
    for kind in ("Input", "Output"):
        if (count := list(kinds.values()).count(kind)) != 1:
            raise CheckpointError(f"{path}: has {count} nodes of type {kind}, expected one")
    sources: dict[str, list[str]] = {name: [] for name in kinds}
    for source, target in graph.edges:
        if source not in kinds or target not in kinds:
            raise CheckpointError(f"{path}: an edge leads from {source} to {target}, and one of them is no node")
        if source in sources[target]:
            raise CheckpointError(f"{path}: two edges lead from {source} to {target}; NIR does not say what they mean")
        sources[target].append(source)
    try:
        order = list(TopologicalSorter(sources).static_order())
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise CheckpointError(f"{path}: is recurrent ({cycle}); only feed-forward graphs can be imported") from error
    leading = {source for found in sources.values() for source in found}
    loose = [name for name in order if (kinds[name] != "Output" and name not in leading)]
    loose += [name for name in order if kinds[name] != "Input" and not sources[name]]
    if loose:
        raise CheckpointError(f"{path}: node {loose[0]} ({kinds[loose[0]]}) does not lie between input and output")
    return order


class _Reading:
    """Takes over one node of a graph after the other."""

    def __init__(self, path: str | Path, graph: Any, dt: float, neurons: _Settings) -> None:
        self.path, self.graph, self.dt, self.neurons = path, graph, dt, neurons
        self.blank = GraphSpec(1, 1, 1, [1], {}, [INPUT], **neurons)
        self.names: dict[str, str] = {}
        self.shapes: dict[str, _Shape] = {}
        self.nodes: dict[str, _Settings] = {}
        self.outputs: list[str] = []
        self.arrays: _Arrays = {}

    def take(self, name: str) -> None:
        """Takes over a node whose inputs have been taken over."""
        node = self.graph.nodes[name]
        kind = type(node).__name__
        try:
            if kind == "Input":
                self._start(name, node)
                return
            inputs = [self.names[source] for source, target in self.graph.edges if target == name]
            shape = self._common_shape(inputs)
            if kind == "Output":
                self._end(inputs, shape)
            elif kind in _READERS:
                self._add(name, inputs, shape, *_READERS[kind](node, shape, self.dt))
            else:
                inside = "; it is how exports write recurrent layers" if kind == "NIRGraph" else ""
                raise ValueError(f"is of a type that tetviz does not run{inside}; known: {', '.join(_READERS)}")
        except UNREADABLE as error:
            raise CheckpointError(f"{self.path}: node {name} ({kind}): {reason(error)}") from error

    def finished(self) -> NirGraph:
        """The network."""
        shape = self.shapes[INPUT]
        channels, height = shape[:2] if len(shape) == 3 else (0, 0)
        (classes,) = self.shapes[self.outputs[0]]
        spec = GraphSpec(classes, channels, height, list(shape), self.nodes, self.outputs, **self.neurons)
        double = any(array.dtype == np.float64 for name, array in self.arrays.items() if name.endswith(_WEIGHTS))
        dtype = torch.float64 if double else torch.float32
        state = {name: torch.tensor(np.array(array)).to(dtype) for name, array in self.arrays.items()}
        return NirGraph(spec, state, self.dt)

    def _start(self, name: str, node: Any) -> None:
        shape = node.input_type["input"]
        if shape is None or not 1 <= len(shape) <= 3:
            raise ValueError(f"expected the shape of one sample, of one to three axes without the batch, got {shape}")
        self.names[name], self.shapes[INPUT] = INPUT, tuple(int(size) for size in shape)

    def _common_shape(self, inputs: list[str]) -> _Shape:
        shapes = {self.shapes[each] for each in inputs}
        if len(shapes) > 1:
            raise ValueError(f"adds up {', '.join(map(str, shapes))}, expected one shape")
        return shapes.pop()

    def _end(self, inputs: list[str], shape: _Shape) -> None:
        if len(shape) != 1 or INPUT in inputs:
            raise ValueError(f"gives {shape} at every step, expected one number for each class")
        self.outputs = inputs

    def _add(self, name: str, inputs: list[str], shape: _Shape, settings: _Settings, arrays: _Arrays) -> None:
        own = re.sub(r"\W", "_", name)
        while own in (INPUT, *self.nodes) or hasattr(nn.ModuleDict, own):
            own += "_"
        with torch.device("meta"), torch.no_grad():
            after = tuple(run_node(self.blank.built(settings), torch.zeros(1, 1, *shape)).shape[2:])
        if "gamma" in arrays:
            arrays["gamma"] = self.neurons["gamma"] * arrays["gamma"]
        self.names[name], self.shapes[own] = own, after
        self.nodes[own] = {**settings, "inputs": inputs, "shape": list(after)}
        self.arrays |= {f"nodes.{own}.{key}": array for key, array in arrays.items()}


_WEIGHTS = (".weight", ".bias")  # what the precision of a network is told by


def _conv(node: Any, shape: _Shape, dt: float) -> tuple[_Settings, _Arrays]:
    weight, groups = _finite("weight", node.weight), int(node.groups)
    axes = weight.ndim - 2
    if len(shape) != axes + 1 or shape[0] != weight.shape[1] * groups:
        raise ValueError(f"takes {weight.shape[1] * groups} channels of {axes} axes, its input has the shape {shape}")
    if node.input_shape is not None and _whole(node.input_shape, axes) != list(shape[1:]):
        raise ValueError(f"says that its input is of {node.input_shape}, which is of {shape[1:]}")
    bias = np.zeros(0) if node.bias is None else _finite("bias", node.bias)
    padding = node.padding.decode() if isinstance(node.padding, bytes) else node.padding
    settings = {
        "kind": f"conv{axes}d",
        "in_channels": shape[0],
        "out_channels": weight.shape[0],
        "kernel_size": list(weight.shape[2:]),
        "stride": _whole(node.stride, axes),
        "padding": padding if isinstance(padding, str) else _whole(padding, axes),
        "dilation": _whole(node.dilation, axes),
        "groups": groups,
        "bias": bool(bias.any()),  # NIR has no convolution without one
    }
    return settings, {"weight": weight} | ({"bias": bias} if bias.any() else {})


def _linear(node: Any, shape: _Shape, dt: float) -> tuple[_Settings, _Arrays]:
    weight, bias = _finite("weight", node.weight), getattr(node, "bias", None)
    if weight.ndim != 2 or shape != (weight.shape[1],):
        raise ValueError(f"its weight is of {weight.shape}, its input of {shape}; flatten that to {weight.shape[-1:]}")
    settings = {"kind": "linear", "in_features": weight.shape[1], "out_features": weight.shape[0]}
    if bias is None:
        return settings | {"bias": False}, {"weight": weight}
    return settings | {"bias": True}, {"weight": weight, "bias": _finite("bias", bias)}


def _pool(kind: str) -> Callable[[Any, _Shape, float], tuple[_Settings, _Arrays]]:
    def read(node: Any, shape: _Shape, dt: float) -> tuple[_Settings, _Arrays]:
        if len(shape) != 3:
            raise ValueError(f"pools images, its input has the shape {shape}")
        sizes = {name: _whole(getattr(node, name), 2) for name in ("kernel_size", "stride", "padding")}
        return {"kind": kind, **sizes}, {}

    return read


def _flatten(node: Any, shape: _Shape, dt: float) -> tuple[_Settings, _Arrays]:
    ends = {"start_dim": int(node.start_dim), "end_dim": int(node.end_dim)}
    return {"kind": "flatten", **{name: axis + 1 if axis >= 0 else axis for name, axis in ends.items()}}, {}


def _scale(node: Any, shape: _Shape, dt: float) -> tuple[_Settings, _Arrays]:
    return {"kind": "scale", "size": list(shape)}, {"scale": np.broadcast_to(_by_neuron(node, "scale", shape), shape)}


def _threshold(node: Any, shape: _Shape, dt: float) -> tuple[_Settings, _Arrays]:
    threshold = _by_neuron(node, "threshold", shape)
    return _neurons("lif", shape, np.ones(()), threshold, leak=np.zeros(()))


def _lif(node: Any, shape: _Shape, dt: float) -> tuple[_Settings, _Arrays]:
    lost = _lost("tau", _by_neuron(node, "tau", shape), dt)
    gain = lost * _by_neuron(node, "r", shape)
    return _neurons("lif", shape, gain, _rise(node, shape), leak=1 - lost)


def _if(node: Any, shape: _Shape, dt: float) -> tuple[_Settings, _Arrays]:
    r = _by_neuron(node, "r", shape)
    if (r == 1).all() and dt != 1:
        raise ValueError(
            f"r = 1 with a step of {dt:g} s lets {dt:g} of the input through, while programs that write r = 1 mean a "
            "step of 1; say --dt 1 if that is so, or write r = 1 / dt"
        )
    return _neurons("lif", shape, r * dt, _rise(node, shape), leak=np.ones(()))


def _cubalif(node: Any, shape: _Shape, dt: float) -> tuple[_Settings, _Arrays]:
    lost_syn, lost_mem = (_lost(name, _by_neuron(node, name, shape), dt) for name in ("tau_syn", "tau_mem"))
    gain = lost_syn * _by_neuron(node, "w_in", shape) * lost_mem * _by_neuron(node, "r", shape)
    return _neurons("cubalif", shape, gain, _rise(node, shape), leak=1 - lost_mem, synaptic_leak=1 - lost_syn)


def _lost(name: str, tau: FloatArray, dt: float) -> FloatArray:
    # A step of tau itself, which leaves nothing, may have been rounded.
    if (tau < dt * (1 - 1e-6)).any():
        raise ValueError(
            f"{name} is {tau.min():g} s, shorter than the step of {dt:g} s; name the step of its training with --dt"
        )
    return np.minimum(dt / tau, 1.0)


def _rise(node: Any, shape: _Shape) -> FloatArray:
    reset = _by_neuron(node, "v_reset", shape)
    if hasattr(node, "v_leak") and (_by_neuron(node, "v_leak", shape) != reset).any():
        raise ValueError("v_leak is not v_reset: NIR does not say which of them a run starts from")
    return np.asarray(_by_neuron(node, "v_threshold", shape) - reset)


def _neurons(
    kind: str, shape: _Shape, gain: FloatArray, rise: FloatArray, **leaks: FloatArray
) -> tuple[_Settings, _Arrays]:
    if not (gain > 0).all():
        raise ValueError(f"lets {gain.min():g} times its input through, expected more than 0 (r, w_in)")
    if kind == "lif" and not (rise > 0).all() and leaks["leak"].any():
        raise ValueError("v_threshold is not above v_reset, so that it never stops firing")
    constants = {**leaks, "threshold": rise / gain, "width": 1 / gain}
    if all(np.ptp(values) == 0 for values in constants.values()):
        return {"kind": kind} | {name: float(values.flat[0]) for name, values in constants.items()}, {}
    names = {"leak": "_leak", "width": "gamma"}  # as the buffers of LIF are called
    arrays = {names.get(name, name): np.broadcast_to(values, shape) for name, values in constants.items()}
    return {"kind": kind, "neurons": list(shape)}, arrays


def _by_neuron(node: Any, name: str, shape: _Shape) -> FloatArray:
    values = _finite(name, getattr(node, name)).astype(np.float64)
    if values.size == 1:
        return values.reshape(())
    if values.shape != shape:
        raise ValueError(f"{name} is of {values.shape}, its input of {shape}")
    return values


def _finite(name: str, values: Any) -> FloatArray:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError(f"{name} is not made of finite numbers")
    return array if array.dtype == np.float64 else array.astype(np.float32)


def _whole(value: Any, axes: int) -> list[int]:
    sizes = [int(size) for size in np.asarray(value).reshape(-1)]
    if len(sizes) not in (1, axes):
        raise ValueError(f"expected {axes} sizes, got {sizes}")
    return sizes * (axes // len(sizes))


_READERS: dict[str, Callable[[Any, _Shape, float], tuple[_Settings, _Arrays]]] = {
    "Affine": _linear,
    "Linear": _linear,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "AvgPool2d": _pool("avgpool2d"),
    "SumPool2d": _pool("sumpool2d"),
    "Flatten": _flatten,
    "Scale": _scale,
    "Threshold": _threshold,
    "IF": _if,
    "LIF": _lif,
    "CubaLIF": _cubalif,
}
