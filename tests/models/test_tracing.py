"""Graphs of networks; tests/training/test_to_nir.py holds the architectures equal to theirs."""

import pytest
import torch
from torch import Tensor, nn

from tetviz.errors import ModelError
from tetviz.models import LIF, ModelSpec, SpikingNetwork, build, trace_graph
from tetviz.models.layers import OverTime, step_by_step

SPEC = ModelSpec("snn5", 4, 1, 16, 0.125)


class Joined(SpikingNetwork):
    """A network of one's own, with a detour of some kind."""

    def __init__(self, detour: str = "sum") -> None:
        super().__init__()
        self.conv, self.lif = OverTime(nn.Conv2d(1, 3, 3, padding=1)), LIF()
        self.fc, self.detour = nn.Linear(3, 4), detour

    def body(self, x_TBCHW: Tensor) -> Tensor:
        """The network on a time-major input."""
        x = self.conv(x_TBCHW)
        spikes = self.lif(x)
        if self.detour == "twice":
            spikes = self.lif(spikes)
        if self.detour == "double":
            spikes = spikes + spikes
        if self.detour == "product":
            spikes = spikes * x
        return step_by_step(self.fc, (x + spikes).mean((3, 4)))


def test_sums_are_edges_and_means_are_pools() -> None:
    model = Joined().eval()
    graph, state = trace_graph(model, SPEC)
    assert {name: (node["kind"], node["inputs"]) for name, node in graph.nodes.items()} == {
        "conv": ("conv2d", ["input"]),
        "lif": ("lif", ["conv"]),
        "lif_mean": ("avgpool2d", ["conv", "lif"]),
        "lif_mean_flat": ("flatten", ["lif_mean"]),
        "fc": ("linear", ["lif_mean_flat"]),
    }
    twin = build(graph)
    twin.load_state_dict(state)
    x_TB = torch.randn(3, 2, 1, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(twin.eval()(x_TB), model(x_TB))


@pytest.mark.parametrize(
    ("detour", "message"),
    [
        ("twice", "lif: is called twice in a step"),
        ("double", r"the network \(Joined\): computes add, which no layer of a graph does"),
        ("product", r"the network \(Joined\): computes mul"),
    ],
)
def test_what_is_no_graph_is_named(detour: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        trace_graph(Joined(detour).eval(), SPEC)


def test_the_network_is_left_alone() -> None:
    model = build(SPEC).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    _, state = trace_graph(model, SPEC)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    next(iter(state.values())).add_(1)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
