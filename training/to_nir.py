"""Networks of tetviz as graphs of NIR, the way back of :mod:`tetviz.training.from_nir`."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tetviz.errors import ModelError
from tetviz.models import ModelSpec, SpikingNetwork
from tetviz.models.graph import INPUT, GraphSpec
from tetviz.models.tracing import trace_graph
from tetviz.results import write_whole
from tetviz.results.schema import FloatArray
from tetviz.training.checkpoint import Checkpoint
from tetviz.training.from_nir import DT, import_nir

_Arrays = Mapping[str, Any]


def write_nir(path: str | Path, checkpoint: Checkpoint, dt: float = DT) -> GraphSpec:
    """Writes the network of a checkpoint as a graph of NIR; an existing file is replaced.

    A neuron with a share ``leak`` left after a step becomes one of tau = dt / (1 - leak) and r = tau / dt, so that its
    input counts in full, as snnTorch and SpikingJelly want it; one that keeps all becomes an IF of r = 1 / dt.
    Normalisations are folded into the convolutions before them. Surrogates, and what the training was, are not said.

    Args:
        path: the ``.nir`` file.
        checkpoint: of a network of tetviz, or of an imported graph.
        dt: the step in seconds that the equations of NIR are to be stepped with.

    Returns:
        The graph that was written.

    Raises:
        ModelError: a foreign network, or one that does what NIR does not say; which layer and what is named.
        TetvizError: the package nir is not installed.
    """
    nir, spec = import_nir(), checkpoint.spec
    if not isinstance(spec, ModelSpec | GraphSpec):
        raise ModelError(
            f"the network is code of someone else's ({spec.name}), not a graph of layers; its library exports it "
            "(export_to_nir of snnTorch and of SpikingJelly)"
        )
    model = checkpoint.model()
    assert isinstance(model, SpikingNetwork)
    graph, state = trace_graph(model, spec)
    shapes = {INPUT: list(graph.input_shape)} | {name: node["shape"] for name, node in graph.nodes.items()}
    nodes, edges = {INPUT: nir.Input(np.array(graph.input_shape))}, []
    for name, node in graph.nodes.items():
        head = f"nodes.{name}."
        arrays = {key.removeprefix(head): _array(held) for key, held in state.items() if key.startswith(head)}
        if "gamma" in arrays:
            arrays["width"] = arrays["gamma"] / graph.gamma
        try:
            nodes[name] = _WRITERS[node["kind"]](nir, node, arrays, shapes[node["inputs"][0]], dt)
        except ValueError as error:
            raise ModelError(f"{name}: {error}") from error
        edges += [(source, name) for source in node["inputs"]]
    last = "output"
    while last in nodes:
        last += "_"
    nodes[last] = nir.Output(np.array([graph.num_classes]))
    edges += [(source, last) for source in graph.outputs]
    written = io.BytesIO()
    nir.write(written, nir.NIRGraph(nodes, edges, metadata={"dt": dt}, type_check=False))
    write_whole(path, written.getvalue())
    return graph


def _array(tensor: Tensor) -> FloatArray:
    array: FloatArray = tensor.detach().cpu().numpy()
    return array


def _conv(nir: Any, node: Mapping[str, Any], arrays: _Arrays, shape: list[int], dt: float) -> Any:
    flat = node["kind"] == "conv1d"
    stated = {name: node[name] for name in ("stride", "padding", "dilation")} | {"input_shape": shape[1:]}
    sizes = {k: v if isinstance(v, str) else v[0] if flat else tuple(v) for k, v in stated.items()}
    weight = arrays["weight"]
    bias = arrays.get("bias", np.zeros(len(weight), weight.dtype))
    kind = nir.Conv1d if flat else nir.Conv2d
    return kind(weight=weight, groups=node["groups"], bias=bias, **sizes)


def _linear(nir: Any, node: Mapping[str, Any], arrays: _Arrays, shape: list[int], dt: float) -> Any:
    return nir.Affine(**arrays) if node["bias"] else nir.Linear(**arrays)


def _pool(nir: Any, node: Mapping[str, Any], arrays: _Arrays, shape: list[int], dt: float) -> Any:
    kind = nir.SumPool2d if node["kind"] == "sumpool2d" else nir.AvgPool2d
    return kind(**{name: np.array(node[name]) for name in ("kernel_size", "stride", "padding")})


def _flatten(nir: Any, node: Mapping[str, Any], arrays: _Arrays, shape: list[int], dt: float) -> Any:
    ends = (axis - 1 if axis > 0 else axis for axis in (node["start_dim"], node["end_dim"]))
    return nir.Flatten(np.array(shape), *ends)


def _scale(nir: Any, node: Mapping[str, Any], arrays: _Arrays, shape: list[int], dt: float) -> Any:
    return nir.Scale(arrays["scale"])


def _lif(nir: Any, node: Mapping[str, Any], arrays: _Arrays, shape: list[int], dt: float) -> Any:
    # The surrogate is as wide as potentials are large: so the width says the unit of NIR's.
    leak, threshold, width = (_by_neuron(node, arrays, name, shape) for name in ("leak", "threshold", "width"))
    still = {"v_threshold": threshold / width, "v_reset": np.zeros(shape)}
    if (leak == 1).all():
        return nir.IF(r=1 / (dt * width), **still)
    tau = _tau(leak, dt)
    return nir.LIF(tau=tau, r=tau / dt / width, v_leak=np.zeros(shape), **still)


def _cubalif(nir: Any, node: Mapping[str, Any], arrays: _Arrays, shape: list[int], dt: float) -> Any:
    names = ("synaptic_leak", "leak", "threshold", "width")
    synaptic, leak, threshold, width = (_by_neuron(node, arrays, name, shape) for name in names)
    tau_syn, tau_mem = _tau(synaptic, dt), _tau(leak, dt)
    zero = np.zeros(shape)
    return nir.CubaLIF(tau_syn, tau_mem, tau_mem / dt, zero, threshold / width, zero, tau_syn / dt / width)


def _by_neuron(node: Mapping[str, Any], arrays: _Arrays, name: str, shape: list[int]) -> FloatArray:
    held = arrays["_leak" if name == "leak" else name] if "neurons" in node else node[name]
    return np.broadcast_to(np.asarray(held, np.float64), shape).copy()


def _tau(leak: FloatArray, dt: float) -> FloatArray:
    if not ((leak >= 0) & (leak < 1)).all():
        raise ValueError(f"a leak of {leak.max():g} is that of no time constant; NIR takes 0 to 1")
    return np.asarray(dt / (1 - leak))


_WRITERS: dict[str, Callable[..., Any]] = {
    "conv1d": _conv,
    "conv2d": _conv,
    "linear": _linear,
    "avgpool2d": _pool,
    "sumpool2d": _pool,
    "flatten": _flatten,
    "scale": _scale,
    "lif": _lif,
    "cubalif": _cubalif,
}
