"""GC-SNN and GA-SNN against dense matrices, STFN against its definition."""

import copy

import numpy as np
import pytest
import torch
from graphs import CLASSES, NODES, dense, network_on, small_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from wording import refuses

from tetviz.models import STFN, ModelSpec, build, streaming
from tetviz.models.nodes import NODE_NORMS

NAMES = ("gcsnn", "gasnn")
T = 5


def spikes_of(current_TNF: np.ndarray, leak: float = 0.5, threshold: float = 1.0) -> np.ndarray:
    u, found = np.zeros_like(current_TNF[0]), []
    for current in current_TNF:
        u = leak * u + current
        s = (u > threshold).astype(float)
        u = u * (1 - s)
        found.append(s)
    return np.array(found)


def neighbours(h: np.ndarray, joined: np.ndarray, scores: np.ndarray | None) -> np.ndarray:
    if scores is None:
        degree = joined.sum(1)
        return joined / np.sqrt(np.outer(degree, degree)) @ h
    out = np.zeros_like(h)
    for i in range(len(h)):
        around = np.flatnonzero(joined[i])
        e = np.array([scores[0] @ h[i] + scores[1] @ h[j] for j in around])
        e = np.exp(np.where(e > 0, e, 0.2 * e))
        out[i] = (e / e.sum()) @ h[around]
    return out


def by_hand(model, graph, asked: list[int], norm: str) -> np.ndarray:
    x, joined = dense(graph)
    weights = {name: value.detach().numpy() for name, value in model.named_parameters()}
    signal = np.repeat(x[None], T, 0)
    for layer in range(len(model.convolutions)):
        w = weights[f"convolutions.{layer}.linear.weight"]
        scores = weights.get(f"convolutions.{layer}.scores.weight")
        current = np.array([neighbours(step @ w.T, joined, scores) for step in signal])
        if norm != "none":
            scale, shift = weights[f"norms.{layer}.weight"], weights[f"norms.{layer}.bias"]
            normal = np.empty_like(current)
            for t in range(T):
                seen = current if norm == "stfn-run" else current[: t + 1]
                mean, variance = seen.mean((0, 2)), seen.var((0, 2))
                normal[t] = (current[t] - mean[:, None]) / np.sqrt(variance + 1e-5)[:, None] * scale + shift
            current = normal
        signal = spikes_of(current)
    return (signal @ weights["classifier.weight"].T)[:, asked]


def nodes(asked: list[int]) -> Tensor:
    return torch.tensor(asked, dtype=torch.float64)[:, None, None, None]


@pytest.mark.parametrize("norm", NODE_NORMS)
@pytest.mark.parametrize("name", NAMES)
def test_a_network_gives_what_dense_matrices_give(name, norm):
    graph, asked = small_graph(), [4, 0, NODES - 1, 4]
    model = network_on(graph, name, norm=norm, width=0.03)
    with torch.no_grad():
        for convolution in model.convolutions:  # else nothing fires without STFN
            convolution.linear.weight.mul_(6)
        found = model(nodes(asked), T)
    wanted = by_hand(model, graph, asked, norm)
    assert np.abs(wanted).max() > 0.01
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_steps_of_a_run_are_a_shorter_run_and_a_stream(name):
    model, x = network_on(small_graph(), name), nodes(list(range(NODES)))
    whole = model(x, T)
    for steps in range(1, T):
        assert torch.equal(model(x, steps), whole[:steps])
    with streaming(model):
        assert torch.equal(torch.cat([model(x, 1) for _ in range(T)]), whole)
    assert torch.equal(model(x, T), whole)  # and nothing is kept


def test_statistics_of_the_whole_run_look_ahead():
    model, x = network_on(small_graph(), norm="stfn-run", width=0.1), nodes(list(range(NODES)))
    assert not torch.equal(model(x, 2), model(x, T)[:2])


