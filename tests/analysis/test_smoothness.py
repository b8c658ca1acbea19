"""Smoothness of nodes: laws, a slow copy, and the command from checkpoints to table, file and figure."""

import json

import numpy as np
import pytest
import torch
from cli_runs import refused, tetviz
from graphs import CLASSES, FEATURES, NODES, dense, network_on, small_graph, write_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from wording import refuses

from tetviz.analysis import compute_smoothness
from tetviz.analysis.smoothness import dirichlet_energy, firing_rates, mean_cosine
from tetviz.errors import ModelError
from tetviz.models import ModelSpec, build
from tetviz.results import Smoothness, load
from tetviz.training import Checkpoint, load_data, measure


def joined(graph):
    return [torch.from_numpy(each) for each in np.nonzero(dense(graph)[1])]


def slow_energy(x, adjacency):
    degree = adjacency.sum(1)
    total = 0.0
    for i in range(len(x)):
        for j in range(i):
            if adjacency[i, j]:
                total += ((x[i] / np.sqrt(degree[i]) - x[j] / np.sqrt(degree[j])) ** 2).sum()
    return total / (x**2).sum()


def slow_cosine(x):
    rows = [row / np.linalg.norm(row) for row in x if row.any()]
    return np.mean([a @ b for i, a in enumerate(rows) for b in rows[:i]])


@given(seed=st.integers(0, 500), features=st.integers(1, 5), scale=st.floats(1e-3, 1e3))
@settings(deadline=None, max_examples=25)
def test_both_measures_are_those_of_a_slow_copy_whatever_the_scale(seed, features, scale):
    x = np.random.default_rng(seed).random((NODES, features)) * (np.arange(NODES) % 7 > 0)[:, None]
    graph = small_graph(seed)
    signal = torch.from_numpy(scale * x)
    assert dirichlet_energy(signal, *joined(graph)) == pytest.approx(slow_energy(x, dense(graph)[1]))
    assert mean_cosine(signal) == pytest.approx(slow_cosine(x))


