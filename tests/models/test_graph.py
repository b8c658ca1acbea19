"""Networks that are graphs of layers, built by hand here; tests/training/test_from_nir.py has graphs of others."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tetviz.errors import ModelError
from tetviz.models import GraphNetwork, GraphSpec, build

NODES: dict[str, dict[str, Any]] = {
    "a": {"kind": "linear", "inputs": ["input"], "shape": [6], "in_features": 6, "out_features": 6, "bias": False},
    "n": {"kind": "lif", "inputs": ["a", "input"], "shape": [6], "leak": 0.5, "threshold": 0.7, "width": 2.0},
    "b": {"kind": "linear", "inputs": ["n"], "shape": [3], "in_features": 6, "out_features": 3, "bias": True},
}
SPEC = GraphSpec(3, 1, 6, [6], NODES, ["b"], gamma=0.4)


@torch.no_grad()
def test_a_graph_by_hand() -> None:
    model = build(SPEC)
    assert isinstance(model, GraphNetwork)
    x_TB = torch.randn(3, 4, 1, 1, 6)
    a, b = model.nodes["a"], model.nodes["b"]
    u, expected = torch.zeros(4, 6), []
    for x in x_TB.flatten(2):
        u = 0.5 * u + (F.linear(x, a.weight) + x)
        spikes = (u > 0.7).float()
        u = u * (1 - spikes)
        expected.append(F.linear(spikes, b.weight, b.bias))
    torch.testing.assert_close(model(x_TB), torch.stack(expected))
    assert model.nodes["n"].gamma == pytest.approx(0.8)


def test_a_spec_is_plain_values() -> None:
    content = SPEC.to_dict()
    assert GraphSpec(**content) == SPEC
    assert content["nodes"] == NODES
    with pytest.raises(ValueError, match="a GraphSpec is complete"):
        build(SPEC, gamma=1.0)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ({"a": {**NODES["a"], "kind": "gru"}}, "node a: unknown kind 'gru'"),
        ({"a": {**NODES["a"], "inputs": ["n"]}}, "node a: expected inputs among input"),
        ({"a": {**NODES["a"], "inputs": []}}, "node a: expected inputs"),
        ({"a": {**NODES["a"], "inputs": ["input", "input"]}}, "each once"),
        ({"a": NODES["a"]}, "node output: expected inputs among a, input"),
    ],
)
def test_what_is_no_graph(nodes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SPEC, nodes=nodes)


def test_other_data_are_refused() -> None:
    with pytest.raises(ModelError, match="takes samples of 6, the data are of 1 x 2 x 2"):
        build(SPEC)(torch.zeros(1, 1, 1, 2, 2))
    image = replace(SPEC, input_shape=[1, 2, 3])
    with pytest.raises(ModelError, match="takes samples of 1 x 2 x 3, the data are of 1 x 3 x 2"):
        build(image)(torch.zeros(1, 1, 1, 3, 2))