@given(asked=st.lists(st.integers(0, NODES - 1), min_size=1, max_size=6))
@settings(deadline=None, max_examples=20)
def test_what_else_is_asked_for_changes_nothing(asked):
    model = network_on(small_graph())
    every = model(model.every_node(), 3)
    assert torch.equal(model(nodes(asked), 3), every[:, asked])


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_a_slow_copy(name):
    model = network_on(small_graph(), name).train()
    x, y = nodes(list(range(9))), torch.arange(9) % CLASSES

    def loss(network):
        return torch.nn.functional.cross_entropy(network(x, 4).mean(0), y)

    loss(model).backward()
    other = copy.deepcopy(model)
    other.zero_grad()
    _, adjacency = dense(small_graph())
    degree = adjacency.sum(1)
    joined = torch.from_numpy(adjacency / np.sqrt(np.outer(degree, degree)))

    def slow(h_NF, _, convolution):
        if not hasattr(convolution, "scores"):
            return joined @ h_NF
        to, from_ = convolution.scores(h_NF).unbind(1)
        e = torch.nn.functional.leaky_relu(to[:, None] + from_[None], 0.2)
        return e.masked_fill(joined == 0, -torch.inf).softmax(1) @ h_NF

    for convolution in other.convolutions:
        convolution.neighbours = lambda h, j, convolution=convolution: slow(h, j, convolution)
    loss(other).backward()
    for (which, a), b in zip(model.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, msg=which, rtol=0, atol=1e-10)
        assert a.grad.abs().sum() > 0, which


@given(
    steps=st.integers(1, 6),
    threshold=st.floats(0.1, 3),
    rho=st.floats(0.2, 2),
    offset=st.floats(-5, 5),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=30)
def test_stfn_gives_each_node_mean_0_and_a_spread_of_rho_thresholds(steps, threshold, rho, offset, seed):
    x = torch.randn(steps, 7, 40, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + offset
    y = STFN(7, 40, threshold, rho).double()(x)
    torch.testing.assert_close(y.mean((0, 2)), torch.zeros(7).double(), rtol=0, atol=1e-4)
    torch.testing.assert_close(
        y.std((0, 2), correction=0), torch.full((7,), rho * threshold).double(), rtol=1e-4, atol=0
    )
    past = STFN(7, 40, threshold, rho, statistics="past").double()(x)
    torch.testing.assert_close(past[0].mean(1), torch.zeros(7).double(), rtol=0, atol=1e-4)
    torch.testing.assert_close(past[-1], y[-1])  # at the last step both have seen the same


def test_without_stfn_nothing_fires_at_a_threshold_of_1():
    model = network_on(small_graph(), norm="none")
    assert not model(model.every_node(), T).any()


def test_dropout_is_off_in_eval_mode_and_on_in_training():
    model = network_on(small_graph(), dropout=0.5)
    x = model.every_node()
    assert torch.equal(model(x, 2), model(x, 2))
    assert not torch.equal(model.train()(x, 2), model(x, 2))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [({"nodes": 0}, "nodes"), ({"depth": 0}, "depth"), ({"dropout": 1.0}, "dropout"), ({"norm": "bn"}, "bn")],
)
def test_wrong_settings_are_refused(settings_, message):
    with refuses(ValueError, message):
        build("gcsnn", **settings_)


def test_other_graphs_are_refused_and_none_is_asked_for():
    with refuses(ValueError, "nodes"):
        network_on(small_graph()).place_on(type(small_graph())(3, 12, *(torch.zeros(2, 0).long(),) * 2, torch.zeros(0)))
    with refuses(ValueError, "place_on"):
        build("gcsnn")(torch.zeros(1, 1, 1, 1), 1)
    with refuses(ValueError, "statistics"):
        STFN(2, 2, statistics="future")
    assert ModelSpec("gcsnn").norm == "stfn"
    assert ModelSpec("snn5").norm == "bn"
    with refuses(ValueError, "stfn"):
        build("snn5", norm="stfn")
