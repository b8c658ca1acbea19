"""Graphs of NIR: the numbers of snnTorch and SpikingJelly, those of the equations, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from nir_graphs import (
    DT,
    affine,
    chain,
    conv,
    convnet,
    cubalif,
    integrate,
    lif,
    perceptron,
    pool,
    snntorch_outputs,
    spikingjelly_outputs,
    weights,
)
from torch import Tensor
from torch.nn import functional as F

from tetviz.errors import CheckpointError
from tetviz.models import GraphSpec
from tetviz.training import Checkpoint, read_nir

STEPS, SAMPLES = 8, 16


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Checkpoint]:
    def read(graph: nir.NIRGraph, dt: float | None = None, **neurons: Any) -> Checkpoint:
        nir.write(tmp_path / "graph.nir", graph)
        found = read_nir(tmp_path / "graph.nir", dt, **neurons)
        Checkpoint(found.spec, found.state, STEPS).save(tmp_path / "graph.pt")
        return Checkpoint.load(tmp_path / "graph.pt")

    return read


@torch.no_grad()
def outputs(checkpoint: Checkpoint, x_TB: Tensor) -> Tensor:
    """x_TBCHW, or vectors x_TBF, which data show as images."""
    return checkpoint.model()(x_TB if x_TB.dim() == 5 else x_TB.flatten(2)[..., None, None])


def inputs(*shape: int) -> Tensor:
    return 1.5 * torch.randn(STEPS, SAMPLES, *shape, generator=torch.Generator().manual_seed(0))


GRAPHS = {
    "full input": (convnet(lif((6, 8, 8), 2, 2.0), cubalif((10,))), (1, 8, 8)),
    "share of the input": (convnet(lif((6, 8, 8), 2, 1.0), lif((10,), 3, 1.0, 0.3)), (1, 8, 8)),
    "long time constant": (convnet(lif((6, 8, 8), 50, 50.0, 2.0), cubalif((10,), 10, 20, 3.0)), (1, 8, 8)),
    "IF": (perceptron(integrate((12,)), lif((5,), 3, 3.0, 0.7)), (16,)),
    "linear output": (chain((16,), 5, a=affine(6, 16, 9, 1.0), s=lif((9,), 2, 2.0), b=affine(7, 9, 5)), (16,)),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_outputs_are_those_of_spikingjelly(read: Any, name: str) -> None:
    graph, shape = GRAPHS[name]
    x_TB = inputs(*shape)
    own, theirs = outputs(read(graph), x_TB), spikingjelly_outputs(graph, x_TB)
    assert float((own != 0).double().mean()) > 0.02
    assert float(own.std()) > 0.05
    torch.testing.assert_close(own, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in GRAPHS if name != "IF"])  # snnTorch lets an IF leak
def test_outputs_are_those_of_snntorch(read: Any, name: str) -> None:
    graph, shape = GRAPHS[name]
    x_TB = inputs(*shape)
    torch.testing.assert_close(outputs(read(graph), x_TB), snntorch_outputs(graph, x_TB), rtol=0, atol=1e-5)


def test_what_spikingjelly_exports(read: Any) -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    exchange = pytest.importorskip("spikingjelly.activation_based.nir_exchange")
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        *(layer.Conv2d(1, 4, 3, padding=1, bias=False), neuron.LIFNode(tau=2.0)),
        *(layer.AvgPool2d((2, 2), (2, 2), (0, 0)), layer.Flatten(), layer.Linear(64, 20)),
        *(neuron.ParametricLIFNode(init_tau=3.0, decay_input=False), layer.Linear(20, 10), neuron.IFNode()),
    )
    graph = exchange.export_to_nir(network, torch.zeros(1, 1, 8, 8))
    x_TB = 3 * inputs(1, 8, 8)
    for module in network.modules():
        if hasattr(module, "reset"):
            module.reset()
    with torch.no_grad():
        expected = torch.stack([network(x) for x in x_TB])
    assert 0.02 < float(expected.mean()) < 0.9
    torch.testing.assert_close(outputs(read(graph), x_TB), expected, rtol=0, atol=0)


def euler(node: Any, current_TN: np.ndarray, dt: float) -> np.ndarray:
    """Spikes of one neuron after the other, by the equations of NIR and nothing else."""
    spikes = np.zeros(current_TN.shape)
    for n in range(current_TN.shape[1]):
        v, i = float(node.v_reset[n]), 0.0
        for t, x in enumerate(current_TN[:, n]):
            if isinstance(node, nir.IF):
                v += dt * node.r[n] * x
            elif isinstance(node, nir.LIF):
                v += dt / node.tau[n] * (node.v_leak[n] - v + node.r[n] * x)
            else:
                i += dt / node.tau_syn[n] * (-i + node.w_in[n] * x)
                v += dt / node.tau_mem[n] * (node.v_leak[n] - v + node.r[n] * i)
            if v > node.v_threshold[n]:
                spikes[t, n], v = 1, node.v_reset[n]
    return spikes


def neurons(kind: str, alike: bool) -> Any:
    draw = np.random.default_rng(1)

    def between(low: float, high: float) -> np.ndarray:
        return np.full(30, draw.uniform(low, high)) if alike else draw.uniform(low, high, 30)

    rest, tau = between(-0.5, 0.5), between(2e-3, 2e-2)
    threshold, r = rest + between(0.1, 0.5), between(0.5, 3)
    if kind == "IF":
        return nir.IF(between(100, 500), threshold, rest)
    if kind == "LIF":
        return nir.LIF(tau, r, rest, threshold, rest)
    return nir.CubaLIF(between(2e-3, 8e-3), tau, 3 * r, rest, threshold, rest, between(1, 2))


@pytest.mark.parametrize("alike", [True, False], ids=["alike", "by neuron"])
@pytest.mark.parametrize("kind", ["IF", "LIF", "CubaLIF"])
def test_neurons_are_those_of_the_equations(read: Any, kind: str, alike: bool) -> None:
    node, dt = neurons(kind, alike), 1e-3
    eye = nir.Linear(np.eye(30))
    checkpoint = read(chain((30,), 30, a=eye, n=node), dt)
    current_TBN = torch.randn(40, 3, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) + 1
    own = outputs(checkpoint, current_TBN)
    assert own.dtype == torch.float64
    expected = np.stack([euler(node, current_TBN[:, b].numpy(), dt) for b in range(3)], 1)
    assert 0.02 < expected.mean() < 0.98
    np.testing.assert_array_equal(own.numpy(), expected)
    assert ("neurons" in checkpoint.spec.nodes["n"]) is not alike


def test_surrogates_are_as_wide_in_units_of_the_potential(read: Any) -> None:
    # u is divided by the gain of the input, 1 / 2 and 1 / 4: the surrogate must be two and four times as wide.
    for node, gains in ((lif((4,), 2, 1.0), 4 * [0.5]), (lif((4,), 4, 1.0), 4 * [0.25])):
        node.r[-1] += 1e-9  # by neuron
        model = read(chain((4,), 4, a=nir.Linear(np.eye(4)), n=node), gamma=0.6).model()
        x = torch.full((1, 1, 4, 1, 1), 1.5, dtype=torch.float64, requires_grad=True)
        model(x).sum().backward()
        u = 1.5 * np.array(gains)
        expected = np.array(gains) * np.maximum(0, 0.6 - np.abs(u - 1)) / 0.36
        np.testing.assert_allclose(x.grad.flatten().numpy(), expected, atol=1e-7)


def test_other_layers_are_those_of_torch(read: Any) -> None:
    grouped = nir.Conv2d((8, 8), weights(4, 1, 3, 2), (2, 1), "valid", 1, 2, weights(4))
    scale = weights(4, 1, 1, seed=2) * np.ones((4, 3, 7), np.float32)
    graph = chain(
        (2, 8, 8),
        6,
        g=grouped,
        s=nir.Scale(scale),
        t=nir.Threshold(np.full((4, 3, 7), 0.1)),
        p=nir.SumPool2d(np.array([3, 2]), np.array([1, 2]), np.array([1, 0])),
        f=nir.Flatten(np.array([4, 3, 3]), 0, -1),
        a=affine(3, 36, 6),
    )
    x_TB = inputs(2, 8, 8)
    x = F.conv2d(x_TB.flatten(0, 1), torch.tensor(weights(4, 1, 3, 2)), torch.tensor(weights(4)), (2, 1), 0, 1, 2)
    x = (x * torch.tensor(scale) > 0.1).float()
    x = F.avg_pool2d(x, (3, 2), (1, 2), (1, 0)) * 6
    layer = affine(3, 36, 6)
    expected = F.linear(x.flatten(1), torch.tensor(layer.weight), torch.tensor(layer.bias))
    torch.testing.assert_close(outputs(read(graph), x_TB).flatten(0, 1), expected)


def test_convolutions_over_one_axis(read: Any) -> None:
    layer = nir.Conv1d(10, weights(3, 2, 3), 2, 1, 1, 1, weights(3))
    x_TB = inputs(20)
    own = outputs(read(chain((2, 10), 15, c=layer, f=nir.Flatten(np.array([3, 5]), 0, 1))), x_TB)
    x = F.conv1d(x_TB.reshape(-1, 2, 10), torch.tensor(layer.weight), torch.tensor(layer.bias), 2, 1)
    torch.testing.assert_close(own.flatten(0, 1), x.flatten(1))


def test_what_comes_together_is_added_up(read: Any) -> None:
    a, b = affine(1, 6, 6), affine(2, 6, 6)
    nodes = {"input": nir.Input(np.array([6])), "a": a, "b": b, "output": nir.Output(np.array([6]))}
    edges = [("input", "a"), ("input", "b"), ("a", "b"), ("a", "output"), ("b", "output")]
    x_TB = inputs(6)

    def layer(node: Any, x: Tensor) -> Tensor:
        return F.linear(x, torch.tensor(node.weight), torch.tensor(node.bias))

    first = layer(a, x_TB)
    torch.testing.assert_close(outputs(read(nir.NIRGraph(nodes, edges)), x_TB), first + layer(b, x_TB + first))


def test_names_that_torch_does_not_take(read: Any) -> None:
    graph = chain((4,), 4, **{"a.b": affine(1, 4, 4), "a_b": affine(2, 4, 4), "keys": affine(3, 4, 4)})
    assert list(read(graph).spec.nodes) == ["a_b", "a_b_", "keys_"]


def test_the_step_is_that_of_the_metadata_unless_stated(read: Any, tmp_path: Path) -> None:
    graph = perceptron(lif((12,), 20, 1.0), lif((5,), 20, 1.0))
    graph.metadata = {"dt": 1e-3}
    assert [read(graph, dt).spec.nodes["i"]["leak"] for dt in (None, DT)] == pytest.approx([0.5, 0.95])
    assert read_nir(tmp_path / "graph.nir").dt == 1e-3
    for wrong in (-1.0, np.ones(2), "soon", np.inf):
        graph.metadata = {"dt": wrong}
        with pytest.raises(CheckpointError, match="the step dt must be a positive number of seconds"):
            read(graph)


def recurrent() -> nir.NIRGraph:
    graph = perceptron(lif((12,), 2, 2.0), lif((5,), 2, 2.0))
    graph.nodes["w"] = nir.Linear(weights(12, 12))
    graph.edges += [("i", "w"), ("w", "i")]
    return graph


def with_edge(*edge: str) -> nir.NIRGraph:
    graph = perceptron(lif((12,), 2, 2.0), lif((5,), 2, 2.0))
    graph.edges.append(edge)
    return graph


def inside() -> nir.NIRGraph:
    graph = perceptron(lif((12,), 2, 2.0), lif((5,), 2, 2.0))
    return chain((16,), 5, rnn=graph)


def leaky(node: Any) -> nir.NIRGraph:
    return chain((16,), 5, a=affine(1, 16, 5), n=node)


FIVE = np.ones(5)
REFUSED = {
    "recurrent": (recurrent(), "is recurrent (i -> w -> i)"),
    "itself": (with_edge("i", "i"), "is recurrent (i -> i)"),
    "twice": (with_edge("a", "i"), "two edges lead from a to i"),
    "nowhere": (with_edge("a", "q"), "from a to q, and one of them is no node"),
    "graph": (
        inside(),
        "node rnn (NIRGraph): is of a type that tetviz does not run; it is how exports",
    ),
    "LI": (
        leaky(nir.LI(FIVE * DT, FIVE, 0 * FIVE)),
        "node n (LI): is of a type that tetviz does not run; known:",
    ),
    "delay": (leaky(nir.Delay(FIVE)), "node n (Delay): is of a type"),
    "IF of a step": (leaky(integrate((5,), 1.0)), "r = 1 with a step of 0.0001 s lets 0.0001 of the input through"),
    "fast": (leaky(lif((5,), 0.5, 1.0)), "tau is 5e-05 s, shorter than the step of 0.0001 s"),
    "rest": (leaky(lif((5,), 2, 2.0, v_leak=0.1)), "v_leak is not v_reset"),
    "reset": (leaky(lif((5,), 2, 2.0, v_leak=1.1, v_reset=1.1)), "v_threshold is not above v_reset"),
    "resistance": (leaky(lif((5,), 2, -2.0)), "lets -1 times its input through"),
    "not finite": (leaky(lif((5,), 2, np.nan)), "node n (LIF): r is not made of finite numbers"),
    "neurons": (leaky(lif((4,), 2, 2.0)), "tau is of (4,), its input of (5,)"),
    "no flatten": (
        chain((1, 8, 8), 10, c=conv(1, (1, 6), 8), a=affine(1, 8, 10)),
        "node a (Affine): its weight is of (10, 8), its input of (6, 8, 8); flatten that",
    ),
    "channels": (chain((2, 8, 8), 10, c=conv(1, (1, 6), 8)), "takes 1 channels of 2 axes, its input has the shape"),
    "image": (chain((1, 9, 9), 10, c=conv(1, (1, 6), 8)), "says that its input is of [8 8], which is of (9, 9)"),
    "map": (chain((1, 8, 8), 10, c=conv(1, (1, 6), 8)), "node output (Output): gives (6, 8, 8) at every step"),
    "pool": (chain((16,), 5, a=affine(1, 16, 5), p=pool()), "pools images, its input has the shape (5,)"),
    "batch": (
        chain((1, 1, 8, 8), 10, f=nir.Flatten(np.array([1, 1, 8, 8]), 0, -1)),
        "of one to three axes without the batch",
    ),
    "outputs": (chain((16,), 5, a=affine(1, 16, 5), output_2=nir.Output(np.array([5]))), "has 2 nodes of type Output"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(read: Any, name: str) -> None:
    graph, message = REFUSED[name]
    with pytest.raises(CheckpointError) as caught:
        read(graph)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_step_of_one_is_what_an_if_of_one_means(read: Any) -> None:
    assert read(leaky(integrate((5,), 1.0)), 1.0).spec.nodes["n"]["threshold"] == 1


def test_loose_nodes_are_refused(read: Any) -> None:
    for edges in ([], [("a", "z")]):
        graph = leaky(lif((5,), 2, 2.0))
        graph.nodes["z"] = nir.Linear(weights(5, 5))
        graph.edges += edges
        with pytest.raises(CheckpointError, match=r"node z \(Linear\) does not lie between input and output"):
            read(graph)


def test_files_that_are_no_graph(tmp_path: Path) -> None:
    (tmp_path / "text.nir").write_text("no HDF5")
    for name, message in (("text.nir", "cannot read it"), ("none.nir", "no such file"), ("", "is a folder")):
        with pytest.raises(CheckpointError, match=message):
            read_nir(tmp_path / name)


def test_a_damaged_description_is_no_traceback(read: Any, tmp_path: Path) -> None:
    checkpoint = read(leaky(lif((5,), 2, 2.0)))
    content = torch.load(tmp_path / "graph.pt", weights_only=True)
    for change in ({"kind": "lstm"}, {"inputs": ["n"]}, {"leak": "much"}, {"stride": 2}):
        nodes = {**checkpoint.spec.nodes, "n": {**checkpoint.spec.nodes["n"], **change}}
        torch.save({**content, "spec": {**content["spec"], "nodes": nodes}}, tmp_path / "bad.pt")
        with pytest.raises(CheckpointError, match=r"bad\.pt: damaged, its description cannot be used"):
            Checkpoint.load(tmp_path / "bad.pt")


def test_neurons_of_a_graph_spike() -> None:
    with pytest.raises(ValueError, match="sigmoid"):
        GraphSpec(1, 1, 1, (1,), {}, ["input"], surrogate="sigmoid")
