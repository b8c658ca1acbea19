"""Operations of networks on graphs, against what their spikes, edges and features say."""

import numpy as np
import pytest
import torch
from graphs import NODES, dense, network_on, small_graph
from wording import refuses

from tetviz.analysis import compute_operations, count_operations
from tetviz.analysis.attack.run import compute_attack
from tetviz.analysis.counting.backward import compute_training_cost
from tetviz.analysis.isometry import compute_isometry
from tetviz.errors import ModelError

T, HIDDEN, CLASSES = 4, 20, 3


def column(counts, layer, name):
    return getattr(counts, name)[counts.names.index(layer)]


def spikes_of(model):
    """Spikes of both layers, T x N x F."""
    found = {}
    hooks = [
        neuron.register_forward_hook(lambda _, __, s, index=index: found.__setitem__(index, s.detach()))
        for index, neuron in enumerate(model.neurons)
    ]
    with torch.no_grad():
        model(model.every_node(), T)
    for hook in hooks:
        hook.remove()
    return found[0], found[1]


@pytest.mark.parametrize("norm", ["stfn", "none"])
def test_sums_over_neighbours_and_weights_are_counted_to_the_last_one(norm):
    graph = small_graph()
    model = network_on(graph, norm=norm, width=0.05)
    with torch.no_grad():
        model.convolutions[0].linear.weight.mul_(6).abs_()  # so that it fires without STFN
    first, second = spikes_of(model)
    x, joined = dense(graph)
    entries = int(joined.sum())
    counts = count_operations(model, model.every_node()[:7], T, input_spikes=True)
    assert not counts.not_counted
    assert (counts.runs, len(counts.sample)) == (NODES, 7)
    assert column(counts, "convolutions.0.linear", "ac").tolist() == [int(x.sum()) * HIDDEN] * T
    assert column(counts, "convolutions.1.linear", "ac").tolist() == (first.sum((1, 2)) * HIDDEN).int().tolist()
    assert column(counts, "classifier", "ac").tolist() == (second.sum((1, 2)) * CLASSES).int().tolist()
    assert column(counts, "neurons.1", "spikes").tolist() == second.sum((1, 2)).int().tolist()
    neighbours = x @ model.convolutions[0].linear.weight.detach().numpy().T
    pairs = int((joined @ (neighbours != 0)).sum())
    assert column(counts, "convolutions.0", "mac").tolist() == [pairs] * T
    assert column(counts, "convolutions.0", "dense_mac").tolist() == [entries * HIDDEN] * T
    assert column(counts, "convolutions.1", "weights") == entries


def test_attention_is_counted():
    graph = small_graph()
    model = network_on(graph, "gasnn", width=0.05)
    counts = count_operations(model, model.every_node(), T)
    entries = int(dense(graph)[1].sum())
    assert not counts.not_counted
    assert column(counts, "convolutions.0.scores", "dense_mac").tolist() == [NODES * HIDDEN * 2] * T
    assert column(counts, "convolutions.0", "norm_mac").tolist() == [entries] * T
    assert column(counts, "convolutions.0", "dense_mac").tolist() == [entries * HIDDEN] * T


def test_a_run_is_of_all_nodes_whichever_are_asked_for():
    model = network_on(small_graph())
    labels = torch.arange(9) % CLASSES
    counts = compute_operations(model, (model.every_node()[:9], labels), T, t_train=T)
    every = count_operations(model, model.every_node(), T)
    assert (counts.runs, len(counts.sample), every.runs) == (NODES, 9, NODES)
    assert (counts.dense_mac == every.dense_mac).all()
    assert (counts.mac == every.mac).all()
    assert np.isfinite(counts.accuracy).all()


def test_what_makes_no_sense_of_nodes_is_refused():
    model = network_on(small_graph())
    data = (model.every_node()[:9], torch.arange(9) % CLASSES)
    for compute in (compute_isometry, compute_training_cost, compute_attack):
        with refuses(ModelError, "graph"):
            compute(model, data, T)