@given(seed=st.integers(0, 500))
@settings(deadline=None, max_examples=25)
def test_what_is_smoothed_has_less_energy_and_what_is_the_same_has_none(seed):
    graph = small_graph(seed)
    degree = torch.from_numpy(dense(graph)[1].sum(1))
    same = degree.sqrt()[:, None].expand(-1, 3)
    assert dirichlet_energy(same, *joined(graph)) == pytest.approx(0, abs=1e-12)
    assert mean_cosine(same) == pytest.approx(1)
    x = torch.rand(NODES, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    energy = dirichlet_energy(x, *joined(graph))
    assert 0 <= energy <= 2
    smooth = torch.from_numpy(dense(graph)[1] / np.sqrt(np.outer(degree, degree))) @ x
    lazy = (x + smooth) / 2  # eigenvalues 0 to 1, so that high frequencies shrink most
    assert dirichlet_energy(lazy, *joined(graph)) <= energy + 1e-12


def test_nothing_at_all_has_no_energy_and_no_cosine():
    silent = torch.zeros(NODES, 2)
    assert np.isnan(dirichlet_energy(silent, *joined(small_graph())))
    assert np.isnan(mean_cosine(silent))


def test_a_result_is_of_all_nodes_and_its_accuracy_of_those_asked_for():
    model, labels = network_on(small_graph()), torch.arange(9) % CLASSES
    data = (model.every_node()[:9], labels)
    result = compute_smoothness(model, data, 5)
    assert result.accuracy == measure(model, data, 5).accuracy[-1]
    assert (result.nodes, len(result.sample), result.layer.tolist()) == (NODES, 9, [0, 1, 2])
    x, adjacency = dense(small_graph())
    for layer, signal in enumerate([x, *(each.numpy() for each in firing_rates(model, 5))]):
        assert result.dirichlet[layer] == pytest.approx(slow_energy(signal, adjacency))
        assert result.silent[layer] == (signal == 0).all(1).mean()
    assert result.rate[1:] == pytest.approx([float(each.mean()) for each in firing_rates(model, 5)])
    assert not any(neuron._forward_hooks for neuron in model.neurons)
    with refuses(ModelError, "graph"):
        compute_smoothness(build("snn5", width=0.1), data, 5)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nodes")
    data = load_data("planetoid", split="train", root=str(write_graph(folder / "small.npz")))
    paths = []
    for threshold, norm in ((0.5, "stfn"), (1.0, "stfn"), (0.5, "none"), (1.0, "none")):
        spec = ModelSpec("gcsnn", CLASSES, FEATURES, 1, 0.05, threshold=threshold, norm=norm, options={"nodes": NODES})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            state = build(spec).state_dict()
        path = folder / f"{norm}-{threshold}.pt"
        paths.append(Checkpoint(spec, state, 3, {"loss": "sdt"}, data.spec.to_dict()).save(path))
    return paths


def test_the_command_writes_what_it_prints(checkpoints, tmp_path):
    (tmp_path / "all").mkdir()
    said = tetviz("smoothness", *checkpoints, "-o", tmp_path / "all", "--json")
    records = json.loads(said.stdout)
    assert "stfn-1.0: no spikes" not in said.stderr
    assert "none-1.0: no spikes in the last layer" in said.stderr
    for path, printed in zip(checkpoints, records, strict=True):
        result = load(tmp_path / "all" / f"{path.stem}.smoothness.h5", Smoothness)
        energies = [np.nan if each is None else each for each in printed["dirichlet"]]
        assert energies == pytest.approx(result.dirichlet.tolist(), nan_ok=True)
        assert (result.timesteps, result.nodes, len(result.sample)) == (3, NODES, 10)
    assert (tmp_path / "all" / "smoothness.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("isometry",), "graph"),
        (("training-energy",), "graph"),
        (("attack", "--method", "fgsm"), "graph"),
        (("export", "--to", "nir"), "NIR"),
    ],
)
def test_what_makes_no_sense_of_a_graph_is_refused_in_a_line(checkpoints, arguments, word):
    command, *options = arguments
    output = ("-o", checkpoints[0].with_suffix(".nir")) if command == "export" else ()
    refused(checkpoints[0].parent, command, checkpoints[0], *options, *output, words=(word,))


def test_all_else_takes_a_network_on_a_graph(checkpoints, tmp_path):
    net = checkpoints[0]
    for split in ("train", "test"):
        tetviz("landscape", net, "--allow-chance", "--grid", 3, "--split", split, "-o", tmp_path / f"{split}.h5")
    tetviz("scale", net, "--tmax", 6, "-o", tmp_path / "s.h5")
    tetviz("energy", net, "--input-spikes", "yes", "-o", tmp_path / "e.h5")
    tetviz("line", net, "--allow-chance", "--grid", 5, "-o", tmp_path / "l.h5")
    tetviz("sharpness", net, "--allow-chance", "--planes", 2, "-o", tmp_path / "sh.h5")
    tetviz("info", net)
    findings = tetviz("doctor", net, code=1).stdout.splitlines()
    assert [line.split("  ")[1].strip() for line in findings if line.startswith("failure")] == ["above chance"]
    assert "silent on 10 samples at T = 3: neurons.1 (LIF)" in tetviz("doctor", checkpoints[3], code=1).stdout


def test_images_and_nodes_are_not_mixed(checkpoints, tmp_path):
    graph = checkpoints[0].with_name("small.npz")
    out = ("-o", tmp_path / "net.pt")
    refused(tmp_path, "train", "--model", "gcsnn", "--data", "digits", *out, words=("--data planetoid",))
    refused(tmp_path, "train", "--data", "planetoid", "--data-root", graph, *out, words=("--model gcsnn",))
    words = ("bn", "stfn")
    refused(
        tmp_path,
        *("train", "--model", "gcsnn", "--norm", "bn", "--data", "planetoid", "--data-root", graph, *out),
        code=2,
        words=words,
    )
